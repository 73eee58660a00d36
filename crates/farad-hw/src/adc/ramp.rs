//! Single-slope: a ramp shared by all columns climbs one step a clock until the comparator flips.

use super::{AdcKind, AdcSpec, Conversion, ideal_level};

/// `ramp`
pub(super) struct Ramp;

impl AdcKind for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn description(&self) -> &'static str {
        "single slope: 2^bits clocks, one comparator per column; the ramp's units are drawn per ADC"
    }

    /// Each step of the ramp is one unit; steps accumulate (a random walk pinned at mid-scale by calibration).
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
        spec.codes() as u64
    }

    /// The comparator works until it flips.
    fn energy_j(&self, spec: &AdcSpec, _: f64, conversion: Conversion) -> f64 {
        (conversion.code + 1) as f64 * spec.decision_fj * 1e-15
    }

    fn area_um2(&self, spec: &AdcSpec) -> f64 {
        spec.area_fixed_um2
    }
}
