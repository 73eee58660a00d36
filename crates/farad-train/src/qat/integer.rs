//! Weights as the network stores them.

use super::steps::{most_weight, positive};
use farad_net::QuantisedWeights;

/// Largest bias in accumulator steps: with the accumulator it must stay an int32.
const LARGEST_BIAS: f32 = 1e9;
/// Smallest scale: times the scale of an activation it is still a normal f32.
const SMALLEST_SCALE: f32 = 1e-30;

/// Weights and biases of one layer: int8 in [-127, 127] or int4 in [-7, 7], symmetric, with one scale for each output channel.
#[derive(Debug, Clone)]
pub(super) struct IntegerLayer {
    /// `[c_out][...]`.
    pub(super) values: Vec<i8>,
    pub(super) bits: u32,
    /// Real value of one step, by channel.
    pub(super) scales: Vec<f32>,
    /// In steps of the input's scale times the channel's.
    pub(super) bias: Vec<i32>,
    /// Scale of the input.
    pub(super) input_scale: f32,
}

impl IntegerLayer {
    /// Rounds `weights` `[c_out][...]` to so many bits, and `bias` `[c_out]`. Without `steps` `[c_out]` a channel's scale follows
    /// from its largest weight, so no weight is ever clipped.
    pub(super) fn new(weights: &[f32], bias: &[f32], input_scale: f32, bits: u32, steps: Option<&[f32]>) -> Self {
        let (depth, most) = (weights.len() / bias.len(), most_weight(bits));
        let mut layer = Self {
            values: Vec::with_capacity(weights.len()),
            bits,
            scales: Vec::with_capacity(bias.len()),
            bias: Vec::with_capacity(bias.len()),
            input_scale,
        };
        for (c, (weights, &bias)) in weights.chunks_exact(depth).zip(bias).enumerate() {
            let largest = || weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            let scale = steps
                .map_or_else(|| largest() / most, |steps| positive(steps[c]))
                .max(bias.abs() / (input_scale * LARGEST_BIAS))
                .max(SMALLEST_SCALE);
            let integer = |w: &f32| (w / scale).round_ties_even().clamp(-most, most) as i8;
            layer.values.extend(weights.iter().map(integer));
            let steps = f64::from(bias) / f64::from(input_scale * scale);
            layer.bias.push(steps.round_ties_even() as i32);
            layer.scales.push(scale);
        }
        layer
    }

    /// For the export.
    pub(super) fn weights(&self) -> QuantisedWeights<'_> {
        QuantisedWeights {
            values: &self.values,
            scales: &self.scales,
            bias: &self.bias,
            bits: self.bits,
        }
    }

    /// What the biases stand for.
    pub(super) fn real_bias(&self) -> Vec<f32> {
        let steps = self.scales.iter().map(|scale| f64::from(self.input_scale * scale));
        self.bias
            .iter()
            .zip(steps)
            .map(|(&b, step)| (f64::from(b) * step) as f32)
            .collect()
    }

    /// What the integers stand for, `[c_out][...]`.
    pub(super) fn real(&self) -> Vec<f32> {
        let depth = self.values.len() / self.scales.len();
        let channels = self.values.chunks_exact(depth).zip(&self.scales);
        channels
            .flat_map(|(values, scale)| values.iter().map(move |&v| f32::from(v) * scale))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_scale() {
        let layer = IntegerLayer::new(&[1.0, -0.501, 0.011, 0.02, 0.0, 0.0], &[0.3, -0.1, 0.0], 0.1, 8, None);
        assert_eq!(layer.values, [127, -64, 70, 127, 0, 0]);
        assert!((layer.scales[1] - 0.02 / 127.0).abs() < 1e-9);
        assert_eq!(layer.bias, [(0.3 * 1270.0f64).round() as i32, -6350, 0]);
        assert!(
            layer
                .real()
                .iter()
                .zip([1.0, -0.501])
                .all(|(a, b)| (a - b).abs() <= 0.5 / 127.0)
        );
    }

    #[test]
    fn four_bits_follow_the_largest_weight_or_a_step() {
        let weights = [1.0, -0.501, 0.011, 0.02, 0.0, -0.06];
        let whole = IntegerLayer::new(&weights, &[0.0; 2], 0.1, 4, None);
        assert_eq!(whole.values, [7, -4, 0, 2, 0, -7]);
        let clipped = IntegerLayer::new(&weights, &[0.0; 2], 0.1, 4, Some(&[0.1, 0.02]));
        assert_eq!(
            (clipped.values, clipped.scales),
            (vec![7, -5, 0, 1, 0, -3], vec![0.1, 0.02])
        );
    }

    #[test]
    fn a_bias_beside_tiny_weights_stays_within_int32() {
        let layer = IntegerLayer::new(&[1e-12], &[3.0], 0.01, 8, None);
        assert!((1_000_000_000 - layer.bias[0]).abs() < 1000 && layer.values == [0]);
    }
}
