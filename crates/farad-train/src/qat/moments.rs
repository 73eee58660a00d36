//! How a chip's accumulators differ from the exact ones, channel by channel.
//!
//! Accumulators are compared at some output positions of calibration images, layer by layer in one pass: each layer gets what the
//! layers before it gave with the errors that were found there, so nothing is converted that is not looked at.

use super::forward::{Integers, network_error, with_chips};
use super::sample;
use super::surrogate::LayerErrors;
use crate::TrainError;
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_net::{Activations, MacEngine, MacLayer};
use farad_sim::{Chip, DigitalNetwork};
use rayon::prelude::*;

/// Output positions of a layer that are compared, over all images. The gain and offset that are found are off by about
/// `1 / sqrt(SITES)` of the noise, which adds 0.4 % to its variance.
const SITES: usize = 512;

/// Sums over the accumulators of one channel. Exact, so that no order of threads matters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    count: i128,
    exact: [i128; 2],
    seen: [i128; 2],
    product: i128,
}

impl Sums {
    pub(super) fn add(&mut self, exact: i32, seen: i32) {
        let (exact, seen) = (i128::from(exact), i128::from(seen));
        self.count += 1;
        self.exact = [self.exact[0] + exact, self.exact[1] + exact * exact];
        self.seen = [self.seen[0] + seen, self.seen[1] + seen * seen];
        self.product += exact * seen;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for k in 0..2 {
            self.exact[k] += other.exact[k];
            self.seen[k] += other.seen[k];
        }
        self.product += other.product;
    }

    /// Factor and offset, in accumulator steps: `exact = factor seen + offset` with the least squared error.
    pub(super) fn correction(&self) -> (f64, f64) {
        Self::line(self.count.max(1), self.seen, self.exact[0], self.product)
    }

    /// Gain and offset, in accumulator steps: `seen = gain exact + offset` with the least squared error.
    pub(super) fn response(&self) -> (f64, f64) {
        Self::line(self.count.max(1), self.exact, self.seen[0], self.product)
    }

    /// Variance of the exact accumulators, and what of it [`correction`](Self::correction) leaves as an error.
    pub(super) fn left_over(&self) -> [f64; 2] {
        let n = self.count.max(1);
        let (exact, seen) = (spread(n, self.exact) as f64, spread(n, self.seen) as f64);
        let covariance = ((n * self.product - self.exact[0] * self.seen[0]) as f64).max(0.0);
        let explained = if seen > 0.0 {
            covariance * covariance / seen
        } else {
            0.0
        };
        [exact, exact - explained].map(|v| v.max(0.0) / (n as f64 * n as f64))
    }

    /// Mean and variance of the exact accumulators.
    pub(super) fn exact_moments(&self) -> (f64, f64) {
        let n = self.count.max(1);
        let variance = spread(n, self.exact) as f64;
        let n = n as f64;
        (self.exact[0] as f64 / n, variance / (n * n))
    }

    /// `y = slope x + offset` from the sums of x and its squares, of y, and of the products.
    fn line(n: i128, x: [i128; 2], y: i128, product: i128) -> (f64, f64) {
        // n^2 times variance and covariance are integers, too.
        let variance = spread(n, x);
        let covariance = n * product - x[0] * y;
        // A channel that says nothing, or the contrary, has no gain.
        let slope = match variance > 0 && covariance > 0 {
            true => covariance as f64 / variance as f64,
            false => 1.0,
        };
        let mean = |sum: i128| sum as f64 / n as f64;
        (slope, mean(y) - slope * mean(x[0]))
    }
}

/// `n^2` times the variance of `n` numbers, from their sum and that of their squares.
fn spread(n: i128, [sum, squares]: [i128; 2]) -> i128 {
    n * squares - sum * sum
}

/// Accumulators of one layer at the compared positions, `[site][channel]`.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) channels: usize,
    pub(super) exact: Vec<i32>,
    pub(super) seen: Vec<i32>,
}

impl Pairs {
    /// The sums of each channel.
    pub(super) fn sums(&self) -> Vec<Sums> {
        let mut sums = vec![Sums::default(); self.channels];
        for (i, (&exact, &seen)) in self.exact.iter().zip(&self.seen).enumerate() {
            sums[i % self.channels].add(exact, seen);
        }
        sums
    }
}

/// What a chip was found to do.
#[derive(Debug)]
pub(super) struct Measured {
    /// By MAC layer and channel.
    pub(super) sums: Vec<Vec<Sums>>,
    /// By MAC layer.
    pub(super) errors: Vec<LayerErrors>,
}

/// Compares chip `chip` with exact arithmetic on `input`, stored bytes of images of these numbers. `seed` is the temporal noise's.
pub(super) fn measure(
    integers: &Integers,
    spec: &MacroSpec,
    charges: &[Vec<ChargeStats>],
    (chip, seed): (u32, u64),
    input: &[u8],
    images: &[u32],
) -> Result<Measured, TrainError> {
    let network = &integers.network;
    let layers = network.mac_layers();
    with_chips(layers, spec, charges, (chip..chip + 1, seed), |chips| {
        let mut compare = Compare {
            chip: &chips[0],
            exact: DigitalNetwork::new(layers),
            seed,
            measured: Measured {
                sums: Vec::new(),
                errors: Vec::new(),
            },
        };
        network
            .run(input, images, &mut compare)
            .map_err(|e| network_error(network.name(), e))?;
        Ok(compare.measured)
    })?
}

/// The exact accumulators `[image][position][channel]` of layer `index`, for the stored bytes of `images` images.
pub(super) fn exact_layer(exact: &DigitalNetwork, index: usize, images: usize, input: &[u8], out: &mut [i32]) {
    let images = images.max(1);
    input
        .par_chunks((input.len() / images).max(1))
        .zip(out.par_chunks_mut((out.len() / images).max(1)))
        .for_each(|(image, out)| exact.image(index, image, out));
}

/// What `chip` makes of `x`, all images at once, beside the exact accumulators of another input or the same, at some positions.
pub(super) fn compared(chip: &Chip<'_>, index: usize, layer: &MacLayer, x: Activations<'_>, exact: &[i32]) -> Pairs {
    let shape = &layer.shape;
    let (image_len, positions, channels) = (shape.in_h * shape.in_w * shape.in_c, shape.positions(), shape.out_c);
    let stride = sample::stride(x.images.len() * positions, SITES, positions);
    let is_site = |image: usize, position: usize| (image * positions + position).is_multiple_of(stride);
    let together = x.images.len().div_ceil(rayon::current_num_threads());
    let parts: Vec<(usize, &[u8], &[u32])> = x
        .data
        .chunks(together * image_len)
        .zip(x.images.chunks(together))
        .enumerate()
        .map(|(k, (data, images))| (k * together, data, images))
        .collect();
    let of_part = |&(first, data, images): &(usize, &[u8], &[u32])| {
        let mut seen = vec![0; images.len() * positions * channels];
        let part = Activations { data, images };
        let wanted = |image: usize, position: usize| is_site(first + image, position);
        chip.session().accumulate_at(index, layer, part, &wanted, &mut seen);
        let mut pairs = Pairs {
            channels,
            ..Pairs::default()
        };
        for (site, seen) in seen.chunks_exact(channels).enumerate() {
            if wanted(site / positions, site % positions) {
                pairs.seen.extend(seen);
                pairs
                    .exact
                    .extend(&exact[(first * positions + site) * channels..][..channels]);
            }
        }
        pairs
    };
    let parts: Vec<Pairs> = parts.par_iter().map(of_part).collect();
    let mut pairs = Pairs {
        channels,
        ..Pairs::default()
    };
    for part in parts {
        pairs.exact.extend(part.exact);
        pairs.seen.extend(part.seen);
    }
    pairs
}

/// An engine that measures each layer before it runs it, with all images at once.
struct Compare<'a> {
    chip: &'a Chip<'a>,
    exact: DigitalNetwork,
    seed: u64,
    measured: Measured,
}

impl MacEngine for Compare<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        exact_layer(&self.exact, index, x.images.len(), x.data, out);
        let pairs = compared(self.chip, index, layer, x, out);
        let sums = pairs.sums();
        let errors = LayerErrors::new(&pairs, &sums);
        let per_image = layer.shape.positions() * layer.shape.out_c;
        let images = x.images.par_iter().zip(out.par_chunks_mut(per_image));
        images.for_each(|(&image, out)| errors.apply(self.seed, index, image, out));
        self.measured.sums.push(sums);
        self.measured.errors.push(errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_and_an_offset_are_found_and_undone() {
        let mut sums = Sums::default();
        (-50..100).for_each(|exact| sums.add(exact, 2 * exact + 3));
        let (factor, offset) = sums.correction();
        assert!((factor - 0.5).abs() < 1e-12 && (offset + 1.5).abs() < 1e-12);
        let (gain, offset) = sums.response();
        assert!((gain - 2.0).abs() < 1e-12 && (offset - 3.0).abs() < 1e-12);
        // Noise as large as the signal halves what can be told from it.
        let mut noisy = Sums::default();
        for (exact, seen) in [(-1, -2), (-1, 0), (1, 0), (1, 2)] {
            noisy.add(exact, seen);
        }
        assert_eq!((noisy.correction(), noisy.response()), ((0.5, 0.0), (1.0, 0.0)));
        assert_eq!(noisy.exact_moments(), (0.0, 1.0));
        assert_eq!(noisy.left_over(), [1.0, 0.5]);
        let mut silent = Sums::default();
        silent.add(5, 7);
        assert_eq!((silent.correction(), silent.response()), ((1.0, -2.0), (1.0, 2.0)));
    }
}
