//! Successive approximation on a capacitive DAC, decision by decision.

use super::cdac::Cdac;
use super::{AdcKind, AdcSpec, Conversion};

/// How the CDAC is built and switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switching {
    /// Binary-weighted, set-and-reset switching.
    Conventional,
    /// Binary-weighted, monotonic switching (Liu, Chang, Huang, Lin, JSSC 45(4), 2010).
    Monotonic,
    /// Two binary arrays joined by a bridge capacitor.
    Split,
}

/// A SAR with one of the three CDACs.
pub struct Sar(Switching);

/// `sar_conventional`
pub const CONVENTIONAL: Sar = Sar(Switching::Conventional);
/// `sar_monotonic`
pub const MONOTONIC: Sar = Sar(Switching::Monotonic);
/// `sar_split`
pub const SPLIT: Sar = Sar(Switching::Split);

/// Average switching energy in units of `C_u Vref^2` over all codes, the `skip` first steps left out.
/// Conventional: `sum_i 2^(B+1-2i) (2^i - 1)`; monotonic: `sum_i 2^(B-2-i)` (Liu et al., JSSC 2010: 1363.3 and
/// 255.5 at 10 bits).
fn switching_energy(switching: Switching, bits: u32, skip: u32) -> f64 {
    let power = |e: i32| libm::exp2(f64::from(e));
    let b = bits as i32;
    let first = skip as i32 + 1;
    match switching {
        Switching::Conventional => (first..=b).map(|i| power(b + 1 - 2 * i) * (power(i) - 1.0)).sum(),
        Switching::Monotonic => (first..b).map(|i| power(b - 2 - i)).sum(),
        // Each half is a conventional array; the bridge makes the LSB half a load of one unit on the MSB half.
        Switching::Split => {
            let low = bits / 2;
            switching_energy(Switching::Conventional, bits - low, skip.min(bits - low))
                + switching_energy(Switching::Conventional, low, skip.saturating_sub(bits - low))
        }
    }
}

impl AdcKind for Sar {
    fn name(&self) -> &'static str {
        match self.0 {
            Switching::Conventional => "sar_conventional",
            Switching::Monotonic => "sar_monotonic",
            Switching::Split => "sar_split",
        }
    }

    fn description(&self) -> &'static str {
        match self.0 {
            Switching::Conventional => "binary-weighted CDAC, set-and-reset switching; skip_bits",
            Switching::Monotonic => "binary-weighted CDAC, monotonic switching; skip_bits",
            Switching::Split => "two binary arrays and a bridge capacitor; skip_bits",
        }
    }

    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
        let codes = spec.codes() as f64;
        let cdac = self.cdac(spec, normal).expect("a SAR has a CDAC");
        cdac.levels().iter().map(|f| f * codes - 0.5 - codes / 2.0).collect()
    }

    fn cdac(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Option<Cdac> {
        Some(match self.0 {
            Switching::Conventional | Switching::Monotonic => Cdac::binary(spec.bits, spec.unit_sigma(), normal),
            Switching::Split => Cdac::split(spec.bits, spec.unit_sigma(), normal),
        })
    }

    /// Binary search from the MSB. With `skip_bits = s` a first comparison asks whether the input lies in the lowest
    /// `1/2^s` of the range (unsigned), or in the window of that width around mid-scale (signed); if so only `bits - s`
    /// decisions follow and the code saturates inside that part.
    fn convert(
        &self,
        spec: &AdcSpec,
        signed: bool,
        levels: &[i32],
        at_least: &mut dyn FnMut(i32) -> bool,
    ) -> Conversion {
        let codes = spec.codes();
        let (mut base, mut span, mut skipped) = (0, codes, false);
        if spec.skip_bits > 0 {
            let part = codes >> spec.skip_bits;
            let start = if signed { codes / 2 - part / 2 } else { 0 };
            let below = start > 0 && !at_least(levels[start - 1]);
            if !below && !at_least(levels[start + part - 1]) {
                (base, span, skipped) = (start, part, true);
            }
        }
        let mut code = base;
        while span > 1 {
            span /= 2;
            if at_least(levels[code + span - 1]) {
                code += span;
            }
        }
        Conversion { code, skipped }
    }

    fn cycles(&self, spec: &AdcSpec) -> u64 {
        u64::from(spec.bits) + u64::from(spec.skip_bits > 0)
    }

    fn energy_j(&self, spec: &AdcSpec, vref_v: f64, conversion: Conversion) -> f64 {
        let skip = if conversion.skipped { spec.skip_bits } else { 0 };
        let decisions = f64::from(spec.bits - skip) + f64::from(u8::from(spec.skip_bits > 0));
        let switching = switching_energy(self.0, spec.bits, skip) * spec.unit_cap_ff * 1e-15 * vref_v * vref_v;
        switching + decisions * spec.decision_fj * 1e-15
    }

    fn area_um2(&self, spec: &AdcSpec) -> f64 {
        let units = match self.0 {
            Switching::Conventional | Switching::Monotonic => spec.codes() as f64,
            Switching::Split => libm::exp2(f64::from(spec.bits / 2)) + libm::exp2(f64::from(spec.bits - spec.bits / 2)),
        };
        spec.area_fixed_um2 + units * spec.area_per_unit_um2
    }

    /// The CDAC. A split one is sampled on the plate of its MSB array, to which the LSB array is one more unit.
    fn sampling_cap_ff(&self, spec: &AdcSpec) -> Option<f64> {
        let bits = if self.0 == Switching::Split {
            spec.bits - spec.bits / 2
        } else {
            spec.bits
        };
        Some(libm::exp2(f64::from(bits)) * spec.unit_cap_ff)
    }

    fn is_successive(&self) -> bool {
        true
    }
}
