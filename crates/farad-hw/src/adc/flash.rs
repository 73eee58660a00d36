//! Flash: one comparator per level. The code is the number of comparators that fire, so bubbles are counted.

use super::{AdcKind, AdcSpec, Conversion, ideal_level};

/// `flash`
pub(super) struct Flash;

impl AdcKind for Flash {
    fn name(&self) -> &'static str {
        "flash"
    }

    fn description(&self) -> &'static str {
        "2^bits - 1 comparators, one decision; each comparator's reference tap has its own error"
    }

    /// The tap errors are those of a string of equal units: sigma of one unit, accumulated to the tap and pinned at both ends,
    /// `sigma_k = sigma_u * sqrt(k (n - k) / n)` LSB with n = 2^bits; here each tap is drawn from that spread on its own.
    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
        let (n, sigma) = (spec.codes() as f64, spec.unit_sigma());
        (1..spec.codes())
            .map(|k| {
                let taps = k as f64;
                let error_lsb = sigma * (taps * (n - taps) / n).sqrt() * normal();
                ideal_level(spec, k) + error_lsb
            })
            .collect()
    }

    fn convert(&self, _: &AdcSpec, _: bool, levels: &[i32], at_least: &mut dyn FnMut(i32) -> bool) -> Conversion {
        Conversion {
            code: levels.iter().filter(|&&level| at_least(level)).count(),
            skipped: false,
        }
    }

    fn cycles(&self, _: &AdcSpec) -> u64 {
        1
    }

    fn energy_j(&self, spec: &AdcSpec, _: f64, _: Conversion) -> f64 {
        (spec.codes() - 1) as f64 * spec.decision_fj * 1e-15
    }

    fn area_um2(&self, spec: &AdcSpec) -> f64 {
        spec.area_fixed_um2 + (spec.codes() - 1) as f64 * spec.area_per_unit_um2
    }
}
