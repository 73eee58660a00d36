//! Requirements instead of grids: how far an axis can go until a limit breaks.
//!
//! The points of an experiment with `[solve]` are laid out as always, the solved axis last, and the points that differ on it alone are one
//! search. Nearly all of them never run: a search asks for few, and a run ends as soon as its images decide. What a run
//! leaves in the store is an ordinary point with as many images as were needed, so that a search that was stopped is
//! replayed from there, and a tighter limit starts from what a looser one found.

mod bet;
mod run;
mod search;
mod table;

use crate::experiment::{Solve, bounds};
use crate::plan::{Plan, Point};
use crate::run::SweepError;
use crate::store::{Store, StoreError};
use crate::value::Value;
use bet::Observations;
use farad_report::Report;
use farad_sim::Verdict;
use search::{Decision, Step};
use std::collections::BTreeMap;
pub use table::solutions_csv;

/// Images up to the first look, and between looks at first.
const FIRST_LOOK: usize = 32;

/// Points that differ on the solved axis alone.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// In the order in which the limit comes to break.
    pub points: Vec<&'a Point>,
}

/// A value of the solved axis that its images decided.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Number of the point.
    pub index: usize,
    /// The value.
    pub value: Value,
    /// Images that it took.
    pub images: usize,
    /// The limited metric on them.
    pub mean: f64,
    /// The limited metric on all images of their kind: two bounds, each at the risk of one decision.
    pub interval: (f64, f64),
    decision: Decision,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Solution {
    /// The value on each other axis.
    pub values: Vec<Value>,
    /// The last value that keeps the limit, if one does.
    pub kept: Option<Judged>,
    /// The first value that breaks it, if one does.
    pub broken: Option<Judged>,
    /// Values that were decided.
    pub asked: usize,
    /// Images that this took, times chips.
    pub images: u64,
    /// Values between the two that all images do not decide.
    pub open: usize,
    /// Everything is known that the search needs.
    pub complete: bool,
}

/// Numbers of images at which a run of `images` asks whether they are enough: soon dense enough that few are run in vain, and a chip is
/// not set up again too often.
fn looks(images: usize) -> Vec<usize> {
    let after = |look: &usize| Some(look + (look / 4).next_multiple_of(FIRST_LOOK));
    std::iter::successors(Some(FIRST_LOOK), after)
        .take_while(|look| *look < images)
        .collect()
}

impl Solve {
    /// Risk of one decision in a search over `values` values.
    fn risk(&self, values: usize) -> f64 {
        (1.0 - self.confidence) / f64::from(search::depth(values))
    }

    /// What images decide about the limit.
    fn decide(&self, seen: &Observations, risk: f64) -> Decision {
        let needed = -risk.ln();
        let refuted = [
            seen.against_at_least(self.limit) >= needed,
            seen.against_at_most(self.limit) >= needed,
        ];
        match (refuted, self.at_most) {
            ([true, _], true) | ([_, true], false) => Decision::Kept,
            ([_, true], true) | ([true, _], false) => Decision::Broken,
            _ => Decision::Open,
        }
    }

    /// The images' values of the limited metric, in units of one chip's image.
    fn observe(&self, verdicts: &[Verdict], chips: u32) -> Observations {
        let (low, high) = bounds(self.metric);
        let mut seen = Observations::new(low, high, chips);
        for verdict in verdicts {
            let (chips, right) = (i64::from(chips), i64::from(verdict.chips));
            // Paired: the same image in exact arithmetic.
            seen.add(match low < 0.0 {
                true => chips * i64::from(verdict.digital) - right,
                false => right,
            });
        }
        seen
    }
}

impl Plan {
    /// The searches of an experiment with a `[solve]`.
    #[must_use]
    pub fn searches(&self) -> Vec<Search<'_>> {
        let Some(solve) = &self.experiment.solve else {
            return Vec::new();
        };
        let others = |point: &Point| point.rows[..point.rows.len() - 1].to_vec();
        let mut searches: Vec<Search<'_>> = self
            .points
            .chunk_by(|a, b| others(a) == others(b))
            .map(|points| Search {
                points: points.iter().collect(),
            })
            .collect();
        if !solve.largest {
            searches.iter_mut().for_each(|search| search.points.reverse());
        }
        searches
    }

    /// Decisions that a search makes at most, if all images decide.
    #[must_use]
    pub fn most_decisions(&self, search: &Search<'_>) -> u32 {
        search::depth(search.points.len())
    }

    /// What the store knows of every search; nothing is run.
    ///
    /// # Errors
    /// [`SweepError`]
    pub fn solutions(&self, store: &Store) -> Result<Vec<Solution>, SweepError> {
        let solution = |search: &Search<'_>| {
            let mut judged = BTreeMap::new();
            loop {
                match next(search, &judged) {
                    Step::Ask(value) => match self.stored(search, search.points[value], store)? {
                        Some(found) => judged.insert(value, found),
                        None => return Ok(self.solution(search, &judged, None)),
                    },
                    Step::Found(kept, broken) => return Ok(self.solution(search, &judged, Some((kept, broken)))),
                };
            }
        };
        self.searches().iter().map(solution).collect()
    }

    fn solution(
        &self,
        search: &Search<'_>,
        judged: &BTreeMap<usize, Judged>,
        found: Option<(Option<usize>, Option<usize>)>,
    ) -> Solution {
        let first = search.points[0];
        let mut values: Vec<Value> = self.values(first).into_iter().cloned().collect();
        values.pop();
        let (kept, broken) = found.unwrap_or_default();
        let at = |value: Option<usize>| value.and_then(|value| judged.get(&value).cloned());
        let images: usize = judged.values().map(|judged| judged.images).sum();
        let between = broken.unwrap_or(search.points.len()) - kept.map_or(0, |kept| kept + 1);
        Solution {
            values,
            kept: at(kept),
            broken: at(broken),
            asked: judged.len(),
            images: images as u64 * u64::from(first.chips),
            open: if found.is_some() { between } else { 0 },
            complete: found.is_some(),
        }
    }

    /// The report that a point has: its own, or for a solved axis one of as many images as decided it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn stored_report(&self, store: &Store, point: &Point) -> Result<Option<Report>, StoreError> {
        let own = store.report(&point.key)?;
        if own.is_some() || self.experiment.solve.is_none() {
            return Ok(own);
        }
        for look in looks(point.images).into_iter().rev() {
            // Points that were planned have keys for any number of images.
            let Ok(short) = self.shortened(point, look) else {
                continue;
            };
            if let Some(report) = store.report(&short.key)? {
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// What the store's images decide about a point of `search`.
    fn stored(&self, search: &Search<'_>, point: &Point, store: &Store) -> Result<Option<Judged>, SweepError> {
        let report = self.stored_report(store, point)?;
        Ok(report.and_then(|report| self.judge(search, point, &report.accuracy.by_image.verdicts())))
    }

    /// The decision at the first look that makes one; `None` if there are more images to ask.
    fn judge(&self, search: &Search<'_>, point: &Point, verdicts: &[Verdict]) -> Option<Judged> {
        let solve = self.experiment.solve.as_ref()?;
        let risk = solve.risk(search.points.len());
        let ends = looks(point.images).into_iter().chain([point.images]);
        ends.take_while(|end| *end <= verdicts.len()).find_map(|end| {
            let seen = solve.observe(&verdicts[..end], point.chips);
            let decision = solve.decide(&seen, risk);
            (decision != Decision::Open || end == point.images).then(|| Judged {
                index: point.index,
                value: self.values(point).pop().cloned().unwrap_or(Value::Flag(false)),
                images: end,
                mean: seen.mean(),
                interval: seen.interval(risk),
                decision,
            })
        })
    }
}

/// What a search needs after these.
fn next(search: &Search<'_>, judged: &BTreeMap<usize, Judged>) -> Step {
    search::next(search.points.len(), &|value| judged.get(&value).map(|j| j.decision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use farad_report::metric::metric_named;

    /// Planted truths: what each value loses on average is known, one is at the limit exactly and its neighbours are close, and every
    /// value sees the same images. Of 400 searches no more than 5 in a hundred put a value on the wrong side, and three
    /// standard deviations; and the border is found wherever 3,000 images can tell.
    #[test]
    fn solutions_err_no_more_often_than_they_say() {
        const IMAGES: usize = 3000;
        let lost = [
            0.0, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.0101, 0.012, 0.02, 0.03, 0.06, 0.1,
        ];
        let solve = Solve {
            largest: true,
            metric: metric_named("top1_lost").unwrap(),
            at_most: true,
            limit: 0.01,
            confidence: 0.95,
        };
        let risk = solve.risk(lost.len());
        let (mut wrong, mut clear) = (0, 0);
        for seed in 0..400 {
            let uniform = |image: usize| {
                let [bits, ..] = farad_core::philox::philox4x32([image as u32, 0, 0, 0], [seed, 0x501e]);
                f64::from(bits) / 4_294_967_296.0
            };
            // Of 1,000 images 2 are won, and 2 and `lost` are lost.
            let verdict = |image: usize, lost: f64| match uniform(image) {
                u if u < 0.002 => (false, 1),
                u if u < 0.004 + lost => (true, 0),
                _ => (true, 1),
            };
            let mut known = BTreeMap::new();
            let (kept, broken) = loop {
                match search::next(lost.len(), &|value| known.get(&value).copied()) {
                    Step::Found(kept, broken) => break (kept, broken),
                    Step::Ask(value) => {
                        let verdicts = (0..IMAGES).map(|image| verdict(image, lost[value]));
                        let verdicts: Vec<Verdict> =
                            verdicts.map(|(digital, chips)| Verdict { digital, chips }).collect();
                        let ends = looks(IMAGES).into_iter().chain([IMAGES]);
                        let mut decisions = ends.map(|end| solve.decide(&solve.observe(&verdicts[..end], 1), risk));
                        known.insert(
                            value,
                            decisions.find(|d| *d != Decision::Open).unwrap_or(Decision::Open),
                        );
                    }
                }
            };
            wrong += u32::from(kept.is_some_and(|v| v > 6) || broken.is_some_and(|v| v <= 6));
            clear += u32::from(kept.is_some_and(|v| v >= 1) && broken.is_some_and(|v| v <= 11));
        }
        assert!(wrong <= 20 + 13, "{wrong} of 400 are wrong");
        assert!(clear >= 360, "{clear} of 400 found the border");
    }

    #[test]
    fn looks_become_sparser() {
        assert!(looks(32).is_empty());
        assert_eq!(looks(200), [32, 64, 96, 128, 160]);
        assert_eq!(looks(10_000).len(), 22);
    }
}
