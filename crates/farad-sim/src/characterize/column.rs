//! Signal and error of single conversions, driven with random data.

use super::ideal::{LEAST_STEP, without_errors};
use super::stimulus::{Drive, Stimulus};
use crate::SimError;
use crate::plan::TilePlan;
use crate::reference;
use crate::statistics::ratio_db;
use farad_hw::MacroSpec;
use farad_hw::chip::SiteModel;
use rayon::prelude::*;
use serde::Serialize;

/// Conversions that a figure is made of, at least: their mean square error is known to `10 log10(1 + sqrt(2 / n))` = 0.1 dB if they are independent.
const CONVERSIONS: usize = 4096;
/// Outputs that are driven side by side, at most, and input vectors, at least: the signal varies with both.
const OUTPUTS: usize = 8;
const VECTORS: usize = 16;
/// Shares of ones among the input bits.
const ACTIVITIES: [f64; 3] = [0.125, 0.25, 0.5];
/// Parts of the wordlines that are driven.
const ROWS: [usize; 4] = [8, 4, 2, 1];
/// Chips over which the table's errors are averaged, at most.
const CHIPS: u32 = 4;

/// Conversions with some wordlines in use and some share of ones among the input bits (weights are uniform).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnPoint {
    /// Wordlines in use.
    pub rows: usize,
    /// Share of ones among input bits.
    pub activity: f64,
    /// Step of the ADC, in product counts of the LSB column.
    pub lsb_counts: f64,
    /// Standard deviation of the exact charges, in the same unit.
    pub signal_counts: f64,
    /// Signal to quantisation error, without any other error, dB; none if exact.
    pub sqnr_db: Option<f64>,
    /// `10 log10(12 signal^2 / step^2)`: the same in closed form, an error uniform over a step, dB; none where a step is less than two counts.
    pub closed_form_db: Option<f64>,
    /// Signal to the whole error, with mismatch, offsets and noise, mean over chips, dB; none if exact.
    pub csnr_db: Option<f64>,
}

/// The table over rows and activities.
pub(super) fn points(spec: &MacroSpec, chips: u32, seed: u64) -> Result<Vec<ColumnPoint>, SimError> {
    let mut rows: Vec<usize> = ROWS
        .iter()
        .map(|part| spec.array.rows / part)
        .filter(|&n| n > 0)
        .collect();
    rows.dedup();
    let cells: Vec<(usize, f64)> = rows.iter().flat_map(|&n| ACTIVITIES.map(|a| (n, a))).collect();
    cells
        .into_par_iter()
        .map(|(rows, activity)| point(spec, rows, activity, 0..chips.min(CHIPS), seed))
        .collect()
}

fn point(
    spec: &MacroSpec,
    rows: usize,
    activity: f64,
    chips: std::ops::Range<u32>,
    seed: u64,
) -> Result<ColumnPoint, SimError> {
    let bench = ColumnBench::new(spec, rows, activity, CONVERSIONS, seed)?;
    let signal = bench.signal();
    let step = bench.tile.scale.lsb_counts;
    let clean = without_errors(spec);
    let ideal = bench.stimulus.tile(&clean);
    let quantisation = mean_square_error(&clean, &bench.stimulus, &ideal, 0, &bench.charges, 1);
    // Every chip sees its part of the vectors.
    let parts = chips.len();
    let errors: f64 = chips
        .map(|chip| mean_square_error(spec, &bench.stimulus, &bench.tile, chip, &bench.charges, parts))
        .sum();
    Ok(ColumnPoint {
        rows,
        activity,
        lsb_counts: step,
        signal_counts: signal.sqrt(),
        sqnr_db: ratio_db(signal, quantisation),
        closed_form_db: (step >= LEAST_STEP)
            .then_some(step * step / 12.0)
            .and_then(|error| ratio_db(signal, error)),
        csnr_db: ratio_db(signal, errors / parts as f64),
    })
}

/// Random data on some rows, with the exact charges.
pub(super) struct ColumnBench {
    stimulus: Stimulus,
    tile: TilePlan,
    charges: Vec<i32>,
}

impl ColumnBench {
    pub(super) fn new(
        spec: &MacroSpec,
        rows: usize,
        activity: f64,
        conversions: usize,
        seed: u64,
    ) -> Result<Self, SimError> {
        let outputs = spec.outputs().clamp(1, OUTPUTS);
        let per_vector = outputs * spec.conversions_per_output() * spec.evaluations();
        let drive = Drive {
            rows,
            outputs,
            vectors: conversions.div_ceil(per_vector).max(VECTORS),
            activity,
        };
        let stimulus = Stimulus::new(spec, drive, seed)?;
        let tile = stimulus.tile(spec);
        let charges = stimulus.charges(spec, &tile);
        Ok(Self {
            stimulus,
            tile,
            charges,
        })
    }

    /// Variance of the exact charges.
    fn signal(&self) -> f64 {
        let n = self.charges.len() as f64;
        let mean = self.charges.iter().map(|&c| f64::from(c)).sum::<f64>() / n;
        self.charges.iter().map(|&c| (f64::from(c) - mean).powi(2)).sum::<f64>() / n
    }

    /// Signal to the whole error of `chip`'s conversions, dB.
    pub(super) fn csnr_db(&self, spec: &MacroSpec, chip: u32) -> Option<f64> {
        let error = mean_square_error(spec, &self.stimulus, &self.tile, chip, &self.charges, 1);
        ratio_db(self.signal(), error)
    }
}

/// Mean square of code times step less the exact charge, over every `parts`-th vector from vector `chip` on.
fn mean_square_error(
    spec: &MacroSpec,
    stimulus: &Stimulus,
    tile: &TilePlan,
    chip: u32,
    charges: &[i32],
    parts: usize,
) -> f64 {
    let model: SiteModel = tile.site.lower(spec, chip, &tile.scale);
    let middle = if tile.scale.signed {
        spec.adc.codes() as f64 / 2.0
    } else {
        0.0
    };
    let slots = spec.conversions_per_output();
    let per_vector = spec.evaluations() * tile.outputs.len() * slots;
    let (mut square, mut n) = (0.0, 0);
    let vectors = stimulus.vectors().zip(charges.chunks_exact(per_vector)).enumerate();
    for (vector, (x, charges)) in vectors.skip(chip as usize % parts).step_by(parts) {
        let drive = reference::Drive {
            spec,
            tile,
            model: &model,
            x,
            position: 0,
            image: vector as u32,
        };
        for (i, &exact) in charges.iter().enumerate() {
            let (evaluation, of_evaluation) = (i / (tile.outputs.len() * slots), i % (tile.outputs.len() * slots));
            let (seen, _) = drive.convert(of_evaluation / slots, of_evaluation % slots, evaluation, &mut |_| {});
            let read = (seen.conversion.code as f64 - middle) * tile.scale.lsb_counts;
            square += (read - f64::from(exact)).powi(2);
            n += 1;
        }
    }
    square / f64::from(n.max(1))
}
