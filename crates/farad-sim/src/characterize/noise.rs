//! Temporal noise at the converters' input, as it is drawn. It is the same for every chip and every conversion, unless it was measured: then it is that of the first
//! conversion.

use super::converter::SIGMA_PER_STEP;
use farad_core::axis::{add_noise, lsb_steps};
use farad_core::draw::NoiseKey;
use farad_hw::MacroSpec;
use farad_hw::noise::TemporalNoise;
use farad_hw::scale::Scale;
use serde::Serialize;

/// Draws of the histogram.
const DRAWS: u32 = 1 << 15;
/// Bins of the histogram, about.
const BINS: i32 = 40;
/// Half width of the histogram, sigmas.
const HALF_WIDTH: f64 = 4.2;

/// Noise of one conversion, referred to the converter's input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseMeasure {
    /// rms at zero input, LSB, from draws.
    pub rms_lsb: f64,
    /// sigma at zero input, LSB: what was asked for.
    pub sigma_lsb: f64,
    /// The same at full scale, where noise of the reference counts.
    pub full_scale_sigma_lsb: f64,
    /// One LSB at the column, V.
    pub lsb_v: f64,
    /// Noise at zero input: middles of bins, LSB; empty without noise.
    pub bins_lsb: Vec<f64>,
    /// Draws in each bin.
    pub counts: Vec<u64>,
    /// What a Gaussian of `sigma_lsb` puts into each bin.
    pub gaussian: Vec<f64>,
}

/// Measures `temporal`, the noise of a conversion scaled by `scale`. Noise per decision is that of the sample and one decision.
pub(super) fn measure(spec: &MacroSpec, scale: &Scale, temporal: &TemporalNoise, seed: u64) -> NoiseMeasure {
    let bits = spec.adc.bits;
    let per_lsb = f64::from(lsb_steps(bits));
    let sigma_lsb = |v: i16| {
        f64::from(temporal.sigma_at(v, bits)).hypot(f64::from(temporal.decision_sigma)) / SIGMA_PER_STEP / per_lsb
    };
    let zero = (-scale.middle_lsb * per_lsb) as i16;
    let sample_sigma = temporal.sigma_at(zero, bits);
    let key = NoiseKey::new(seed, 0, 0);
    let mut noise = Vec::new();
    for block in 0..DRAWS / 8 {
        let (sample, decision) = (key.draws(0, block, 0, 0), key.draws(0, block, 0, 1));
        for (u, w) in sample.into_iter().zip(decision) {
            noise.push(add_noise(add_noise(0, sample_sigma, u), temporal.decision_sigma, w));
        }
    }
    let square: f64 = noise.iter().map(|&n| f64::from(n).powi(2)).sum();
    let sigma = sigma_lsb(zero);
    let (bins_lsb, counts, gaussian) = if sigma > 0.0 {
        histogram(&noise, sigma * per_lsb, per_lsb)
    } else {
        Default::default()
    };
    NoiseMeasure {
        rms_lsb: (square / f64::from(DRAWS)).sqrt() / per_lsb,
        sigma_lsb: sigma,
        full_scale_sigma_lsb: sigma_lsb(i16::MAX),
        lsb_v: scale.lsb_v,
        bins_lsb,
        counts,
        gaussian,
    }
}

/// Bins of an odd number of steps, one of them around zero: middles in LSB, draws, and the Gaussian's share of them.
fn histogram(noise: &[i16], sigma_steps: f64, per_lsb: f64) -> (Vec<f64>, Vec<u64>, Vec<f64>) {
    let width = (libm::ceil(2.0 * HALF_WIDTH * sigma_steps / f64::from(BINS)) as i32) | 1;
    let half = libm::ceil(HALF_WIDTH * sigma_steps / f64::from(width)) as i32;
    let cumulative = |steps: f64| 0.5 * libm::erfc(-steps / sigma_steps * std::f64::consts::FRAC_1_SQRT_2);
    let (mut middles, mut counts, mut gaussian) = (Vec::new(), Vec::new(), Vec::new());
    for bin in -half..=half {
        // From the first step of the bin to the one after its last.
        let first = bin * width - width / 2;
        let end = first + width;
        let edges = [f64::from(first) - 0.5, f64::from(end) - 0.5];
        middles.push((edges[0] + edges[1]) / 2.0 / per_lsb);
        counts.push(noise.iter().filter(|&&n| (first..end).contains(&i32::from(n))).count() as u64);
        gaussian.push(noise.len() as f64 * (cumulative(edges[1]) - cumulative(edges[0])));
    }
    (middles, counts, gaussian)
}
