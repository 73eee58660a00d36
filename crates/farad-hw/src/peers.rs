//! Noise as two other simulators model it, so that their results can be compared with ours on the same work.
//!
//! - **ASiM** (Keio, arXiv 2411.11022): a column of M ones out of N converts `M / N + N(0, s_r) + N(0, s_n) / sqrt(M + 1)`, cut to 0..1, with
//!   `s_r` and `s_n` in percent (`noise.asim_random_pct`, `noise.asim_nonlinear_pct`). Its converter has `N / (2^B - 1)` counts to a code; ours
//!   has that, too, where a code is at least a count.
//! - **NeuroSim 1.5** (Georgia Tech): a code is a count, `clip(round(clip(M) + N(0, s)))` with both clips to `0..=2^P`
//!   (`adc.range = "neurosim15_clip"`, s is `noise.comparator_lsb`). It has one code more than P bits hold, so `adc.bits` is P + 1.
//!
//! Both add one Gaussian per conversion, whose sigma depends on the ones: a table of it over the ADC's axis is all that differs from our own
//! noise. Draws are ours, so samples differ and distributions do not.

use crate::adc::Range;
use crate::noise::sigma_units;
use crate::spec::MacroSpec;
use farad_core::axis::{SIGMA_BINS, add_noise, add_noise_beyond, half_range, lsb_steps, sigma_bin};
use std::sync::Arc;

/// Noise of another simulator, by step of the ADC's axis.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerNoise {
    /// Inputs are cut to this before and after the noise.
    most: i16,
    /// sigma of each step of the range, in 1/8 steps.
    sigma: Arc<[i16]>,
}

impl PeerNoise {
    /// `clean` with the noise of the uniform draw `u`.
    pub(crate) fn noisy(&self, clean: i16, bits: u32, u: u16) -> i16 {
        let clean = clean.min(self.most);
        add_noise(clean, self.sigma_at(clean, bits), u).min(self.most)
    }

    /// The same for inputs that may lie beyond the axis.
    pub(crate) fn noisy_beyond(&self, clean: i32, bits: u32, u: u16) -> i32 {
        let most = if self.most == i16::MAX {
            i32::MAX
        } else {
            self.most.into()
        };
        let clean = clean.min(most);
        add_noise_beyond(clean, |v| self.sigma_at(v, bits), u).min(most)
    }

    /// sigma at input `clean`, in 1/8 steps.
    pub(crate) fn sigma_at(&self, clean: i16, bits: u32) -> i16 {
        let half = half_range(bits);
        self.sigma[(i32::from(clean).clamp(-half, half - 1) + half) as usize]
    }
}

/// The noise of a peer if `spec` asks for it, in quadrature with the macro's own `sigma`; one LSB is `lsb_counts` of a column of `rows`.
pub(crate) fn noise(spec: &MacroSpec, lsb_counts: f64, rows: f64, sigma: &[i16; SIGMA_BINS]) -> Option<PeerNoise> {
    let (random, nonlinear) = (
        spec.noise.asim_random_pct / 100.0,
        spec.noise.asim_nonlinear_pct / 100.0,
    );
    let clips = spec.adc.range == Range::NeuroSim15Clip;
    if random == 0.0 && nonlinear == 0.0 && !clips {
        return None;
    }
    let (half, steps) = (half_range(spec.adc.bits), f64::from(lsb_steps(spec.adc.bits)));
    let units_per_lsb = steps * 8.0;
    let sigma = (-half..half)
        .map(|v| {
            let own_lsb = f64::from(sigma[sigma_bin(v as i16, spec.adc.bits)]) / units_per_lsb;
            let ones = f64::from(v + half) / steps * lsb_counts;
            let share2 = random * random + nonlinear * nonlinear / (ones + 1.0);
            let peer_lsb2 = share2 * (rows / lsb_counts) * (rows / lsb_counts);
            sigma_units(spec, (own_lsb * own_lsb + peer_lsb2).sqrt())
        })
        .collect();
    // Code 2^P of P + 1 bits is at mid-scale.
    let most = if clips && spec.adc.clips { 0 } else { i16::MAX };
    Some(PeerNoise { most, sigma })
}
