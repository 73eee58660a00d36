//! What the macro does to every channel, taken out again.
//!
//! A macro's accumulators differ from the exact ones, channel by channel: its gain and offset, the curvature of the charge
//! sharing, the rounding of the ADC. The straight line that leads from what the macro gives to the exact values with the
//! least squared error is measured on calibration images over several chips, and moved into weights and biases, as batch
//! norm is re-estimated after a change of the layer before it (Jin et al., "PIM-QAT: neural network quantization for
//! processing-in-memory systems", 2022).

use super::QatModel;
use super::moments::{Sums, measure};
use super::steps::of_weights;
use crate::TrainError;
use crate::ops::with_slice;
use candle_core::Tensor;
use farad_hw::MacroSpec;
use std::ops::Range;

impl QatModel {
    /// Corrects weights and biases so that every channel is as close as a straight line can bring it to exact arithmetic,
    /// over `chips` of the macro and the images `x` `[n][h][w][c]`. `seed` is the temporal noise's.
    ///
    /// # Errors
    /// If the images do not fit the network, or the network does not fit the macro.
    pub fn recalibrate(
        &mut self,
        x: &Tensor,
        spec: &MacroSpec,
        chips: Range<u32>,
        seed: u64,
    ) -> Result<(), TrainError> {
        let integers = self.integers()?;
        let input = self.input(x)?;
        let images: Vec<u32> = (0..x.dim(0)? as u32).collect();
        let charges = self.charges_of(&integers.network, x, spec)?;
        let mut sums: Vec<Vec<Sums>> = Vec::new();
        for chip in chips {
            let measured = measure(&integers, spec, &charges, (chip, seed), &input, &images)?.sums;
            if sums.is_empty() {
                sums = measured;
            } else {
                for (sums, chip) in sums.iter_mut().flatten().zip(measured.iter().flatten()) {
                    sums.merge(chip);
                }
            }
        }
        for (sums, &node) in sums.iter().zip(&integers.nodes) {
            if let Some(layer) = &integers.layers[node] {
                let steps: Vec<f32> = layer.scales.iter().map(|s| s * layer.input_scale).collect();
                self.correct(node, sums, &steps)?;
            }
        }
        Ok(())
    }

    /// Weights times the factor have the same integers and another scale: the accumulators of the macro do not change, and
    /// what they are worth does.
    fn correct(&self, node: usize, sums: &[Sums], steps: &[f32]) -> Result<(), TrainError> {
        let name = &self.graph.nodes[node].name;
        let (weight, bias) = (
            &self.parameters[&format!("{name}.weight")],
            &self.parameters[&format!("{name}.bias")],
        );
        let mut weights = with_slice(weight, <[f32]>::to_vec)?;
        let mut biases = with_slice(bias, <[f32]>::to_vec)?;
        let depth = weights.len() / biases.len();
        for (c, sums) in sums.iter().enumerate() {
            let (factor, offset) = sums.correction();
            let of_channel = &mut weights[c * depth..(c + 1) * depth];
            of_channel.iter_mut().for_each(|w| *w *= factor as f32);
            biases[c] += (offset * f64::from(steps[c])) as f32;
        }
        weight.set(&Tensor::from_vec(weights, weight.dims(), weight.device())?)?;
        if let Some(steps) = self.parameters.get(&of_weights(name)) {
            let values = with_slice(steps, |steps| {
                steps
                    .iter()
                    .zip(sums)
                    .map(|(s, sums)| s * sums.correction().0 as f32)
                    .collect::<Vec<f32>>()
            })?;
            steps.set(&Tensor::from_vec(values, steps.dims(), steps.device())?)?;
        }
        bias.set(&Tensor::from_vec(biases, bias.dims(), bias.device())?)?;
        Ok(())
    }
}
