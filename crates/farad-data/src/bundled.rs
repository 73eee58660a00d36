//! The sample that comes with Farad: the first 1,000 images of the Fashion-MNIST test split.
//!
//! `scripts/make_bundled_images.py` makes the two files; their licence lies beside them.

use crate::dataset::{Dataset, Split};
use crate::{DataError, idx};
use std::path::Path;

/// Name of the dataset of which a sample is bundled.
pub(crate) const NAME: &str = "fashion-mnist";

const IMAGES: &[u8] = include_bytes!("../bundled/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../bundled/t10k-labels-idx1-ubyte.gz");

/// The sample, which has a test split only.
pub(crate) fn load(split: Split) -> Result<Dataset, DataError> {
    if split != Split::Test {
        return Err(DataError::NoSplit {
            place: format!("the bundled sample of {NAME}"),
            split,
            expected: format!("the whole dataset, which `farad data fetch {NAME}` gets"),
        });
    }
    let samples = idx::parse(
        (Path::new("bundled images"), IMAGES),
        (Path::new("bundled labels"), LABELS),
    )?;
    let count = samples.labels.len();
    Ok(samples.named(NAME, &format!("test[0..{count}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_the_test_split() {
        let data = load(Split::Test).unwrap();
        assert_eq!(
            (data.name.as_str(), data.split.as_str()),
            ("fashion-mnist", "test[0..1000]")
        );
        assert_eq!(
            (data.len(), data.height, data.width, data.channels, data.classes),
            (1000, 28, 28, 1, 10)
        );
        // The first labels of t10k-labels-idx1-ubyte of the published dataset: ankle boot, pullover, trouser, trouser, ...
        assert_eq!(data.labels[..10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
        // Sums over the first 1,000 images, from numpy on the published files.
        let sum = data.pixels.iter().map(|&p| u64::from(p)).sum::<u64>();
        assert_eq!(
            (sum, data.image(0).iter().map(|&p| u64::from(p)).sum::<u64>()),
            (58_034_149, 33_456)
        );
        let mut per_class = [0; 10];
        for &label in &data.labels {
            per_class[usize::from(label)] += 1;
        }
        assert_eq!(per_class, [107, 105, 111, 93, 115, 87, 97, 95, 95, 95]);
    }

    #[test]
    fn it_has_no_training_images() {
        let message = load(Split::Train).unwrap_err().to_string();
        assert!(
            message.contains("no `train` split") && message.contains("`farad data fetch fashion-mnist`"),
            "{message}"
        );
    }
}
