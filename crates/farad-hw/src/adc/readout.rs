//! What a converter would tell if it had no steps, or no end of its range: the two halves of its own loss, one at a time.
//!
//! A reading is an integer of [`farad_core::axis`] steps from mid-scale, so code `k` reads as `(k - 2^(bits-1))` LSB. Without steps
//! ([`AdcSpec::quantises`] is false) it lies between the readings of neighbouring codes as the input lies between their levels: an ideal converter
//! reads its input, and one with errors keeps its INL. What is left of quantisation is the rounding of the axis, 36 dB less up to 10 bits.
//! Without an end of the range ([`AdcSpec::clips`] is false) ideal steps follow on the outermost levels, and inside the range nothing changes.

use super::AdcSpec;
use farad_core::axis::{half_range, lsb_steps};

/// How far inputs may lie from mid-scale, in steps: 128 times the range of 10 bits, which an output's sum over planes still holds in 32 bits.
pub const LIMIT: i32 = (1 << 22) - 1;

/// Whether conversions are readings instead of codes.
#[must_use]
pub fn is_used(spec: &AdcSpec) -> bool {
    !(spec.quantises && spec.clips)
}

/// The code or the reading of zero charge.
#[must_use]
pub fn zero(spec: &AdcSpec, signed: bool) -> i64 {
    let half = i64::from(half_range(spec.bits));
    match (is_used(spec), signed) {
        (true, true) => 0,
        (true, false) => -half,
        (false, true) => spec.codes() as i64 / 2,
        (false, false) => 0,
    }
}

/// What one LSB is worth in what the digital side sums: 1 for codes.
#[must_use]
pub fn per_lsb(spec: &AdcSpec) -> f64 {
    if is_used(spec) {
        lsb_steps(spec.bits).into()
    } else {
        1.0
    }
}

/// The reading of `input`, which the converter with this noise-free `staircase` (see [`super::staircase`]) gave `code`.
#[must_use]
pub fn reading(spec: &AdcSpec, staircase: &[i32], code: usize, input: i32) -> i32 {
    let (step, half) = (lsb_steps(spec.bits), half_range(spec.bits));
    // Codes that no input reaches are at the end.
    let reachable = staircase.partition_point(|&level| level < i32::MAX);
    let Some((&lowest, &highest)) = staircase.first().zip(staircase[..reachable].last()) else {
        return -half;
    };
    // Reading of an input that is exactly at level `k`, half a step below code `k + 1`.
    let at = |level: usize| level as i32 * step + step / 2 - half;
    let free = if spec.quantises {
        let beyond = if code == 0 {
            (input - lowest).div_euclid(step).min(-1) + 1
        } else if code >= reachable {
            (input - highest).div_euclid(step).max(0)
        } else {
            0
        };
        (code as i32 + beyond) * step - half
    } else {
        match staircase[..reachable].partition_point(|&level| level <= input) {
            0 => input - lowest + at(0),
            k if k == reachable => input - highest + at(k - 1),
            k => {
                let (below, above) = (staircase[k - 1], staircase[k]);
                at(k - 1) + ((input - below) * step).div_euclid(above - below)
            }
        }
    };
    if spec.clips {
        free.clamp(-half, half - step)
    } else {
        free
    }
}
