//! How many clocks an input vector takes: the one place that knows.

use crate::spec::{InputCombine, MacroSpec, WeightCombine};

/// Clocks of one input vector on the whole array, and of the two stages that make it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationTiming {
    /// Array phases of one evaluation: precharge, broadcast, multiply and sharing, once per plane that is merged before the
    /// conversion.
    pub array_clocks: u64,
    /// Sampling and conversion, once per conversion that an ADC does for one evaluation.
    pub adc_clocks: u64,
    /// All evaluations of one input vector.
    pub total_mvm_clocks: u64,
}

/// Input planes that the array evaluates before one conversion: all of them when they are merged on capacitors.
#[must_use]
pub fn planes_per_evaluation(spec: &MacroSpec) -> u64 {
    match spec.input.combine {
        InputCombine::SerialShare { .. } => u64::from(spec.input.bits),
        InputCombine::BitSerial | InputCombine::Dac { .. } => 1,
    }
}

/// Sharing steps of one plane: the column's cells, then the weight columns among each other (`binary_cap`; a C-2C ladder
/// merges within the cell), then the plane with those before it (`serial_share`).
#[must_use]
pub fn share_steps(spec: &MacroSpec) -> u64 {
    1 + u64::from(matches!(spec.weight.combine, WeightCombine::BinaryCap { .. }))
        + u64::from(matches!(spec.input.combine, InputCombine::SerialShare { .. }))
}

/// Timing of one input vector with `n` evaluations of the array (`T_arr`) and the ADC (`T_adc`):
///
/// - one after the other: `n (T_arr + T_adc) + T_out`;
/// - pipelined, the ADC holding its own sample: `n max(T_arr, T_adc) + min(T_arr, T_adc) + T_out`.
#[must_use]
pub fn evaluation_timing(spec: &MacroSpec) -> EvaluationTiming {
    let t = &spec.timing;
    let plane = t.precharge + t.broadcast + t.multiply + t.share * share_steps(spec);
    let array = plane * planes_per_evaluation(spec);
    let adc = (t.sample + spec.adc.model().cycles(&spec.adc)) * spec.adc.columns_per_adc as u64;
    let n = spec.evaluations() as u64;
    let stages = if t.pipelined {
        n * array.max(adc) + array.min(adc)
    } else {
        n * (array + adc)
    };
    EvaluationTiming {
        array_clocks: array,
        adc_clocks: adc,
        total_mvm_clocks: stages + t.output,
    }
}

/// Clocks of one input vector through the whole array, all evaluations.
#[must_use]
pub fn mvm_clocks(spec: &MacroSpec) -> u64 {
    evaluation_timing(spec).total_mvm_clocks
}

/// Time of one input vector, s.
#[must_use]
pub fn mvm_s(spec: &MacroSpec) -> f64 {
    mvm_clocks(spec) as f64 / (spec.timing.clock_mhz * 1e6)
}
