//! Heat maps of effects by layer, with their numbers written in.

use super::{GRID, INK, PALETTE, PAPER, Plot, WIDTH, text_style, text_width_px, title_style};
use crate::attribution::{ALONE, Attribution, EffectLayer, WITHOUT, db};
use crate::error::ReportError;
use crate::report::Report;
use crate::units::short_name;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FONT: f64 = 12.0;
const NAME_CHARS: usize = 24;
/// A layer's row, px.
const ROW: i32 = 22;
/// Title, legend and the upright names of the effects, px.
const TOP: i32 = 158;
const BOTTOM: i32 = 14;
const RIGHT: i32 = 14;
/// The darkest shade, on which text is still read.
const DARKEST: f64 = 0.65;

/// One cell: what is written, and how dark it is, -1 to 1; negative in another colour.
type Cell = (String, f64);

/// The heat maps of `attribution`.
pub(super) fn draw(report: &Report, attribution: &Attribution) -> Result<[Plot; 2], ReportError> {
    let alone = map(
        report,
        attribution,
        ALONE,
        "dB; darker: more of the layer's error",
        |layer, all| {
            let share = layer.error_share(all).unwrap_or(0.0);
            (db(layer.sqnr_alone_db), share.min(1.0).sqrt())
        },
    )?;
    let most_db = attribution
        .effects
        .iter()
        .flat_map(|effect| effect.layers.iter().zip(&report.layers))
        .filter_map(|(layer, all)| layer.gain_db(all.sqnr_db))
        .filter(|db| db.is_finite())
        .fold(1.0, |most: f64, db| most.max(db.abs()));
    let legend = "dB; darker: more is gained, orange: lost";
    let without = map(report, attribution, WITHOUT, legend, |layer, all| {
        let gain = layer.gain_db(all).unwrap_or(0.0) / most_db;
        (db(layer.sqnr_without_db), gain.clamp(-1.0, 1.0))
    })?;
    Ok([
        Plot {
            name: "attribution".into(),
            title: ALONE.into(),
            svg: alone,
        },
        Plot {
            name: "attribution_without".into(),
            title: WITHOUT.into(),
            svg: without,
        },
    ])
}

fn map(
    report: &Report,
    attribution: &Attribution,
    title: &str,
    legend: &str,
    cell: impl Fn(&EffectLayer, Option<f64>) -> Cell,
) -> Result<String, ReportError> {
    let names: Vec<String> = report.layers.iter().map(|l| short_name(&l.name, NAME_CHARS)).collect();
    let left = 20 + names.iter().map(|name| text_width_px(name, FONT)).max().unwrap_or(0) as i32;
    // The first column is the macro with all effects.
    let columns = 1 + attribution.effects.len() as i32;
    let x_of = |column: i32| left + (WIDTH as i32 - left - RIGHT) * column / columns;
    let y_of = |row: i32| TOP + ROW * row;
    let rows = report.layers.len() as i32;

    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, (y_of(rows) + BOTTOM) as u32)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(title, &title_style(), (12, 8))?;
        root.draw_text(legend, &text_style(FONT, HPos::Left, VPos::Top), (12, 32))?;
        let heads = std::iter::once("all").chain(attribution.effects.iter().map(|e| e.name.as_str()));
        for (column, head) in (0..).zip(heads) {
            let at = ((x_of(column) + x_of(column + 1)) / 2, TOP - 6);
            let upright = text_style(FONT, HPos::Left, VPos::Center).transform(FontTransform::Rotate270);
            root.draw_text(head, &upright, at)?;
        }
        for (row, (name, layer)) in (0..).zip(names.iter().zip(&report.layers)) {
            let middle = y_of(row) + ROW / 2;
            root.draw_text(name, &text_style(FONT, HPos::Right, VPos::Center), (left - 8, middle))?;
            let effects = attribution
                .effects
                .iter()
                .map(|e| cell(&e.layers[row as usize], layer.sqnr_db));
            for (column, (text, depth)) in (0..).zip(std::iter::once((db(layer.sqnr_db), 0.0)).chain(effects)) {
                let corners = [(x_of(column), y_of(row)), (x_of(column + 1), y_of(row + 1))];
                let color = PALETTE[usize::from(depth < 0.0)];
                root.draw(&Rectangle::new(corners, color.mix(DARKEST * depth.abs()).filled()))?;
                root.draw(&Rectangle::new(corners, GRID))?;
                let at = ((corners[0].0 + corners[1].0) / 2, middle);
                root.draw_text(&text, &text_style(FONT, HPos::Center, VPos::Center), at)?;
            }
        }
        root.draw(&Rectangle::new([(left, TOP), (x_of(1), y_of(rows))], INK))?;
        root.present()?;
    }
    Ok(svg)
}
