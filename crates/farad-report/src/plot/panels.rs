//! Small multiples: panels with common axes, one below the other and side by side.

use super::chart::{Layer, draw_layers, extent};
use super::legend::Legend;
use super::scale::Scale;
use super::{GRID, INK, PAPER, WIDTH, text_style, text_width_px, title_style};
use crate::error::ReportError;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
/// Title, px.
const TITLE: i32 = 30;
/// A line of notes, px.
const NOTE: i32 = 17;
/// Name of a panel, px.
const NAME: i32 = 20;
/// Left of all panels, where the vertical axis has its title, px.
const LEFT: i32 = 28;
/// Ticks of the vertical axis, px.
const TICKS: i32 = 44;
/// Ticks of the horizontal axis, px.
const BELOW: i32 = 24;
/// The horizontal axis's title, px.
const BOTTOM: i32 = 30;
/// Right of a panel, px.
const RIGHT: i32 = 14;

/// One panel.
#[derive(Debug)]
pub(crate) struct Panel {
    /// What it is for; empty if it is the only one.
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
}

/// The plot before it is drawn.
pub(crate) struct Panels<'a> {
    pub(crate) title: &'a str,
    /// Quantity with its unit.
    pub(crate) x: &'a str,
    /// Quantity with its unit.
    pub(crate) y: &'a str,
    /// What the layers of the legend differ in.
    pub(crate) legend: &'a str,
    /// Lines below the title.
    pub(crate) notes: &'a [String],
    pub(crate) scale: Scale,
    pub(crate) panels: Vec<Panel>,
}

impl Panels<'_> {
    pub(crate) fn draw(&self) -> Result<String, ReportError> {
        let mut named: Vec<Layer> = Vec::new();
        for layer in self.panels.iter().flat_map(|panel| &panel.layers) {
            if named.iter().all(|known| known.name != layer.name) {
                named.push(layer.clone());
            }
        }
        let legend = Legend::new(self.legend, &named, LEFT + TICKS);
        let names = self.panels.iter().map(|panel| panel.name.as_str());
        let place = Place::new(names, self.notes.len(), legend.height());
        let values = self
            .panels
            .iter()
            .flat_map(|panel| &panel.layers)
            .flat_map(Layer::points);
        let ys: Vec<f64> = values.map(|p| p.1).collect();
        let y_scale = Scale::round(extent(ys.iter().copied(), 0.06), if place.columns > 2 { 5 } else { 7 });
        // Names that would touch are left out, every second one or more.
        let plot_px = place.width - TICKS - RIGHT;
        let widest = self
            .scale
            .texts()
            .map(|text| text_width_px(text, FONT))
            .max()
            .unwrap_or(0);
        let room = plot_px / (widest as i32 + 8).max(1);
        let every = self.scale.texts().count().div_ceil(room.max(1) as usize).max(1);
        let shown: Vec<String> = self.scale.texts().step_by(every).map(str::to_owned).collect();

        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, place.size()).into_drawing_area();
            root.fill(&PAPER)?;
            place.head(&root, self.title, self.notes)?;
            legend.draw(&root, place.legend)?;
            for (i, panel) in self.panels.iter().enumerate() {
                let (left, top) = place.corner(i);
                if !panel.name.is_empty() {
                    let style = text_style(FONT, HPos::Left, VPos::Center);
                    root.draw_text(&panel.name, &style, (left + TICKS, top + NAME / 2))?;
                }
                let area = root
                    .clone()
                    .shrink((left, top + NAME), (place.width, place.height - NAME));
                let mut chart = ChartBuilder::on(&area)
                    .margin_right(RIGHT)
                    .set_label_area_size(LabelAreaPosition::Left, TICKS)
                    .set_label_area_size(LabelAreaPosition::Bottom, BELOW)
                    .build_cartesian_2d(self.scale.clone(), y_scale.clone())?;
                let x_tick = |x: &f64| {
                    let text = self.scale.text(*x);
                    if shown.contains(&text) { text } else { String::new() }
                };
                chart
                    .configure_mesh()
                    .light_line_style(TRANSPARENT)
                    .bold_line_style(GRID)
                    .axis_style(INK)
                    .x_label_formatter(&x_tick)
                    .y_label_formatter(&|y: &f64| y_scale.text(*y))
                    .label_style(text_style(FONT, HPos::Center, VPos::Center))
                    .draw()?;
                draw_layers(&mut chart, &panel.layers)?;
            }
            place.axes(&root, self.x, self.y)?;
            root.present()?;
        }
        Ok(svg)
    }
}

/// Where the parts of a plot with panels are, px.
pub(crate) struct Place {
    pub(crate) columns: usize,
    rows: usize,
    pub(crate) legend: i32,
    top: i32,
    /// Of one panel with its ticks and its name.
    pub(crate) width: i32,
    pub(crate) height: i32,
}

impl Place {
    /// For panels of these names, so many notes, and a legend of this height. There are no more columns than names have room for.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone, notes: usize, legend_px: i32) -> Self {
        let panels = names.clone().count();
        let widest = names.map(|name| text_width_px(name, FONT)).max().unwrap_or(0) as i32;
        let room = (WIDTH as i32 - LEFT) / (widest + TICKS);
        let wanted = match panels {
            0 | 1 => 1,
            2..=4 => 2,
            _ => 3,
        };
        let columns = wanted.min(room.max(1) as usize);
        let legend = TITLE + notes as i32 * NOTE;
        Self {
            columns,
            rows: panels.div_ceil(columns).max(1),
            legend,
            top: legend + legend_px,
            width: (WIDTH as i32 - LEFT) / columns as i32,
            height: [340, 260, 220][columns - 1],
        }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (WIDTH, (self.top + self.rows as i32 * self.height + BOTTOM) as u32)
    }

    /// Left and top of a panel.
    pub(crate) fn corner(&self, i: usize) -> (i32, i32) {
        let (row, column) = ((i / self.columns) as i32, (i % self.columns) as i32);
        (LEFT + column * self.width, self.top + row * self.height)
    }

    /// Title and notes.
    pub(crate) fn head(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        title: &str,
        notes: &[String],
    ) -> Result<(), ReportError> {
        root.draw_text(title, &title_style(), (12, 8))?;
        for (i, note) in notes.iter().enumerate() {
            let at = (12, TITLE + i as i32 * NOTE + NOTE / 2);
            root.draw_text(note, &text_style(FONT, HPos::Left, VPos::Center), at)?;
        }
        Ok(())
    }

    /// The titles of the axes, which all panels share.
    pub(crate) fn axes(&self, root: &DrawingArea<SVGBackend<'_>, Shift>, x: &str, y: &str) -> Result<(), ReportError> {
        let middle = (LEFT + TICKS + WIDTH as i32) / 2;
        let below = self.top + self.rows as i32 * self.height + 4;
        root.draw_text(x, &text_style(FONT, HPos::Center, VPos::Top), (middle, below))?;
        let vertical = text_style(FONT, HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
        root.draw_text(y, &vertical, (8, self.top + self.rows as i32 * self.height / 2))?;
        Ok(())
    }
}
