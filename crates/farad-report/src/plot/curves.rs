//! Lines over a common axis, with borders that part it.

use super::{GRID, INK, PAPER, WIDTH, text_style, text_width_px, tick, title_style};
use crate::error::ReportError;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const HEIGHT: u32 = 330;
const FONT: f64 = 12.0;
/// Title and legend above the picture, px.
const TOP: u32 = 76;
/// A curve of so few points gets a dot at each.
const DOTS: usize = 60;

/// One line.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) color: RGBColor,
    pub(super) points: Vec<(f64, f64)>,
}

/// The plot before it is drawn.
pub(super) struct Curves<'a> {
    pub(super) title: &'a str,
    pub(super) x_axis: &'a str,
    /// Quantity with its unit.
    pub(super) y_axis: &'a str,
    pub(super) curves: Vec<Curve<'a>>,
    /// Parts of the x axis: where each begins, and its name.
    pub(super) parts: &'a [(f64, String)],
    /// Whether the y axis begins at 0.
    pub(super) from_zero: bool,
}

impl Curves<'_> {
    pub(super) fn draw(&self) -> Result<String, ReportError> {
        let all = || self.curves.iter().flat_map(|c| &c.points).copied();
        let x_end = all().map(|p| p.0).fold(1.0, f64::max);
        let (low, high) = all()
            .map(|p| p.1)
            .fold((f64::MAX, f64::MIN), |(a, b), y| (a.min(y), b.max(y)));
        let margin = 0.06 * (high - low).max(0.02 * high.abs()).max(1e-9);
        let from = if self.from_zero { 0.0 } else { low - margin };

        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            root.fill(&PAPER)?;
            root.draw_text(self.title, &title_style(), (12, 8))?;
            self.legend(&root)?;
            let mut chart = ChartBuilder::on(&root)
                .margin_top(TOP)
                .margin_right(30)
                .margin_bottom(10)
                .set_label_area_size(LabelAreaPosition::Left, 68)
                .set_label_area_size(LabelAreaPosition::Bottom, 42)
                .build_cartesian_2d(0.0..x_end, from..high + margin)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(INK)
                .x_labels(10)
                .y_labels(6)
                .x_label_formatter(&tick)
                .y_label_formatter(&tick)
                .label_style(text_style(FONT, HPos::Center, VPos::Center))
                .axis_desc_style(text_style(FONT, HPos::Center, VPos::Center))
                .x_desc(self.x_axis)
                .y_desc(self.y_axis)
                .draw()?;
            for (i, (x, name)) in self.parts.iter().enumerate() {
                let (left, top) = chart.backend_coord(&(*x, high + margin));
                let (_, bottom) = chart.backend_coord(&(*x, from));
                if *x > 0.0 {
                    root.draw(&PathElement::new([(left, top), (left, bottom)], INK))?;
                }
                let end = self.parts.get(i + 1).map_or(x_end, |next| next.0);
                let room = chart.backend_coord(&(end, from)).0 - left;
                // A part that is too short for its name goes without.
                if text_width_px(name, FONT) as i32 <= room {
                    root.draw_text(name, &text_style(FONT, HPos::Left, VPos::Bottom), (left + 2, top - 4))?;
                }
            }
            for curve in &self.curves {
                chart.draw_series(LineSeries::new(
                    curve.points.iter().copied(),
                    curve.color.stroke_width(2),
                ))?;
                if curve.points.len() <= DOTS {
                    let dots = curve.points.iter();
                    chart.draw_series(dots.map(|&p| Circle::new(p, 3, curve.color.filled())))?;
                }
            }
            root.present()?;
        }
        Ok(svg)
    }

    /// The names of the curves; of a single one the axis says it.
    fn legend(&self, root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), ReportError> {
        if self.curves.len() < 2 {
            return Ok(());
        }
        let mut x = 60;
        for curve in &self.curves {
            root.draw(&Rectangle::new([(x, 34), (x + 12, 46)], curve.color.filled()))?;
            root.draw_text(curve.name, &text_style(FONT, HPos::Left, VPos::Center), (x + 17, 40))?;
            x += 33 + text_width_px(curve.name, FONT) as i32;
        }
        Ok(())
    }
}
