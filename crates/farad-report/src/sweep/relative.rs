//! Numbers relative to the largest network of the sweep: what pruning leaves, and what it saves.

use super::{Column, PlotKind, PlotRequest, Sweep, lines};
use crate::error::ReportError;
use crate::metric::metric_named;
use crate::plot::Plot;
use std::collections::BTreeMap;

/// A number relative to a baseline: name, what it is, metric, and whether what is saved is meant (else what is left).
type Relative = (&'static str, &'static str, &'static str, bool);

/// All relative numbers. The baseline of a point is the one with the most BOPs among those that differ from it in nothing but the
/// network, and what is zipped with the network.
pub const RELATIVE: [Relative; 6] = [
    ("macs_left", "MACs left of the largest network", "macs", false),
    ("params_left", "weights left of the largest network", "params", false),
    ("bops_left", "bit operations left of the largest network", "bops", false),
    ("bops_saved", "bit operations saved", "bops", true),
    ("energy_saved", "energy saved", "energy_j", true),
    ("cycles_saved", "clocks saved", "cycles", true),
];

/// The column of a relative number.
pub(super) fn column(sweep: &Sweep, name: &str) -> Option<Column> {
    let (name, about, metric, saved) = RELATIVE.iter().find(|(n, ..)| *n == name)?;
    let values = sweep.values(metric_named(metric)?);
    let baselines = baselines(sweep)?;
    let share = |i: usize| {
        let left = values[i] / values[baselines[i]];
        if *saved { 1.0 - left } else { left }
    };
    let shares: Vec<f64> = (0..values.len()).map(share).collect();
    Some(Column::of(name, about, "", true, &shares))
}

/// The baseline of every point, as an index.
fn baselines(sweep: &Sweep) -> Option<Vec<usize>> {
    let bops = sweep.values(metric_named("bops")?);
    let network = sweep.axes.iter().find(|(name, _)| name == "network").map(|axis| axis.1);
    let others = |i: usize| {
        let values = sweep.axes.iter().zip(&sweep.points[i].values);
        let other = values.filter(|((_, group), _)| Some(*group) != network);
        other.map(|(_, cell)| cell.text.clone()).collect::<Vec<_>>()
    };
    let mut largest: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for i in 0..bops.len() {
        let best = largest.entry(others(i)).or_insert(i);
        if bops[i] > bops[*best] {
            *best = i;
        }
    }
    (0..bops.len()).map(|i| largest.get(&others(i)).copied()).collect()
}

/// Energy saved against bit operations saved, where networks differ: they would be equal if a macro's work were the
/// network's, and tiles round up.
pub(super) fn draw(sweep: &Sweep) -> Result<Option<Plot>, ReportError> {
    let Some(saved) = column(sweep, "bops_saved") else {
        return Ok(None);
    };
    if saved.distinct().len() < 2 {
        return Ok(None);
    }
    let mut request = PlotRequest::new(PlotKind::Scatter, "bops_saved", "energy_saved");
    let network = sweep.axes.iter().find(|(name, _)| name == "network").map(|axis| axis.1);
    let others = sweep.dimensions();
    let mut others = others.iter().filter(|&&axis| Some(sweep.axes[axis].1) != network);
    request.lines = others.next().map(|&axis| sweep.axes[axis].0.clone());
    lines::draw(sweep, &request)
}
