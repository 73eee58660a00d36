//! Contradictions between keys that are fine on their own.

use super::reader::{Key, Reader};
use crate::adc::Range;
use crate::spec::{Cell, InputCombine, MacroSpec, NoiseDraws, SignedScheme, WeightCombine};

const ROWS_COLUMNS: Key = ("array", "columns");
const CELL: Key = ("array", "cell");
const WEIGHT_BITS: Key = ("weight", "bits");
const WEIGHT_COMBINE: Key = ("weight", "combine");
const SIGNED: Key = ("weight", "signed");
const INPUT_BITS: Key = ("input", "bits");
const INPUT_COMBINE: Key = ("input", "combine");
const DAC_BITS: Key = ("input", "dac_bits");
const ADC_KIND: Key = ("adc", "kind");
const ADC_BITS: Key = ("adc", "bits");
const SKIP_BITS: Key = ("adc", "skip_bits");
const COLUMNS_PER_ADC: Key = ("adc", "columns_per_adc");
const DRAWS: Key = ("noise", "draws");
const RANGE: Key = ("adc", "range");
const ASIM_RANDOM: Key = ("noise", "asim_random_pct");
const ASIM_NONLINEAR: Key = ("noise", "asim_nonlinear_pct");
const INSTANCES: Key = ("system", "instances");
const DUPLICATE: Key = ("system", "duplicate");

/// Reports every contradiction of `spec` to `r`.
pub(super) fn check(spec: &MacroSpec, r: &mut Reader) {
    check_geometry(spec, r);
    check_sign(spec, r);
    check_input(spec, r);
    check_adc(spec, r);
    check_peers(spec, r);
    check_trims(spec, r);
    check_system(spec, r);
}

fn check_geometry(spec: &MacroSpec, r: &mut Reader) {
    let needed = spec.columns_per_output();
    if spec.array.columns < needed {
        r.conflict(
            "E0201",
            format!(
                "{} columns do not hold one output of {needed} columns",
                spec.array.columns
            ),
            &[
                (ROWS_COLUMNS, "too few"),
                (WEIGHT_BITS, "weight bits"),
                (SIGNED, "signed scheme"),
            ],
            "add columns, or use fewer weight bits",
        );
        return;
    }
    let conversions = spec.outputs() * spec.conversions_per_output();
    if spec.adc.columns_per_adc > conversions {
        r.conflict(
            "E0208",
            format!(
                "one ADC cannot serve {} columns: an evaluation has {conversions} conversions",
                spec.adc.columns_per_adc
            ),
            &[
                (COLUMNS_PER_ADC, "more than there are"),
                (ROWS_COLUMNS, "columns"),
                (WEIGHT_COMBINE, "weight combination"),
            ],
            "merged columns count once",
        );
    }
}

fn check_sign(spec: &MacroSpec, r: &mut Reader) {
    let digital = spec.weight.combine == WeightCombine::Digital;
    if !spec.weight.signed.suits(digital) {
        let (scheme, needs) = match spec.weight.signed {
            SignedScheme::TwosComplement => ("twos_complement", "`digital` combination"),
            SignedScheme::Xnor => ("xnor", "`digital` combination"),
            _ => ("msb_polarity", "an analog merge of the weight bits"),
        };
        r.conflict(
            "E0202",
            format!("the signed scheme `{scheme}` needs {needs}"),
            &[
                (SIGNED, "this scheme"),
                (WEIGHT_COMBINE, "does not fit this combination"),
            ],
            "`msb_polarity` merges the bits on capacitors; `twos_complement` and `xnor` add their codes digitally; \
             `offset_binary` and `differential` do either",
        );
    }
    if (spec.array.cell == Cell::Xnor) != (spec.weight.signed == SignedScheme::Xnor) {
        r.conflict(
            "E0203",
            "an XNOR cell and the signed scheme `xnor` go together".to_owned(),
            &[(CELL, "this cell"), (SIGNED, "does not fit this scheme")],
            "set both or neither",
        );
    }
}

fn check_input(spec: &MacroSpec, r: &mut Reader) {
    let InputCombine::Dac { bits, .. } = spec.input.combine else {
        return;
    };
    if bits > spec.input.bits {
        r.conflict(
            "E0206",
            format!(
                "a row DAC of {bits} bits is wider than an input of {} bits",
                spec.input.bits
            ),
            &[(DAC_BITS, "DAC bits"), (INPUT_BITS, "input bits")],
            "the DAC applies part of an input, or all of it",
        );
    }
    if spec.array.cell == Cell::Xnor {
        r.conflict(
            "E0209",
            "an XNOR cell takes one input bit at a time".to_owned(),
            &[(CELL, "this cell"), (INPUT_COMBINE, "applies several bits at once")],
            "use `bitserial` or `serial_share`",
        );
    }
}

fn check_adc(spec: &MacroSpec, r: &mut Reader) {
    let successive = spec.adc.model().is_successive();
    if spec.noise.draws == NoiseDraws::PerDecision && !successive {
        r.conflict(
            "E0204",
            format!(
                "`{}` makes no decisions one after another to draw noise for",
                spec.adc.kind
            ),
            &[(DRAWS, "needs a SAR"), (ADC_KIND, "this kind")],
            "use `per_conversion`, or a SAR",
        );
    }
    if spec.adc.skip_bits > 0 && !successive {
        r.conflict(
            "E0205",
            format!("`{}` has no MSB decisions to skip", spec.adc.kind),
            &[(SKIP_BITS, "needs a SAR"), (ADC_KIND, "this kind")],
            "remove it, or use a SAR",
        );
    } else if spec.adc.skip_bits >= spec.adc.bits {
        r.conflict(
            "E0205",
            format!(
                "skipping {} of {} bits leaves nothing to convert",
                spec.adc.skip_bits, spec.adc.bits
            ),
            &[(SKIP_BITS, "must be less"), (ADC_BITS, "than this")],
            "skip fewer bits",
        );
    }
}

/// Other simulators count the ones of single columns, and draw once.
fn check_peers(spec: &MacroSpec, r: &mut Reader) {
    let noise = &spec.noise;
    let (key, what) = if noise.asim_random_pct > 0.0 {
        (ASIM_RANDOM, "ASiM's noise")
    } else if noise.asim_nonlinear_pct > 0.0 {
        (ASIM_NONLINEAR, "ASiM's noise")
    } else if spec.adc.range == Range::NeuroSim15Clip {
        (RANGE, "the range `neurosim15_clip`")
    } else {
        return;
    };
    let (other, needs) = if spec.weight.combine != WeightCombine::Digital {
        (WEIGHT_COMBINE, "`digital` combination")
    } else if noise.draws != NoiseDraws::PerConversion {
        (DRAWS, "`per_conversion` draws")
    } else {
        return;
    };
    r.conflict(
        "E0210",
        format!("{what} needs {needs}"),
        &[(key, "counts the ones of a column"), (other, "does not fit")],
        "these are the models of other simulators, for comparison with them",
    );
}

/// A number of steps needs their size.
fn check_trims(spec: &MacroSpec, r: &mut Reader) {
    for (trim, size, steps) in [
        (spec.noise.offset_trim, "offset_trim_lsb", "offset_trim_steps"),
        (spec.noise.gain_trim, "gain_trim_pct", "gain_trim_steps"),
    ] {
        if trim.most > 0 && trim.size == 0.0 {
            r.conflict(
                "E0211",
                format!("a trim of {} steps of no size", trim.most),
                &[(("noise", steps), "steps"), (("noise", size), "size of a step")],
                "give the size of a step, or leave the steps out",
            );
        }
    }
}

fn check_system(spec: &MacroSpec, r: &mut Reader) {
    if spec.system.instances > 0 && spec.system.duplicate > spec.system.instances {
        r.conflict(
            "E0207",
            format!(
                "{} copies of a layer cannot work at once on {} instances",
                spec.system.duplicate, spec.system.instances
            ),
            &[(DUPLICATE, "copies"), (INSTANCES, "instances")],
            "one instance works on one output position at a time; `instances = 0` takes as many as needed",
        );
    }
}
