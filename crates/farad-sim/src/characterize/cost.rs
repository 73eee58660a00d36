//! What conversions and input vectors cost: the cost model's answers for the events of a simulated stimulus.

use super::stimulus::Stimulus;
use crate::simulator::{EngineKind, Simulator};
use farad_core::EventCounts;
use farad_hw::MacroSpec;
use farad_hw::adc::Conversion;
use farad_hw::chip::AdcModel;
use farad_hw::cost::{self, Area, Energy, Peak};
use farad_hw::scale::Scale;
use farad_hw::timing::{EvaluationTiming, evaluation_timing, mvm_s};
use farad_kernels::Isa;

/// Energy, time and area of one macro.
#[derive(Debug, Clone, PartialEq)]
pub struct CostMeasure {
    /// Energy of one conversion by code, J, on the converter's own skip path.
    pub conversion_j: Vec<f64>,
    /// Codes of a sample of the simulated conversions.
    pub code_histogram: Vec<u64>,
    /// Mean energy of a simulated conversion, J.
    pub mean_conversion_j: f64,
    /// Clocks of a conversion after sampling, whatever its code: the converters work in lockstep.
    pub conversion_clocks: u64,
    /// Conversions of one input vector.
    pub conversions: f64,
    /// Clocks of the phases of one input vector.
    pub timing: EvaluationTiming,
    /// Time of one input vector, s.
    pub vector_s: f64,
    /// Energy of one input vector, J.
    pub vector: Energy,
    /// Area of one macro, um^2.
    pub area: Area,
    /// The fully used macro at densities of one half.
    pub peak: Peak,
}

/// Costs of chip 0 under `stimulus`; `adc` is one of its converters.
pub(super) fn measure(spec: &MacroSpec, stimulus: &Stimulus, scale: &Scale, adc: &AdcModel) -> CostMeasure {
    let simulator: Simulator<'_> = stimulus.simulator(spec);
    let chip = simulator.chip(EngineKind::Fast(Isa::detect()), 0);
    let mut session = chip.session();
    stimulus.accumulate(&mut session);
    let vectors = stimulus.vectors().count() as u64;
    let events: EventCounts = simulator.events([session.into_probes()].iter(), vectors).remove(0);
    let vector_s = mvm_s(spec);
    let all = cost::energy(spec, &events, vector_s * vectors as f64, 1);
    CostMeasure {
        conversion_j: conversion_j(spec, scale, adc),
        mean_conversion_j: cost::conversion_j(&spec.adc, spec.technology.vdd_v, &events),
        conversion_clocks: spec.adc.model().cycles(&spec.adc),
        conversions: events.conversions as f64 / vectors as f64,
        timing: evaluation_timing(spec),
        vector_s,
        vector: all.per(vectors),
        code_histogram: events.code_histogram,
        area: cost::area(spec),
        peak: cost::peak(spec, super::output::ACTIVITY, 0.5),
    }
}

/// Energy of one conversion by code, J: an input in the middle of the code says whether the skip path is taken.
fn conversion_j(spec: &MacroSpec, scale: &Scale, adc: &AdcModel) -> Vec<f64> {
    let model = spec.adc.model();
    let energy = |code: usize| {
        let begin = code.checked_sub(1).map_or(i32::MIN, |k| adc.staircase[k]);
        let skipped = model
            .convert(&spec.adc, scale.signed, &adc.levels, &mut |level| begin >= level)
            .skipped;
        model.energy_j(&spec.adc, spec.technology.vdd_v, Conversion { code, skipped })
    };
    (0..spec.adc.codes()).map(energy).collect()
}
