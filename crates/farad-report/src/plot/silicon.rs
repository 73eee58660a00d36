//! Published chips against the model.

use super::bars::{Bars, Series};
use super::scatter::{LINE, spread_rows};
use super::{GRID, INK, PALETTE, PAPER, Plot, WIDTH, text_style, text_width_px, tick, title_style};
use crate::error::ReportError;
use farad_hw::cost::Energy;
use farad_hw::silicon::{ChipResult, Domain, Group, Silicon};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const HEIGHT: u32 = 560;
const TOP: u32 = 58;
/// Axis below the picture with its title, px.
const BOTTOM: u32 = 52;
const FONT: f64 = 12.0;
const TITLE: &str = "Energy of published chips, no constant fitted";

/// Colour and name of what a chip is.
fn kind(chip: &ChipResult) -> (RGBColor, &'static str) {
    match (chip.group, chip.domain) {
        (Group::Known, Domain::Charge) => (PALETTE[0], "charge"),
        (Group::Known, Domain::Mixed) => (PALETTE[1], "charge and current"),
        (Group::HeldOut, _) => (PALETTE[5], "held out"),
        (Group::Supply, _) => (PALETTE[3], "another supply"),
    }
}

/// Modelled over published energy of one output, with the line of equality and the band of a factor of two.
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
    let names = silicon.chips.iter().map(|c| text_width_px(&c.name, FONT));
    let right = names.max().unwrap_or(0) + 30;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(TITLE, &title_style(), (12, 8))?;
        legend(&root, silicon)?;
        let mut chart = ChartBuilder::on(&root)
            .margin_top(TOP)
            .margin_right(right)
            .margin_bottom(10)
            .set_label_area_size(LabelAreaPosition::Left, 58)
            .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM - 10)
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
        // The ends of the band stay inside the square.
        let band = [
            (from, from),
            (from, 2.0 * from),
            (to / 2.0, to),
            (to, to),
            (to, to / 2.0),
            (2.0 * from, from),
        ];
        chart.draw_series([Polygon::new(band, PALETTE[7].mix(0.25))])?;
        chart.draw_series([PathElement::new([(from, from), (to, to)], INK.stroke_width(2))])?;
        let places: Vec<(i32, i32)> = points.iter().map(|point| chart.backend_coord(point)).collect();
        let edge = chart.backend_coord(&(to, from)).0;
        let rows = spread_rows(&places, TOP as i32 + LINE / 2, (HEIGHT - BOTTOM) as i32 - LINE / 2);
        for ((chip, &(x, y)), &row) in silicon.chips.iter().zip(&places).zip(&rows) {
            let leader = [(x, y), (edge + 4, row), (edge + 14, row)];
            root.draw(&PathElement::new(leader, kind(chip).0.mix(0.5)))?;
            root.draw_text(
                &chip.name,
                &text_style(FONT, HPos::Left, VPos::Center),
                (edge + 18, row),
            )?;
        }
        for (chip, &place) in silicon.chips.iter().zip(&places) {
            root.draw(&Circle::new(place, 4, kind(chip).0.filled()))?;
        }
        root.present()?;
    }
    Ok(Plot {
        name: "silicon".into(),
        title: TITLE.into(),
        svg,
    })
}

/// The kinds that appear, and what the line and the band are.
fn legend(root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, silicon: &Silicon) -> Result<(), ReportError> {
    let mut entries = Vec::new();
    for chip in &silicon.chips {
        if !entries.contains(&kind(chip)) {
            entries.push(kind(chip));
        }
    }
    entries.push((PALETTE[7], "within a factor of two"));
    let mut x = 60;
    for (color, name) in entries {
        root.draw(&Rectangle::new([(x, 36), (x + 12, 48)], color.filled()))?;
        root.draw_text(name, &text_style(FONT, HPos::Left, VPos::Center), (x + 17, 42))?;
        x += 33 + text_width_px(name, FONT) as i32;
    }
    Ok(())
}

/// What the modelled energy of each chip consists of; at the end of each bar how many times the published energy it is.
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
        name: "silicon-energy".into(),
        title: title.to_owned().into(),
        svg,
    })
}
