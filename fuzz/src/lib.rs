//! What the fuzz targets share.
//!
//! A target has found something when the program panics, overflows (cargo-fuzz builds with overflow checks and debug
//! assertions), runs out of memory, or takes longer than libFuzzer's limit; an error value is a good answer.

use farad_data::{DataError, Dataset};
use farad_net::{ExactEngine, Network};
use std::fs;

/// Multiply-accumulates up to which a network that was accepted is also run.
const RUN_MACS: u64 = 1 << 20;

/// Pixels up to which it is.
const RUN_PIXELS: usize = 1 << 16;

/// Imports a network, and runs one picture if it was accepted and is small.
pub fn network(bytes: &[u8]) {
    let Ok(network) = Network::parse("fuzz", bytes) else {
        return;
    };
    let pixels: usize = network.input_shape().iter().product();
    if network.macs() <= RUN_MACS && pixels <= RUN_PIXELS {
        let logits = network.run(&vec![7; pixels], &[0], &mut ExactEngine);
        assert_eq!(logits.map(|l| l.len()).ok(), Some(network.classes()));
    }
}

/// Writes files (path below the folder, content) into a new folder and loads its test split. What is accepted is checked.
///
/// # Errors
/// What the loader says of the files.
pub fn dataset(files: &[(&str, &[u8])]) -> Result<Dataset, DataError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder in it");
        fs::write(path, content).expect("a file in it");
    }
    let data = farad_data::load(dir.path().to_str().expect("a temporary folder's name is UTF-8"))?;
    assert!(data.len() > 0);
    assert_eq!(data.pixels.len(), data.len() * data.height * data.width * data.channels);
    assert!(data.labels.iter().all(|&label| usize::from(label) < data.classes));
    Ok(data)
}

/// Two files in one input: the length of the first in two bytes, low byte first, then both. `None` if it is too short.
#[must_use]
pub fn two_files(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}
