//! ONNX files. The first byte that tells the format from others is given, so that no run is spent on finding it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 0x08;
    }
    farad_fuzz::network(&bytes);
});
