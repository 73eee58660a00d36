//! Parallel coordinates: a line for each point, through its value on every axis and its metrics.

use super::{Column, Sweep};
use crate::html::page::{escape, push};
use crate::plot::grid::viridis;
use crate::plot::{Plot, tick};
use plotters::style::{Color, RGBColor};

/// More lines than these are not drawn, but for the front's.
const MOST_LINES: usize = 3000;
/// More values than these on an axis have no ticks of their own.
const MOST_TICKS: usize = 10;
const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 92.0;
const HEIGHT: f64 = 280.0;

/// One vertical axis.
struct Axis {
    name: String,
    x: f64,
    /// Place of each point from 0, at the bottom, to 1; `None` without a number.
    places: Vec<Option<f64>>,
    ticks: Vec<(f64, String)>,
}

/// `None` with fewer than two axes or points.
pub(super) fn draw(sweep: &Sweep) -> Option<Plot> {
    let varied: Vec<Column> = sweep.dimensions().into_iter().map(|axis| sweep.axis(axis)).collect();
    if varied.len() < 2 || sweep.points.len() < 2 {
        return None;
    }
    let mut metrics = sweep.shown();
    for metric in &sweep.metrics {
        if !metrics.contains(metric) {
            metrics.push(metric);
        }
    }
    let columns: Vec<Column> = varied
        .into_iter()
        .chain(metrics.iter().map(|m| sweep.metric(m)))
        .collect();
    let gap = (WIDTH - LEFT - RIGHT) / (columns.len() - 1) as f64;
    let axes: Vec<Axis> = (0..)
        .map(|i| LEFT + f64::from(i) * gap)
        .zip(&columns)
        .map(Axis::new)
        .collect();
    let by = sweep.metric(metrics.first()?);
    let shade = Axis::new((0.0, &by));
    let front = sweep.front();

    let title = "All points: parallel coordinates";
    let mut svg = format!(
        "<svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" xmlns=\"http://www.w3.org/2000/svg\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"16\" font-weight=\"bold\" fill=\"#333333\">{title}</text>\n\
         <text x=\"12\" y=\"42\" fill=\"#333333\">Colour: {}, from dark (low) to light (high).{}</text>\n",
        escape(&by.title),
        if front.contains(&true) {
            " Thick: the Pareto front."
        } else {
            ""
        },
        height = TOP + HEIGHT + 20.0,
    );
    let every = sweep.points.len().div_ceil(MOST_LINES);
    let order = (0..sweep.points.len()).filter(|&i| !front[i]).step_by(every);
    for i in order.chain((0..sweep.points.len()).filter(|&i| front[i])) {
        let at: Option<Vec<String>> = axes
            .iter()
            .map(|axis| Some(format!("{:.1},{:.1}", axis.x, y_of(axis.places[i]?))))
            .collect();
        let Some(at) = at else { continue };
        let (width, opacity) = if front[i] { (2.5, 1.0) } else { (1.0, 0.5) };
        push(
            &mut svg,
            format_args!(
                "<polyline data-point=\"{}\" points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" opacity=\"{opacity}\"/>\n",
                sweep.points[i].index,
                at.join(" "),
                hex(viridis(shade.places[i].unwrap_or(0.0)))
            ),
        );
    }
    for (k, axis) in axes.iter().enumerate() {
        axis.draw(&mut svg, k % 2 == 0);
    }
    svg += "</svg>\n";
    Some(Plot {
        name: "parallel".into(),
        title: title.into(),
        svg,
    })
}

impl Axis {
    fn new((x, column): (f64, &Column)) -> Self {
        let distinct = column.distinct();
        let name = match column.title.rsplit_once(" (") {
            Some((_, unit)) => format!("{} ({unit}", column.name),
            None => column.name.clone(),
        };
        let numbers: Vec<f64> = distinct.iter().filter_map(|cell| cell.number).collect();
        let is_numeric = distinct.iter().any(|cell| cell.number.is_some());
        // An axis of few values has them evenly apart, so that each is seen.
        if distinct.len() <= MOST_TICKS {
            let last = (distinct.len() - 1).max(1) as f64;
            let place = |text: &String| {
                distinct
                    .iter()
                    .position(|cell| cell.text == *text)
                    .map(|i| i as f64 / last)
            };
            return Self {
                name,
                x,
                places: column.cells.iter().map(|cell| place(&cell.text)).collect(),
                ticks: (0..)
                    .map(|i| f64::from(i) / last)
                    .zip(distinct.iter().map(|c| c.text.clone()))
                    .collect(),
            };
        }
        let (low, high) = match (is_numeric, numbers.first(), numbers.last()) {
            (true, Some(low), Some(high)) => (*low, *high),
            _ => (0.0, 1.0),
        };
        let place = |x: f64| (x - low) / (high - low).max(f64::MIN_POSITIVE);
        let ticks = (0..=4).map(|k| f64::from(k) / 4.0);
        Self {
            name,
            x,
            places: column.cells.iter().map(|cell| cell.number.map(place)).collect(),
            ticks: ticks
                .map(|share| (share, tick(&round(low + share * (high - low)))))
                .collect(),
        }
    }

    fn draw(&self, svg: &mut String, high: bool) {
        let (x, bottom) = (self.x, TOP + HEIGHT);
        // Neighbours' names stand in two lines, so that long ones do not touch.
        let name_y = if high { TOP - 28.0 } else { TOP - 12.0 };
        push(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#333333\"/>\n\
                 <text x=\"{x:.1}\" y=\"{name_y}\" text-anchor=\"middle\" fill=\"#333333\">{}</text>\n",
                escape(&self.name)
            ),
        );
        for (place, text) in &self.ticks {
            // A border in the colour of the paper keeps a text readable on lines.
            push(
                svg,
                format_args!(
                    "<text class=\"halo\" x=\"{:.1}\" y=\"{:.1}\" fill=\"#333333\" stroke=\"#FFFFFF\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>\n",
                    x + 4.0,
                    y_of(*place) + 4.0,
                    escape(text)
                ),
            );
        }
    }
}

fn y_of(place: f64) -> f64 {
    TOP + (1.0 - place) * HEIGHT
}

/// Three significant digits.
fn round(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

fn hex(color: RGBColor) -> String {
    let (r, g, b) = color.rgb();
    format!("#{r:02X}{g:02X}{b:02X}")
}
