//! Datasets: the first byte picks a format, the next two say where the first of its two files ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;

/// The files of each format's test split.
const FORMATS: [&[&str]; 4] = [
    &["test_batch.bin"],
    &["test.bin"],
    &["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    &["images.npy", "labels.npy"],
];

fuzz_target!(|bytes: &[u8]| {
    let [format, low, high, rest @ ..] = bytes else { return };
    let files = FORMATS[usize::from(*format) % FORMATS.len()];
    let end = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (first, second) = if files.len() == 1 { (rest, &[][..]) } else { rest.split_at(end) };

    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files.iter().zip([first, second]) {
        fs::write(dir.path().join(name), content).expect("a file in it");
    }
    let place = dir.path().to_str().expect("a temporary folder's name is UTF-8");
    if let Ok(data) = farad_data::load(place) {
        assert!(data.len() > 0);
        assert_eq!(data.pixels.len(), data.len() * data.height * data.width * data.channels);
        assert!(data.labels.iter().all(|&label| usize::from(label) < data.classes));
    }
});
