//! Clocks of one matrix-vector multiplication.

use farad_hw::MacroSpec;
use farad_hw::spec::InputCombine;

pub(crate) fn mvm_clocks(spec: &MacroSpec) -> u64 {
    let t = &spec.timing;
    let array = (t.precharge + t.broadcast + t.multiply + t.share) * planes_per_evaluation(spec);
    let adc = (t.sample + spec.adc.model().cycles(&spec.adc)) * spec.conversions_per_adc() as u64;
    let n = spec.evaluations() as u64;
    let clocks = if t.pipelined {
        n * array.max(adc) + array.min(adc)
    } else {
        n * (array + adc)
    };
    clocks + t.output
}

/// Times that the array multiplies and shares before one conversion.
pub(crate) fn planes_per_evaluation(spec: &MacroSpec) -> u64 {
    match spec.input.combine {
        InputCombine::SerialShare { .. } => u64::from(spec.input.bits),
        InputCombine::BitSerial | InputCombine::Dac { .. } => 1,
    }
}
