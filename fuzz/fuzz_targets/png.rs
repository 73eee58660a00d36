//! Image folders: one PNG.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A refusal is an answer.
    let _ = farad_fuzz::dataset(&[("class/image.png", bytes)]);
});
