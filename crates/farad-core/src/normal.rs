//! The standard normal quantile of a 16-bit uniform, in integers.
//!
//! `z_q12(u)` is within 0.0015 sigma of the true quantile of `(u + 1/2) / 65536`, never falls as `u` rises and is odd about the middle.
//! It is *defined* by two tables of 128 entries and integer arithmetic, so that scalar and vector code agree to the bit:
//! with `k = 2 min(u, 65535 - u) + 1`, the tail probability is `k / 2^17`; the position of `k` inside its octave picks one of
//! eight segments, and the magnitude is interpolated linearly in it.

use std::sync::OnceLock;

/// Magnitude at the lower end of each segment (sigma / 4096) and its fall across the segment.
#[derive(Debug)]
pub struct QuantileTable {
    /// Magnitude at the start.
    pub base: [i16; 128],
    /// Magnitude at the start minus magnitude at the end.
    pub fall: [i16; 128],
}

/// The tables of [`z_q12`], indexed by bits 20..27 of `k` as an f32.
#[must_use]
pub fn quantile_table() -> &'static QuantileTable {
    static TABLE: OnceLock<QuantileTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = QuantileTable {
            base: [0; 128],
            fall: [0; 128],
        };
        for octave in 0..16u32 {
            for eighth in 0..8u32 {
                let start = libm::exp2(f64::from(octave)) * (1.0 + f64::from(eighth) / 8.0);
                let end = libm::exp2(f64::from(octave)) * (1.0 + f64::from(eighth + 1) / 8.0);
                let z = |k: f64| libm::rint(4096.0 * -quantile(k / 131_072.0)) as i16;
                let at = (((127 + octave) << 3 | eighth) & 127) as usize;
                table.base[at] = z(start);
                table.fall[at] = z(start) - z(end);
            }
        }
        table
    })
}

/// Standard normal quantile of the 16-bit uniform `u`, in units of sigma / 4096.
#[inline]
#[must_use]
pub fn z_q12(u: u16) -> i16 {
    let table = quantile_table();
    let sign = (u as i16) >> 15;
    let k = (u ^ sign as u16) << 1 | 1;
    let bits = f32::from(k).to_bits();
    let at = (bits >> 20 & 127) as usize;
    let fraction = (bits >> 5 & 0x7fff) as i16;
    let magnitude = table.base[at] - mulhrs(fraction, table.fall[at]);
    // The upper half of the uniforms is the positive half of the normal.
    if sign == 0 { -magnitude } else { magnitude }
}

/// `(a * b + 2^14) >> 15`: the rounding high product of x86's `pmulhrsw`.
#[inline]
#[must_use]
pub fn mulhrs(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b) + (1 << 14)) >> 15) as i16
}

/// Standard normal quantile by bisection of the error function; exact to 1e-12 for `p` in (1e-300, 1).
#[must_use]
pub fn quantile(p: f64) -> f64 {
    let cdf = |z: f64| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
    let (mut low, mut high) = (-40.0, 40.0);
    while high - low > 1e-13 * f64::max(1.0, f64::abs(low)) {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_monotone_odd_and_close_to_the_quantile() {
        let mut last = i16::MIN;
        for u in 0..=u16::MAX {
            let z = z_q12(u);
            assert!(z >= last, "falls at {u}");
            last = z;
            assert_eq!(z, -z_q12(!u), "not odd at {u}");
            let exact = quantile((f64::from(u) + 0.5) / 65536.0);
            assert!(
                (f64::from(z) / 4096.0 - exact).abs() < 1.5e-3,
                "{u}: {z} against {exact}"
            );
        }
    }

    #[test]
    fn has_the_moments_of_a_standard_normal() {
        let n = 65536.0;
        let moment = |power: i32| {
            (0..=u16::MAX)
                .map(|u| (f64::from(z_q12(u)) / 4096.0).powi(power))
                .sum::<f64>()
                / n
        };
        assert!(moment(1).abs() < 1e-9);
        assert!((moment(2) - 1.0).abs() < 1e-3, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 1e-2, "kurtosis {}", moment(4));
    }
}
