//! Signal and error of whole outputs, through the engine of a run.

use super::ideal::Scheme;
use super::stimulus::{Drive, Stimulus};
use crate::SimError;
use crate::simulator::EngineKind;
use crate::statistics::ratio_db;
use farad_hw::MacroSpec;
use farad_kernels::Isa;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::Arc;

/// Outputs that are driven side by side, at most.
const OUTPUTS: usize = 16;
/// Input vectors: with 16 outputs 2048 errors, whose mean square is known to 0.14 dB.
const VECTORS: usize = 128;
/// Share of ones among input bits.
pub(super) const ACTIVITY: f64 = 0.5;
/// Resolutions of the ADC.
const BITS: std::ops::RangeInclusive<u32> = 3..=12;

/// Signal to error of whole outputs at one resolution of the ADC; uniform inputs and weights, all rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResolutionPoint {
    /// Bits of the ADC.
    pub adc_bits: u32,
    /// This macro with all its errors, chip 0, dB; none if exact.
    pub macro_db: Option<f64>,
    /// The three schemes of combining bits with an error-free full-range ADC, dB; none if exact.
    pub schemes: Vec<SchemePoint>,
}

/// One scheme of combining bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemePoint {
    /// Which.
    pub scheme: Scheme,
    /// Simulated, dB; none if exact.
    pub sqnr_db: Option<f64>,
    /// The same signal over the error in closed form, dB; none where a step is less than two counts.
    pub closed_form_db: Option<f64>,
}

/// Every resolution.
pub(super) fn resolutions(spec: &MacroSpec, seed: u64) -> Result<Vec<ResolutionPoint>, SimError> {
    BITS.into_par_iter().map(|bits| resolution(spec, bits, seed)).collect()
}

fn resolution(spec: &MacroSpec, adc_bits: u32, seed: u64) -> Result<ResolutionPoint, SimError> {
    let mut own = spec.clone();
    own.adc.bits = adc_bits;
    own.adc.skip_bits = own.adc.skip_bits.min(adc_bits - 1);
    if let Some(profile) = own.profile.as_mut().filter(|_| adc_bits != spec.adc.bits) {
        // A converter of other bits has not been measured: it has the macro's mismatch.
        Arc::make_mut(profile).change(|_, measured| measured.inl_lsb = None);
    }
    let rows = spec.array.rows;
    let drive = |outputs: usize| Drive {
        rows,
        outputs,
        vectors: VECTORS,
        activity: ACTIVITY,
    };
    let scheme = |scheme: Scheme| {
        let spec = scheme.of(spec, OUTPUTS, adc_bits);
        let stimulus = Stimulus::new(&spec, drive(OUTPUTS), seed)?;
        let error = scheme.error_variance(rows as f64, spec.input.bits, spec.weight.bits, adc_bits);
        let exact = stimulus.exact();
        let power = exact.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>() / exact.len() as f64;
        Ok(SchemePoint {
            scheme,
            sqnr_db: chip_db(&stimulus, &spec, 0, &exact),
            closed_form_db: error.and_then(|error| ratio_db(power, error)),
        })
    };
    let stimulus = Stimulus::new(&own, drive(own.outputs().clamp(1, OUTPUTS)), seed)?;
    Ok(ResolutionPoint {
        adc_bits,
        macro_db: chip_db(&stimulus, &own, 0, &stimulus.exact()),
        schemes: Scheme::ALL.into_iter().map(scheme).collect::<Result<_, SimError>>()?,
    })
}

/// Power of the exact accumulators over that of `chip`'s errors, dB.
pub(super) fn chip_db(stimulus: &Stimulus, spec: &MacroSpec, chip: u32, exact: &[i32]) -> Option<f64> {
    let simulator = stimulus.simulator(spec);
    let chip = simulator.chip(EngineKind::Fast(Isa::detect()), chip);
    let got = stimulus.accumulate(&mut chip.session());
    let square = |values: &mut dyn Iterator<Item = i64>| values.map(|v| i128::from(v) * i128::from(v)).sum::<i128>();
    let signal = square(&mut exact.iter().map(|&e| e.into()));
    let error = square(&mut exact.iter().zip(&got).map(|(&e, &g)| i64::from(g) - i64::from(e)));
    ratio_db(signal as f64, error as f64)
}
