//! Which share of the chips reaches which accuracy.

use super::PALETTE;
use super::chart::{Chart, Layer, Mark};
use crate::error::ReportError;
use crate::report::Accuracy;

/// A step per chip from the worst (all chips reach it) to the best, and the digital result as a line.
pub(super) fn draw(title: &str, accuracy: &Accuracy) -> Result<String, ReportError> {
    let mut top1: Vec<f64> = accuracy.chips.iter().map(|c| 100.0 * c.top1).collect();
    top1.sort_by(f64::total_cmp);
    let (digital, p05) = (100.0 * accuracy.top1_digital, 100.0 * accuracy.p05);
    let lowest = top1[0].min(digital);
    let highest = top1[top1.len() - 1].max(digital);
    let margin = (0.05 * (highest - lowest)).max(0.05);
    let reached = |i: usize| 100.0 * (top1.len() - i) as f64 / top1.len() as f64;

    let mut steps = vec![(lowest - margin, 100.0)];
    for (i, &x) in top1.iter().enumerate() {
        steps.extend([(x, reached(i)), (x, reached(i + 1))]);
    }
    steps.push((highest + margin, 0.0));
    let dots = top1.iter().enumerate().map(|(i, &x)| (x, reached(i))).collect();
    let upright = |x: f64| Mark::Line(vec![(x, 0.0), (x, 102.0)]);
    let layers = vec![
        Layer::new(format!("digital, {digital:.2} %"), PALETTE[5], upright(digital)),
        Layer::new(format!("5th percentile, {p05:.2} %"), PALETTE[2], upright(p05)),
        Layer::new("", PALETTE[0], Mark::Line(steps)),
        Layer::new("macro, one dot per chip", PALETTE[0], Mark::Dots(dots)),
    ];
    let chart = Chart::new(title, "top-1 accuracy (%)", "chips that reach it (%)", layers);
    Chart {
        y_range: Some(0.0..102.0),
        ..chart
    }
    .draw()
}
