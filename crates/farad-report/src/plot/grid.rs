//! Heat maps: a number in each cell of a table, with its colour.

use super::panels::Place;
use super::{INK, PAPER, text_style, text_width_px};
use crate::error::ReportError;
use crate::units::digits;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
/// Line of a panel's name, px.
const NAME: i32 = 20;
/// Names of the columns, px.
const BELOW: i32 = 24;
const RIGHT: i32 = 14;
/// The scale of colours with its ends, px.
const SCALE: i32 = 26;
/// Steps that the scale is drawn in.
const STEPS: i32 = 40;

/// Text on a dark and on a light cell; not ink and paper, which the page replaces.
const ON_DARK: RGBColor = RGBColor(0xFE, 0xFE, 0xFE);
const ON_LIGHT: RGBColor = RGBColor(0x01, 0x01, 0x01);

/// matplotlib's viridis (CC0) in ten steps: even in lightness, and told apart by the colour-blind.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3E, 0x49, 0x89],
    [0x31, 0x68, 0x8E],
    [0x26, 0x82, 0x8E],
    [0x1F, 0x9E, 0x89],
    [0x35, 0xB7, 0x79],
    [0x6D, 0xCD, 0x59],
    [0xB4, 0xDE, 0x2C],
    [0xFD, 0xE7, 0x25],
];

/// The colour at a share from 0 to 1.
pub(crate) fn viridis(share: f64) -> RGBColor {
    let at = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let below = (at as usize).min(VIRIDIS.len() - 2);
    let part = at - below as f64;
    let mix = |i: usize| {
        let (a, b) = (f64::from(VIRIDIS[below][i]), f64::from(VIRIDIS[below + 1][i]));
        (a + part * (b - a)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// One table.
#[derive(Debug)]
pub(crate) struct GridPanel {
    /// What it is for; empty if it is the only one.
    pub(crate) name: String,
    /// `cells[row][column]`, from the bottom row up; `None` where there is no result.
    pub(crate) cells: Vec<Vec<Option<f64>>>,
}

/// The plot before it is drawn.
pub(crate) struct Grid<'a> {
    pub(crate) title: &'a str,
    pub(crate) notes: &'a [String],
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// The quantity of the cells with its unit.
    pub(crate) quantity: &'a str,
    pub(crate) columns: Vec<String>,
    /// From the bottom up.
    pub(crate) rows: Vec<String>,
    pub(crate) panels: Vec<GridPanel>,
}

impl Grid<'_> {
    pub(crate) fn draw(&self) -> Result<String, ReportError> {
        let names = self.panels.iter().map(|panel| panel.name.as_str());
        let place = Place::new(names, self.notes.len(), SCALE);
        let values: Vec<f64> = self
            .panels
            .iter()
            .flat_map(|panel| panel.cells.iter().flatten().flatten().copied())
            .collect();
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let high = values.iter().copied().fold(f64::MIN, f64::max);
        let ticks = self
            .rows
            .iter()
            .map(|name| text_width_px(name, FONT))
            .max()
            .unwrap_or(0) as i32
            + 10;
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, place.size()).into_drawing_area();
            root.fill(&PAPER)?;
            place.head(&root, self.title, self.notes)?;
            self.colours(&root, (place.corner(0).0 + ticks, place.legend), (low, high))?;
            for (i, panel) in self.panels.iter().enumerate() {
                let (left, top) = place.corner(i);
                let corners = [
                    (left + ticks, top + NAME),
                    (left + place.width - RIGHT, top + place.height - BELOW),
                ];
                let name = text_style(FONT, HPos::Left, VPos::Center);
                root.draw_text(&panel.name, &name, (corners[0].0, top + NAME / 2))?;
                self.panel(&root, panel, corners, (low, high))?;
            }
            place.axes(&root, self.x, self.y)?;
            root.present()?;
        }
        Ok(svg)
    }

    fn panel(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        panel: &GridPanel,
        [(left, top), (right, bottom)]: [(i32, i32); 2],
        (low, high): (f64, f64),
    ) -> Result<(), ReportError> {
        let (columns, rows) = (self.columns.len() as i32, self.rows.len() as i32);
        let x_of = |i: usize| left + (right - left) * i as i32 / columns;
        let y_of = |i: usize| bottom - (bottom - top) * i as i32 / rows;
        let widest = self
            .columns
            .iter()
            .map(|name| text_width_px(name, FONT))
            .max()
            .unwrap_or(0) as i32;
        let every = ((widest + 8) * columns / (right - left) + 1) as usize;
        for (i, name) in self.columns.iter().enumerate().step_by(every) {
            let at = ((x_of(i) + x_of(i + 1)) / 2, bottom + 5);
            root.draw_text(name, &text_style(FONT, HPos::Center, VPos::Top), at)?;
        }
        let every = (16 * rows / (bottom - top) + 1) as usize;
        for (i, name) in self.rows.iter().enumerate().step_by(every) {
            let at = (left - 6, (y_of(i) + y_of(i + 1)) / 2);
            root.draw_text(name, &text_style(FONT, HPos::Right, VPos::Center), at)?;
        }
        for (row, cells) in panel.cells.iter().enumerate() {
            for (column, value) in cells.iter().enumerate() {
                let Some(value) = value else { continue };
                let share = if high > low { (value - low) / (high - low) } else { 0.5 };
                let (from, to) = ((x_of(column), y_of(row + 1)), (x_of(column + 1), y_of(row)));
                root.draw(&Rectangle::new([from, to], viridis(share).filled()))?;
                let text = digits(*value);
                if text_width_px(&text, FONT) as i32 + 4 <= to.0 - from.0 && to.1 - from.1 >= 14 {
                    // From the upper half of the map on, black is the better contrast.
                    let ink = if share > 0.55 { ON_LIGHT } else { ON_DARK };
                    let style = text_style(FONT, HPos::Center, VPos::Center).color(&ink);
                    root.draw_text(&text, &style, ((from.0 + to.0) / 2, (from.1 + to.1) / 2))?;
                }
            }
        }
        root.draw(&PathElement::new([(left, top), (left, bottom), (right, bottom)], INK))?;
        Ok(())
    }

    /// What the colours mean.
    fn colours(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        (x, y): (i32, i32),
        (low, high): (f64, f64),
    ) -> Result<(), ReportError> {
        let style = text_style(FONT, HPos::Left, VPos::Center);
        let low = digits(low);
        root.draw_text(&low, &style, (x, y + 12))?;
        let bar = x + text_width_px(&low, FONT) as i32 + 6;
        for step in 0..STEPS {
            let color = viridis(f64::from(step) / f64::from(STEPS - 1));
            let corners = [(bar + 4 * step, y + 6), (bar + 4 * (step + 1), y + 18)];
            root.draw(&Rectangle::new(corners, color.filled()))?;
        }
        let text = format!("{}  {}", digits(high), self.quantity);
        root.draw_text(&text, &style, (bar + 4 * STEPS + 6, y + 12))?;
        Ok(())
    }
}
