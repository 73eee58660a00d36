//! Plots as SVG. These are a report's.
//!
//! A plot stands alone as a file: dark ink on white. On the HTML page the same text is inlined and the page's style
//! sheet replaces [`INK`], [`GRID`] and [`PAPER`] by the reader's colours, so these three are used for nothing else.

mod attribution;
pub(crate) mod bars;
pub(crate) mod chart;
mod codes;
mod comparison;
pub(crate) mod grid;
mod heat;
mod legend;
pub(crate) mod panels;
pub(crate) mod scale;
pub(crate) mod scatter;
mod silicon;
mod training;
mod yield_curve;

use crate::error::ReportError;
use crate::report::{LayerReport, Report};
use crate::units::{digits, percent, prefix, rate};
use bars::{Bars, Series};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
pub(crate) use silicon::{silicon, silicon_energy};
use std::borrow::Cow;

/// Text, axes.
pub(crate) const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
/// Grid lines.
pub(crate) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
/// Background.
pub(crate) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

/// The palette of Okabe and Ito, which colour-blind readers can tell apart ("Color Universal Design", 2008);
/// grey takes the place of its black.
pub(crate) const PALETTE: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0xF0, 0xE4, 0x42),
    RGBColor(0x99, 0x99, 0x99),
];

/// Width of every plot, px.
const WIDTH: u32 = 860;

/// One finished plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// File stem, e.g. `energy`.
    pub name: Cow<'static, str>,
    /// What it shows.
    pub title: Cow<'static, str>,
    /// The SVG document.
    pub svg: String,
}

impl Report {
    /// Every plot that this report has data for, in the order of the page.
    ///
    /// # Errors
    /// [`ReportError::Plot`] if the plotting library refuses, which no report built by Farad makes it do.
    pub fn plots(&self) -> Result<Vec<Plot>, ReportError> {
        let mut plots = Vec::new();
        if !self.layers.is_empty() {
            plots.extend([energy(&self.layers)?, utilization(&self.layers)?]);
        }
        if self.accuracy.chips.len() > 1 {
            let title = "Accuracy over chips";
            plots.push(Plot {
                name: "accuracy".into(),
                title: title.into(),
                svg: yield_curve::draw(title, &self.accuracy)?,
            });
        }
        if self.layers.iter().any(|l| !l.code_histogram.is_empty()) {
            plots.push(sqnr(&self.layers)?);
            plots.push(clipping(&self.layers)?);
            let title = "ADC codes per layer";
            plots.push(Plot {
                name: "codes".into(),
                title: title.into(),
                svg: codes::draw(title, &self.layers)?,
            });
        }
        if let Some(attribution) = self.attribution.as_ref().filter(|a| !a.effects.is_empty()) {
            plots.extend(attribution::draw(self, attribution)?);
        }
        Ok(plots)
    }
}

fn energy(layers: &[LayerReport]) -> Result<Plot, ReportError> {
    let totals: Vec<f64> = layers.iter().map(|l| l.energy_j.total()).collect();
    let (unit_j, unit) = prefix(totals.iter().copied().fold(0.0, f64::max));
    let series = layers[0]
        .energy_j
        .named()
        .into_iter()
        .enumerate()
        .map(|(i, (name, _))| Series {
            name,
            color: PALETTE[i],
            values: layers.iter().map(|l| l.energy_j.named()[i].1 / unit_j).collect(),
        });
    let title = "Energy per layer";
    let svg = Bars {
        title,
        axis: &format!("energy per image ({unit}J)"),
        names: layers.iter().map(|l| l.name.as_str()).collect(),
        series: series.collect(),
        labels: totals.iter().map(|j| digits(j / unit_j)).collect(),
        full_scale: None,
    }
    .draw()?;
    Ok(Plot {
        name: "energy".into(),
        title: title.into(),
        svg,
    })
}

fn utilization(layers: &[LayerReport]) -> Result<Plot, ReportError> {
    type Part = (&'static str, usize, fn(&LayerReport) -> f64);
    let parts: [Part; 5] = [
        ("hold a weight", 0, |l| l.utilization),
        ("unused rows", 3, |l| l.lost.rows_unused),
        ("unused columns", 1, |l| l.lost.columns_unused),
        ("leftover columns", 6, |l| l.lost.columns_leftover),
        ("off the block diagonal", 4, |l| l.lost.block_diagonal),
    ];
    let title = "Macro utilisation per layer";
    let svg = Bars {
        title,
        axis: "cells of the occupied arrays (%)",
        names: layers.iter().map(|l| l.name.as_str()).collect(),
        series: parts
            .iter()
            .map(|(name, color, part)| Series {
                name,
                color: PALETTE[*color],
                values: layers.iter().map(|l| 100.0 * part(l)).collect(),
            })
            .collect(),
        labels: layers.iter().map(|l| percent(l.utilization, 1)).collect(),
        full_scale: Some(100.0),
    }
    .draw()?;
    Ok(Plot {
        name: "utilization".into(),
        title: title.into(),
        svg,
    })
}

fn sqnr(layers: &[LayerReport]) -> Result<Plot, ReportError> {
    let title = "Signal-to-error ratio per layer";
    let svg = Bars {
        title,
        axis: "SQNR of the accumulators (dB)",
        names: layers.iter().map(|l| l.name.as_str()).collect(),
        series: vec![Series {
            name: "SQNR",
            color: PALETTE[0],
            values: layers.iter().map(|l| l.sqnr_db.unwrap_or(0.0).max(0.0)).collect(),
        }],
        labels: layers
            .iter()
            .map(|l| l.sqnr_db.map_or("exact".into(), |db| format!("{db:.1}")))
            .collect(),
        full_scale: None,
    }
    .draw()?;
    Ok(Plot {
        name: "sqnr".into(),
        title: title.into(),
        svg,
    })
}

fn clipping(layers: &[LayerReport]) -> Result<Plot, ReportError> {
    let title = "Clipping per layer";
    let svg = Bars {
        title,
        axis: "conversions outside the ADC's range (%)",
        names: layers.iter().map(|l| l.name.as_str()).collect(),
        series: vec![Series {
            name: "clipped",
            color: PALETTE[5],
            values: layers.iter().map(|l| 100.0 * l.clip_rate).collect(),
        }],
        labels: layers.iter().map(|l| rate(l.clip_rate)).collect(),
        full_scale: None,
    }
    .draw()?;
    Ok(Plot {
        name: "clipping".into(),
        title: title.into(),
        svg,
    })
}

/// Text in [`INK`]; `size_px` as it appears (the SVG backend divides by 1.24).
fn text_style(size_px: f64, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", size_px * 1.24)
        .into_font()
        .color(&INK)
        .pos(Pos::new(h, v))
}

fn title_style() -> TextStyle<'static> {
    ("sans-serif", 16.0 * 1.24, FontStyle::Bold)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Top))
}

/// Width of a text in px: an average glyph of a sans-serif face is 0.55 em wide.
fn text_width_px(text: &str, size_px: f64) -> u32 {
    (text.chars().count() as f64 * size_px * 0.55).ceil() as u32
}

/// A tick's text: as few decimals as tell the ticks apart.
pub(crate) fn tick(value: &f64) -> String {
    let text = format!("{value:.3}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".into(),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_no_empty_decimals() {
        assert_eq!(tick(&20.0), "20");
        assert_eq!(tick(&0.25), "0.25");
        assert_eq!(tick(&0.0), "0");
        assert_eq!(tick(&-1e-9), "0");
    }
}
