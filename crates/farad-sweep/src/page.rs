//! What a report of a sweep is made of.

use crate::plan::Plan;
use crate::results::Results;
use farad_report::Sweep;
use farad_report::sweep::{Cell, SweepPoint};

impl Plan {
    /// The results as a report takes them; no point has a page of its own yet.
    #[must_use]
    pub fn report(&self, results: &Results) -> Sweep {
        let experiment = &self.experiment;
        let groups = experiment.groups.iter().enumerate();
        let axes =
            groups.flat_map(|(group, axes)| axes.iter().map(move |axis| (axis.parameter.name().to_owned(), group)));
        let points = results.rows.iter().map(|row| SweepPoint {
            index: row.index,
            key: row.key.clone(),
            values: row
                .values
                .iter()
                .map(|value| Cell {
                    text: value.to_string(),
                    number: value.number(),
                })
                .collect(),
            metrics: row.metrics.clone(),
            chips: row.chips.clone(),
            images: row.images,
            page: false,
        });
        Sweep {
            name: experiment.name.clone(),
            description: experiment.description.clone(),
            planned: self.points.len(),
            axes: axes.collect(),
            metrics: experiment.metrics.clone(),
            objectives: experiment.objectives.clone(),
            requests: experiment.plots.clone(),
            automatic: experiment.automatic_plots,
            points: points.collect(),
        }
    }
}
