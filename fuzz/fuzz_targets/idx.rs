//! MNIST IDX: images and labels.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((images, labels)) = farad_fuzz::two_files(bytes) else {
        return Corpus::Reject;
    };
    // A refusal is an answer. Gzip is told by the content, not by the name.
    let _ = farad_fuzz::dataset(&[("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)]);
    Corpus::Keep
});
