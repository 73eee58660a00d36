//! What charges look like on a calibration set, for ADC ranges that follow them and for trims.

mod trims;

use crate::SimError;
use crate::digital::{DigitalEngine, DigitalNetwork};
use crate::plan::{LayerPlan, TilePlan, plan};
use crate::run::check;
use crate::workload::Workload;
use farad_hw::MacroSpec;
use farad_hw::adc::{Range, RangePer, least_error_limit};
use farad_hw::calibration::Calibration;
use farad_hw::encoding::{Column, columns, stored_bit};
use farad_hw::scale::{ChargeStats, is_signed};
use farad_hw::spec::{Cell, InputCombine};
use farad_map::Mapping;
use farad_net::{Activations, MacEngine, MacLayer, Network};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Output positions looked at in each picture.
const POSITIONS: usize = 8;

/// How to calibrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrateConfig {
    /// Pictures, the first ones of the workload; no more than it has.
    pub images: usize,
    /// Chips to trim, from 0.
    pub chips: u32,
    /// Seed of the temporal noise that the trims' measurement has.
    pub seed: u64,
    /// Threads; 0 for all cores.
    pub threads: usize,
}

/// Sets the ADC ranges of a macro for a network, and the trims of its chips if it has any.
///
/// # Errors
/// [`SimError`] if there are no pictures or the network does not fit the noise keys.
pub fn calibrate(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &CalibrateConfig,
) -> Result<Calibration, SimError> {
    check(mapping)?;
    let images = config.images.min(workload.len());
    if images == 0 {
        return Err(SimError::NoImages);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(|| {
        let (input, ids) = workload.batch(&(0..images))?;
        let charges = charge_statistics(spec, workload.network, mapping, &input, &ids)?;
        let mut calibration = Calibration {
            charges,
            ..Calibration::default()
        };
        if spec.noise.has_trims() {
            calibration.trims = trims::measure(workload, spec, mapping, &calibration.charges, (&input, &ids), config)?;
        }
        Ok(calibration)
    })
}

/// Statistics of the charges in exact arithmetic, over calibration images: `input` is the stored bytes of whole images, with these
/// dataset indices. By layer: of all its tiles or of each one, as the macro says; none where its ADC range does not follow charges.
///
/// # Errors
/// If the network cannot run on the images.
pub fn charge_statistics(
    spec: &MacroSpec,
    network: &Network,
    mapping: &Mapping,
    input: &[u8],
    images: &[u32],
) -> Result<Vec<Vec<ChargeStats>>, SimError> {
    let unknown = vec![Vec::new(); network.mac_layers().len()];
    if !spec.adc.range.follows_charges() {
        return Ok(unknown);
    }
    // Charges are counted before the ADC: its range, and the noise's seed, do not matter here.
    let layers = plan(spec, network.mac_layers(), mapping, &unknown, 0);
    let empty = || -> Vec<Vec<Counts>> {
        mapping
            .layers
            .iter()
            .map(|l| vec![Counts::new(); l.tiles.len()])
            .collect()
    };
    let per_image = look(spec, network, &layers, (input, images), empty, |counts, look| {
        let counts: &mut Counts = &mut counts[look.layer][look.tile.index];
        look.charges.iter().for_each(|&q| *counts.entry(q).or_default() += 1);
    })?;
    let all = per_image.into_iter().fold(empty(), |mut all, image| {
        for (to, from) in all.iter_mut().flatten().zip(image.iter().flatten()) {
            merge(to, from);
        }
        all
    });
    let pooled = |tiles: &[Counts]| {
        tiles.iter().fold(Counts::new(), |mut sum, counts| {
            merge(&mut sum, counts);
            sum
        })
    };
    Ok(match spec.adc.range_per {
        RangePer::Tile => all
            .iter()
            .map(|tiles| tiles.iter().map(|counts| of_counts(spec, counts)).collect())
            .collect(),
        RangePer::Layer => all.iter().map(|tiles| vec![of_counts(spec, &pooled(tiles))]).collect(),
        RangePer::Network => {
            let tiles: Vec<Counts> = all.iter().map(|tiles| pooled(tiles)).collect();
            vec![vec![of_counts(spec, &pooled(&tiles))]; all.len()]
        }
    })
}

/// How often each charge was seen.
type Counts = BTreeMap<i32, u64>;

fn merge(to: &mut Counts, from: &Counts) {
    for (&charge, n) in from {
        *to.entry(charge).or_default() += n;
    }
}

/// What an ADC range that follows the data is told about `charges`.
pub(crate) fn stats(spec: &MacroSpec, charges: &[i32]) -> ChargeStats {
    let mut counts = Counts::new();
    charges.iter().for_each(|&q| *counts.entry(q).or_default() += 1);
    of_counts(spec, &counts)
}

fn of_counts(spec: &MacroSpec, counts: &Counts) -> ChargeStats {
    let number = counts.values().sum::<u64>();
    let n = number.max(1) as f64;
    let mean = counts.iter().map(|(&q, &n)| f64::from(q) * n as f64).sum::<f64>() / n;
    let square = |(&q, &n): (&i32, &u64)| (f64::from(q) - mean).powi(2) * n as f64;
    let variance = counts.iter().map(square).sum::<f64>() / n;
    let limit = match spec.adc.range {
        Range::Mse => {
            let counts: Vec<(i32, u64)> = counts.iter().map(|(&q, &n)| (q, n)).collect();
            least_error_limit(spec.adc.bits, is_signed(spec), &counts)
        }
        Range::Calibrated { percentile } => magnitude(counts, libm::ceil(percentile / 100.0 * number as f64) as u64),
        _ => 0.0,
    };
    ChargeStats {
        mean,
        sigma: variance.sqrt(),
        limit,
    }
}

/// The `rank`-th least magnitude, from 1.
fn magnitude(counts: &Counts, rank: u64) -> f64 {
    let mut magnitudes = Counts::new();
    for (&charge, n) in counts {
        *magnitudes.entry(charge.abs()).or_default() += n;
    }
    let mut seen = 0;
    let found = magnitudes.iter().find(|(_, n)| {
        seen += **n;
        seen >= rank
    });
    found.map_or(0.0, |(&charge, _)| f64::from(charge))
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

/// What one tile is given at one position of one image, and the charges that it ought to convert.
pub(crate) struct Look<'a> {
    layer: usize,
    copy: usize,
    /// Number of the tile in its copy.
    number: usize,
    tile: &'a TilePlan,
    position: u32,
    image: u32,
    rows: &'a [u8],
    /// `[evaluation][output][conversion]`, in units of the LSB column.
    charges: &'a [i32],
}

/// Runs images exactly and shows some positions of every layer to `see`, which keeps what it makes of them in a value of its own for each
/// image.
fn look<T: Send>(
    spec: &MacroSpec,
    network: &Network,
    layers: &[LayerPlan],
    (input, images): (&[u8], &[u32]),
    start: impl Fn() -> T + Sync,
    see: impl Fn(&mut T, Look<'_>) + Sync,
) -> Result<Vec<T>, SimError> {
    let digital = &DigitalNetwork::new(network.mac_layers());
    let units = layers
        .iter()
        .map(|layer| layer.copies.iter().map(|copy| units(spec, &copy.tiles)).collect())
        .collect();
    let len = input.len() / images.len();
    let per_image = images.par_iter().enumerate().map(|(i, &id)| {
        let mut kept = start();
        let mut engine = Watch {
            spec,
            digital: DigitalEngine(digital),
            layers,
            units: &units,
            see: |look: Look<'_>| see(&mut kept, look),
        };
        network.run(&input[i * len..(i + 1) * len], &[id], &mut engine)?;
        Ok(kept)
    });
    per_image.collect()
}

/// The exact engine, looking at some of the charges that a macro would convert.
struct Watch<'a, F> {
    spec: &'a MacroSpec,
    digital: DigitalEngine<'a>,
    layers: &'a [LayerPlan],
    /// `[layer][copy][tile][conversion]`
    units: &'a Vec<Vec<Vec<Vec<Unit>>>>,
    see: F,
}

impl<F: FnMut(Look<'_>)> MacEngine for Watch<'_, F> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        let plan = &self.layers[index];
        let shape = layer.shape;
        let mut full = vec![0; plan.geometry.full_rows()];
        let pictures = x.data.chunks_exact(shape.in_h * shape.in_w * shape.in_c);
        for (picture, &image) in pictures.zip(x.images) {
            let looks = POSITIONS.min(shape.positions());
            for look in 0..looks {
                let position = look * shape.positions() / looks;
                plan.geometry.gather(picture, position, &mut full);
                let copies = plan.copies.iter().zip(&self.units[index]).enumerate();
                for (copy, (tiles, units)) in copies.filter(|(_, (copy, _))| copy.positions.contains(&position)) {
                    for (number, (tile, units)) in tiles.tiles.iter().zip(units).enumerate() {
                        let mut rows = vec![0; tile.rows];
                        tile.gather(&full, &mut rows);
                        let mut charges = Vec::new();
                        push_charges(self.spec, units, &rows, &mut charges);
                        (self.see)(Look {
                            layer: index,
                            copy,
                            number,
                            tile,
                            position: position as u32,
                            image,
                            rows: &rows,
                            charges: &charges,
                        });
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
