//! Rounding half to even without a library call.

/// 1.5 * 2^52: adding it leaves no bits below one, so the sum is rounded as IEEE 754 rounds, half to even.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// `x` rounded half to even, for `|x| < 2^51`.
///
/// ```
/// # use farad_core::round::half_even;
/// assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5].map(half_even), [0, 2, 2, 0, -2]);
/// ```
#[inline]
#[must_use]
pub fn half_even(x: f64) -> i64 {
    (x + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i64
}

#[cfg(test)]
mod tests {
    use super::half_even;

    #[test]
    fn equals_round_ties_even() {
        for i in -40_000i64..40_000 {
            for x in [i as f64 * 0.25, i as f64 * 1e9 + 0.5, i as f64 * 12_345.678_9] {
                assert_eq!(half_even(x), x.round_ties_even() as i64, "{x}");
            }
        }
    }
}
