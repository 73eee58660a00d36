//! Laws of networks: shapes, row order, batches, counts, preprocessing, refusals.

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use std::path::Path;

use farad_core::MacShape;
use farad_net::{Activations, ExactEngine, MacEngine, MacLayer, NetError, Network, Preprocess, bops, bops_uniq};
use proptest::prelude::*;

fn known(file: &str) -> Network {
    Network::load(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/known_answers")
            .join(file),
    )
    .unwrap()
}

fn layer(shape: MacShape, weights: Vec<i8>, weight_offset: i32, x_zero: u8) -> MacLayer {
    let op = "conv2d";
    MacLayer {
        name: "layer".into(),
        op,
        shape,
        weights,
        weight_offset,
        x_zero,
        input_bits: 8,
        weight_bits: 8,
    }
}

/// The convolution written out: every output, group, tap and channel by its index.
fn convolution(layer: &MacLayer, image: &[u8]) -> Vec<i32> {
    let s = &layer.shape;
    let (in_group, out_group) = (s.in_c / s.groups, s.out_c / s.groups);
    let mut out = Vec::new();
    for oy in 0..s.out_h {
        for ox in 0..s.out_w {
            for o in 0..s.out_c {
                let mut acc = 0;
                for ky in 0..s.kernel_h {
                    for kx in 0..s.kernel_w {
                        let y = (oy * s.stride_h + ky * s.dilation_h) as i64 - s.pad_top as i64;
                        let x = (ox * s.stride_w + kx * s.dilation_w) as i64 - s.pad_left as i64;
                        if y < 0 || x < 0 || y >= s.in_h as i64 || x >= s.in_w as i64 {
                            continue;
                        }
                        for c in 0..in_group {
                            let pixel = (y as usize * s.in_w + x as usize) * s.in_c + o / out_group * in_group + c;
                            let weight = ((o * s.kernel_h + ky) * s.kernel_w + kx) * in_group + c;
                            acc += (i32::from(layer.weights[weight]) + layer.weight_offset)
                                * (i32::from(image[pixel]) - i32::from(layer.x_zero));
                        }
                    }
                }
                out.push(acc);
            }
        }
    }
    out
}

prop_compose! {
    fn any_layer()(
        (in_h, in_w, kernel_h, kernel_w) in (1usize..7, 1usize..7, 1usize..4, 1usize..4),
        (in_group, out_group, groups) in (1usize..4, 1usize..4, 1usize..4),
        (stride_h, stride_w, dilation_h, dilation_w) in (1usize..3, 1usize..3, 1usize..3, 1usize..3),
        (pad_top, pad_left, out_h, out_w) in (0usize..3, 0usize..3, 1usize..5, 1usize..5),
        (weight_offset, x_zero) in (-128i32..=128, any::<u8>()),
        noise in prop::collection::vec(any::<i8>(), 9 * 3 * 9),
    ) -> MacLayer {
        let shape = MacShape {
            in_h, in_w, in_c: in_group * groups, out_h, out_w, out_c: out_group * groups, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, groups,
        };
        layer(shape, noise[..shape.params() as usize].to_vec(), weight_offset, x_zero)
    }
}

proptest! {
    /// The row vector's order and padding, against the convolution written out.
    #[test]
    fn the_exact_engine_is_the_convolution(layer in any_layer(), seed in any::<u8>()) {
        let shape = layer.shape;
        let len = shape.in_h * shape.in_w * shape.in_c;
        let data: Vec<u8> = (0..2 * len).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect();
        let mut out = vec![0; 2 * shape.positions() * shape.out_c];
        ExactEngine.accumulate(0, &layer, Activations { data: &data, images: &[0, 1] }, &mut out);
        prop_assert_eq!(out, [convolution(&layer, &data[..len]), convolution(&layer, &data[len..])].concat());
    }

    /// Splitting a batch changes nothing.
    #[test]
    fn images_do_not_meet(pixels in prop::collection::vec(any::<u8>(), 3 * 9 * 7 * 3)) {
        for file in ["convolutions_tflite.tflite", "convolutions_onnx.onnx"] {
            let network = known(file);
            let input = network.quantize_input(&pixels).unwrap();
            let whole = network.run(&input, &[0, 1, 2], &mut ExactEngine).unwrap();
            let single = input.chunks(9 * 7 * 3).map(|image| network.run(image, &[0], &mut ExactEngine).unwrap());
            prop_assert_eq!(whole, single.collect::<Vec<_>>().concat());
        }
    }
}

#[test]
fn layers_carry_their_shapes() {
    let network = known("convolutions_tflite.tflite");
    assert_eq!(network.input_shape(), [9, 7, 3]);
    assert_eq!(network.classes(), 10);
    assert!(!network.needs_preprocess());
    let ops: Vec<_> = network.nodes().map(|n| (n.op, n.shape, n.mac_layer)).collect();
    assert_eq!(ops[0], ("conv2d", vec![5, 4, 8], Some(0)));
    assert_eq!(ops[1], ("depthwise_conv2d", vec![5, 4, 16], Some(1)));
    assert_eq!(ops[4], ("add", vec![4, 4, 6], None));
    assert_eq!(ops[8], ("softmax", vec![10], None));
    // SAME with stride 2 over 9 and 7 pixels: pads of 1 on both sides, so 5 and 4 outputs.
    let first = network.mac_layers()[0].shape;
    assert_eq!((first.pad_top, first.pad_left, first.out_h, first.out_w), (1, 1, 5, 4));
    let depthwise = network.mac_layers()[1].shape;
    assert_eq!((depthwise.groups, depthwise.out_c, depthwise.dilation_w), (8, 16, 2));
    assert_eq!(network.nodes().map(|n| n.macs).sum::<u64>(), network.macs());
    assert_eq!(network.nodes().map(|n| n.params).sum::<u64>(), network.params());
}

#[test]
fn the_hash_is_of_the_bytes() {
    // Against sha256sum.
    let network = known("movement_tflite.tflite");
    assert_eq!(network.sha256().len(), 64);
    assert_eq!(network.sha256(), SHA256_OF_MOVEMENT_TFLITE);
    assert_eq!(network.name(), "movement_tflite");
}

/// `sha256sum tests/known_answers/movement_tflite.tflite`.
const SHA256_OF_MOVEMENT_TFLITE: &str = "008d2791ca4b9ff7820853acc9192e24f9ecf09f39ad5a6762f6121c8b56c16c";

#[test]
fn bit_operations_of_one_layer() {
    // 3x3 over 16 channels to 32 channels at 8x8: n k^2 = 144, 64 * 32 * 144 = 294,912 MACs.
    let shape = MacShape {
        in_h: 8,
        in_w: 8,
        in_c: 16,
        out_h: 8,
        out_w: 8,
        out_c: 32,
        kernel_h: 3,
        kernel_w: 3,
        pad_top: 1,
        pad_left: 1,
        ..MacShape::dense(1, 1)
    };
    let layer = layer(shape, vec![0; 32 * 144], 0, 0);
    assert_eq!(bops(&layer), 294_912 * 64);
    // 8 * 8 + 8 + 8 + log2(144) = 87.169925...
    assert_eq!(bops_uniq(&layer), 25_707_457);
}

#[test]
fn pixels_of_an_int8_input_are_stored_as_they_are() {
    let network = known("convolutions_tflite.tflite");
    let pixels: Vec<u8> = (0..9 * 7 * 3).map(|i| i as u8).collect();
    assert_eq!(network.quantize_input(&pixels).unwrap(), pixels);
    assert!(matches!(
        network.quantize_input(&pixels[1..]),
        Err(NetError::BadInput(_))
    ));
    assert!(matches!(
        network.run(&pixels[1..], &[0], &mut ExactEngine),
        Err(NetError::BadInput(_))
    ));
}

#[test]
fn metadata_gives_the_normalisation() {
    let mut network = known("movement_onnx.onnx");
    assert!(!network.needs_preprocess());
    let expected = Preprocess {
        pixel_max: 1.0,
        mean: vec![0.48, 0.45, 0.4],
        std: vec![0.25, 0.24, 0.27],
    };
    assert_eq!(network.preprocess(), Some(&expected));
    let short = Preprocess {
        mean: vec![0.5],
        ..expected.clone()
    };
    assert!(matches!(network.set_preprocess(short), Err(NetError::BadPreprocess(_))));
    let flat = Preprocess {
        std: vec![0.25, 0.0, 0.27],
        ..expected
    };
    assert!(matches!(network.set_preprocess(flat), Err(NetError::BadPreprocess(_))));
}

#[test]
fn a_float_input_asks_for_its_normalisation() {
    let network = known("movement_tflite.tflite");
    assert!(network.needs_preprocess());
    assert!(matches!(
        network.quantize_input(&[0; 7 * 6 * 3]),
        Err(NetError::NeedsPreprocess { .. })
    ));
}

#[test]
fn other_files_are_named_as_what_they_are() {
    assert!(matches!(
        Network::parse("zip", b"PK\x03\x04 not a network"),
        Err(NetError::UnknownFormat)
    ));
    let missing = Network::load(Path::new("no/such/network.onnx")).unwrap_err();
    assert!(missing.to_string().contains("no/such/network.onnx"), "{missing}");
}
