//! Successive halving over images: a large space on few images, the best of it on more, and the rest on all of them (K. Jamieson and
//! A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016).
//!
//! A *rung* is a sweep of the points that are left, on a part of their images; what it leaves in the store are ordinary points
//! with fewer images. Points are ordered by how far behind the Pareto front they are, and the front itself always goes on. What few images cannot tell
//! apart may be lost: where half of all points are on the front, or nearly, there is little to be saved.

use crate::plan::{Plan, Point};
use crate::run::{Event, RunOptions, Sink, Summary, SweepError};
use crate::store::Store;
use std::sync::atomic::AtomicBool;

/// Between rungs points become no fewer, and images no more, than by this factor: what few images say is not worth more.
const STEEPEST: f64 = 4.0;

/// Images of a point's first rung, where it has as many.
const FEWEST_IMAGES: usize = 32;

/// How a space is thinned out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halving {
    /// Sweeps one after another, the last on all images.
    pub rungs: u32,
    /// From one rung to the next, images are so many times more and points so many times fewer.
    pub factor: f64,
}

impl Halving {
    /// The gentlest one whose work is `budget` (0 to 1, without 0) of the whole sweep's: each of `r` rungs does the same work,
    /// `factor^(1 - r)` of it.
    #[must_use]
    pub fn within(budget: f64) -> Self {
        let factor = |rungs: u32| match rungs {
            1 => 1.0,
            _ => (f64::from(rungs) / budget).powf(1.0 / f64::from(rungs - 1)),
        };
        let fits = |rungs: &u32| match rungs {
            1 => budget >= 1.0,
            _ => factor(*rungs) <= STEEPEST,
        };
        let rungs = (1..64).find(fits).unwrap_or(64);
        Self {
            rungs,
            factor: factor(rungs),
        }
    }

    /// Images of a rung, from 0, for a point that has `images`.
    #[must_use]
    pub fn images(&self, rung: u32, images: usize) -> usize {
        let part = self.factor.powi(rung as i32 + 1 - self.rungs as i32);
        let taken = (images as f64 * part).round() as usize;
        taken.max(FEWEST_IMAGES).min(images)
    }

    /// Points that reach a rung, from 0, of `points`.
    #[must_use]
    pub fn points(&self, rung: u32, points: usize) -> usize {
        (points as f64 / self.factor.powi(rung as i32)).ceil() as usize
    }
}

/// What halving did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Halved {
    /// Points, and images times chips, of each rung.
    pub rungs: Vec<(usize, u64)>,
    /// All rungs together.
    pub summary: Summary,
}

impl Plan {
    /// Sweeps with `halving`: only the points that the last rung reaches get a result on all images. The experiment's objectives say
    /// which; without one, the first points go on.
    ///
    /// # Errors
    /// [`SweepError`]: nothing can be kept any more. Every result before is kept.
    pub fn halve(
        &self,
        halving: Halving,
        store: &Store,
        sink: &dyn Sink,
        options: RunOptions,
        stop: &AtomicBool,
        notify: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Halved, SweepError> {
        let workloads = self.workloads()?;
        let objectives = self.experiment.objectives.iter();
        let noisy: Vec<bool> = objectives.map(|(metric, _)| metric.counts_images()).collect();
        let mut halved = Halved::default();
        let mut left: Vec<&Point> = self.points.iter().collect();
        for rung in 0..halving.rungs {
            let short = left
                .iter()
                .filter_map(|point| self.shortened(point, halving.images(rung, point.images)).ok());
            let short: Vec<Point> = short.collect();
            let points: Vec<&Point> = short.iter().collect();
            let summary = self.sweep_on(&workloads, &points, sink, options, stop, notify)?;
            halved
                .rungs
                .push((points.len(), points.iter().map(|point| point.work()).sum()));
            halved.summary.done += summary.done;
            halved.summary.failed += summary.failed;
            halved.summary.left = summary.left;
            if summary.left > 0 || rung + 1 == halving.rungs {
                break;
            }
            let mut measured = Vec::new();
            for (point, short) in left.iter().zip(&short) {
                if let Some(report) = store.report(&short.key)? {
                    let better = |(metric, up): &(&farad_report::metric::Metric, bool)| {
                        let value = (metric.of)(&report);
                        if *up { value } else { -value }
                    };
                    measured.push((*point, self.experiment.objectives.iter().map(better).collect()));
                }
            }
            let values: Vec<Vec<f64>> = measured
                .iter()
                .map(|(_, values): &(_, Vec<f64>)| values.clone())
                .collect();
            let kept = promoted(&values, &noisy, halving.points(rung + 1, self.points.len()));
            left = kept.into_iter().map(|i| measured[i].0).collect();
        }
        Ok(halved)
    }
}

/// The `quota` points that are least behind the front of `values` (each to be high), and those ahead of all others in any case, in
/// their order. `noisy` says which objectives few images do not know well.
fn promoted(values: &[Vec<f64>], noisy: &[bool], quota: usize) -> Vec<usize> {
    let behind = behind(values, noisy);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| behind[*a].total_cmp(&behind[*b]).then(a.cmp(b)));
    let front = behind.iter().filter(|lag| **lag < 0.0).count();
    order.truncate(quota.max(front));
    order.sort_unstable();
    order
}

/// By how much each point would have to be better in what is noisy for no other to beat it: all that more images can
/// change. A point of the front has less than 0, one with an equal at no more cost has 0.
fn behind(values: &[Vec<f64>], noisy: &[bool]) -> Vec<f64> {
    let lead = |a: &[f64], b: &[f64]| {
        let pairs = || a.iter().zip(b).zip(noisy);
        let exact = || pairs().filter(|(_, noisy)| !**noisy).map(|((a, b), _)| a - b);
        if exact().any(|lead| lead < 0.0) {
            return f64::NEG_INFINITY;
        }
        let doubtful = pairs().filter(|(_, noisy)| **noisy).map(|((a, b), _)| a - b);
        match doubtful.reduce(f64::min) {
            Some(lead) => lead,
            None if exact().any(|lead| lead > 0.0) => f64::INFINITY,
            None => f64::NEG_INFINITY,
        }
    };
    let lag = |(i, own): (usize, &Vec<f64>)| {
        let others = values.iter().enumerate().filter(|(j, _)| *j != i);
        others
            .map(|(_, other)| lead(other, own))
            .fold(f64::NEG_INFINITY, f64::max)
    };
    values.iter().enumerate().map(lag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_the_budget() {
        for budget in [1.0, 0.5, 0.3, 0.1, 0.01] {
            let halving = Halving::within(budget);
            assert!(
                halving.rungs == 1 || (1.9..=STEEPEST).contains(&halving.factor),
                "{halving:?}"
            );
            let (points, images) = (1_000_000, 1_000_000);
            let work: f64 = (0..halving.rungs)
                .map(|rung| halving.points(rung, points) as f64 * halving.images(rung, images) as f64)
                .sum();
            let part = work / (points as f64 * images as f64);
            assert!((part / budget - 1.0).abs() < 1e-3, "{part} for {budget}");
            assert_eq!(halving.images(halving.rungs - 1, images), images);
        }
        assert_eq!(Halving::within(0.1).images(0, 40), 32);
        assert_eq!(Halving::within(0.1).images(0, 20), 20);
    }

    #[test]
    fn points_are_ordered_by_their_distance_from_the_front() {
        // Accuracy and what it costs.
        let values = [
            [0.9, -3.0],
            [0.8, -2.0],
            [0.5, -1.0],
            [0.7, -2.0],
            [0.79, -2.5],
            [0.9, -4.0],
        ]
        .map(|v| v.to_vec());
        let noisy = [true, false];
        let lags = behind(&values, &noisy);
        for (lag, expected) in lags.iter().zip([-0.1, -0.1, f64::NEG_INFINITY, 0.1, 0.01, 0.0]) {
            assert!(
                *lag == expected || (lag - expected).abs() < 1e-12,
                "{lag} for {expected}"
            );
        }
        assert_eq!(promoted(&values, &noisy, 1), [0, 1, 2]);
        assert_eq!(promoted(&values, &noisy, 4), [0, 1, 2, 5]);
        assert_eq!(promoted(&values, &noisy, 5), [0, 1, 2, 4, 5]);
        // What no image changes is known at once.
        let exact = [[1.0, 2.0], [1.0, 1.0], [2.0, 0.0], [1.0, 2.0]].map(|v| v.to_vec());
        assert_eq!(promoted(&exact, &[false, false], 0), [0, 2, 3]);
    }

    /// Planted truths: accuracy rises with bits and falls with noise, energy doubles with each bit; every point sees the same images,
    /// each of which has its own difficulty. Half of the work finds the whole front; a quarter misses no more accuracy than
    /// one image is of its first rung.
    #[test]
    fn the_front_is_kept() {
        const IMAGES: usize = 1000;
        const NOISY: [bool; 2] = [true, false];
        let space: Vec<(u32, u32)> = (4..12)
            .flat_map(|bits| (0..8).map(move |noise| (bits, noise)))
            .collect();
        let energy = |(bits, _): (u32, u32)| -f64::from(1_u32 << bits);
        let lost = |(bits, noise): (u32, u32)| 0.5 * f64::exp2(-f64::from(bits - 3)) + 0.02 * f64::from(noise);
        for (budget, most_missed) in [(0.5, 0.0), (0.25, 1.0 / Halving::within(0.25).images(0, IMAGES) as f64)] {
            let halving = Halving::within(budget);
            for seed in 0..50 {
                let uniform = |image: u32| farad_core::philox::philox4x32([image, 0, 0, 0], [seed, 1])[0];
                let difficulty: Vec<f64> = (0..IMAGES as u32)
                    .map(|image| f64::from(uniform(image)) / 4_294_967_296.0)
                    .collect();
                let values = |points: &[(u32, u32)], images: usize| -> Vec<Vec<f64>> {
                    let right = |point| difficulty[..images].iter().filter(|d| **d < 0.93 - lost(point)).count();
                    let value = |point: &(u32, u32)| vec![right(*point) as f64 / images as f64, energy(*point)];
                    points.iter().map(value).collect()
                };
                let (mut left, mut work) = (space.clone(), 0.0);
                for rung in 0..halving.rungs {
                    let images = halving.images(rung, IMAGES);
                    work += (left.len() * images) as f64 / (IMAGES * space.len()) as f64;
                    if rung + 1 < halving.rungs {
                        let quota = halving.points(rung + 1, space.len());
                        let kept = promoted(&values(&left, images), &NOISY, quota);
                        left = kept.into_iter().map(|i| left[i]).collect();
                    }
                }
                assert!(work < 1.2 * budget, "{work}");
                let (all, found) = (values(&space, IMAGES), values(&left, IMAGES));
                for (lag, own) in behind(&all, &NOISY).into_iter().zip(&all).filter(|(lag, _)| *lag < 0.0) {
                    let affordable = found.iter().filter(|other| other[1] >= own[1]);
                    let best = affordable.map(|other| other[0]).fold(0.0, f64::max);
                    assert!(own[0] - best <= most_missed, "{own:?}, {best}, {lag}, seed {seed}");
                }
            }
        }
    }
}
