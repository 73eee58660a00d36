//! The SAR of CrossSim 3.2 (Sandia), as a compatibility mode: a sign-magnitude CDAC, its levels in closed form.
//!
//! CrossSim starts code c at the output of its CDAC for c and reads it half an LSB above that (mid-rise), so that zero has no code. Here
//! both are half an LSB lower, and zero has one: `code(v)` is CrossSim's for `v + 1/2 LSB`. CrossSim draws one CDAC for all ADCs of an
//! array, here each has its own.

use super::cdac::sum_of;
use super::{AdcKind, AdcSpec, Conversion, sar};

/// A SAR as CrossSim models it.
pub(super) struct CrossSim {
    split: bool,
}

/// `crosssim_sar`
pub(super) const WHOLE: CrossSim = CrossSim { split: false };
/// `crosssim_sar_split`
pub(super) const SPLIT: CrossSim = CrossSim { split: true };

/// The capacitors of CrossSim's CDAC, in units, nominal; each has its unit's error over the root of its size.
#[must_use]
pub fn nominal_capacitors(bits: u32, split: bool) -> Vec<f64> {
    let power = |k: u32| libm::exp2(f64::from(k));
    if !split || bits < 2 {
        // Bit n is 2^n units; the last is the load of the amplifier.
        return (0..bits).map(power).chain([power(bits - 1)]).collect();
    }
    let low = bits / 2;
    let bridge = power(low) / (power(low) - 1.0);
    let arrays = (0..low).chain(0..bits - 1 - low).map(power);
    arrays.chain([1.0, bridge]).collect()
}

/// Output of CrossSim's CDAC for each code from 1, as a fraction of the reference, between -1 and 1; `capacitors` are ordered as
/// [`nominal_capacitors`]. The amplifier has the open-loop gain `gain` (`INFINITY` for an ideal one).
///
/// A code below the middle is the negative of magnitude `2^(B-1) - c`, one above has the magnitude `c - 2^(B-1)`:
/// `V(c) = (+-T + 2^-B) / (1 + 1 / (gain beta)) - 2^-B` with T the switched share of the array and beta its feedback factor
/// (after Spear et al., JXCDC 2023).
#[must_use]
pub fn levels(capacitors: &[f64], split: bool, gain: f64) -> Vec<f64> {
    let bits = capacitors.len() - 1;
    let half = 1usize << (bits - 1);
    let step = 1.0 / (2 * half) as f64;
    (1..2 * half)
        .map(|code| {
            let (magnitude, sign) = if code < half {
                (half - code, -1.0)
            } else {
                (code - half, 1.0)
            };
            let (share, beta) = if split && bits > 1 {
                (split_share(magnitude, capacitors, bits), 1.0)
            } else {
                let on = sum_of(magnitude, &capacitors[..bits]);
                (on / capacitors[bits - 1], capacitors[bits] / (capacitors[bits] + on))
            };
            (sign * share + step) / (1.0 + 1.0 / (gain * beta)) - step
        })
        .collect()
}

/// Charge conservation on the two plates: low array with its dummy, high array, bridge.
fn split_share(magnitude: usize, capacitors: &[f64], bits: usize) -> f64 {
    let (arrays, [dummy, bridge]) = (&capacitors[..bits - 1], [capacitors[bits - 1], capacitors[bits]]);
    let (low, high) = arrays.split_at(bits / 2);
    let on_low = low.iter().sum::<f64>() + dummy + bridge;
    let on_high = high.iter().sum::<f64>() + bridge;
    let switched = (sum_of(magnitude, low), sum_of(magnitude >> low.len(), high));
    (switched.0 * bridge + switched.1 * on_low) / (on_low * on_high - bridge * bridge)
}

impl CrossSim {
    /// What energy, clocks and sampling are taken from.
    fn circuit(&self) -> &'static sar::Sar {
        if self.split { &sar::SPLIT } else { &sar::CONVENTIONAL }
    }
}

impl AdcKind for CrossSim {
    fn name(&self) -> &'static str {
        if self.split {
            "crosssim_sar_split"
        } else {
            "crosssim_sar"
        }
    }

    fn description(&self) -> &'static str {
        if self.split {
            "CrossSim's SAR with a split CDAC, for comparison; skip_bits"
        } else {
            "CrossSim's SAR, sign and magnitude, for comparison; skip_bits"
        }
    }

    /// With an ideal amplifier; CrossSim's default of 100 dB moves no level by more than 2e-5 of full scale.
    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
        let sigma = spec.unit_sigma();
        let capacitors: Vec<f64> = nominal_capacitors(spec.bits, self.split)
            .into_iter()
            .map(|units| units + sigma * units.sqrt() * normal())
            .collect();
        let half = spec.codes() as f64 / 2.0;
        let lsb = |level: f64| level * half - 0.5;
        levels(&capacitors, self.split, f64::INFINITY)
            .into_iter()
            .map(lsb)
            .collect()
    }

    fn convert(
        &self,
        spec: &AdcSpec,
        signed: bool,
        levels: &[i32],
        at_least: &mut dyn FnMut(i32) -> bool,
    ) -> Conversion {
        self.circuit().convert(spec, signed, levels, at_least)
    }

    fn cycles(&self, spec: &AdcSpec) -> u64 {
        self.circuit().cycles(spec)
    }

    fn energy_j(&self, spec: &AdcSpec, vref_v: f64, conversion: Conversion) -> f64 {
        self.circuit().energy_j(spec, vref_v, conversion)
    }

    fn area_um2(&self, spec: &AdcSpec) -> f64 {
        self.circuit().area_um2(spec)
    }

    fn sampling_cap_ff(&self, spec: &AdcSpec) -> Option<f64> {
        self.circuit().sampling_cap_ff(spec)
    }

    fn is_successive(&self) -> bool {
        true
    }
}
