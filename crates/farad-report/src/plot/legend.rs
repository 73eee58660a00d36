//! What colours and marks mean, in lines above the data.

use super::chart::{BAND_OPACITY, Layer, Mark};
use super::{WIDTH, text_style, text_width_px};
use crate::error::ReportError;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
/// One line, px.
pub(super) const LINE: i32 = 20;

/// Named layers, in lines that fit.
pub(super) struct Legend<'a> {
    title: &'a str,
    left: i32,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    layer: &'a Layer,
    x: i32,
    line: i32,
}

impl<'a> Legend<'a> {
    /// `title` comes before the first name; `left` is where lines begin, px.
    pub(super) fn new(title: &'a str, layers: &'a [Layer], left: i32) -> Self {
        let title_px = if title.is_empty() {
            0
        } else {
            text_width_px(title, FONT) as i32 + 14
        };
        let mut entries = Vec::new();
        let begin = left + title_px;
        let (mut x, mut line) = (begin, 0);
        for layer in layers.iter().filter(|layer| !layer.name.is_empty()) {
            let width = 33 + text_width_px(&layer.name, FONT) as i32;
            if x + width > WIDTH as i32 && x > begin {
                (x, line) = (begin, line + 1);
            }
            entries.push(Entry { layer, x, line });
            x += width;
        }
        Self { title, left, entries }
    }

    /// Height of all lines, px.
    pub(super) fn height(&self) -> i32 {
        self.entries.last().map_or(0, |entry| entry.line + 1) * LINE
    }

    /// Draws it from `top`, px, downwards.
    pub(super) fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>, top: i32) -> Result<(), ReportError> {
        let style = text_style(FONT, HPos::Left, VPos::Center);
        if !self.title.is_empty() && !self.entries.is_empty() {
            root.draw_text(self.title, &style, (self.left, top + 12))?;
        }
        for entry in &self.entries {
            entry.draw(root, top)?;
        }
        Ok(())
    }
}

impl Entry<'_> {
    fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>, top: i32) -> Result<(), ReportError> {
        let Self { layer, x, line } = self;
        let (x, y) = (*x, top + line * LINE + 12);
        let color = layer.color;
        match layer.mark {
            Mark::Line(_) => root.draw(&PathElement::new([(x, y), (x + 12, y)], color.stroke_width(2)))?,
            Mark::Dashed(_) => {
                for from in [x, x + 8] {
                    root.draw(&PathElement::new([(from, y), (from + 5, y)], color.stroke_width(2)))?;
                }
            }
            Mark::Dots(_) => root.draw(&Circle::new((x + 6, y), 3, color.filled()))?,
            Mark::Rings(_) => root.draw(&Circle::new((x + 6, y), 5, color.stroke_width(2)))?,
            Mark::Whiskers(_) => root.draw(&PathElement::new([(x + 6, y - 6), (x + 6, y + 6)], color))?,
            Mark::Band(_) | Mark::Area(_) => root.draw(&Rectangle::new(
                [(x, y - 6), (x + 12, y + 6)],
                color.mix(BAND_OPACITY).filled(),
            ))?,
            Mark::Bars(..) => root.draw(&Rectangle::new([(x, y - 6), (x + 12, y + 6)], color.filled()))?,
        }
        root.draw_text(&layer.name, &text_style(FONT, HPos::Left, VPos::Center), (x + 17, y))?;
        Ok(())
    }
}
