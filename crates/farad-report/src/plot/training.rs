//! The plots of a training run.

use super::bars::{Bars, Series};
use super::chart::{Chart, Layer, Mark};
use super::heat::Heat;
use super::{PALETTE, Plot};
use crate::error::ReportError;
use crate::training::{Epoch, Training};
use plotters::style::RGBColor;

/// A curve of so few points gets a dot at each.
const DOTS: usize = 60;

impl Training {
    /// Every plot that this run has data for, in the order of the page.
    ///
    /// # Errors
    /// [`ReportError::Plot`] if the plotting library refuses.
    pub fn plots(&self) -> Result<Vec<Plot>, ReportError> {
        let mut plots = Vec::new();
        let trained = |e: &&Placed<'_>| e.row.epoch > 0;
        let placed = self.placed();
        let parts = self.parts();
        let curve = |name: &'static str, color: usize, of: &dyn Fn(&Placed<'_>) -> Option<f64>| Curve {
            name,
            color: PALETTE[color],
            points: placed.iter().filter_map(|p| Some((p.x, of(p)?))).collect(),
        };
        let mut draw = |name: &'static str, title: &'static str, y_axis: &str, y_range, mut curves: Vec<Curve>| {
            curves.retain(|c| !c.points.is_empty());
            if curves.is_empty() {
                return Ok(());
            }
            // A single curve is what the axis says.
            let named = curves.len() > 1;
            let layers = curves.into_iter().flat_map(|c| c.layers(named)).collect();
            let svg = Chart {
                parts: &parts,
                y_range,
                ..Chart::new(title, "epochs", y_axis, layers)
            }
            .draw()?;
            plots.push(Plot {
                name: name.into(),
                title: title.into(),
                svg,
            });
            Ok::<_, ReportError>(())
        };
        let loss = curve("loss", 0, &|p| Some(p).filter(trained).map(|p| p.row.loss));
        draw("loss", "Training loss", "mean loss of an epoch", None, vec![loss])?;
        let accuracy = |p: &Placed<'_>, integer| Some(100.0 * p.row.accuracy.filter(|_| p.row.integer == integer)?);
        let float = curve("float", 0, &|p| accuracy(p, false));
        let integer = curve("int8", 5, &|p| accuracy(p, true));
        draw(
            "accuracy",
            "Accuracy",
            "top-1 on the test images (%)",
            None,
            vec![float, integer],
        )?;
        let part = |now: u64, full: u64| Some(100.0 * now as f64 / full.max(1) as f64);
        let macs = curve("MACs", 0, &|p| part(p.row.macs, self.full_macs));
        let params = curve("parameters", 5, &|p| part(p.row.params, self.full_params));
        draw(
            "size",
            "Size",
            "of the full network (%)",
            Some(0.0..105.0),
            vec![macs, params],
        )?;
        if !self.layers.is_empty() {
            plots.push(self.widths()?);
        }
        plots.extend(self.log_alpha()?);
        Ok(plots)
    }

    /// Each row with the epochs of all stages until then.
    fn placed(&self) -> Vec<Placed<'_>> {
        let mut placed: Vec<Placed<'_>> = Vec::new();
        let (mut before, mut stage) = (0, 0);
        for row in &self.epochs {
            if row.stage != stage {
                before = placed.last().map_or(0, |last| last.x as u32);
                stage = row.stage;
            }
            placed.push(Placed {
                x: f64::from(before + row.epoch),
                row,
            });
        }
        placed
    }

    /// Where each stage that trains begins, and its name.
    fn parts(&self) -> Vec<(f64, String)> {
        let placed = self.placed();
        let first = placed.iter().filter(|p| p.row.epoch == 1);
        first.map(|p| (p.x - 1.0, p.row.kind.clone())).collect()
    }

    fn widths(&self) -> Result<Plot, ReportError> {
        let title = "Channels of each layer";
        let series = |name, color: usize, of: &dyn Fn(usize) -> u64| Series {
            name,
            color: PALETTE[color],
            values: (0..self.layers.len()).map(|i| of(i) as f64).collect(),
        };
        let layers = &self.layers;
        let svg = Bars {
            title,
            axis: "channels",
            names: layers.iter().map(|l| l.name.as_str()).collect(),
            series: vec![
                series("kept", 0, &|i| layers[i].channels),
                series("removed", 7, &|i| layers[i].full - layers[i].channels),
            ],
            labels: layers.iter().map(|l| format!("{} of {}", l.channels, l.full)).collect(),
            full_scale: None,
        }
        .draw()?;
        Ok(Plot {
            name: "widths".into(),
            title: title.into(),
            svg,
        })
    }

    fn log_alpha(&self) -> Result<Option<Plot>, ReportError> {
        let masked: Vec<Placed<'_>> = self.placed();
        let masked: Vec<&Placed<'_>> = masked.iter().filter(|p| !p.row.log_alpha.is_empty()).collect();
        let Some(bins) = masked.first().map(|p| p.row.log_alpha.len()) else {
            return Ok(None);
        };
        let title = "Log alpha of the channels, before what goes after each epoch has gone";
        let half = 0.5 * bins as f64 * self.log_alpha_bin;
        let svg = Heat {
            title,
            x_axis: "epochs",
            y_axis: "log alpha",
            names: masked.iter().map(|p| p.x.to_string()).collect(),
            columns: masked.iter().map(|p| p.row.log_alpha.as_slice()).collect(),
            range: (-half, half),
        }
        .draw()?;
        Ok(Some(Plot {
            name: "log-alpha".into(),
            title: title.into(),
            svg,
        }))
    }
}

/// A line with a dot at each point, unless there are many.
struct Curve {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

impl Curve {
    fn layers(self, named: bool) -> Vec<Layer> {
        let dots = (self.points.len() <= DOTS).then(|| Layer::new("", self.color, Mark::Dots(self.points.clone())));
        let name = if named { self.name } else { "" };
        let line = Layer::new(name, self.color, Mark::Line(self.points));
        [Some(line), dots].into_iter().flatten().collect()
    }
}

/// A row and its place on the axis of all stages' epochs.
struct Placed<'a> {
    x: f64,
    row: &'a Epoch,
}
