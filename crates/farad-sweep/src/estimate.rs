//! How long a sweep will take.

use crate::plan::{Plan, Point, PointError};
use crate::store::Store;
use std::sync::atomic::AtomicBool;

/// What an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Time of all points one after another on one thread each, s.
    pub work_s: f64,
    /// Points whose time was measured: those of the store, or 0 for a few images of the first point.
    pub measured: usize,
    /// Largest memory of a process that ran one of them, bytes.
    pub peak_rss_bytes: Option<u64>,
}

/// Images of a trial; points that are looked at. More would take longer than the answer is worth.
const TRIAL_IMAGES: usize = 8;
const MOST_LOOKED_AT: usize = 500;

impl Plan {
    /// Time for `points`: images times chips times conversions, at the speed of the points that the store has, or of a trial.
    ///
    /// # Errors
    /// [`PointError`] of the trial.
    pub fn estimate(&self, points: &[&Point], store: Option<&Store>) -> Result<Estimate, PointError> {
        let Some(first) = points.first() else {
            return Ok(Estimate {
                work_s: 0.0,
                measured: 0,
                peak_rss_bytes: None,
            });
        };
        let step = points.len().div_ceil(MOST_LOOKED_AT);
        let looked_at: Vec<&&Point> = points.iter().step_by(step).collect();
        let conversions = looked_at.iter().map(|point| self.conversions(point)).sum::<f64>();
        let work = conversions * points.len() as f64 / looked_at.len() as f64;

        let reports = store.into_iter().flat_map(|store| {
            self.points
                .iter()
                .filter_map(|point| store.report(&point.key).ok().flatten())
                .take(MOST_LOOKED_AT)
        });
        let mut peak = None;
        let (measured, seconds, done) = reports.fold((0, 0.0, 0.0), |(n, seconds, done), report| {
            peak = peak.max(Some(report.host.peak_rss_bytes));
            let images: u64 = report.accuracy.chips.iter().map(|chip| chip.images).sum();
            let conversions = report.per_image.conversions as f64 * images as f64;
            (
                n + 1,
                seconds + report.host.wall_s * report.host.threads as f64,
                done + conversions,
            )
        });
        if measured > 0 {
            return Ok(Estimate {
                work_s: work * seconds / done,
                measured,
                peak_rss_bytes: peak,
            });
        }
        let trial = Point {
            images: first.images.min(TRIAL_IMAGES),
            ..(*first).clone()
        };
        let workloads = self.workloads().map_err(farad_report::ReportError::from)?;
        let report = self.run(&workloads, &trial, 1, &|_, _| {}, &AtomicBool::new(false))?;
        Ok(Estimate {
            work_s: work * report.host.wall_s / self.conversions(&trial),
            measured: 0,
            peak_rss_bytes: None,
        })
    }

    /// Conversions of a whole point, in closed form.
    fn conversions(&self, point: &Point) -> f64 {
        let network = &self.networks[self.workloads[point.workload].0];
        let spec = self.hw(&self.settings(point), network).ok().map(|(spec, _)| spec);
        let layers = network.mac_layers();
        let per_image = spec.and_then(|spec| {
            let mapping = farad_map::map(&spec, layers).ok()?;
            let schedule = farad_map::schedule(&spec, layers, &mapping);
            Some(farad_map::totals(&mapping, &schedule).conversions)
        });
        per_image.unwrap_or(1) as f64 * point.work() as f64
    }
}
