//! The plots of a comparison.

use super::Plot;
use super::scatter::{Dot, Scatter};
use crate::comparison::{Comparison, Spread};
use crate::error::ReportError;

impl Comparison {
    /// The accuracy, on the macro if it was measured there, against what it costs.
    ///
    /// # Errors
    /// [`ReportError::Plot`] if the plotting library refuses.
    pub fn plots(&self) -> Result<Vec<Plot>, ReportError> {
        let accuracies = [
            ("accuracy_macro", "top-1 on the macro (%)"),
            ("accuracy_int8", "top-1 in int8 (%)"),
            ("accuracy_float", "top-1 (%)"),
        ];
        let accuracy = accuracies
            .into_iter()
            .find_map(|(key, axis)| Some((self.column(key)?, axis)));
        let Some((accuracy, y_axis)) = accuracy else {
            return Ok(Vec::new());
        };
        let costs = [
            ("energy_j", "accuracy-energy", "Accuracy against energy"),
            ("macs", "accuracy-macs", "Accuracy against multiply-accumulates"),
        ];
        let mut plots = Vec::new();
        for (key, name, title) in costs {
            let Some(cost) = self.column(key) else { continue };
            let scaled = |s: Spread, scale: f64| Spread {
                mean: scale * s.mean,
                std: scale * s.std,
            };
            let dots = self.candidates.iter().filter_map(|c| {
                Some(Dot {
                    name: &c.name,
                    x: scaled(c.spread(&cost)?, cost.scale),
                    y: scaled(c.spread(&accuracy)?, accuracy.scale),
                })
            });
            let svg = Scatter {
                title,
                notes: &[],
                x_axis: &cost.axis(),
                y_axis,
                dots: dots.collect(),
                others: Vec::new(),
                path: Vec::new(),
            }
            .draw()?;
            plots.push(Plot {
                name: name.into(),
                title: title.into(),
                svg,
            });
        }
        Ok(plots)
    }
}
