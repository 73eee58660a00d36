//! Converters that count time until the input is passed: a ramp with clocked steps, and a delay line.

use super::{AdcKind, AdcSpec, Conversion, ideal_level};

/// How the steps are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steps {
    /// A clocked comparator looks at each step of a ramp.
    Clocked,
    /// The input is turned into a time once; a delay line or ring finer than the clock counts it.
    DelayLine,
}

/// A converter that counts steps.
pub(super) struct Ramp(Steps);

/// `ramp`
pub(super) const RAMP: Ramp = Ramp(Steps::Clocked);
/// `time`
pub(super) const TIME: Ramp = Ramp(Steps::DelayLine);

impl AdcKind for Ramp {
    fn name(&self) -> &'static str {
        match self.0 {
            Steps::Clocked => "ramp",
            Steps::DelayLine => "time",
        }
    }

    fn description(&self) -> &'static str {
        match self.0 {
            Steps::Clocked => {
                "single slope: 2^bits clocks, one comparator per column; the ramp's units are drawn per ADC"
            }
            Steps::DelayLine => {
                "voltage to time, one decision; a delay line of drawn stages counts the time in a clock"
            }
        }
    }

    /// Each step is one unit; steps accumulate (a random walk pinned at mid-scale by calibration).
    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
        let sigma = spec.unit_sigma();
        let steps: Vec<f64> = (1..spec.codes()).map(|_| sigma * normal()).collect();
        let middle: f64 = steps[..spec.codes() / 2 - 1].iter().sum();
        let mut walk = -middle;
        (1..spec.codes())
            .map(|k| {
                let level = ideal_level(spec, k) + walk;
                walk += steps[k - 1];
                level
            })
            .collect()
    }

    fn convert(&self, _: &AdcSpec, _: bool, levels: &[i32], at_least: &mut dyn FnMut(i32) -> bool) -> Conversion {
        Conversion {
            code: levels.iter().take_while(|&&level| at_least(level)).count(),
            skipped: false,
        }
    }

    fn cycles(&self, spec: &AdcSpec) -> u64 {
        match self.0 {
            Steps::Clocked => spec.codes() as u64,
            Steps::DelayLine => 1,
        }
    }

    /// The comparator of a ramp decides at each step until it flips. A delay line's decides once, and each step until then switches one
    /// unit capacitor.
    fn energy_j(&self, spec: &AdcSpec, vref_v: f64, conversion: Conversion) -> f64 {
        let steps = (conversion.code + 1) as f64;
        let femto = match self.0 {
            Steps::Clocked => steps * spec.decision_fj,
            Steps::DelayLine => spec.decision_fj + steps * spec.unit_cap_ff * vref_v * vref_v,
        };
        femto * 1e-15
    }

    fn area_um2(&self, spec: &AdcSpec) -> f64 {
        spec.area_fixed_um2
    }
}
