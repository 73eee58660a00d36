//! A macro's chip by its moments: exact accumulators, with errors that are drawn instead of simulated.
//!
//! What the real engine does to an accumulator is summed up, channel by channel, as `seen = gain exact + offset + e`: gain and
//! offset are the chip's static errors and what clipping and the curvature of the charge sharing take away on average, `e` is a
//! normal deviate that stands for temporal noise, the ADC's rounding and what mismatch does to single inputs. Its variance is
//! the channel's, and grows with the square of the level as far as the layer's errors were found to. So mean and variance
//! of the errors are those of the real engine, at little more than the cost of exact integers; that errors of
//! neighbouring outputs are related, and their tails, are lost.

use super::moments::{Pairs, Sums};
use farad_core::draw::NoiseKey;
use farad_core::normal::z_q12;
use farad_core::round::half_even;
use farad_net::{Activations, MacEngine, MacLayer};
use farad_sim::{DigitalEngine, DigitalNetwork};

/// Part of a tile that no macro has: surrogate noise is not the noise of a conversion.
const PART: usize = 0xffff;
/// Largest squared level, in variances of the level, that raises the noise: beyond it few accumulators were seen.
const LARGEST_LEVEL: f64 = 9.0;

/// What a chip does to the accumulators of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerErrors {
    channels: Vec<ChannelErrors>,
    /// How much of the variance follows the squared level.
    level: f32,
    /// Mean of the squared level.
    level_mean: f32,
}

/// The same of one channel, in accumulator steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ChannelErrors {
    gain: f32,
    offset: f32,
    sigma: f32,
    /// Mean of the exact accumulator, and the inverse of its standard deviation.
    mean: f32,
    inverse: f32,
}

/// Numbers that are kept of a channel, and of a layer besides.
const OF_CHANNEL: usize = 5;
const OF_LAYER: usize = 2;

impl LayerErrors {
    /// The errors that explain `pairs`, whose sums are `sums`.
    pub(super) fn new(pairs: &Pairs, sums: &[Sums]) -> Self {
        let lines: Vec<(f64, f64)> = sums.iter().map(Sums::response).collect();
        let sites = (pairs.exact.len() / pairs.channels.max(1)) as f64;
        let error = |c: usize, exact: i32, seen: i32| {
            let (gain, offset) = lines[c];
            f64::from(seen) - gain * f64::from(exact) - offset
        };
        let all = || {
            pairs
                .exact
                .chunks_exact(pairs.channels)
                .zip(pairs.seen.chunks_exact(pairs.channels))
        };
        let mut variances = vec![0.0; pairs.channels];
        for (exact, seen) in all() {
            for (c, variance) in variances.iter_mut().enumerate() {
                *variance += error(c, exact[c], seen[c]).powi(2);
            }
        }
        // Two numbers of each channel were fitted to the same sites.
        variances.iter_mut().for_each(|v| *v /= (sites - 2.0).max(1.0));
        let levels: Vec<(f64, f64)> = sums
            .iter()
            .map(|sums| {
                let (mean, variance) = sums.exact_moments();
                (mean, if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 })
            })
            .collect();
        // The squared error, in variances of its channel, against the squared level.
        let (mut n, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (exact, seen) in all() {
            for c in (0..pairs.channels).filter(|&c| variances[c] > 0.0) {
                let level = ((f64::from(exact[c]) - levels[c].0) * levels[c].1)
                    .powi(2)
                    .min(LARGEST_LEVEL);
                let square = error(c, exact[c], seen[c]).powi(2) / variances[c];
                n += 1.0;
                x += level;
                xx += level * level;
                y += square;
                xy += level * square;
            }
        }
        let n = f64::max(n, 1.0);
        let (variance, covariance) = (xx / n - (x / n).powi(2), xy / n - x * y / (n * n));
        let level_mean = x / n;
        // No variance may be negative, at no level.
        let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
        let level = slope.clamp(0.0, 0.9 / level_mean.max(0.1));
        Self {
            channels: (0..pairs.channels)
                .map(|c| ChannelErrors {
                    gain: lines[c].0 as f32,
                    offset: lines[c].1 as f32,
                    sigma: variances[c].sqrt() as f32,
                    mean: levels[c].0 as f32,
                    inverse: levels[c].1 as f32,
                })
                .collect(),
            level: level as f32,
            level_mean: level_mean as f32,
        }
    }

    /// Turns the exact accumulators `[position][channel]` of layer `index` for one image into what the chip would give. Noise
    /// belongs to seed, layer, image, position and channel.
    pub(super) fn apply(&self, seed: u64, index: usize, image: u32, out: &mut [i32]) {
        let noise = NoiseKey::new(seed, index, PART);
        let least = 1.0 - self.level * self.level_mean;
        for (position, out) in out.chunks_exact_mut(self.channels.len()).enumerate() {
            for (k, (out, channels)) in out.chunks_mut(8).zip(self.channels.chunks(8)).enumerate() {
                let draws = noise.draws(k as u32, position as u32, image, 0);
                for ((out, channel), draw) in out.iter_mut().zip(channels).zip(draws) {
                    let exact = *out as f32;
                    let deviation = (exact - channel.mean) * channel.inverse;
                    let level = (deviation * deviation).min(LARGEST_LEVEL as f32);
                    let sigma = channel.sigma * (least + self.level * level).sqrt();
                    let noise = sigma * (f32::from(z_q12(draw)) / 4096.0);
                    *out = half_even(f64::from(channel.gain * exact + channel.offset + noise)) as i32;
                }
            }
        }
    }

    /// As numbers, for a checkpoint.
    pub(crate) fn to_vec(&self) -> Vec<f32> {
        let channel = |c: &ChannelErrors| [c.gain, c.offset, c.sigma, c.mean, c.inverse];
        let channels = self.channels.iter().flat_map(channel);
        [self.level, self.level_mean].into_iter().chain(channels).collect()
    }

    /// From [`to_vec`](Self::to_vec).
    pub(crate) fn from_slice(values: &[f32]) -> Option<Self> {
        let (&[level, level_mean], channels) = values.split_first_chunk::<OF_LAYER>()?;
        let (channels, []) = channels.as_chunks::<OF_CHANNEL>() else {
            return None;
        };
        let channel = |&[gain, offset, sigma, mean, inverse]: &[f32; OF_CHANNEL]| ChannelErrors {
            gain,
            offset,
            sigma,
            mean,
            inverse,
        };
        Some(Self {
            channels: channels.iter().map(channel).collect(),
            level,
            level_mean,
        })
    }
}

/// Exact integers with the errors of a chip.
pub(crate) struct SurrogateEngine<'a> {
    pub(crate) exact: DigitalEngine<'a>,
    pub(crate) errors: &'a [LayerErrors],
    pub(crate) seed: u64,
}

impl<'a> SurrogateEngine<'a> {
    pub(crate) fn new(network: &'a DigitalNetwork, errors: &'a [LayerErrors], seed: u64) -> Self {
        Self {
            exact: DigitalEngine(network),
            errors,
            seed,
        }
    }
}

impl MacEngine for SurrogateEngine<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.exact.accumulate(index, layer, x, out);
        let per_image = layer.shape.positions() * layer.shape.out_c;
        for (&image, out) in x.images.iter().zip(out.chunks_exact_mut(per_image)) {
            self.errors[index].apply(self.seed, index, image, out);
        }
    }
}
