//! The points that no other point beats in everything.

use super::lines::{about, capital, file_name};
use super::{Column, Sweep};
use crate::comparison::Spread;
use crate::error::ReportError;
use crate::plot::Plot;
use crate::plot::scatter::{Dot, Scatter};
use farad_sim::statistics::sample_std;

/// Points of a front that get their names; of more, every second or third.
const MOST_NAMES: usize = 18;

impl Sweep {
    /// Whether each point is on the front of the objectives: no other point is as good in all and better in one. No point is
    /// without at least two objectives.
    #[must_use]
    pub fn front(&self) -> Vec<bool> {
        if self.objectives.len() < 2 {
            return vec![false; self.points.len()];
        }
        // All as costs, the lower the better.
        let signed = self.objectives.iter().map(|(metric, up)| {
            let sign = if *up { -1.0 } else { 1.0 };
            self.values(metric).into_iter().map(|x| sign * x).collect::<Vec<_>>()
        });
        let costs: Vec<Vec<f64>> = signed.collect();
        let beats = |a: usize, b: usize| {
            costs.iter().all(|cost| cost[a] <= cost[b]) && costs.iter().any(|cost| cost[a] < cost[b])
        };
        // What is beaten at all is beaten by a point of the front found so far, if these are taken from the best down.
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        order.sort_by(|&a, &b| {
            let pairs = costs.iter().map(|cost| cost[a].total_cmp(&cost[b]));
            pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        let mut front: Vec<usize> = Vec::new();
        for i in order {
            if costs.iter().all(|cost| cost[i].is_finite()) && !front.iter().any(|&best| beats(best, i)) {
                front.push(i);
            }
        }
        (0..self.points.len()).map(|i| front.contains(&i)).collect()
    }

    /// A point in few words: its number, and its value on each axis that varies.
    fn short_title(&self, axes: &[Column], i: usize) -> String {
        let values: Vec<&str> = axes.iter().map(|axis| axis.cells[i].text.as_str()).collect();
        format!("#{}  {}", self.points[i].index, values.join(", "))
    }
}

/// The front of the first objective with each of the others.
pub(super) fn draw(sweep: &Sweep) -> Result<Vec<Plot>, ReportError> {
    let Some(((first, _), others)) = sweep.objectives.split_first() else {
        return Ok(Vec::new());
    };
    let front = sweep.front();
    let axes: Vec<Column> = sweep.dimensions().into_iter().map(|axis| sweep.axis(axis)).collect();
    let y = sweep.metric(first);
    let mut plots = Vec::new();
    for (metric, _) in others {
        let x = sweep.metric(metric);
        let (Some(xs), Some(ys)) = (x.numbers(), y.numbers()) else {
            continue;
        };
        let mut chosen: Vec<usize> = (0..xs.len()).filter(|&i| front[i]).collect();
        chosen.sort_by(|&a, &b| xs[a].total_cmp(&xs[b]));
        let named = chosen.iter().step_by(chosen.len().div_ceil(MOST_NAMES).max(1));
        let titles: Vec<(usize, String)> = named.map(|&i| (i, sweep.short_title(&axes, i))).collect();
        let exact = |mean: f64| Spread { mean, std: 0.0 };
        let dots = titles.iter().map(|(i, name)| Dot {
            name,
            x: exact(xs[*i]),
            y: Spread {
                mean: ys[*i],
                std: if first.name == "top1" {
                    100.0 * sample_std(&sweep.points[*i].chips)
                } else {
                    0.0
                },
            },
        });
        let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
        let mut notes = vec![
            format!(
                "{}: no other point is as good in all objectives and better in one.",
                if others.len() == 1 { "Line" } else { "Named" }
            ),
            format!("Names: number of the point, then {}.", names.join(", ")),
        ];
        if first.name == "top1" && sweep.points.iter().any(|point| point.chips.len() > 1) {
            notes.push(format!("Bars: standard deviation over {}.", sweep.chips_in_words()));
        }
        let title = format!("{} against {}: the Pareto front", capital(&about(&y)), about(&x));
        let svg = Scatter {
            title: &title,
            notes: &notes,
            x_axis: &x.title,
            y_axis: &y.title,
            dots: dots.collect(),
            others: (0..xs.len()).filter(|&i| !front[i]).map(|i| (xs[i], ys[i])).collect(),
            // Of more objectives than two the front is no line.
            path: if others.len() == 1 {
                chosen.iter().map(|&i| (xs[i], ys[i])).collect()
            } else {
                Vec::new()
            },
        }
        .draw()?;
        plots.push(Plot {
            name: file_name(&["front", &y.name, &x.name]).into(),
            title: title.into(),
            svg,
        });
    }
    Ok(plots)
}
