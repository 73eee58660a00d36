//! Mean, spread and percentiles of a few numbers, such as those of chips.

/// Mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Standard deviation with `n - 1` in the denominator; 0 for fewer than two values.
#[must_use]
pub fn sample_std(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (squares / values.len().saturating_sub(1).max(1) as f64).sqrt()
}

/// Quantile `q` of ascending values by linear interpolation between ranks (type 7 of Hyndman and Fan, 1996, the
/// default of NumPy and R); 0 of nothing.
#[must_use]
pub fn percentile(ascending: &[f64], q: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let rank = q * last as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    ascending[below] + (rank - below as f64) * (ascending[above] - ascending[below])
}

/// Interval that holds the share behind `share` of `n` independent cases with a confidence of 95 % (Wilson, J. Am. Stat. Assoc.
/// 22, 1927); everything for no case.
#[must_use]
pub fn wilson95(share: f64, n: u64) -> (f64, f64) {
    /// Quantile 0.975 of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if n == 0 {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let scale = 1.0 / (1.0 + Z * Z / n);
    let middle = scale * (share + Z * Z / (2.0 * n));
    let half = scale * Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// A ratio of powers in dB; `None` where there is no error.
#[must_use]
pub fn ratio_db(signal: f64, error: f64) -> Option<f64> {
    (signal > 0.0 && error > 0.0).then(|| 10.0 * libm::log10(signal / error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_known_values() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), 5.0);
        // Sum of squared deviations is 32.
        assert_eq!(sample_std(&values), (32.0_f64 / 7.0).sqrt());
        assert_eq!(sample_std(&[3.0]), 0.0);
        // numpy.percentile([1, 2, 3, 4, 5], 5) = 1.2
        assert!((percentile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.05) - 1.2).abs() < 1e-12);
        assert_eq!(percentile(&[1.5], 0.05), 1.5);
        assert_eq!(percentile(&[], 0.05), 0.0);
    }

    /// Expected: the roots of (p - share)^2 = z^2 p (1 - p) / n, which define the interval.
    #[test]
    fn the_ends_of_wilsons_interval_are_the_roots_of_its_equation() {
        for (share, n) in [(0.9, 200), (0.5, 10), (0.02, 1000)] {
            let (low, high) = wilson95(share, n);
            for p in [low, high] {
                let distance = (p - share) * (p - share);
                let variance = p * (1.0 - p) / n as f64;
                assert!((distance / variance - 1.959_963_984_540_054_f64.powi(2)).abs() < 1e-6);
            }
            assert!(low < share && share < high);
        }
        // At the ends, to the rounding of a few operations.
        assert!((wilson95(1.0, 10).1 - 1.0).abs() < 1e-15 && wilson95(0.0, 10).0 < 1e-15);
        assert_eq!(wilson95(0.0, 0), (0.0, 1.0));
    }
}
