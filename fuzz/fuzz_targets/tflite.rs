//! TFLite files. The identifier that tells the format from others is given, so that no run is spent on finding it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let Some(identifier) = bytes.get_mut(4..8) {
        identifier.copy_from_slice(b"TFL3");
    }
    farad_fuzz::network(&bytes);
});
