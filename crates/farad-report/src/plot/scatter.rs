//! Points with error bars, each with its name at the side.

use super::{GRID, INK, PALETTE, PAPER, WIDTH, text_style, text_width_px, tick, title_style};
use crate::comparison::Spread;
use crate::error::ReportError;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
/// From name to name, px.
pub(super) const LINE: i32 = 17;
const HEIGHT: u32 = 420;
const TOP: u32 = 42;
/// A line of notes, px.
const NOTE: u32 = 17;
/// Axis below the picture with its title, px.
const BOTTOM: u32 = 52;
/// Half the length of an error bar's ends, px.
const CAP: i32 = 4;

/// A point.
pub(crate) struct Dot<'a> {
    pub(crate) name: &'a str,
    pub(crate) x: Spread,
    pub(crate) y: Spread,
}

/// The plot before it is drawn.
pub(crate) struct Scatter<'a> {
    pub(crate) title: &'a str,
    /// Lines below the title.
    pub(crate) notes: &'a [String],
    pub(crate) x_axis: &'a str,
    pub(crate) y_axis: &'a str,
    pub(crate) dots: Vec<Dot<'a>>,
    /// Points without a name.
    pub(crate) others: Vec<(f64, f64)>,
    /// A line in steps through these, from left to right.
    pub(crate) path: Vec<(f64, f64)>,
}

impl Scatter<'_> {
    pub(crate) fn draw(&self) -> Result<String, ReportError> {
        let names = self.dots.iter().map(|d| text_width_px(d.name, FONT));
        let right = names.max().unwrap_or(0) + 44;
        let top = TOP + self.notes.len() as u32 * NOTE;
        // Room for all names.
        let height = (HEIGHT - TOP + top).max(top + BOTTOM + (self.dots.len() as i32 * LINE) as u32);
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            root.fill(&PAPER)?;
            root.draw_text(self.title, &title_style(), (12, 8))?;
            for (i, note) in self.notes.iter().enumerate() {
                let at = (12, (30 + NOTE / 2 + i as u32 * NOTE) as i32);
                root.draw_text(note, &text_style(FONT, HPos::Left, VPos::Center), at)?;
            }
            let exact = |mean: f64| Spread { mean, std: 0.0 };
            let (xs, ys) = (
                range(
                    self.dots
                        .iter()
                        .map(|d| d.x)
                        .chain(self.others.iter().map(|p| exact(p.0))),
                ),
                range(
                    self.dots
                        .iter()
                        .map(|d| d.y)
                        .chain(self.others.iter().map(|p| exact(p.1))),
                ),
            );
            let mut chart = ChartBuilder::on(&root)
                .margin_top(top)
                .margin_left(6)
                .margin_right(right)
                .margin_bottom(10)
                .set_label_area_size(LabelAreaPosition::Left, 62)
                .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM - 10)
                .build_cartesian_2d(xs.clone(), ys)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(INK)
                .x_labels(8)
                .y_labels(8)
                .x_label_formatter(&tick)
                .y_label_formatter(&tick)
                .label_style(text_style(FONT, HPos::Center, VPos::Center))
                .axis_desc_style(text_style(FONT, HPos::Center, VPos::Center))
                .x_desc(self.x_axis)
                .y_desc(self.y_axis)
                .draw()?;
            let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
            let places: Vec<(i32, i32)> = self.dots.iter().map(|d| at(d.x.mean, d.y.mean)).collect();
            let edge = at(xs.end, 0.0).0;
            let rows = spread_rows(&places, top as i32 + LINE / 2, (height - BOTTOM) as i32 - LINE / 2);
            for &(x, y) in &self.others {
                root.draw(&Circle::new(at(x, y), 2, PALETTE[7].filled()))?;
            }
            let steps = self.path.windows(2).flat_map(|w| [w[0], (w[1].0, w[0].1), w[1]]);
            root.draw(&PathElement::new(steps.map(|(x, y)| at(x, y)).collect::<Vec<_>>(), INK))?;
            for ((dot, &(x, y)), &row) in self.dots.iter().zip(&places).zip(&rows) {
                let leader = [(x, y), (edge + 4, row), (edge + 14, row)];
                root.draw(&PathElement::new(leader, GRID))?;
                root.draw_text(dot.name, &text_style(FONT, HPos::Left, VPos::Center), (edge + 30, row))?;
            }
            for (i, ((dot, &(x, y)), &row)) in self.dots.iter().zip(&places).zip(&rows).enumerate() {
                let color = PALETTE[i % PALETTE.len()];
                for way in [-1.0, 1.0] {
                    let (reach_x, reach_y) = (
                        at(dot.x.mean + way * dot.x.std, dot.y.mean).0,
                        at(dot.x.mean, dot.y.mean + way * dot.y.std).1,
                    );
                    if dot.x.std > 0.0 {
                        root.draw(&PathElement::new([(x, y), (reach_x, y)], color))?;
                        root.draw(&PathElement::new([(reach_x, y - CAP), (reach_x, y + CAP)], color))?;
                    }
                    if dot.y.std > 0.0 {
                        root.draw(&PathElement::new([(x, y), (x, reach_y)], color))?;
                        root.draw(&PathElement::new([(x - CAP, reach_y), (x + CAP, reach_y)], color))?;
                    }
                }
                marker(&root, i / PALETTE.len(), (x, y), color)?;
                marker(&root, i / PALETTE.len(), (edge + 20, row), color)?;
            }
            root.present()?;
        }
        Ok(svg)
    }
}

/// A circle; when the palette begins again a square, then a triangle.
fn marker(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    round: usize,
    (x, y): (i32, i32),
    color: RGBColor,
) -> Result<(), ReportError> {
    match round % 3 {
        0 => root.draw(&Circle::new((x, y), 5, color.filled()))?,
        1 => root.draw(&Rectangle::new([(x - 5, y - 5), (x + 5, y + 5)], color.filled()))?,
        _ => root.draw(&TriangleMarker::new((x, y), 6, color.filled()))?,
    }
    Ok(())
}

/// The axis that shows all, error bars and a margin included.
fn range(values: impl Iterator<Item = Spread>) -> std::ops::Range<f64> {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| {
        (low.min(v.mean - v.std), high.max(v.mean + v.std))
    });
    let margin = (0.08 * (high - low)).max(0.005 * high.abs()).max(1e-9);
    low - margin..high + margin
}

/// A row for each point's name: as near to the point's own height as names that do not touch can be, between `top` and
/// `bottom`.
pub(super) fn spread_rows(places: &[(i32, i32)], top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| (places[i].1, places[i].0));
    let mut rows = vec![0; places.len()];
    let mut free = top;
    for &i in &order {
        rows[i] = places[i].1.max(free);
        free = rows[i] + LINE;
    }
    let mut limit = bottom;
    for &i in order.iter().rev() {
        rows[i] = rows[i].min(limit);
        limit = rows[i] - LINE;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_touch() {
        let places = [(0, 100), (5, 101), (9, 390), (1, 100), (2, 400)];
        let rows = spread_rows(&places, 50, 400);
        assert_eq!(rows, [100, 134, 383, 117, 400]);
    }
}
