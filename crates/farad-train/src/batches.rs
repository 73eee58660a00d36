//! Batches of training images: order, augmentation, normalisation.

use crate::rng::{Purpose, Rng};
use candle_core::{Device, Result, Tensor};
use farad_data::Dataset;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How training images are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Images are moved by up to this many pixels; what is missing is reflected.
    pub crop: usize,
    /// Mirroring.
    pub flip: Flip,
    /// Side of a square that is set to the mean (DeVries & Taylor, 2017); 0 for none.
    pub cutout: usize,
}

/// Which images are mirrored, left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// None.
    #[default]
    None,
    /// Each with probability one half, in every epoch anew.
    Random,
    /// Half of them in the first epoch, the others in the next, and so on (Jordan, 2024).
    Alternating,
}

/// A dataset as input of a network: `(pixel - mean) / std` for each channel.
#[derive(Debug)]
pub struct Images<'a> {
    data: &'a Dataset,
    /// Mean of each channel, in pixel values.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
}

/// Mean and standard deviation of each channel over a whole dataset, in pixel values.
#[must_use]
pub fn channel_statistics(data: &Dataset) -> (Vec<f32>, Vec<f32>) {
    let c = data.channels;
    let count = (data.pixels.len() / c) as f64;
    (0..c)
        .map(|k| {
            // Exact in integers.
            let (sum, square) = data.pixels[k..].iter().step_by(c).fold((0u64, 0u64), |(s, q), &p| {
                (s + u64::from(p), q + u64::from(p) * u64::from(p))
            });
            let mean = sum as f64 / count;
            let std = (square as f64 / count - mean * mean).max(1.0).sqrt();
            (mean as f32, std as f32)
        })
        .unzip()
}

impl<'a> Images<'a> {
    /// `data`, normalised by `mean` and `std`, one of each for every channel.
    #[must_use]
    pub fn new(data: &'a Dataset, mean: &[f32], std: &[f32]) -> Self {
        Self {
            data,
            mean: mean.to_vec(),
            std: std.to_vec(),
        }
    }

    /// Number of images.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no dataset is empty")]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// The order of the images in `epoch`.
    #[must_use]
    pub fn order(&self, seed: u64, epoch: u32) -> Vec<u32> {
        Rng::new(seed, Purpose::Order, epoch, 0).permutation(self.len())
    }

    /// These images as they are: `[n][h][w][c]`, and their labels `[n]`.
    ///
    /// # Errors
    /// If the device has no memory for them.
    pub fn plain(&self, indices: &[u32], device: &Device) -> Result<(Tensor, Tensor)> {
        self.batch(indices, self.data.height, device, |_| View::default())
    }

    /// These images, augmented for `epoch`, at `size` by `size` pixels.
    ///
    /// # Errors
    /// If the device has no memory for them.
    pub fn augmented(
        &self,
        indices: &[u32],
        augment: Augment,
        seed: u64,
        epoch: u32,
        size: usize,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        self.batch(indices, size, device, |i| {
            let mut rng = Rng::new(seed, Purpose::Augment, epoch, i);
            let span = 2 * augment.crop + 1;
            let mut shift = || rng.below(span) as isize - augment.crop as isize;
            let (dy, dx) = (shift(), shift());
            let flip = match augment.flip {
                Flip::None => false,
                Flip::Random => rng.bits() & 1 == 1,
                Flip::Alternating => (Rng::new(seed, Purpose::Augment, u32::MAX, i).bits() ^ epoch) & 1 == 1,
            };
            let hole = (augment.cutout > 0).then(|| {
                let (y, x) = (rng.below(self.data.height), rng.below(self.data.width));
                (y, x, augment.cutout)
            });
            View { dy, dx, flip, hole }
        })
    }

    fn batch(
        &self,
        indices: &[u32],
        size: usize,
        device: &Device,
        view: impl Fn(u32) -> View + Sync,
    ) -> Result<(Tensor, Tensor)> {
        let (h, w, c) = (self.data.height, self.data.width, self.data.channels);
        let (out_h, out_w) = if size == h { (h, w) } else { (size, size * w / h) };
        let mut values = vec![0.0f32; indices.len() * out_h * out_w * c];
        values
            .par_chunks_mut(out_h * out_w * c)
            .zip(indices)
            .for_each(|(out, &i)| {
                if (out_h, out_w) == (h, w) {
                    self.render(i, view(i), out);
                } else {
                    let mut full = vec![0.0f32; h * w * c];
                    self.render(i, view(i), &mut full);
                    resize(&full, [h, w], out, [out_h, out_w], c);
                }
            });
        let labels: Vec<u32> = indices
            .iter()
            .map(|&i| u32::from(self.data.labels[i as usize]))
            .collect();
        Ok((
            Tensor::from_vec(values, (indices.len(), out_h, out_w, c), device)?,
            Tensor::from_vec(labels, indices.len(), device)?,
        ))
    }

    fn render(&self, i: u32, view: View, out: &mut [f32]) {
        let (h, w, c) = (self.data.height, self.data.width, self.data.channels);
        let image = self.data.image(i as usize);
        for y in 0..h {
            let from_y = reflect(y as isize + view.dy, h);
            for x in 0..w {
                let mirrored = if view.flip { w - 1 - x } else { x };
                let from = (from_y * w + reflect(mirrored as isize + view.dx, w)) * c;
                for k in 0..c {
                    out[(y * w + x) * c + k] = (f32::from(image[from + k]) - self.mean[k]) / self.std[k];
                }
            }
        }
        if let Some((cy, cx, side)) = view.hole {
            let range =
                |center: usize, size: usize| center.saturating_sub(side / 2)..(center + side.div_ceil(2)).min(size);
            for y in range(cy, h) {
                let row = range(cx, w);
                out[(y * w + row.start) * c..(y * w + row.end) * c].fill(0.0);
            }
        }
    }
}

/// How one image is looked at.
#[derive(Debug, Clone, Copy, Default)]
struct View {
    dy: isize,
    dx: isize,
    flip: bool,
    /// Centre and side.
    hole: Option<(usize, usize, usize)>,
}

/// Mirrors an index that is outside, without repeating the edge.
fn reflect(i: isize, len: usize) -> usize {
    let last = len as isize - 1;
    let inside = if i < 0 {
        -i
    } else if i > last {
        2 * last - i
    } else {
        i
    };
    inside.clamp(0, last) as usize
}

/// Averages over areas: every output pixel is the mean of the rectangle of the input that it covers.
fn resize(from: &[f32], [h, w]: [usize; 2], to: &mut [f32], [out_h, out_w]: [usize; 2], c: usize) {
    let (rows, columns) = (covers(h, out_h), covers(w, out_w));
    for (y, row) in rows.iter().enumerate() {
        for (x, column) in columns.iter().enumerate() {
            for k in 0..c {
                let mut sum = 0.0;
                for &(i, a) in row {
                    for &(j, b) in column {
                        sum += a * b * from[(i * w + j) * c + k];
                    }
                }
                to[(y * out_w + x) * c + k] = sum;
            }
        }
    }
}

/// For every one of `out` cells, the cells of `len` that it covers and with what part of itself.
fn covers(len: usize, out: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = len as f32 / out as f32;
    (0..out)
        .map(|o| {
            let (begin, end) = (o as f32 * scale, (o + 1) as f32 * scale);
            (begin as usize..len.min(end.ceil() as usize))
                .map(|i| (i, ((i + 1) as f32).min(end) - (i as f32).max(begin)))
                .filter(|&(_, part)| part > 1e-4)
                .map(|(i, part)| (i, part / scale))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Dataset {
        Dataset {
            name: "ramp".to_owned(),
            split: "train".to_owned(),
            height: 4,
            width: 4,
            channels: 1,
            classes: 2,
            pixels: (0..32).collect(),
            labels: vec![0, 1],
        }
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn plain_images_are_normalised_pixels() {
        let data = data();
        let images = Images::new(&data, &[1.0], &[2.0]);
        let (x, labels) = images.plain(&[1], &Device::Cpu).unwrap();
        assert_eq!(x.dims(), [1, 4, 4, 1]);
        assert_eq!(
            values(&x),
            (16..32u8).map(|p| (f32::from(p) - 1.0) / 2.0).collect::<Vec<_>>()
        );
        assert_eq!(labels.to_vec1::<u32>().unwrap(), [1]);
    }

    #[test]
    fn alternating_flips_show_both_sides_in_two_epochs() {
        let data = data();
        let images = Images::new(&data, &[0.0], &[1.0]);
        let augment = Augment {
            flip: Flip::Alternating,
            ..Augment::default()
        };
        let at = |epoch| values(&images.augmented(&[0], augment, 9, epoch, 4, &Device::Cpu).unwrap().0);
        let mut mirrored = at(0);
        mirrored.chunks_mut(4).for_each(<[f32]>::reverse);
        assert_eq!(at(1), mirrored);
        assert_eq!(at(2), at(0));
    }

    #[test]
    fn crops_reflect_and_cutouts_are_the_mean() {
        assert_eq!([-2, -1, 0, 3, 4, 5].map(|i| reflect(i, 4)), [2, 1, 0, 3, 2, 1]);
        let data = data();
        let images = Images::new(&data, &[100.0], &[1.0]);
        let augment = Augment {
            cutout: 2,
            ..Augment::default()
        };
        let (x, _) = images.augmented(&[0], augment, 1, 0, 4, &Device::Cpu).unwrap();
        let holes = values(&x).iter().filter(|v| **v == 0.0).count();
        assert!((1..=4).contains(&holes), "{holes}");
    }

    #[test]
    fn resizing_keeps_the_mean() {
        let from: Vec<f32> = (0..64).map(|v| v as f32).collect();
        for size in [3, 4, 5, 6] {
            let mut to = vec![0.0; size * size];
            resize(&from, [8, 8], &mut to, [size, size], 1);
            let mean = to.iter().sum::<f32>() / to.len() as f32;
            assert!((mean - 31.5).abs() < 1e-3, "{size}: {mean}");
        }
    }

    #[test]
    fn statistics_are_those_of_the_pixels() {
        let (mean, std) = channel_statistics(&data());
        assert!((mean[0] - 15.5).abs() < 1e-6);
        assert!((std[0] - ((32.0f32 * 32.0 - 1.0) / 12.0).sqrt()).abs() < 1e-4);
    }
}
