//! A quantiser without errors, energy or area: what the others are compared with.

use super::{AdcKind, AdcSpec, Conversion, ideal_level};

/// `ideal`
pub(super) struct Ideal;

impl AdcKind for Ideal {
    fn name(&self) -> &'static str {
        "ideal"
    }

    fn description(&self) -> &'static str {
        "mid-tread quantiser without errors; free and instantaneous"
    }

    fn levels(&self, spec: &AdcSpec, _: &mut dyn FnMut() -> f64) -> Vec<f64> {
        (1..spec.codes()).map(|k| ideal_level(spec, k)).collect()
    }

    fn convert(&self, _: &AdcSpec, _: bool, levels: &[i32], at_least: &mut dyn FnMut(i32) -> bool) -> Conversion {
        Conversion {
            code: levels.partition_point(|&level| at_least(level)),
            skipped: false,
        }
    }

    fn cycles(&self, _: &AdcSpec) -> u64 {
        1
    }

    fn energy_j(&self, _: &AdcSpec, _: f64, _: Conversion) -> f64 {
        0.0
    }

    fn area_um2(&self, _: &AdcSpec) -> f64 {
        0.0
    }
}
