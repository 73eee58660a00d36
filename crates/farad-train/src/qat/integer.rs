//! Weights as the network stores them.

use farad_net::QuantisedWeights;

/// Largest bias in accumulator steps: with the accumulator it must stay an int32.
const LARGEST_BIAS: f32 = 1e9;
/// Smallest scale: times the scale of an activation it is still a normal f32.
const SMALLEST_SCALE: f32 = 1e-30;

/// Weights and biases of one layer: int8 in [-127, 127], symmetric, with one scale for each output channel.
#[derive(Debug, Clone)]
pub(super) struct IntegerLayer {
    /// `[c_out][...]`.
    pub(super) values: Vec<i8>,
    /// Real value of one step, by channel.
    pub(super) scales: Vec<f32>,
    /// In steps of the input's scale times the channel's.
    pub(super) bias: Vec<i32>,
    /// Scale of the input.
    pub(super) input_scale: f32,
}

impl IntegerLayer {
    /// Rounds `weights` `[c_out][...]` and `bias` `[c_out]`. A channel's scale follows from its largest weight, so no
    /// weight is ever clipped.
    pub(super) fn new(weights: &[f32], bias: &[f32], input_scale: f32) -> Self {
        let depth = weights.len() / bias.len();
        let mut layer = Self {
            values: Vec::with_capacity(weights.len()),
            scales: Vec::with_capacity(bias.len()),
            bias: Vec::with_capacity(bias.len()),
            input_scale,
        };
        for (weights, &bias) in weights.chunks_exact(depth).zip(bias) {
            let largest = weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            let scale = (largest / 127.0)
                .max(bias.abs() / (input_scale * LARGEST_BIAS))
                .max(SMALLEST_SCALE);
            let integer = |w: &f32| (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
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
        let layer = IntegerLayer::new(&[1.0, -0.501, 0.011, 0.02, 0.0, 0.0], &[0.3, -0.1, 0.0], 0.1);
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
    fn a_bias_beside_tiny_weights_stays_within_int32() {
        let layer = IntegerLayer::new(&[1e-12], &[3.0], 0.01);
        assert!((1_000_000_000 - layer.bias[0]).abs() < 1000 && layer.values == [0]);
    }
}
