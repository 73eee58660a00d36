//! npy: images and labels.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((images, labels)) = farad_fuzz::two_files(bytes) else {
        return Corpus::Reject;
    };
    // A refusal is an answer.
    let _ = farad_fuzz::dataset(&[("images.npy", images), ("labels.npy", labels)]);
    Corpus::Keep
});
