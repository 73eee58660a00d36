//! What the fuzz targets share.
//!
//! A target has found something when the program panics, overflows (cargo-fuzz builds with overflow checks and debug
//! assertions), runs out of memory, or takes longer than libFuzzer's limit; an error value is a good answer.

use farad_net::{ExactEngine, Network};

/// Multiply-accumulates up to which a network that was accepted is also run.
const RUN_MACS: u64 = 1 << 20;

/// Pixels up to which it is.
const RUN_PIXELS: usize = 1 << 16;

/// Imports a network, and runs one picture if it was accepted and is small.
pub fn network(bytes: &[u8]) {
    let Ok(network) = Network::parse("fuzz", bytes) else { return };
    let pixels: usize = network.input_shape().iter().product();
    if network.macs() <= RUN_MACS && pixels <= RUN_PIXELS {
        let logits = network.run(&vec![7; pixels], &[0], &mut ExactEngine);
        assert_eq!(logits.map(|l| l.len()).ok(), Some(network.classes()));
    }
}
