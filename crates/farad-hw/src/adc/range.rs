//! Which part of the charge axis the codes cover, and how that follows from charges.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};
use std::fmt;

/// Which part of the charge axis the codes cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// The largest possible charge of the connected cells.
    Full,
    /// `sigmas` standard deviations of the charges either side of zero (signed) or above their mean.
    Clip {
        /// Half width in standard deviations.
        sigmas: f64,
    },
    /// The given percentile of the charges' magnitude; 100 is the largest one.
    Calibrated {
        /// Percentile, 50 to 100.
        percentile: f64,
    },
    /// What has the least mean square error for Gaussian charges of the same mean and sigma.
    Optimal,
    /// What has the least mean square error for the charges themselves.
    Mse,
    /// A code is a count, and counts above half the codes are clipped, as in NeuroSim 1.5; see [`crate::peers`].
    NeuroSim15Clip,
}

/// What has a range of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangePer {
    /// Each layer.
    Layer,
    /// Each tile of a layer.
    Tile,
    /// Nothing: all layers have the same.
    Network,
}

impl Range {
    /// The range is set by charges that are seen.
    #[must_use]
    pub fn follows_charges(self) -> bool {
        !matches!(self, Self::Full | Self::NeuroSim15Clip)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Full => f.write_str("full"),
            Range::Clip { sigmas } => write!(f, "clip at {sigmas} sigma"),
            Range::Calibrated { percentile: 100.0 } => f.write_str("largest charge"),
            Range::Calibrated { percentile } => write!(f, "calibrated to {percentile} %"),
            Range::Optimal => f.write_str("optimal clip for a Gaussian"),
            Range::Mse => f.write_str("least mean square error"),
            Range::NeuroSim15Clip => f.write_str("a count per code, clipped as in NeuroSim 1.5"),
        }
    }
}

/// The end of the range at which Gaussian charges of this `mean` and `sigma` have the least mean square error with `bits`: the sum of the
/// quantisation error, step^2 / 12, and of what is clipped, `sigma^2 ((1 + z^2) Q(z) - z phi(z))` for each end that is `z` sigmas out (the
/// optimal clipping criterion of Sakr and Shanbhag, IEEE TSP 2021). With signs the range goes both ways and `sigma` is that around zero;
/// otherwise it goes from zero up.
#[must_use]
pub fn optimal_limit(bits: u32, signed: bool, mean: f64, sigma: f64) -> f64 {
    let (mean, sigma, ends) = if signed {
        (0.0, sigma.hypot(mean), 2.0)
    } else {
        (mean, sigma, 1.0)
    };
    if sigma == 0.0 {
        return mean.abs();
    }
    let codes = libm::exp2(f64::from(bits));
    // The derivative of the sum, which rises throughout: the sum is convex.
    let slope = |limit: f64| {
        let z = (limit - mean) / sigma;
        let density = libm::exp(-0.5 * z * z) / TAU.sqrt();
        let tail = 0.5 * libm::erfc(z * FRAC_1_SQRT_2);
        2.0 * limit * (ends / codes) * (ends / codes) / 12.0 + 2.0 * ends * sigma * (z * tail - density)
    };
    let (mut low, mut high) = (0.0, mean.max(0.0) + 10.0 * sigma);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Where the ADC resolves single counts, the reference is set so that a count is a whole number of LSBs: then integers convert exactly.
pub(crate) fn whole_counts(step: f64) -> f64 {
    if step <= 1.0 && step > 0.0 {
        1.0 / (1.0 / step).floor()
    } else {
        step
    }
}

/// Candidates of [`least_error_limit`]: a factor of 2^(1/16) apart, over five octaves.
const CANDIDATES: i32 = 80;

/// The end of the range, among fractions of the largest charge, at which `charges` (each with its number) have the least mean square error.
#[must_use]
pub fn least_error_limit(bits: u32, signed: bool, charges: &[(i32, u64)]) -> f64 {
    let codes = libm::exp2(f64::from(bits));
    let (low, high) = if signed {
        (-codes / 2.0, codes / 2.0 - 1.0)
    } else {
        (0.0, codes - 1.0)
    };
    let top = if signed { codes / 2.0 } else { codes - 1.0 };
    let largest = charges.iter().map(|(q, _)| f64::from(*q).abs()).fold(0.0, f64::max);
    let error = |limit: f64| {
        let step = whole_counts(limit / top);
        let square = |&(q, n): &(i32, u64)| {
            let code = libm::rint(f64::from(q) / step).clamp(low, high);
            n as f64 * (code * step - f64::from(q)) * (code * step - f64::from(q))
        };
        charges.iter().map(square).sum::<f64>()
    };
    let limits = (0..=CANDIDATES).map(|i| largest * libm::exp2(-f64::from(i) / 16.0));
    // Of equal ones the widest.
    let best = limits
        .map(|limit| (error(limit), limit))
        .reduce(|best, next| if next.0 < best.0 { next } else { best });
    best.map_or(0.0, |(_, limit)| limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clip factors of Sakr and Shanbhag for 2 to 10 bits, as Kavishwar and Shanbhag (arXiv 2507.09776) quote them.
    #[test]
    fn a_gaussian_is_clipped_where_the_literature_clips_it() {
        let published = [1.71, 2.15, 2.55, 2.94, 3.29, 3.61, 3.92, 4.21, 4.49];
        for (bits, published) in (2..).zip(published) {
            let ours = optimal_limit(bits, true, 0.0, 7.0) / 7.0;
            // They are cut, not rounded, to two digits.
            assert!(
                (0.0..0.01).contains(&(ours - published)) || (ours - published).abs() < 0.005,
                "{bits} bits: {ours}"
            );
        }
    }

    #[test]
    fn the_mean_of_signed_charges_widens_them_and_that_of_others_shifts_them() {
        assert!((optimal_limit(8, true, 3.0, 4.0) - optimal_limit(8, true, 0.0, 5.0)).abs() < 1e-9);
        let shifted = optimal_limit(8, false, 100.0, 5.0);
        assert!((110.0..130.0).contains(&shifted), "{shifted}");
        assert_eq!(optimal_limit(8, true, 0.0, 0.0), 0.0);
    }

    #[test]
    fn few_outliers_are_clipped_and_even_charges_are_not() {
        let even: Vec<(i32, u64)> = (0..=1000).map(|q| (q, 1)).collect();
        // The last code reaches half a step further: the end is 30/31 of the largest charge, as near as candidates lie.
        let ratio = least_error_limit(4, false, &even) / (1000.0 * 30.0 / 31.0);
        assert!((ratio.log2() * 16.0).abs() < 1.0, "{ratio}");
        let mut spread: Vec<(i32, u64)> = (0..=100).map(|q| (q, 10_000)).collect();
        spread.push((1000, 1));
        assert!(least_error_limit(4, false, &spread) < 300.0);
        assert_eq!(least_error_limit(4, true, &[]), 0.0);
        // Nine counts and 32 codes: three codes to a count lose nothing, four would clip.
        let few: Vec<(i32, u64)> = (0..=9).map(|q| (q, 1)).collect();
        assert_eq!(least_error_limit(5, false, &few), 9.0);
    }
}
