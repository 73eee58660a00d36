//! Which plots follow from the axes of an experiment.

use super::{PlotKind, PlotRequest, Sweep};
use crate::metric::Metric;

/// More values than these on an axis of a sample: each point is a dot.
const MOST_STEPS: usize = 16;

impl Sweep {
    /// The first numeric axis as x and the next one as lines, for every objective; every two axes as a heat map of each
    /// named metric, the first below; what is left of the axes as panels. Sampled axes get dots.
    pub(super) fn choice(&self) -> Vec<PlotRequest> {
        let dimensions = self.dimensions();
        let mut requests = Vec::new();
        let name = |axis: usize| self.axes[axis].0.as_str();
        let steps = |axis: usize| self.axis(axis).distinct().len();
        let sampled: Vec<usize> = (0..self.axes.len())
            .filter(|&axis| {
                steps(axis) > MOST_STEPS && self.axes.iter().filter(|a| a.1 == self.axes[axis].1).count() > 1
            })
            .collect();
        if !sampled.is_empty() {
            for metric in self.shown() {
                for &axis in &sampled {
                    requests.push(PlotRequest::new(PlotKind::Scatter, name(axis), metric.name));
                }
            }
            return requests;
        }
        let numeric = |axis: &usize| self.axis(*axis).numbers().is_some();
        let Some(x) = dimensions.iter().copied().find(numeric).or(dimensions.first().copied()) else {
            return requests;
        };
        let rest: Vec<usize> = dimensions.iter().copied().filter(|&axis| axis != x).collect();
        let facet: Vec<String> = rest.iter().skip(1).map(|&axis| name(axis).to_owned()).collect();
        for metric in self.shown() {
            requests.push(PlotRequest {
                lines: rest.first().map(|&axis| name(axis).to_owned()),
                facet: facet.clone(),
                ..PlotRequest::new(PlotKind::Line, name(x), metric.name)
            });
        }
        if let Some(&y) = rest.first() {
            for metric in &self.metrics {
                requests.push(PlotRequest {
                    facet: facet.clone(),
                    color: Some(metric.name.to_owned()),
                    ..PlotRequest::new(PlotKind::Heat, name(x), name(y))
                });
            }
        }
        requests
    }

    /// What lines are drawn of: the objectives, or what tables show.
    pub(super) fn shown(&self) -> Vec<&'static Metric> {
        if self.objectives.is_empty() {
            self.metrics.clone()
        } else {
            self.objectives.iter().map(|objective| objective.0).collect()
        }
    }
}
