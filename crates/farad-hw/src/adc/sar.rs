//! Successive approximation on a capacitive DAC, decision by decision.

use super::{AdcKind, AdcSpec, Conversion};

/// How the CDAC is built and switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cdac {
    /// Binary-weighted, set-and-reset switching.
    Conventional,
    /// Binary-weighted, monotonic switching (Liu, Chang, Huang, Lin, JSSC 45(4), 2010).
    Monotonic,
    /// Two binary arrays joined by a bridge capacitor.
    Split,
}

/// A SAR with one of the three CDACs.
pub struct Sar(Cdac);

/// `sar_conventional`
pub const CONVENTIONAL: Sar = Sar(Cdac::Conventional);
/// `sar_monotonic`
pub const MONOTONIC: Sar = Sar(Cdac::Monotonic);
/// `sar_split`
pub const SPLIT: Sar = Sar(Cdac::Split);

/// Capacitors of a CDAC, LSB first, in units; each of `2^k` units has `sigma_u / sqrt(2^k)` relative error.
fn draw_capacitors(weights: impl Iterator<Item = f64>, sigma: f64, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
    weights.map(|w| w + sigma * w.sqrt() * normal()).collect()
}

/// Output of a binary-weighted CDAC as a fraction of the reference, for each trial code from 1.
#[must_use]
pub fn binary_levels(capacitors: &[f64], dummy: f64) -> Vec<f64> {
    let total: f64 = capacitors.iter().sum::<f64>() + dummy;
    (1..1usize << capacitors.len())
        .map(|trial| sum_of(trial, capacitors) / total)
        .collect()
}

/// Output of a split CDAC as a fraction of the reference: `low` and `high` arrays (LSB first), a terminating `dummy` with
/// any `parasitic` on the LSB array's plate, and the `bridge`. Solves charge conservation on the two plates.
#[must_use]
pub fn split_levels(low: &[f64], high: &[f64], dummy: f64, parasitic: f64, bridge: f64) -> Vec<f64> {
    let on_low = low.iter().sum::<f64>() + dummy + parasitic + bridge;
    let on_high = high.iter().sum::<f64>() + bridge;
    let determinant = on_low * on_high - bridge * bridge;
    (1..1usize << (low.len() + high.len()))
        .map(|trial| {
            let (l, h) = (sum_of(trial, low), sum_of(trial >> low.len(), high));
            (l * bridge + h * on_low) / determinant
        })
        .collect()
}

fn sum_of(trial: usize, capacitors: &[f64]) -> f64 {
    capacitors
        .iter()
        .enumerate()
        .filter(|(k, _)| trial >> k & 1 == 1)
        .map(|(_, c)| c)
        .sum()
}

/// Average switching energy in units of `C_u Vref^2` over all codes, the `skip` first steps left out.
/// Conventional: `sum_i 2^(B+1-2i) (2^i - 1)`; monotonic: `sum_i 2^(B-2-i)` (Liu et al., JSSC 2010: 1363.3 and
/// 255.5 at 10 bits).
fn switching_energy(cdac: Cdac, bits: u32, skip: u32) -> f64 {
    let power = |e: i32| libm::exp2(f64::from(e));
    let b = bits as i32;
    let first = skip as i32 + 1;
    match cdac {
        Cdac::Conventional => (first..=b).map(|i| power(b + 1 - 2 * i) * (power(i) - 1.0)).sum(),
        Cdac::Monotonic => (first..b).map(|i| power(b - 2 - i)).sum(),
        // Each half is a conventional array; the bridge makes the LSB half a load of one unit on the MSB half.
        Cdac::Split => {
            let low = bits / 2;
            switching_energy(Cdac::Conventional, bits - low, skip.min(bits - low))
                + switching_energy(Cdac::Conventional, low, skip.saturating_sub(bits - low))
        }
    }
}

impl AdcKind for Sar {
    fn name(&self) -> &'static str {
        match self.0 {
            Cdac::Conventional => "sar_conventional",
            Cdac::Monotonic => "sar_monotonic",
            Cdac::Split => "sar_split",
        }
    }

    fn description(&self) -> &'static str {
        match self.0 {
            Cdac::Conventional => "binary-weighted CDAC, set-and-reset switching; skip_bits",
            Cdac::Monotonic => "binary-weighted CDAC, monotonic switching; skip_bits",
            Cdac::Split => "two binary arrays and a bridge capacitor; skip_bits",
        }
    }

    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
        let sigma = spec.unit_sigma();
        let binary = |bits: u32| (0..bits).map(|k| libm::exp2(f64::from(k)));
        let fractions = match self.0 {
            Cdac::Conventional | Cdac::Monotonic => {
                let capacitors = draw_capacitors(binary(spec.bits), sigma, normal);
                binary_levels(&capacitors, 1.0 + sigma * normal())
            }
            Cdac::Split => {
                let low_bits = spec.bits / 2;
                let low = draw_capacitors(binary(low_bits), sigma, normal);
                let high = draw_capacitors(binary(spec.bits - low_bits), sigma, normal);
                let units = libm::exp2(f64::from(low_bits));
                // A 1-bit converter has no LSB array and no bridge.
                if low_bits == 0 {
                    binary_levels(&high, 1.0 + sigma * normal())
                } else {
                    let nominal = units / (units - 1.0);
                    let bridge = nominal + sigma * nominal.sqrt() * normal();
                    split_levels(&low, &high, 1.0 + sigma * normal(), 0.0, bridge)
                }
            }
        };
        let codes = spec.codes() as f64;
        fractions.iter().map(|f| f * codes - 0.5 - codes / 2.0).collect()
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
            Cdac::Conventional | Cdac::Monotonic => spec.codes() as f64,
            Cdac::Split => libm::exp2(f64::from(spec.bits / 2)) + libm::exp2(f64::from(spec.bits - spec.bits / 2)),
        };
        spec.area_fixed_um2 + units * spec.area_per_unit_um2
    }

    /// The CDAC. A split one is sampled on the plate of its MSB array, to which the LSB array is one more unit.
    fn sampling_cap_ff(&self, spec: &AdcSpec) -> Option<f64> {
        let bits = if self.0 == Cdac::Split {
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
