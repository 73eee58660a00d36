//! Histograms side by side: one column for each, the darker the fuller.

use super::{GRID, INK, PALETTE, PAPER, WIDTH, text_style, text_width_px, title_style};
use crate::error::ReportError;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
const TOP: i32 = 70;
const LEFT: i32 = 70;
const RIGHT: i32 = 30;
/// The picture's height, px.
const PICTURE: i32 = 256;
const BOTTOM: i32 = 52;
/// Steps of the scale of shares.
const STEPS: i32 = 6;

/// The plot before it is drawn.
pub(super) struct Heat<'a> {
    pub(super) title: &'a str,
    pub(super) x_axis: &'a str,
    pub(super) y_axis: &'a str,
    /// Names below the columns.
    pub(super) names: Vec<String>,
    /// The bins of each column, from the low end of the y axis to the high one.
    pub(super) columns: Vec<&'a [u32]>,
    /// The ends of the y axis.
    pub(super) range: (f64, f64),
}

impl Heat<'_> {
    pub(super) fn draw(&self) -> Result<String, ReportError> {
        let share = |column: &[u32], n: u32| f64::from(n) / f64::from(column.iter().sum::<u32>().max(1));
        let columns = self.columns.iter();
        let highest = columns
            .flat_map(|column| column.iter().map(move |&n| share(column, n)))
            .fold(0.0, f64::max);
        let count = self.columns.len().max(1) as i32;
        let x_of = |i: usize| LEFT + (WIDTH as i32 - LEFT - RIGHT) * i as i32 / count;
        let y_of = |part: f64| TOP + ((1.0 - part) * f64::from(PICTURE)).round() as i32;

        let mut svg = String::new();
        {
            let size = (WIDTH, (TOP + PICTURE + BOTTOM) as u32);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&PAPER)?;
            root.draw_text(self.title, &title_style(), (12, 8))?;
            scale(&root, highest)?;
            let ends = (self.range.0, self.range.1);
            for k in 0..=4 {
                let part = f64::from(k) / 4.0;
                let y = y_of(part);
                root.draw(&PathElement::new([(LEFT, y), (WIDTH as i32 - RIGHT, y)], GRID))?;
                let text = super::tick(&(ends.0 + part * (ends.1 - ends.0)));
                root.draw_text(&text, &text_style(FONT, HPos::Right, VPos::Center), (LEFT - 6, y))?;
            }
            let widest = self.names.iter().map(|name| text_width_px(name, FONT)).max();
            let every = (widest.unwrap_or(0) as i32 + 8) * count / (WIDTH as i32 - LEFT - RIGHT) + 1;
            for (i, column) in self.columns.iter().enumerate() {
                for (bin, &n) in column.iter().enumerate().filter(|(_, n)| **n > 0) {
                    let at = |bin: usize| y_of(bin as f64 / column.len() as f64);
                    let color = shade(share(column, n), highest);
                    root.draw(&Rectangle::new(
                        [(x_of(i), at(bin + 1)), (x_of(i + 1), at(bin))],
                        color.filled(),
                    ))?;
                }
                if i.is_multiple_of(every as usize) {
                    let at = ((x_of(i) + x_of(i + 1)) / 2, TOP + PICTURE + 6);
                    root.draw_text(&self.names[i], &text_style(FONT, HPos::Center, VPos::Top), at)?;
                }
            }
            root.draw(&PathElement::new(
                [
                    (LEFT, TOP),
                    (LEFT, TOP + PICTURE),
                    (WIDTH as i32 - RIGHT, TOP + PICTURE),
                ],
                INK,
            ))?;
            let middle = ((LEFT + WIDTH as i32 - RIGHT) / 2, TOP + PICTURE + 28);
            root.draw_text(self.x_axis, &text_style(FONT, HPos::Center, VPos::Top), middle)?;
            let vertical = text_style(FONT, HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
            root.draw_text(self.y_axis, &vertical, (10, TOP + PICTURE / 2))?;
            root.present()?;
        }
        Ok(svg)
    }
}

/// What the shades mean.
fn scale(root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, highest: f64) -> Result<(), ReportError> {
    let (x, y, width) = (LEFT, 38, 22);
    for step in 0..STEPS {
        let color = shade(highest * f64::from(step + 1) / f64::from(STEPS), highest);
        let corners = [(x + step * width, y), (x + (step + 1) * width, y + 12)];
        root.draw(&Rectangle::new(corners, color.filled()))?;
    }
    let text = format!("0 to {} % of the channels", crate::units::digits(100.0 * highest));
    let style = text_style(FONT, HPos::Left, VPos::Center);
    root.draw_text(&text, &style, (x + STEPS * width + 8, y + 6))?;
    Ok(())
}

/// The palette's blue over whatever the page is: its square root, so that single channels show.
fn shade(share: f64, highest: f64) -> RGBAColor {
    PALETTE[0].mix((share / highest.max(1e-12)).sqrt())
}
