//! Which share of the chips reaches which accuracy.

use super::{GRID, INK, PALETTE, PAPER, WIDTH, text_style, tick, title_style};
use crate::error::ReportError;
use crate::report::Accuracy;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const HEIGHT: u32 = 380;
const FONT: f64 = 12.0;

/// A step per chip from the worst (all chips reach it) to the best, and the digital result as a line.
pub(super) fn draw(title: &str, accuracy: &Accuracy) -> Result<String, ReportError> {
    let mut top1: Vec<f64> = accuracy.chips.iter().map(|c| 100.0 * c.top1).collect();
    top1.sort_by(f64::total_cmp);
    let digital = 100.0 * accuracy.top1_digital;
    let lowest = top1[0].min(digital);
    let highest = top1[top1.len() - 1].max(digital);
    let margin = (0.05 * (highest - lowest)).max(0.05);
    let (from, to) = (lowest - margin, highest + margin);
    let reached = |i: usize| 100.0 * (top1.len() - i) as f64 / top1.len() as f64;

    let mut steps = vec![(from, 100.0)];
    for (i, &x) in top1.iter().enumerate() {
        steps.extend([(x, reached(i)), (x, reached(i + 1))]);
    }
    steps.push((to, 0.0));

    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(title, &title_style(), (12, 8))?;
        let lines = [
            ("macro, one dot per chip".to_string(), PALETTE[0]),
            (format!("digital, {digital:.2} %"), PALETTE[5]),
            (format!("5th percentile, {:.2} %", 100.0 * accuracy.p05), PALETTE[2]),
        ];
        let mut x = 60;
        for (name, color) in &lines {
            root.draw(&Rectangle::new([(x, 36), (x + 12, 48)], color.filled()))?;
            root.draw_text(name, &text_style(FONT, HPos::Left, VPos::Center), (x + 17, 42))?;
            x += 33 + super::text_width_px(name, FONT) as i32;
        }
        let mut chart = ChartBuilder::on(&root)
            .margin_top(58)
            .margin_right(30)
            .margin_bottom(10)
            .set_label_area_size(LabelAreaPosition::Left, 58)
            .set_label_area_size(LabelAreaPosition::Bottom, 42)
            .build_cartesian_2d(from..to, 0.0..102.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&tick)
            .y_label_formatter(&tick)
            .label_style(text_style(FONT, HPos::Center, VPos::Center))
            .axis_desc_style(text_style(FONT, HPos::Center, VPos::Center))
            .x_desc("top-1 accuracy (%)")
            .y_desc("chips that reach it (%)")
            .draw()?;
        for (x, color) in [(digital, PALETTE[5]), (100.0 * accuracy.p05, PALETTE[2])] {
            chart.draw_series([PathElement::new([(x, 0.0), (x, 102.0)], color.stroke_width(2))])?;
        }
        chart.draw_series(LineSeries::new(steps, PALETTE[0].stroke_width(2)))?;
        chart.draw_series(
            top1.iter()
                .enumerate()
                .map(|(i, &x)| Circle::new((x, reached(i)), 3, PALETTE[0].filled())),
        )?;
        root.present()?;
    }
    Ok(svg)
}
