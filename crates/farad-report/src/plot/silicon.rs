//! Published chips against the model.

use super::bars::{Bars, Series};
use super::{GRID, INK, PALETTE, PAPER, Plot, WIDTH, text_style, tick, title_style};
use crate::error::ReportError;
use farad_hw::cost::Energy;
use farad_hw::silicon::{Domain, Silicon};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const HEIGHT: u32 = 560;
const FONT: f64 = 12.0;
const TITLE: &str = "Energy of published chips, no constant fitted";

/// Modelled over published energy of one output, with the line of equality and those of a factor of two.
///
/// # Errors
/// [`ReportError::Plot`] if the plotting library refuses, which no set of published chips makes it do.
pub(crate) fn silicon(silicon: &Silicon) -> Result<Plot, ReportError> {
    let points: Vec<(f64, f64)> = silicon
        .chips
        .iter()
        .map(|c| (c.published_j * 1e12, c.energy.total_j() * 1e12))
        .collect();
    let values = || points.iter().flat_map(|&(x, y)| [x, y]);
    let (from, to) = (
        values().fold(f64::INFINITY, f64::min) / 2.0,
        values().fold(0.0, f64::max) * 2.0,
    );
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(TITLE, &title_style(), (12, 8))?;
        let kinds = [
            ("charge", PALETTE[0]),
            ("charge and current", PALETTE[1]),
            ("equal, and twice or half", INK),
        ];
        let mut x = 60;
        for (name, color) in &kinds {
            root.draw(&Rectangle::new([(x, 36), (x + 12, 48)], color.filled()))?;
            root.draw_text(name, &text_style(FONT, HPos::Left, VPos::Center), (x + 17, 42))?;
            x += 33 + super::text_width_px(name, FONT) as i32;
        }
        let mut chart = ChartBuilder::on(&root)
            .margin_top(58)
            .margin_right(30)
            .margin_bottom(10)
            .set_label_area_size(LabelAreaPosition::Left, 58)
            .set_label_area_size(LabelAreaPosition::Bottom, 42)
            .build_cartesian_2d((from..to).log_scale(), (from..to).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_label_formatter(&tick)
            .y_label_formatter(&tick)
            .label_style(text_style(FONT, HPos::Center, VPos::Center))
            .axis_desc_style(text_style(FONT, HPos::Center, VPos::Center))
            .x_desc("published energy of an output (pJ)")
            .y_desc("modelled (pJ)")
            .draw()?;
        for (factor, width) in [(1.0, 2), (2.0, 1), (0.5, 1)] {
            // Ends stay inside the square.
            let (low, high) = (from.max(from / factor), to.min(to / factor));
            chart.draw_series([PathElement::new(
                [(low, low * factor), (high, high * factor)],
                INK.stroke_width(width),
            )])?;
        }
        for (chip, &(x, y)) in silicon.chips.iter().zip(&points) {
            let color = match chip.domain {
                Domain::Charge => PALETTE[0],
                Domain::Mixed => PALETTE[1],
            };
            let dot = EmptyElement::at((x, y))
                + Circle::new((0, 0), 4, color.filled())
                + Text::new(
                    chip.name.clone(),
                    (8, 0),
                    text_style(FONT - 1.0, HPos::Left, VPos::Center),
                );
            chart.draw_series([dot])?;
        }
        root.present()?;
    }
    Ok(Plot {
        name: "silicon",
        title: TITLE,
        svg,
    })
}

/// What the modelled energy of each chip consists of; behind each bar how many times the published energy it is.
///
/// # Errors
/// As [`silicon`].
pub(crate) fn silicon_energy(silicon: &Silicon) -> Result<Plot, ReportError> {
    type Part = (&'static str, usize, fn(&Energy) -> f64);
    let parts: [Part; 4] = [
        ("array", 0, |e| e.array_j + e.leakage_j),
        ("row drivers", 1, |e| e.driver_j),
        ("ADC", 2, |e| e.adc_j),
        ("control", 4, |e| e.accumulator_j + e.digital_j),
    ];
    let title = "Modelled energy of published chips by component";
    let svg = Bars {
        title,
        axis: "share of the modelled energy (%); at the end modelled over published",
        names: silicon.chips.iter().map(|c| c.name.as_str()).collect(),
        series: parts
            .iter()
            .map(|(name, color, part)| Series {
                name,
                color: PALETTE[*color],
                values: silicon
                    .chips
                    .iter()
                    .map(|c| 100.0 * part(&c.energy) / c.energy.total_j())
                    .collect(),
            })
            .collect(),
        labels: silicon.chips.iter().map(|c| format!("× {:.2}", c.unfitted)).collect(),
        full_scale: Some(100.0),
    }
    .draw()?;
    Ok(Plot {
        name: "silicon-energy",
        title,
        svg,
    })
}
