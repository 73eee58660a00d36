//! From pixels to the real numbers a float network was trained on.

use serde::{Deserialize, Serialize};

/// `real = (pixel * pixel_max / 255 - mean[c]) / std[c]`, in f32 and in that order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// What a pixel of 255 becomes before the mean is taken off: 1 or 255 in practice.
    pub pixel_max: f32,
    /// One per channel, in units after `pixel_max`.
    pub mean: Vec<f32>,
    /// One per channel.
    pub std: Vec<f32>,
}

impl Preprocess {
    /// The real value of a pixel of channel `c`. `c` must be below the number of means and standard deviations.
    #[must_use]
    pub fn real(&self, c: usize, pixel: u8) -> f32 {
        (f32::from(pixel) * self.pixel_max / 255.0 - self.mean[c]) / self.std[c]
    }

    /// Why this cannot be the preprocessing of `channels` channels, if it cannot.
    pub(crate) fn problem(&self, channels: usize) -> Option<String> {
        if self.mean.len() != channels || self.std.len() != channels {
            let (mean, std) = (self.mean.len(), self.std.len());
            return Some(format!(
                "{mean} means and {std} standard deviations for {channels} channels"
            ));
        }
        let finite = self
            .mean
            .iter()
            .chain(&self.std)
            .chain([&self.pixel_max])
            .all(|x| x.is_finite());
        if !finite || self.std.contains(&0.0) {
            return Some("pixel_max, mean and std must be finite, std not zero".to_owned());
        }
        None
    }
}
