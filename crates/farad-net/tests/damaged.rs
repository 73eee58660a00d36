//! Damaged files: whatever the bytes are, an error or a network that runs, never a panic.

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use std::path::Path;

use farad_net::{ExactEngine, Network};
use proptest::prelude::*;

/// Multiply-accumulates up to which a surviving network is also run.
const RUN_MACS: u64 = 1 << 20;

fn files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known_answers");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "tflite" || e == "onnx"));
    paths.sort();
    assert_eq!(paths.len(), 7);
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Imports the bytes and, where that works and the network is small, runs one image.
fn try_all(bytes: &[u8]) -> Option<Network> {
    let network = Network::parse("damaged", bytes).ok()?;
    let len = network.input_shape().iter().product::<usize>();
    if network.macs() <= RUN_MACS && len <= 1 << 16 {
        let logits = network.run(&vec![7; len], &[0], &mut ExactEngine).unwrap();
        assert_eq!(logits.len(), network.classes());
    }
    Some(network)
}

/// A file may end in bytes that nothing needs (a last empty buffer, an opset of which there is a default); a truncation
/// that takes more is refused.
#[test]
fn a_truncated_file_is_refused_or_whole() {
    for bytes in files() {
        let macs = try_all(&bytes).unwrap().macs();
        let mut whole = 0;
        for len in (0..bytes.len()).step_by(3) {
            if let Some(network) = try_all(&bytes[..len]) {
                assert_eq!(network.macs(), macs, "{len} of {} bytes", bytes.len());
                whole = bytes.len() - len;
            }
        }
        assert!(
            whole < 200,
            "the last {whole} of {} bytes seem to mean nothing",
            bytes.len()
        );
    }
}

/// Flatbuffer offsets and protobuf lengths at their extremes, at every place.
#[test]
fn extreme_words_do_not_panic() {
    for bytes in files() {
        for at in 0..bytes.len() - 4 {
            for word in [0u32, 1, 0x7fff_ffff, 0xffff_ffff] {
                // A coarse walk through the weights, a fine one through the structure at both ends.
                if at > 256 && at + 256 < bytes.len() && at % 31 != 0 {
                    continue;
                }
                let mut damaged = bytes.clone();
                damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
                try_all(&damaged);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_bytes_do_not_panic(
        which in 0usize..7,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = files().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        try_all(&bytes);
    }

    #[test]
    fn random_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), as_tflite in any::<bool>()) {
        if as_tflite && bytes.len() >= 8 {
            bytes[4..8].copy_from_slice(b"TFL3");
        }
        prop_assert!(try_all(&bytes).is_none());
    }
}

/// Found by fuzzing: an ADD with a fused activation whose output scale is negative.
#[test]
fn a_negative_scale_is_refused() {
    let refusal = Network::parse("net.tflite", include_bytes!("damaged/negative_scale.tflite")).unwrap_err();
    assert!(refusal.to_string().contains("scale"), "{refusal}");
}
