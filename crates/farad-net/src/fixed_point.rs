//! gemmlowp's fixed-point functions, bit for bit: what TFLite's reference kernels build softmax and logistic from.
//!
//! `Qn` is a signed 32-bit number with `n` integer bits: raw value times `2^(n - 31)`. Algorithms and constants:
//! gemmlowp `fixedpoint/fixedpoint.h`.

use crate::requant::{doubling_high_mul as mul, rounding_divide_by_pot};

/// One, in Q0: the largest number below it.
const Q0_ONE: i32 = i32::MAX;

/// `x * 2^exponent` for a positive exponent, saturating.
fn saturating_shift(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// `exp(a)` in Q0 for `a` in Q0 within `[-1/4, 0)`: a Taylor expansion of fourth order around -1/8.
fn exp_near_zero(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let higher = mul(rounding_divide_by_pot(x4, 2).wrapping_add(x3), ONE_THIRD).wrapping_add(x2);
    let series = x.wrapping_add(rounding_divide_by_pot(higher, 1));
    EXP_MINUS_EIGHTH.wrapping_add(mul(EXP_MINUS_EIGHTH, series))
}

/// `exp(a)` in Q0 for negative or zero `a` in `Q<integer_bits>`, `integer_bits` at most 5.
pub(crate) fn exp_of_negative(a: i32, integer_bits: u32) -> i32 {
    /// `exp(-2^k)` in Q0, `k` from -2.
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    if a == 0 {
        return Q0_ONE;
    }
    let fractional_bits = 31 - integer_bits;
    let quarter = 1i32 << (fractional_bits - 2);
    let part = (a & (quarter - 1)) - quarter;
    let mut result = exp_near_zero(saturating_shift(part, integer_bits));
    let remainder = part.wrapping_sub(a);
    for (k, factor) in FACTORS.iter().enumerate().take(integer_bits as usize + 2) {
        if remainder & (1 << (fractional_bits as usize - 2 + k)) != 0 {
            result = mul(result, *factor);
        }
    }
    result
}

/// `1 / (1 + a)` in Q0 for `a` in Q0 within `[0, 1]`: three Newton-Raphson steps.
pub(crate) fn reciprocal_of_one_plus(a: i32) -> i32 {
    const Q2_48_OVER_17: i32 = 1_515_870_810;
    const Q2_MINUS_32_OVER_17: i32 = -1_010_580_540;
    const Q2_ONE: i32 = 1 << 29;
    let sum = i64::from(a) + i64::from(Q0_ONE);
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x = Q2_48_OVER_17.wrapping_add(mul(half_denominator, Q2_MINUS_32_OVER_17));
    for _ in 0..3 {
        let error = Q2_ONE.wrapping_sub(mul(half_denominator, x));
        x = x.wrapping_add(saturating_shift(mul(x, error), 2));
    }
    saturating_shift(x, 1)
}

/// `1 / (1 + exp(-a))` in Q0 for `a` in `Q<integer_bits>`.
pub(crate) fn logistic(a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let positive = reciprocal_of_one_plus(exp_of_negative(-a.saturating_abs(), integer_bits));
    if a > 0 { positive } else { Q0_ONE - positive }
}

/// `Multiplier` of `scale` in `Q<integer_bits>`, and the largest difference of stored values that still fits.
///
/// TFLite: `CalculateInputRadius` in `quantization_util.cc`.
pub(crate) fn input_radius(integer_bits: u32, left_shift: i32) -> i32 {
    let largest = f64::from((1i32 << integer_bits) - 1) * f64::from(1u32 << (31 - integer_bits));
    (largest / 2f64.powi(left_shift)).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: f64 = 2_147_483_648.0;

    proptest! {
        // gemmlowp's own test asks for 3e-7 (test_fixedpoint.cc).
        #[test]
        fn exp_is_exp(a in i32::MIN + 1..=0, bits in 1u32..6) {
            let real = f64::from(a) / UNIT * f64::from(1 << bits);
            let y = f64::from(exp_of_negative(a, bits)) / UNIT;
            prop_assert!((y - real.exp()).abs() < 3e-7, "{} for {}", y, real.exp());
        }

        #[test]
        fn reciprocal_is_reciprocal(a in 0..i32::MAX) {
            let y = f64::from(reciprocal_of_one_plus(a)) / UNIT;
            prop_assert!((y - 1.0 / (1.0 + f64::from(a) / UNIT)).abs() < 3e-7);
        }

        #[test]
        fn logistic_is_logistic(a in i32::MIN + 1..i32::MAX) {
            let real = f64::from(a) / UNIT * 16.0;
            prop_assert!((f64::from(logistic(a, 4)) / UNIT - 1.0 / (1.0 + (-real).exp())).abs() < 1e-6);
        }
    }
}
