//! The ADC's input axis: integers that both the description of a macro and the kernels speak.
//!
//! The axis is 16 bits wide and zero is mid-scale. An LSB has 64 steps ([`lsb_steps`]); converters of more than 10 bits have fewer, so that
//! their range still fits.

use crate::normal::{mulhrs, z_q12};

/// Most bits of a converter: with 12, an LSB still has 16 steps.
pub const MAX_BITS: u32 = 12;

/// Logarithm of the steps in one LSB of a converter with `bits`.
#[inline]
#[must_use]
pub fn lsb_log2(bits: u32) -> u32 {
    (16 - bits).min(6)
}

/// Steps of the axis in one LSB of a converter with `bits`.
#[inline]
#[must_use]
pub fn lsb_steps(bits: u32) -> i32 {
    1 << lsb_log2(bits)
}

/// Half the range of a converter with `bits`, in steps: it covers `-half .. half`.
#[inline]
#[must_use]
pub fn half_range(bits: u32) -> i32 {
    1 << (bits + lsb_log2(bits) - 1)
}

/// Bins in which a noise sigma may vary along the range.
pub const SIGMA_BINS: usize = 32;

/// From a conversion's charge `q` (in charge quanta) to the axis: `(quadratic q + gain) q + offset`, in f32, each
/// operation rounded, then rounded half to even and saturated to 16 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Steps at zero charge.
    pub offset: f32,
    /// Steps per quantum.
    pub gain: f32,
    /// Steps per quantum squared (voltage-dependent parasitic).
    pub quadratic: f32,
}

impl Transfer {
    /// The ADC input for charge `q`.
    #[inline]
    #[must_use]
    pub fn apply(&self, q: f32) -> i16 {
        self.round(q, f32::from(i16::MIN), f32::from(i16::MAX)) as i16
    }

    /// The input for charge `q` on an axis that goes on to `limit` steps, below 2^22, either side of mid-scale.
    #[must_use]
    pub fn apply_within(&self, q: f32, limit: i32) -> i32 {
        self.round(q, -limit as f32, limit as f32)
    }

    #[inline]
    fn round(&self, q: f32, low: f32, high: f32) -> i32 {
        // 1.5 * 2^23: adding it rounds half to even, as in `crate::round`, since the clamped value is below 2^22.
        const SHIFT: f32 = 12_582_912.0;
        let v = (self.quadratic * q + self.gain) * q + self.offset;
        let v = v.clamp(low, high) + SHIFT;
        v.to_bits().wrapping_sub(SHIFT.to_bits()) as i32
    }
}

/// The bin of input `v` for a converter with `bits`, counted from mid-scale in two's complement; inputs beyond the range share its edge bins.
#[inline]
#[must_use]
pub fn sigma_bin(v: i16, bits: u32) -> usize {
    ((v >> (bits + lsb_log2(bits) - 5)).clamp(-16, 15) & 31) as usize
}

/// Adds Gaussian noise of `sigma` (1/8 steps) to input `v`, for the uniform draw `u`; saturates.
#[inline]
#[must_use]
pub fn add_noise(v: i16, sigma: i16, u: u16) -> i16 {
    v.saturating_add(mulhrs(z_q12(u), sigma))
}

/// The same for an input that may lie beyond the 16 bits of the axis; `sigma` is asked for the nearest input on it.
#[must_use]
pub fn add_noise_beyond(v: i32, sigma: impl FnOnce(i16) -> i16, u: u16) -> i32 {
    let nearest = v.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    v + i32::from(mulhrs(z_q12(u), sigma(nearest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_rounds_half_to_even_and_saturates() {
        let transfer = Transfer {
            offset: 0.25,
            gain: 0.5,
            quadratic: 0.0,
        };
        for q in -80_000..80_000 {
            let exact = (0.5 * q as f32 + 0.25).clamp(-32768.0, 32767.0).round_ties_even();
            assert_eq!(f32::from(transfer.apply(q as f32)), exact);
        }
        let steps = Transfer {
            offset: 0.0,
            gain: 0.5,
            quadratic: 0.0,
        };
        assert_eq!(
            [1.0, 3.0, 5.0, -1.0, -3.0, 1e9, -1e9].map(|q| steps.apply(q)),
            [0, 2, 2, 0, -2, i16::MAX, i16::MIN]
        );
    }
}
