//! What a layer's charges look like on a calibration set, for ADC ranges that follow them.

use crate::digital::{DigitalEngine, DigitalNetwork};
use crate::plan::{LayerPlan, TilePlan};
use crate::SimError;
use farad_hw::adc::Range;
use farad_hw::encoding::{Column, columns, stored_bit};
use farad_hw::scale::ChargeStats;
use farad_hw::spec::{Cell, InputCombine};
use farad_hw::MacroSpec;
use farad_net::{Activations, MacEngine, MacLayer, Network};

/// Output positions looked at in each picture.
const POSITIONS: usize = 8;

/// Statistics of every layer's charges over the calibration images, in exact arithmetic; `None` where the range does not ask.
///
/// # Errors
/// If the network cannot run on the images.
pub(crate) fn calibrate(
    spec: &MacroSpec,
    network: &Network,
    digital: &DigitalNetwork,
    layers: &[LayerPlan],
    input: &[u8],
    images: &[u32],
) -> Result<Vec<Option<ChargeStats>>, SimError> {
    if spec.adc.range == Range::Full {
        return Ok(vec![None; layers.len()]);
    }
    let mut engine = Watch { spec, digital: DigitalEngine(digital), layers, charges: vec![Vec::new(); layers.len()] };
    network.run(input, images, &mut engine)?;
    Ok(engine.charges.into_iter().map(|charges| Some(stats(spec, charges))).collect())
}

fn stats(spec: &MacroSpec, mut charges: Vec<i32>) -> ChargeStats {
    let n = charges.len().max(1) as f64;
    let mean = charges.iter().map(|&c| f64::from(c)).sum::<f64>() / n;
    let variance = charges.iter().map(|&c| (f64::from(c) - mean).powi(2)).sum::<f64>() / n;
    charges.iter_mut().for_each(|c| *c = c.abs());
    charges.sort_unstable();
    let percent = if let Range::Calibrated { percentile } = spec.adc.range { percentile } else { 100.0 };
    let at = libm::ceil(percent / 100.0 * charges.len() as f64) as usize;
    let percentile = charges.get(at.saturating_sub(1)).map_or(0.0, |&c| f64::from(c));
    ChargeStats { mean, sigma: variance.sqrt(), percentile }
}

/// The exact engine, looking at some of the charges that a macro would convert.
struct Watch<'a> {
    spec: &'a MacroSpec,
    digital: DigitalEngine<'a>,
    layers: &'a [LayerPlan],
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
                for copy in plan.copies.iter().filter(|copy| copy.positions.contains(&position)) {
                    for tile in &copy.tiles {
                        let mut rows = vec![0; tile.rows];
                        tile.gather(&full, &mut rows);
                        push_charges(self.spec, tile, &rows, &mut self.charges[index]);
                    }
                }
            }
        }
        self.digital.accumulate(index, layer, x, out);
    }
}

/// Ideal charges of all conversions of `tile` for the input vector `rows`, in units of the LSB column.
fn push_charges(spec: &MacroSpec, tile: &TilePlan, rows: &[u8], charges: &mut Vec<i32>) {
    let layout = columns(spec);
    let per_slot = if spec.conversions_per_output() == 1 { layout.len() } else { 1 };
    let planes = match spec.input.combine {
        InputCombine::BitSerial => 1,
        InputCombine::Dac { bits, .. } => bits,
        InputCombine::SerialShare { .. } => spec.input.bits,
    };
    let level = |x: u8, evaluation: u32| i32::from(x) >> (evaluation * planes) & ((1 << planes) - 1);
    for j in 0..tile.outputs.len() {
        for (slot, slot_columns) in layout.chunks(per_slot).enumerate() {
            let unit: Vec<(i32, i32)> = tile
                .weights_of(j)
                .iter()
                .map(|&w| {
                    let products = slot_columns.iter().enumerate().map(|(k, c)| product(spec, c, slot * per_slot + k, w));
                    products.fold((0, 0), |sum, p| (sum.0 + p.0, sum.1 + p.1))
                })
                .collect();
            for evaluation in 0..spec.evaluations() as u32 {
                let charge = rows.iter().zip(&unit).map(|(&x, &(one, zero))| level(x, evaluation) * one + zero * ((1 << planes) - 1));
                charges.push(charge.sum());
            }
        }
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
