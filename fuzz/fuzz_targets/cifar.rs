//! CIFAR-10 binary.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A refusal is an answer.
    let _ = farad_fuzz::dataset(&[("test_batch.bin", bytes)]);
});
