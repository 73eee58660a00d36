//! Small panels of ADC code histograms, one per layer, on shared axes.

use super::{GRID, INK, PALETTE, PAPER, WIDTH, text_style, title_style};
use crate::error::ReportError;
use crate::report::LayerReport;
use crate::units::{rate, short_name};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const ACROSS: usize = 4;
const TOP: i32 = 40;
const LEFT: i32 = 70;
const BOTTOM: i32 = 52;
/// From panel to panel, px.
const PITCH_X: i32 = (WIDTH as i32 - LEFT - 8) / ACROSS as i32;
const PITCH_Y: i32 = 134;
/// The panel's picture, px; the rest of the pitch holds its title.
const PANEL_X: i32 = PITCH_X - 16;
const PANEL_Y: i32 = 92;
const FONT: f64 = 11.0;
/// Characters of a name that fit over a panel.
const NAME_CHARS: usize = 29;
/// Lowest share on the logarithmic axis, as a power of ten.
const DECADES: i32 = 5;

/// Shares of the sampled conversions on a logarithmic axis, so that tails at the ends of the range show.
pub(super) fn draw(title: &str, layers: &[LayerReport]) -> Result<String, ReportError> {
    let down = layers.len().div_ceil(ACROSS) as i32;
    let codes = layers.iter().map(|l| l.code_histogram.len()).max().unwrap_or(0);
    let mut svg = String::new();
    {
        let height = TOP + down * PITCH_Y + BOTTOM;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height as u32)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(title, &title_style(), (12, 8))?;
        for (i, layer) in layers.iter().enumerate() {
            let (column, row) = ((i % ACROSS) as i32, (i / ACROSS) as i32);
            let origin = (LEFT + column * PITCH_X, TOP + row * PITCH_Y + 32);
            draw_panel(&root, origin, layer, codes)?;
            if column == 0 {
                for decade in 0..=DECADES {
                    let y = origin.1 + PANEL_Y * decade / DECADES;
                    let label = if decade == 0 {
                        "1".to_string()
                    } else {
                        format!("1e-{decade}")
                    };
                    root.draw_text(&label, &text_style(FONT, HPos::Right, VPos::Center), (origin.0 - 6, y))?;
                }
            }
            // The lowest panel of each column carries the code axis.
            if i + ACROSS >= layers.len() {
                let last = codes.saturating_sub(1);
                let ends = [
                    (0, 0, HPos::Left),
                    (codes / 2, PANEL_X / 2, HPos::Center),
                    (last, PANEL_X, HPos::Right),
                ];
                for (code, x, side) in ends {
                    let at = (origin.0 + x, origin.1 + PANEL_Y + 5);
                    root.draw_text(&code.to_string(), &text_style(FONT, side, VPos::Top), at)?;
                }
            }
        }
        let middle = (LEFT + (WIDTH as i32 - LEFT) / 2, height - 24);
        root.draw_text("ADC code", &text_style(12.0, HPos::Center, VPos::Top), middle)?;
        let vertical = text_style(12.0, HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
        root.draw_text("share of samples", &vertical, (10, TOP + down * PITCH_Y / 2))?;
        root.present()?;
    }
    Ok(svg)
}

fn draw_panel(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    (x0, y0): (i32, i32),
    layer: &LayerReport,
    codes: usize,
) -> Result<(), ReportError> {
    let bottom = y0 + PANEL_Y;
    let name = short_name(&layer.name, NAME_CHARS);
    root.draw_text(&name, &text_style(FONT, HPos::Left, VPos::Bottom), (x0, y0 - 17))?;
    let clip = format!("clipped {} %", rate(layer.clip_rate));
    root.draw_text(&clip, &text_style(FONT, HPos::Left, VPos::Bottom), (x0, y0 - 4))?;
    for decade in 0..=DECADES {
        let y = y0 + PANEL_Y * decade / DECADES;
        root.draw(&PathElement::new([(x0, y), (x0 + PANEL_X, y)], GRID))?;
    }
    let sampled: u64 = layer.code_histogram.iter().sum();
    let x_of = |code: usize| x0 + (code as f64 / codes as f64 * f64::from(PANEL_X)).round() as i32;
    let mut outline = vec![(x0, bottom)];
    for (code, &n) in layer.code_histogram.iter().enumerate() {
        let share = n as f64 / sampled.max(1) as f64;
        let depth = (-share.log10() / f64::from(DECADES)).clamp(0.0, 1.0);
        let y = y0 + (depth * f64::from(PANEL_Y)).round() as i32;
        outline.extend([(x_of(code), y), (x_of(code + 1), y)]);
    }
    outline.push((x_of(layer.code_histogram.len()), bottom));
    root.draw(&Polygon::new(outline, PALETTE[0].filled()))?;
    root.draw(&PathElement::new([(x0, y0), (x0, bottom), (x0 + PANEL_X, bottom)], INK))?;
    Ok(())
}
