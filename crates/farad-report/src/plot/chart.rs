//! Lines, bands, dots and bars over two numeric axes, with the legend above the data.

use super::legend::{LINE as LEGEND_LINE, Legend};
use super::{GRID, INK, PAPER, WIDTH, text_style, text_width_px, tick, title_style};
use crate::error::ReportError;
use plotters::chart::ChartContext;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use std::ops::Range;

const FONT: f64 = 12.0;
/// Title, px.
const TITLE: i32 = 30;
/// Left of the legend and of the plot's frame, px.
const LEFT: i32 = 60;
/// Height of the plot without title and legend, px.
const BODY: i32 = 322;
/// How much a band covers what lies below it.
pub(super) const BAND_OPACITY: f64 = 0.3;

/// How a layer is drawn.
#[derive(Debug, Clone)]
pub(crate) enum Mark {
    /// A line through the points.
    Line(Vec<(f64, f64)>),
    /// The same, dashed.
    Dashed(Vec<(f64, f64)>),
    /// A dot at each point.
    Dots(Vec<(f64, f64)>),
    /// A ring at each point.
    Rings(Vec<(f64, f64)>),
    /// The area between two curves, `(x, low, high)`.
    Band(Vec<(f64, f64, f64)>),
    /// The area between two curves of any course.
    Area([Vec<(f64, f64)>; 2]),
    /// A thin upright line at each `x`, `(x, low, high)`.
    Whiskers(Vec<(f64, f64, f64)>),
    /// Bars of one width from zero, around `x`.
    Bars(Vec<(f64, f64)>, f64),
}

/// One layer of a chart; later ones lie above.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// In the legend; none if empty.
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    pub(crate) mark: Mark,
}

impl Layer {
    pub(crate) fn new(name: impl Into<String>, color: RGBColor, mark: Mark) -> Self {
        Self {
            name: name.into(),
            color,
            mark,
        }
    }

    pub(super) fn points(&self) -> Vec<(f64, f64)> {
        match &self.mark {
            Mark::Line(p) | Mark::Dashed(p) | Mark::Dots(p) | Mark::Rings(p) => p.clone(),
            Mark::Band(p) | Mark::Whiskers(p) => p.iter().flat_map(|&(x, low, high)| [(x, low), (x, high)]).collect(),
            Mark::Area(curves) => curves.concat(),
            Mark::Bars(p, width) => p
                .iter()
                .flat_map(|&(x, y)| [(x - width / 2.0, 0.0), (x + width / 2.0, y)])
                .collect(),
        }
    }
}

/// The plot before it is drawn.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// Quantity with its unit.
    pub(crate) x: &'a str,
    /// Quantity with its unit.
    pub(crate) y: &'a str,
    pub(crate) layers: Vec<Layer>,
    /// Parts of the horizontal axis: where each begins, and its name.
    pub(crate) parts: &'a [(f64, String)],
    /// What the vertical axis shows; all data with a margin if `None`.
    pub(crate) y_range: Option<Range<f64>>,
    /// Text of a tick of the horizontal axis.
    pub(crate) x_tick: fn(&f64) -> String,
    /// Ticks of the horizontal axis, about.
    pub(crate) x_ticks: usize,
}

impl<'a> Chart<'a> {
    pub(crate) fn new(title: &'a str, x: &'a str, y: &'a str, layers: Vec<Layer>) -> Self {
        Self {
            title,
            x,
            y,
            layers,
            parts: &[],
            y_range: None,
            x_tick: tick,
            x_ticks: 9,
        }
    }

    pub(crate) fn draw(&self) -> Result<String, ReportError> {
        let legend = Legend::new("", &self.layers, LEFT);
        let parts_px = i32::from(!self.parts.is_empty()) * LEGEND_LINE;
        let top = TITLE + legend.height() + parts_px;
        let points: Vec<(f64, f64)> = self.layers.iter().flat_map(Layer::points).collect();
        let has_marks = |layer: &Layer| matches!(layer.mark, Mark::Dots(_) | Mark::Rings(_));
        // Marks at the ends need room; lines and bands run from edge to edge.
        let x_margin = if self.layers.iter().any(has_marks) { 0.03 } else { 0.0 };
        let begins = self.parts.iter().map(|part| part.0);
        let x_range = extent(points.iter().map(|p| p.0).chain(begins), x_margin);
        let y_range = self
            .y_range
            .clone()
            .unwrap_or_else(|| extent(points.iter().map(|p| p.1), 0.05));
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, (top + BODY) as u32)).into_drawing_area();
            root.fill(&PAPER)?;
            root.draw_text(self.title, &title_style(), (12, 8))?;
            legend.draw(&root, TITLE)?;
            let mut chart = ChartBuilder::on(&root)
                .margin_top(top + 8)
                .margin_right(30)
                .margin_bottom(10)
                .set_label_area_size(LabelAreaPosition::Left, LEFT - 2)
                .set_label_area_size(LabelAreaPosition::Bottom, 42)
                .build_cartesian_2d(x_range.clone(), y_range.clone())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(INK)
                .x_labels(self.x_ticks)
                .y_labels(7)
                .x_label_formatter(&self.x_tick)
                .y_label_formatter(&tick)
                .label_style(text_style(FONT, HPos::Center, VPos::Center))
                .axis_desc_style(text_style(FONT, HPos::Center, VPos::Center))
                .x_desc(self.x)
                .y_desc(self.y)
                .draw()?;
            for (i, (x, name)) in self.parts.iter().enumerate() {
                let at = |x, y| chart.backend_coord(&(x, y));
                let ((left, top), bottom) = (at(*x, y_range.end), at(*x, y_range.start).1);
                if i > 0 {
                    root.draw(&PathElement::new([(left, top), (left, bottom)], INK))?;
                }
                let end = self.parts.get(i + 1).map_or(x_range.end, |next| next.0);
                // A part that is too short for its name goes without.
                if text_width_px(name, FONT) as i32 <= at(end, y_range.end).0 - left {
                    root.draw_text(name, &text_style(FONT, HPos::Left, VPos::Bottom), (left + 2, top - 4))?;
                }
            }
            draw_layers(&mut chart, &self.layers)?;
            root.present()?;
        }
        Ok(svg)
    }
}

/// Draws layers, each above those before it.
pub(super) fn draw_layers<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    layers: &[Layer],
) -> Result<(), ReportError>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for Layer { color, mark, .. } in layers {
        match mark {
            Mark::Line(p) => {
                chart.draw_series(LineSeries::new(p.iter().copied(), color.stroke_width(2)))?;
            }
            Mark::Dashed(p) => {
                let dashes = DashedLineSeries::new(p.iter().copied(), 6, 4, color.stroke_width(2));
                chart.draw_series(dashes)?;
            }
            Mark::Dots(p) => {
                chart.draw_series(p.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
            }
            Mark::Rings(p) => {
                chart.draw_series(p.iter().map(|&at| Circle::new(at, 5, color.stroke_width(2))))?;
            }
            Mark::Band(p) => {
                let there = p.iter().map(|&(x, low, _)| (x, low));
                let back = p.iter().rev().map(|&(x, _, high)| (x, high));
                chart.draw_series([area(there.chain(back).collect(), *color)])?;
            }
            Mark::Area([there, back]) => {
                let outline = there.iter().chain(back.iter().rev()).copied().collect();
                chart.draw_series([area(outline, *color)])?;
            }
            Mark::Whiskers(p) => {
                let upright = |&(x, low, high): &(f64, f64, f64)| PathElement::new([(x, low), (x, high)], *color);
                chart.draw_series(p.iter().map(upright))?;
            }
            Mark::Bars(p, width) => {
                chart
                    .draw_series(p.iter().map(|&(x, y)| {
                        Rectangle::new([(x - width / 2.0, 0.0), (x + width / 2.0, y)], color.filled())
                    }))?;
            }
        }
    }
    Ok(())
}

/// What an outline encloses, in a colour that lets others through.
fn area(outline: Vec<(f64, f64)>, color: RGBColor) -> Polygon<(f64, f64)> {
    Polygon::new(outline, color.mix(BAND_OPACITY).filled())
}

/// From the least to the greatest value with a margin on both sides; something around a single value.
pub(super) fn extent(values: impl Iterator<Item = f64> + Clone, margin: f64) -> Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return 0.0..1.0;
    }
    let span = high - low;
    if span > 0.0 {
        low - margin * span..high + margin * span
    } else {
        low - 1.0..high + 1.0
    }
}
