//! How activations are stored: a range for every tensor, from calibration images.

use super::sample::stride;
use crate::graph::Op;
use crate::model::{Model, Pass};
use crate::ops::with_slice;
use crate::prune::Batch;
use crate::{Precision, TrainError};
use farad_net::{Preprocess, Quantisation};
use serde::{Deserialize, Serialize};

/// Values of each tensor that a search for its range looks at.
const SAMPLES: usize = 1 << 16;
/// Ranges that the search for the least error tries: parts of the whole range, in steps of 1/80.
const RATIOS: std::ops::RangeInclusive<u32> = 1..=80;

/// How the range of a tensor follows from its values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// Least and largest value of a batch, averaged over batches with this weight of the past (0.99 is usual).
    MinMax {
        /// Within 0 to 1.
        decay: f32,
    },
    /// All but this part of the values, in percent, on each side that is not zero (99.9 to 99.99 are usual).
    Percentile(f32),
    /// The range of the least mean squared error of 80 parts of the whole range.
    #[default]
    Mse,
}

impl Observer {
    /// What is wrong with its number.
    pub(crate) fn problem(self) -> Option<&'static str> {
        match self {
            Self::MinMax { decay } if !(0.0..1.0).contains(&decay) => Some("`decay` of `min-max` must be in 0..1"),
            Self::Percentile(percent) if !(percent > 50.0 && percent <= 100.0) => {
                Some("`percentile` is in percent, above 50 and at most 100")
            }
            Self::MinMax { .. } | Self::Percentile(_) | Self::Mse => None,
        }
    }
}

/// What was seen of a tensor.
#[derive(Debug, Default)]
struct Seen {
    samples: Vec<f32>,
    /// Least and largest value, and 0.
    whole: [f32; 2],
    /// The same, averaged over batches.
    average: Option<[f32; 2]>,
}

/// How the output of each node of `model` is stored in that many bits, after `observer` has seen `batches`.
///
/// # Errors
/// If there are no batches, or the model cannot run on them.
pub(super) fn ranges(
    model: &mut Model,
    batches: &[Batch],
    preprocess: &Preprocess,
    observer: Observer,
    bits: &[u32],
) -> std::result::Result<Vec<Quantisation>, TrainError> {
    if batches.is_empty() {
        return Err(TrainError::Data {
            name: "calibration".to_owned(),
            problem: "no images to find the ranges of activations with".to_owned(),
        });
    }
    let mut seen: Vec<Seen> = model.graph.nodes.iter().map(|_| Seen::default()).collect();
    for (x, _) in batches {
        model.forward_seen(x, Pass::evaluation(Precision::F32), |i, y| {
            let per_image = y.elem_count() / y.dim(0)?;
            with_slice(y, |values| seen[i].add(values, per_image, batches.len(), observer))
        })?;
    }
    let mut ranges: Vec<Quantisation> = seen
        .iter_mut()
        .zip(bits)
        .map(|(seen, &bits)| seen.range(observer, bits))
        .collect();
    ranges[0] = pixels(preprocess, bits[0]);
    // A maximum is one of the values that it is taken of.
    for (i, node) in model.graph.nodes.iter().enumerate() {
        if node.op == Op::MaxPool {
            ranges[i] = ranges[node.inputs[0]];
        }
    }
    Ok(ranges)
}

/// A range for all pixels, not only for those of the calibration images.
fn pixels(preprocess: &Preprocess, bits: u32) -> Quantisation {
    let channels = 0..preprocess.mean.len();
    let ends = channels.flat_map(|c| [preprocess.real(c, 0), preprocess.real(c, u8::MAX)]);
    range(ends.fold([0.0; 2], enclose), bits)
}

fn enclose([low, high]: [f32; 2], v: f32) -> [f32; 2] {
    [low.min(v), high.max(v)]
}

impl Seen {
    fn add(&mut self, values: &[f32], per_image: usize, batches: usize, observer: Observer) {
        let stride = stride(values.len() * batches, SAMPLES, per_image);
        self.samples.extend(values.iter().step_by(stride));
        let batch = values.iter().copied().fold([0.0; 2], enclose);
        self.whole = batch.into_iter().fold(self.whole, enclose);
        if let Observer::MinMax { decay } = observer {
            let mix = |old: f32, new: f32| decay * old + (1.0 - decay) * new;
            self.average = Some(
                self.average
                    .map_or(batch, |old| [mix(old[0], batch[0]), mix(old[1], batch[1])]),
            );
        }
    }

    fn range(&mut self, observer: Observer, bits: u32) -> Quantisation {
        match observer {
            Observer::MinMax { .. } => range(self.average.unwrap_or(self.whole), bits),
            Observer::Percentile(percent) => {
                self.samples.sort_unstable_by(f32::total_cmp);
                let rank = |part: f32| (part * (self.samples.len() - 1) as f32).round() as usize;
                let part = (percent / 100.0).clamp(0.5, 1.0);
                let ends = [self.samples[rank(1.0 - part)], self.samples[rank(part)]];
                range(ends.into_iter().fold([0.0; 2], enclose), bits)
            }
            Observer::Mse => {
                let [low, high] = self.whole;
                let candidates = RATIOS.map(|r| range([low * r as f32 / 80.0, high * r as f32 / 80.0], bits));
                let rated = candidates.map(|q| (self.error(q), q));
                // The widest of equals.
                rated
                    .rev()
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .map_or(range(self.whole, bits), |(_, q)| q)
            }
        }
    }

    /// Sum of squared errors of the samples, stored so.
    fn error(&self, q: Quantisation) -> f64 {
        let error = |&v: &f32| f64::from(real(code(v, q), q) - v).powi(2);
        self.samples.iter().map(error).sum()
    }
}

/// All the codes of so many bits between the ends, which enclose 0; 0 is a step. So a tensor without negative values has zero point 0.
fn range([low, high]: [f32; 2], bits: u32) -> Quantisation {
    let mut range = Quantisation {
        scale: 1.0,
        zero: 0,
        bits,
    };
    let most = f32::from(range.most());
    range.scale = ((high - low) / most).max(1e-12);
    range.zero = (-low / range.scale).round_ties_even().clamp(0.0, most) as u8;
    range
}

/// The byte of a value, as QuantizeLinear of ONNX makes it.
pub(super) fn code(v: f32, q: Quantisation) -> u8 {
    ((v / q.scale).round_ties_even() + f32::from(q.zero)).clamp(0.0, f32::from(q.most())) as u8
}

/// The value of a byte.
pub(super) fn real(code: u8, q: Quantisation) -> f32 {
    (f32::from(code) - f32::from(q.zero)) * q.scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(batches: &[Vec<f32>], observer: Observer) -> Quantisation {
        let mut seen = Seen::default();
        for batch in batches {
            seen.add(batch, 1000, batches.len(), observer);
        }
        seen.range(observer, 8)
    }

    fn top(q: Quantisation) -> f32 {
        q.scale * (255.0 - f32::from(q.zero))
    }

    #[test]
    fn ranges_hold_zero() {
        assert_eq!(range([0.0, 25.5], 8).zero, 0);
        let both = range([-1.0, 3.0], 8);
        assert_eq!((both.zero, (both.scale * 255.0).round()), (64, 4.0));
        assert_eq!(code(real(17, both), both), 17);
        assert_eq!((code(-9.0, both), code(9.0, both)), (0, 255));
        let few = range([-1.0, 4.0], 4);
        assert_eq!(
            (few.zero, few.scale, code(-9.0, few), code(9.0, few)),
            (3, 1.0 / 3.0, 0, 15)
        );
    }

    #[test]
    fn observers_differ_about_a_rare_large_value() {
        let uniform: Vec<f32> = (0..60_000).map(|i| (i % 1000) as f32 / 999.0).collect();
        let mut rare = uniform.clone();
        rare[0] = 1.1;
        // At the edge of a uniform distribution, cutting costs more than it gains.
        assert!((top(seen(std::slice::from_ref(&uniform), Observer::Mse)) - 1.0).abs() < 1.0 / 80.0);
        // With steps of t / 255 the error is (1.1 - t)^2 + 60,000 (t / 255)^2 / 12, least at t = 1.02.
        assert!((top(seen(&[rare.clone()], Observer::Mse)) - 1.02).abs() < 1.1 / 80.0);
        assert!(top(seen(&[rare.clone()], Observer::Percentile(99.9))) < 1.01);
        assert!((top(seen(&[rare.clone()], Observer::Percentile(100.0))) - 1.1).abs() < 1e-5);
        let average = seen(&[rare, uniform], Observer::MinMax { decay: 0.8 });
        assert!((top(average) - (0.8 * 1.1 + 0.2)).abs() < 1e-5);
    }
}
