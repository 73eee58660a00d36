//! What a dataset is, once loaded.

use crate::DataError;
use std::fmt;
use std::path::Path;

/// Labelled images of one size, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Name it was asked for, or the folder's name.
    pub name: String,
    /// Which images of the dataset these are: `test`, `train`, or `test[0..1000]` for a sample.
    pub split: String,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// Channels of a pixel: 1 for grey, 3 for red, green, blue in this order.
    pub channels: usize,
    /// Number of classes; every label is below it.
    pub classes: usize,
    /// All images one after another, each `[height][width][channels]`.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u16>,
}

impl Dataset {
    /// Number of images, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no dataset is empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Pixels of image `i`, `[height][width][channels]`.
    ///
    /// # Panics
    ///
    /// If `i` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.height * self.width * self.channels;
        &self.pixels[i * size..(i + 1) * size]
    }
}

/// The part of a dataset that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Images to train with.
    Train,
    /// Images to measure accuracy with.
    Test,
}

impl Split {
    /// The word for it in a specification and in file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// The split of this word, if it is one.
    #[must_use]
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Train, Self::Test].into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a format's reader returns: a dataset that does not know its name yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Samples {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) classes: usize,
    pub(crate) pixels: Vec<u8>,
    pub(crate) labels: Vec<u16>,
}

impl Samples {
    pub(crate) fn named(self, name: &str, split: &str) -> Dataset {
        Dataset {
            name: name.to_owned(),
            split: split.to_owned(),
            height: self.height,
            width: self.width,
            channels: self.channels,
            classes: self.classes,
            pixels: self.pixels,
            labels: self.labels,
        }
    }
}

/// Refuses the first label that is not below `classes`.
pub(crate) fn check_labels(path: &Path, labels: &[u16], classes: usize) -> Result<(), DataError> {
    match labels.iter().position(|&l| usize::from(l) >= classes) {
        None => Ok(()),
        Some(i) => Err(DataError::malformed(
            path,
            format!("image {i} has label {}", labels[i]),
            format!("labels 0 to {}", classes - 1),
        )),
    }
}

/// Refuses a file of labels for another number of images.
pub(crate) fn check_count(path: &Path, labels: usize, images: usize) -> Result<(), DataError> {
    if labels == images {
        return Ok(());
    }
    Err(DataError::malformed(
        path,
        format!("{labels} labels"),
        format!("{images}, one for each image"),
    ))
}
