//! Horizontal stacked bars, one per layer.

use super::{GRID, INK, PAPER, WIDTH, text_style, text_width_px, tick, title_style};
use crate::error::ReportError;
use crate::units::short_name;
use plotters::coord::ranged1d::{BoldPoints, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// One bar, px.
const BAR: u32 = 16;
/// From bar to bar, px.
const PITCH: u32 = 22;
/// Title, px.
const TITLE: u32 = 30;
/// One line of the legend, px.
const LEGEND_LINE: u32 = 20;
/// Axis with its title below the bars, px.
const AXIS: u32 = 48;
/// Names beyond this length lose their beginning.
const NAME_CHARS: usize = 28;
/// Names, ticks and legend, px.
const FONT: f64 = 12.0;

/// One part of every bar.
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: RGBColor,
    pub(crate) values: Vec<f64>,
}

/// The plot before it is drawn. `values` and `labels` run along `names`.
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    /// Quantity with its unit.
    pub(crate) axis: &'a str,
    pub(crate) names: Vec<&'a str>,
    pub(crate) series: Vec<Series<'a>>,
    /// Written at the end of each bar.
    pub(crate) labels: Vec<String>,
    /// End of the axis; the longest bar if `None`.
    pub(crate) full_scale: Option<f64>,
}

impl Bars<'_> {
    pub(crate) fn draw(&self) -> Result<String, ReportError> {
        let names: Vec<String> = self.names.iter().map(|name| short_name(name, NAME_CHARS)).collect();
        let left = 12 + names.iter().map(|name| text_width_px(name, FONT)).max().unwrap_or(0);
        let legend = self.legend(left);
        let legend_px = legend.last().map_or(0, |entry| entry.line as u32 + 1) * LEGEND_LINE;
        let bars = self.names.len() as u32;
        let top = TITLE + legend_px + 6;
        let height = top + bars * PITCH + AXIS;

        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            root.fill(&PAPER)?;
            root.draw_text(self.title, &title_style(), (12, 8))?;
            for entry in &legend {
                let y = (TITLE + entry.line as u32 * LEGEND_LINE) as i32 + 10;
                let swatch = [(entry.x, y - 6), (entry.x + 12, y + 6)];
                root.draw(&Rectangle::new(swatch, entry.series.color.filled()))?;
                root.draw_text(
                    entry.series.name,
                    &text_style(FONT, HPos::Left, VPos::Center),
                    (entry.x + 17, y),
                )?;
            }
            self.draw_bars(&root, &names, left as i32, top as i32)?;
            root.present()?;
        }
        Ok(svg)
    }

    fn draw_bars(
        &self,
        root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
        names: &[String],
        left: i32,
        top: i32,
    ) -> Result<(), ReportError> {
        let label_px = self
            .labels
            .iter()
            .map(|label| text_width_px(label, FONT))
            .max()
            .unwrap_or(0) as i32
            + 10;
        let (x0, x1) = (left, WIDTH as i32 - label_px - 12);
        let bottom = top + (names.len() as u32 * PITCH) as i32;
        let longest = (0..names.len())
            .map(|i| self.series.iter().map(|s| s.values[i]).sum())
            .fold(0.0, f64::max);
        let scale: plotters::coord::types::RangedCoordf64 = match self.full_scale {
            Some(end) => 0.0..end,
            // A plot of zeros still needs an axis.
            None => 0.0..if longest > 0.0 { longest } else { 1.0 },
        }
        .into();
        let at = |value: f64| scale.map(&value, (x0, x1));

        for value in scale.key_points(BoldPoints(8)) {
            let x = at(value);
            root.draw(&PathElement::new([(x, top), (x, bottom)], GRID))?;
            root.draw_text(
                &tick(&value),
                &text_style(FONT, HPos::Center, VPos::Top),
                (x, bottom + 6),
            )?;
        }
        root.draw_text(
            self.axis,
            &text_style(FONT, HPos::Center, VPos::Top),
            ((x0 + x1) / 2, bottom + 26),
        )?;
        for (i, name) in names.iter().enumerate() {
            let y = top + (i as u32 * PITCH + PITCH / 2) as i32;
            root.draw_text(name, &text_style(FONT, HPos::Right, VPos::Center), (x0 - 6, y))?;
            let mut sum = 0.0;
            for series in &self.series {
                let from = at(sum);
                sum += series.values[i];
                let half = BAR as i32 / 2;
                if at(sum) > from {
                    root.draw(&Rectangle::new(
                        [(from, y - half), (at(sum), y + half)],
                        series.color.filled(),
                    ))?;
                }
            }
            root.draw_text(
                &self.labels[i],
                &text_style(FONT, HPos::Left, VPos::Center),
                (at(sum) + 5, y),
            )?;
        }
        root.draw(&PathElement::new([(x0, top), (x0, bottom)], INK))?;
        Ok(())
    }

    /// Series that appear, in lines that fit between `left` and the right edge; none for a single series, which
    /// the axis title names.
    fn legend(&self, left: u32) -> Vec<LegendEntry<'_>> {
        let mut entries = Vec::new();
        let (mut x, mut line) = (left as i32, 0);
        for series in self.series.iter().filter(|s| s.values.iter().any(|v| *v > 0.0)) {
            let width = 17 + text_width_px(series.name, FONT) as i32 + 16;
            if x + width > WIDTH as i32 && x > left as i32 {
                x = left as i32;
                line += 1;
            }
            entries.push(LegendEntry { series, x, line });
            x += width;
        }
        if self.series.len() == 1 { Vec::new() } else { entries }
    }
}

struct LegendEntry<'a> {
    series: &'a Series<'a>,
    x: i32,
    line: usize,
}
