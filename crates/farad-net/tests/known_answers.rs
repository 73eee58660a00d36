//! Tiny random networks against what the source tools computed with them, tensor by tensor.
//!
//! The files in `known_answers/` were made by `scripts/make_net_known_answers.py` with ai-edge-litert 2.3.0 (reference
//! kernels) and onnxruntime 1.32.0 (CPU provider on x86-64 with AVX-512 VNNI).

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use std::path::Path;

use farad_net::{ExactEngine, Network, Preprocess};

struct Known {
    input: Vec<u8>,
    tensors: Vec<(String, Vec<u8>)>,
    logits: Vec<f32>,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn known(name: &str, extension: &str) -> (Network, Known) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known_answers");
    let network = Network::load(&folder.join(format!("{name}.{extension}"))).unwrap();
    let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let mut known = Known {
        input: Vec::new(),
        tensors: Vec::new(),
        logits: Vec::new(),
    };
    for line in text.lines() {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            ["input", bytes] => known.input = hex(bytes),
            ["tensor", name, bytes] => known.tensors.push(((*name).to_owned(), hex(bytes))),
            ["logits", bytes] => {
                known.logits = hex(bytes)
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| f32::from_le_bytes(b))
                    .collect();
            }
            other => panic!("unknown line {other:?}"),
        }
    }
    (network, known)
}

/// Runs the network; returns its logits and, for each tensor of the answers, the largest difference of stored bytes.
fn differences(network: &Network, known: &Known) -> (Vec<f32>, Vec<(String, i32)>) {
    let input = network.quantize_input(&known.input).unwrap();
    let images = vec![0; input.len() / network.input_shape().iter().product::<usize>()];
    let mut found = Vec::new();
    let mut compare = |tensor: &str, data: &[u8]| {
        for (_, expected) in known.tensors.iter().filter(|(name, _)| name == tensor) {
            assert_eq!(expected.len(), data.len(), "size of {tensor}");
            let worst = expected
                .iter()
                .zip(data)
                .map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs())
                .max();
            found.push((tensor.to_owned(), worst.unwrap()));
        }
    };
    let logits = network.run_with(&input, &images, &mut ExactEngine, &mut |_, tensor| {
        compare(tensor.name, tensor.data);
    });
    (logits.unwrap(), found)
}

/// Every tensor equal, and the logits too.
fn assert_identical(name: &str, extension: &str, tensors: usize) {
    let (network, known) = known(name, extension);
    let (logits, found) = differences(&network, &known);
    let wrong: Vec<_> = found.iter().filter(|(_, worst)| *worst != 0).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {found:?}");
    assert_eq!(found.len(), tensors, "tensors compared: {found:?}");
    assert_eq!(logits, known.logits);
}

#[test]
fn tflite_convolutions() {
    assert_identical("convolutions_tflite", "tflite", 9);
}

#[test]
fn tflite_elementwise() {
    assert_identical("elementwise_tflite", "tflite", 14);
}

#[test]
fn tflite_movement() {
    let (mut network, known) = known("movement_tflite", "tflite");
    assert!(network.needs_preprocess());
    network
        .set_preprocess(Preprocess {
            pixel_max: 1.0,
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        })
        .unwrap();
    let (logits, found) = differences(&network, &known);
    assert!(
        found.len() == 8 && found.iter().all(|(_, worst)| *worst == 0),
        "{found:?}"
    );
    assert_eq!(logits, known.logits);
}

#[test]
fn onnx_convolutions() {
    assert_identical("convolutions_onnx", "onnx", 9);
}

#[test]
fn onnx_elementwise() {
    assert_identical("elementwise_onnx", "onnx", 14);
}

#[test]
fn onnx_movement() {
    assert_identical("movement_onnx", "onnx", 8);
}

/// Functions after a layer, real biases and BatchNormalization run in float in onnxruntime; the softmax stays float.
#[test]
fn onnx_float_pieces() {
    let (network, known) = known("float_pieces_onnx", "onnx");
    let (logits, found) = differences(&network, &known);
    assert!(
        found.len() == 3 && found.iter().all(|(_, worst)| *worst == 0),
        "{found:?}"
    );
    // Two implementations of exp, a few units in the last place apart.
    let close = logits.iter().zip(&known.logits).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(
        close && logits.len() == known.logits.len(),
        "{logits:?} for {:?}",
        known.logits
    );
}
