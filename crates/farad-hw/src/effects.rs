//! What makes a macro's result differ from the exact one, effect by effect: how each is switched off, so that its share can be measured.
//!
//! An effect *alone* is the macro with every other one of [`list`] switched off; *without* it, only it is. Everything else stays: bits, step,
//! chip, draws. With all effects off the macro computes exactly, but for the rounding of the ADC's axis ([`crate::adc::readout`]).
//!
//! - The ADC's step comes from the layer's exact charges or from the geometry, so no effect moves it: an LSB is an LSB in all runs.
//! - **Quantisation** is the step without any end of the range, **clipping** is the end of the range without steps. A converter without
//!   steps makes no decisions; comparator noise per decision is then one draw.
//! - What was measured on a chip belongs to the effect that it took the place of; its noise is an effect of its own.
//! - What calibration takes out (attenuation, mean injection, settling, droop of the first conversion) is no effect of a calibrated macro.
//!   The parasitic's capacitance stays on a calibrated plate, where it has no error of its own but decides the LSB in volts; without calibration it
//!   goes, and kT/C and droop are those of a plate without it.
//!
//! # How to add an effect
//! An [`Effect`] in `EFFECTS`: the run, its tables and plots then have it.

use crate::profile::{Amount, Measured};
use crate::spec::{InputCombine, MacroSpec, WeightCombine};
use std::sync::Arc;

/// One reason why a macro's result differs from the exact one.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Short name, as in tables.
    pub name: &'static str,
    /// The keys of `macro.toml` that say how strong it is.
    pub keys: &'static [&'static str],
    off: fn(&mut MacroSpec),
}

const EFFECTS: &[Effect] = &[
    Effect {
        name: "quantisation",
        keys: &["adc.bits", "adc.range"],
        off: |spec| spec.adc.quantises = false,
    },
    Effect {
        name: "clipping",
        keys: &["adc.range", "adc.clip_sigma", "adc.percentile"],
        off: |spec| spec.adc.clips = false,
    },
    Effect {
        name: "cell mismatch",
        keys: &["array.mismatch_pct", "array.unit_cap_ff"],
        off: |spec| spec.array.mismatch_pct = 0.0,
    },
    Effect {
        name: "weight merge",
        keys: &[
            "weight.cap_mismatch_pct",
            "weight.switch_parasitic",
            "weight.node_parasitic",
        ],
        off: |spec| match &mut spec.weight.combine {
            WeightCombine::Digital => {}
            WeightCombine::BinaryCap {
                mismatch_pct,
                switch_parasitic: parasitic,
            }
            | WeightCombine::C2c {
                node_parasitic: parasitic,
                mismatch_pct,
            } => (*mismatch_pct, *parasitic) = (0.0, 0.0),
        },
    },
    Effect {
        name: "input merge",
        keys: &["input.share_mismatch_pct", "input.dac_mismatch_pct"],
        off: |spec| match &mut spec.input.combine {
            InputCombine::BitSerial => {}
            InputCombine::SerialShare { mismatch_pct } | InputCombine::Dac { mismatch_pct, .. } => *mismatch_pct = 0.0,
        },
    },
    Effect {
        name: "ADC mismatch",
        keys: &["adc.mismatch_pct", "adc.unit_cap_ff"],
        off: |spec| {
            spec.adc.mismatch_pct = 0.0;
            measured(spec, |_, m| {
                m.inl_lsb = m.inl_lsb.as_ref().map(|inl| vec![0.0; inl.len()].into());
            });
        },
    },
    Effect {
        name: "offset",
        keys: &["noise.offset_mv", "noise.offset_trim_lsb"],
        off: |spec| {
            spec.noise.offset_mv = 0.0;
            measured(spec, |is_column, m| {
                m.offset = m.offset.map(|offset| if is_column { offset } else { NONE });
            });
        },
    },
    Effect {
        name: "column errors",
        keys: &["noise.column_gain_pct", "noise.column_offset_lsb"],
        off: |spec| {
            (spec.noise.column_gain_pct, spec.noise.column_offset_lsb) = (0.0, 0.0);
            measured(spec, |is_column, m| {
                m.gain = m.gain.map(|_| 1.0);
                m.offset = m.offset.map(|offset| if is_column { NONE } else { offset });
            });
        },
    },
    Effect {
        name: "kT/C",
        keys: &["noise.ktc", "array.unit_cap_ff", "adc.unit_cap_ff"],
        off: |spec| spec.noise.ktc = false,
    },
    Effect {
        name: "comparator",
        keys: &["noise.comparator_lsb", "noise.comparator_mv"],
        off: |spec| (spec.noise.comparator_lsb, spec.noise.comparator_mv) = (0.0, 0.0),
    },
    Effect {
        name: "reference",
        keys: &["noise.reference_lsb"],
        off: |spec| spec.noise.reference_lsb = 0.0,
    },
    Effect {
        name: "measured noise",
        keys: &[],
        off: |spec| measured(spec, |_, m| m.noise = m.noise.map(|_| NONE)),
    },
    Effect {
        name: "parasitic",
        keys: &[
            "array.parasitic_ratio",
            "array.parasitic_fixed_ff",
            "array.parasitic_nonlinearity_per_v",
        ],
        off: |spec| {
            spec.array.parasitic_nonlinearity_per_v = 0.0;
            if !spec.noise.calibrated {
                (spec.array.parasitic_ratio, spec.array.parasitic_fixed_ff) = (0.0, 0.0);
            }
        },
    },
    Effect {
        name: "injection",
        keys: &["noise.injection_mv", "noise.injection_pct", "noise.injection_sigma_mv"],
        off: |spec| {
            spec.noise.injection_sigma_mv = 0.0;
            if !spec.noise.calibrated {
                (spec.noise.injection_mv, spec.noise.injection_pct) = (0.0, 0.0);
            }
        },
    },
    Effect {
        name: "droop",
        keys: &["noise.leakage_pa", "adc.columns_per_adc"],
        off: |spec| {
            // Calibration takes out the wait of a column that is converted first.
            if !spec.noise.calibrated || spec.adc.columns_per_adc > 1 {
                spec.noise.leakage_pa = 0.0;
            }
        },
    },
    Effect {
        name: "settling",
        keys: &["noise.settling_tau"],
        off: |spec| {
            if !spec.noise.calibrated {
                spec.noise.settling_tau = f64::INFINITY;
            }
        },
    },
    Effect {
        name: "ASiM noise",
        keys: &["noise.asim_random_pct", "noise.asim_nonlinear_pct"],
        off: |spec| (spec.noise.asim_random_pct, spec.noise.asim_nonlinear_pct) = (0.0, 0.0),
    },
];

/// Nothing, as a figure that was measured: with it, nothing is drawn.
const NONE: Amount = Amount::Lsb(0.0);

/// Changes what was measured of each column and ADC, if there is a profile.
fn measured(spec: &mut MacroSpec, change: impl Fn(bool, &mut Measured)) {
    if let Some(profile) = &mut spec.profile {
        Arc::make_mut(profile).change(change);
    }
}

/// All effects.
#[must_use]
pub fn list() -> &'static [Effect] {
    EFFECTS
}

/// The effects that `spec` has.
#[must_use]
pub fn of(spec: &MacroSpec) -> Vec<&'static Effect> {
    EFFECTS.iter().filter(|effect| effect.is_in(spec)).collect()
}

impl Effect {
    /// Whether `spec` has it: switching it off would change something.
    #[must_use]
    pub fn is_in(&self, spec: &MacroSpec) -> bool {
        self.without(spec) != *spec
    }

    /// `spec` without it.
    #[must_use]
    pub fn without(&self, spec: &MacroSpec) -> MacroSpec {
        let mut spec = spec.clone();
        (self.off)(&mut spec);
        spec
    }

    /// `spec` with no other effect.
    #[must_use]
    pub fn alone(&self, spec: &MacroSpec) -> MacroSpec {
        without_all(spec, |effect| effect.name != self.name)
    }
}

/// `spec` without any effect.
#[must_use]
pub fn none(spec: &MacroSpec) -> MacroSpec {
    without_all(spec, |_| true)
}

fn without_all(spec: &MacroSpec, is_off: impl Fn(&Effect) -> bool) -> MacroSpec {
    let mut spec = spec.clone();
    EFFECTS
        .iter()
        .filter(|effect| is_off(effect))
        .for_each(|effect| (effect.off)(&mut spec));
    spec
}
