//! What a layer's charges look like on a calibration set, for ADC ranges that follow them.

use crate::SimError;
use crate::digital::{DigitalEngine, DigitalNetwork};
use crate::plan::{LayerPlan, TilePlan, plan};
use farad_hw::MacroSpec;
use farad_hw::adc::Range;
use farad_hw::encoding::{Column, columns, stored_bit};
use farad_hw::scale::ChargeStats;
use farad_hw::spec::{Cell, InputCombine};
use farad_map::Mapping;
use farad_net::{Activations, MacEngine, MacLayer, Network};
use rayon::prelude::*;

/// Output positions looked at in each picture.
const POSITIONS: usize = 8;

/// Statistics of every layer's charges in exact arithmetic, over calibration images: `input` is the stored bytes of whole images, with these
/// dataset indices. `None` for every layer where the macro's ADC range does not follow the data.
///
/// # Errors
/// If the network cannot run on the images.
pub fn charge_statistics(
    spec: &MacroSpec,
    network: &Network,
    mapping: &Mapping,
    input: &[u8],
    images: &[u32],
) -> Result<Vec<Option<ChargeStats>>, SimError> {
    let unknown = vec![None; network.mac_layers().len()];
    if spec.adc.range == Range::Full {
        return Ok(unknown);
    }
    let digital = &DigitalNetwork::new(network.mac_layers());
    // Charges are counted before the ADC: its range, and the noise's seed, do not matter here.
    let layers = &plan(spec, network.mac_layers(), mapping, &unknown, 0);
    let units = layers
        .iter()
        .map(|layer| layer.copies.iter().map(|copy| units(spec, &copy.tiles)).collect())
        .collect();
    let per_image = images.par_iter().enumerate().map(|(i, &id)| {
        let charges = vec![Vec::new(); layers.len()];
        let mut engine = Watch {
            spec,
            digital: DigitalEngine(digital),
            layers,
            units: &units,
            charges,
        };
        let len = input.len() / images.len();
        network.run(&input[i * len..(i + 1) * len], &[id], &mut engine)?;
        Ok::<_, SimError>(engine.charges)
    });
    let per_image = per_image.collect::<Result<Vec<_>, _>>()?;
    let of_layer = |index: usize| {
        per_image
            .iter()
            .flat_map(|layers| layers[index].iter().copied())
            .collect()
    };
    Ok((0..layers.len())
        .map(|index| Some(stats(spec, of_layer(index))))
        .collect())
}

/// What an ADC range that follows the data is told about `charges`.
pub(crate) fn stats(spec: &MacroSpec, mut charges: Vec<i32>) -> ChargeStats {
    let n = charges.len().max(1) as f64;
    let mean = charges.iter().map(|&c| f64::from(c)).sum::<f64>() / n;
    let variance = charges.iter().map(|&c| (f64::from(c) - mean).powi(2)).sum::<f64>() / n;
    charges.iter_mut().for_each(|c| *c = c.abs());
    charges.sort_unstable();
    let percent = if let Range::Calibrated { percentile } = spec.adc.range {
        percentile
    } else {
        100.0
    };
    let at = libm::ceil(percent / 100.0 * charges.len() as f64) as usize;
    let percentile = charges.get(at.saturating_sub(1)).map_or(0.0, |&c| f64::from(c));
    ChargeStats {
        mean,
        sigma: variance.sqrt(),
        percentile,
    }
}

/// What each row of one conversion adds per input level, and what all rows together add at zero input.
struct Unit {
    rows: Vec<i32>,
    zero: i32,
}

/// Exact charges of `tile`'s conversions for `vectors` of its rows, `[vector][evaluation][output][conversion]`, in units of the LSB column.
pub(crate) fn charges<'a>(spec: &MacroSpec, tile: &TilePlan, vectors: impl Iterator<Item = &'a [u8]>) -> Vec<i32> {
    let units = units(spec, std::slice::from_ref(tile)).remove(0);
    let mut charges = Vec::new();
    for rows in vectors {
        push_charges(spec, &units, rows, &mut charges);
    }
    charges
}

/// The conversions of a copy's tiles: `[tile][output and slot]`.
fn units(spec: &MacroSpec, tiles: &[TilePlan]) -> Vec<Vec<Unit>> {
    let layout = columns(spec);
    let per_slot = if spec.conversions_per_output() == 1 {
        layout.len()
    } else {
        1
    };
    let unit = |weights: &[i8], slot: usize| {
        let mut unit = Unit {
            rows: Vec::with_capacity(weights.len()),
            zero: 0,
        };
        for &w in weights {
            let columns = slot * per_slot..(slot + 1) * per_slot;
            let products = columns.map(|k| product(spec, &layout[k], k, w));
            let (one, zero) = products.fold((0, 0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
            unit.rows.push(one);
            unit.zero += zero;
        }
        unit
    };
    let slots = layout.len() / per_slot;
    let of_tile = |tile: &TilePlan| {
        let outputs = 0..tile.outputs.len();
        outputs
            .flat_map(|j| (0..slots).map(move |slot| (j, slot)))
            .map(|(j, slot)| unit(tile.weights_of(j), slot))
            .collect()
    };
    tiles.iter().map(of_tile).collect()
}

/// The exact engine, looking at some of the charges that a macro would convert.
struct Watch<'a> {
    spec: &'a MacroSpec,
    digital: DigitalEngine<'a>,
    layers: &'a [LayerPlan],
    /// `[layer][copy][tile][conversion]`
    units: &'a Vec<Vec<Vec<Vec<Unit>>>>,
    charges: Vec<Vec<i32>>,
}

impl MacEngine for Watch<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        let plan = &self.layers[index];
        let shape = layer.shape;
        let mut full = vec![0; plan.geometry.full_rows()];
        for image in x.data.chunks_exact(shape.in_h * shape.in_w * shape.in_c) {
            let looks = POSITIONS.min(shape.positions());
            for look in 0..looks {
                let position = look * shape.positions() / looks;
                plan.geometry.gather(image, position, &mut full);
                let copies = plan.copies.iter().zip(&self.units[index]);
                for (copy, units) in copies.filter(|(copy, _)| copy.positions.contains(&position)) {
                    for (tile, units) in copy.tiles.iter().zip(units) {
                        let mut rows = vec![0; tile.rows];
                        tile.gather(&full, &mut rows);
                        push_charges(self.spec, units, &rows, &mut self.charges[index]);
                    }
                }
            }
        }
        self.digital.accumulate(index, layer, x, out);
    }
}

/// Ideal charges of a tile's conversions for the input vector `rows`, in units of the LSB column.
fn push_charges(spec: &MacroSpec, units: &[Unit], rows: &[u8], charges: &mut Vec<i32>) {
    let planes = match spec.input.combine {
        InputCombine::BitSerial => 1,
        InputCombine::Dac { bits, .. } => bits,
        InputCombine::SerialShare { .. } => spec.input.bits,
    };
    let full = (1 << planes) - 1;
    for evaluation in 0..spec.evaluations() as u32 {
        let levels: Vec<i32> = rows
            .iter()
            .map(|&x| i32::from(x) >> (evaluation * planes) & full)
            .collect();
        charges.extend(units.iter().map(|unit| {
            levels
                .iter()
                .zip(&unit.rows)
                .map(|(level, one)| level * one)
                .sum::<i32>()
                + unit.zero * full
        }));
    }
}

/// What column `k` adds per input level, and what it adds at zero input.
fn product(spec: &MacroSpec, column: &Column, k: usize, w: i8) -> (i32, i32) {
    let merged = spec.conversions_per_output() == 1;
    let weight = if merged { column.weight as i32 } else { 1 };
    let weight = if column.negative_charge { -weight } else { weight };
    match (spec.array.cell, stored_bit(spec, k, w)) {
        (_, true) => (weight, 0),
        (Cell::And, false) => (0, 0),
        (Cell::Xnor, false) => (-weight, weight),
    }
}
