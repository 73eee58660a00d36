//! What a macro is, measured: its converters, conversions and outputs, chip by chip, as one would on a bench.
//!
//! Everything is measured on the objects that a run executes: a tile is mapped, planned and lowered as in a run, codes come from the
//! converter's own procedure, single conversions from the reference engine, whole outputs from the fast one. The macro is driven with uniform weights and random
//! inputs on all its rows; an ADC range that follows the data follows these.

mod column;
mod converter;
mod cost;
mod ideal;
mod noise;
mod output;
mod stimulus;

pub use column::ColumnPoint;
pub use converter::{AdcMeasure, ConversionMeasure};
pub use cost::CostMeasure;
pub use ideal::Scheme;
pub use noise::NoiseMeasure;
pub use output::{ResolutionPoint, SchemePoint};

use crate::SimError;
use crate::plan::TilePlan;
use crate::statistics::percentile;
use farad_hw::MacroSpec;
use farad_hw::chip::SiteModel;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stimulus::{Drive, Stimulus};

/// Outputs under test, at most; every bundled macro has no more.
pub const OUTPUTS: usize = 32;
/// Input vectors of the stimulus; a multiple of 64, so that some conversions are in the systematic sample.
const VECTORS: usize = 256;
/// Conversions behind a chip's CSNR.
const CONVERSIONS: usize = 2048;
/// Curves of one kind that are kept of each chip, at most.
const CURVES: usize = 16;
/// Points of all curves of one kind that are kept, at most.
const CURVE_POINTS: usize = 1 << 23;

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharacterizeConfig {
    /// Chips, seeds 0 to `chips - 1`.
    pub chips: u32,
    /// Seed of the temporal noise and of the stimulus.
    pub seed: u64,
    /// Threads; 0 for all cores.
    pub threads: usize,
}

/// One chip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChipMeasure {
    /// Chip number.
    pub chip: u32,
    /// Signal to error of single conversions, all rows and half of the input bits ones, dB; none if exact.
    pub csnr_db: Option<f64>,
    /// Signal to error of whole outputs, likewise, dB; none if exact.
    pub output_db: Option<f64>,
    /// Its converters.
    pub adcs: Vec<AdcMeasure>,
    /// Its conversions.
    pub conversions: Vec<ConversionMeasure>,
}

/// A curve over codes or transitions, over all chips: percentiles at each point.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Band {
    /// Least.
    pub min: Vec<f64>,
    /// 5th percentile.
    pub p05: Vec<f64>,
    /// Median.
    pub p50: Vec<f64>,
    /// 95th percentile.
    pub p95: Vec<f64>,
    /// Greatest.
    pub max: Vec<f64>,
}

/// A macro, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Characterization {
    /// Step of the ADC in product counts of the LSB column.
    pub lsb_counts: f64,
    /// Charges have two signs and zero is in the middle of the codes.
    pub signed: bool,
    /// Outputs under test.
    pub outputs: usize,
    /// Chips, in order.
    pub chips: Vec<ChipMeasure>,
    /// Transition of each conversion, in LSB of charge, less ideal; at `k - 1` for code `k`.
    pub transfer_lsb: Band,
    /// INL of each converter, LSB; at `k - 1` for the transition to code `k`.
    pub inl_lsb: Band,
    /// DNL of each converter, LSB; at `k - 1` for code `k`.
    pub dnl_lsb: Band,
    /// Temporal noise.
    pub noise: NoiseMeasure,
    /// Single conversions against rows and activity.
    pub columns: Vec<ColumnPoint>,
    /// Whole outputs against the ADC's bits.
    pub resolutions: Vec<ResolutionPoint>,
    /// Energy, time and area.
    pub cost: CostMeasure,
}

/// Measures `config.chips` chips of the macro.
///
/// `progress(done, total)` counts chips. Setting `stop` ends after the chips in hand; the result holds those that were done.
///
/// # Errors
/// [`SimError`] if not even one output fits on the macro, or threads cannot be started.
pub fn characterize(
    spec: &MacroSpec,
    config: &CharacterizeConfig,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<Characterization, SimError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(|| run(spec, config, progress, stop))
}

fn run(
    spec: &MacroSpec,
    config: &CharacterizeConfig,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<Characterization, SimError> {
    let drive = Drive {
        rows: spec.array.rows,
        outputs: spec.outputs().clamp(1, OUTPUTS),
        vectors: VECTORS,
        activity: output::ACTIVITY,
    };
    let stimulus = Stimulus::new(spec, drive, config.seed)?;
    let tile = stimulus.tile(spec);
    let exact = stimulus.exact();
    let column = column::ColumnBench::new(spec, drive.rows, drive.activity, CONVERSIONS, config.seed)?;
    let done = AtomicU64::new(0);
    let measured: Vec<Option<(ChipMeasure, Curves)>> = (0..config.chips)
        .into_par_iter()
        .with_max_len(1)
        .map(|chip| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let (adcs, conversions, curves) = converters(spec, &tile, chip, config);
            let measure = ChipMeasure {
                chip,
                csnr_db: column.csnr_db(spec, chip),
                output_db: output::chip_db(&stimulus, spec, chip, &exact),
                adcs,
                conversions,
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, config.chips.into());
            Some((measure, curves))
        })
        .collect();
    let (chips, curves): (Vec<_>, Vec<_>) = measured.into_iter().flatten().unzip();
    let first: SiteModel = tile.site.lower(spec, 0, &tile.scale);
    let band = |of: fn(&Curves) -> &[Vec<f32>]| Band::of(&curves.iter().flat_map(of).collect::<Vec<_>>());
    Ok(Characterization {
        lsb_counts: tile.scale.lsb_counts,
        signed: tile.scale.signed,
        outputs: drive.outputs,
        transfer_lsb: band(|c| &c.transfer),
        inl_lsb: band(|c| &c.inl),
        dnl_lsb: band(|c| &c.dnl),
        noise: noise::measure(spec, &tile.scale, &first.outputs[0].slots[0].noise, config.seed),
        columns: column::points(spec, config.chips, config.seed)?,
        resolutions: output::resolutions(spec, config.seed)?,
        cost: cost::measure(spec, &stimulus, &tile.scale, &first.adcs[0]),
        chips,
    })
}

/// Some curves of one chip, for the bands.
struct Curves {
    transfer: Vec<Vec<f32>>,
    inl: Vec<Vec<f32>>,
    dnl: Vec<Vec<f32>>,
}

/// Every converter and every conversion of a chip.
fn converters(
    spec: &MacroSpec,
    tile: &TilePlan,
    chip: u32,
    config: &CharacterizeConfig,
) -> (Vec<AdcMeasure>, Vec<ConversionMeasure>, Curves) {
    let model = tile.site.lower(spec, chip, &tile.scale);
    let curves = (CURVE_POINTS / (spec.adc.codes() * config.chips as usize)).clamp(1, CURVES);
    let kept = |count: usize| count.div_ceil(curves);
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let slots: Vec<_> = model
        .outputs
        .iter()
        .flat_map(|o| o.slots.iter().map(move |s| (o, s)))
        .collect();
    let (mut adcs, mut inl, mut dnl) = (Vec::new(), Vec::new(), Vec::new());
    for (i, adc) in model.adcs.iter().enumerate() {
        // With noise that was measured column by column, it is that of the converter's first one.
        let slot = slots.iter().find(|(_, slot)| slot.adc == i);
        let noise = slot.map_or(&tile.scale.noise, |(_, slot)| &slot.noise);
        let measured = converter::adc(spec, tile.scale.signed, noise, adc, i, config.seed);
        if i % kept(model.adcs.len()) == 0 {
            inl.push(narrow(&measured.linearity.inl_lsb));
            dnl.push(narrow(&measured.linearity.dnl_lsb));
        }
        adcs.push(measured.measure);
    }
    let (mut conversions, mut transfer) = (Vec::new(), Vec::new());
    for (i, (output, slot)) in slots.iter().enumerate() {
        let (deviations, linearity) = converter::conversion(spec, &tile.scale, &model, output, slot);
        if i % kept(slots.len()) == 0 {
            transfer.push(narrow(&deviations));
        }
        conversions.push(ConversionMeasure {
            conversion: i,
            offset_lsb: linearity.offset_lsb,
            gain: linearity.gain,
        });
    }
    (adcs, conversions, Curves { transfer, inl, dnl })
}

impl Band {
    /// Of curves of equal length.
    fn of(curves: &[&Vec<f32>]) -> Self {
        let mut band = Self::default();
        for point in 0..curves.first().map_or(0, |curve| curve.len()) {
            let mut values: Vec<f64> = curves.iter().map(|curve| f64::from(curve[point])).collect();
            values.sort_by(f64::total_cmp);
            for (to, q) in [
                (&mut band.min, 0.0),
                (&mut band.p05, 0.05),
                (&mut band.p50, 0.5),
                (&mut band.p95, 0.95),
                (&mut band.max, 1.0),
            ] {
                to.push(percentile(&values, q));
            }
        }
        band
    }
}
