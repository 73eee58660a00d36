//! What the macro does to every channel, taken out again.
//!
//! A macro's accumulators differ from the exact ones, channel by channel: its gain and offset, the curvature of the charge
//! sharing, the rounding of the ADC. The straight line that leads from what the macro gives to the exact values with the
//! least squared error is measured on calibration images over several chips, and moved into weights and biases, as batch
//! norm is re-estimated after a change of the layer before it (Jin et al., "PIM-QAT: neural network quantization for
//! processing-in-memory systems", 2022).

use super::QatModel;
use super::forward::{Engines, Forward, with_engines};
use crate::TrainError;
use crate::ops::with_slice;
use candle_core::Tensor;
use farad_hw::MacroSpec;
use farad_net::{Activations, MacEngine, MacLayer};
use farad_sim::{DigitalEngine, DigitalNetwork};
use rayon::prelude::*;
use std::ops::Range;

/// Sums over the accumulators of one channel. Exact, so that no order of threads matters.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: i128,
    exact: [i128; 2],
    seen: [i128; 2],
    product: i128,
}

impl Sums {
    fn add(&mut self, exact: i32, seen: i32) {
        let (exact, seen) = (i128::from(exact), i128::from(seen));
        self.count += 1;
        self.exact = [self.exact[0] + exact, self.exact[1] + exact * exact];
        self.seen = [self.seen[0] + seen, self.seen[1] + seen * seen];
        self.product += exact * seen;
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for k in 0..2 {
            self.exact[k] += other.exact[k];
            self.seen[k] += other.seen[k];
        }
        self.product += other.product;
    }

    /// Factor and offset, in accumulator steps: `exact = factor seen + offset` with the least squared error.
    fn correction(&self) -> (f64, f64) {
        let n = self.count.max(1);
        // n^2 times variance and covariance are integers, too.
        let variance = n * self.seen[1] - self.seen[0] * self.seen[0];
        let covariance = n * self.product - self.exact[0] * self.seen[0];
        // A channel that says nothing, or the contrary, has no gain.
        let factor = match variance > 0 && covariance > 0 {
            true => covariance as f64 / variance as f64,
            false => 1.0,
        };
        let mean = |sum: i128| sum as f64 / n as f64;
        (factor, mean(self.exact[0]) - factor * mean(self.seen[0]))
    }
}

/// A chip whose accumulators are compared with the exact ones of the same input.
struct Compare<'a> {
    chip: Box<dyn MacEngine + 'a>,
    exact: DigitalEngine<'a>,
    /// By MAC layer and channel.
    sums: Vec<Vec<Sums>>,
}

impl MacEngine for Compare<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.chip.accumulate(index, layer, x, out);
        let mut exact = vec![0; out.len()];
        self.exact.accumulate(index, layer, x, &mut exact);
        let channels = self.sums[index].len();
        for (i, (&exact, &seen)) in exact.iter().zip(&*out).enumerate() {
            self.sums[index][i % channels].add(exact, seen);
        }
    }
}

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
        let network = &integers.network;
        let digital = DigitalNetwork::new(network.mac_layers());
        let none: Vec<Vec<Sums>> = network
            .mac_layers()
            .iter()
            .map(|l| vec![Sums::default(); l.shape.out_c])
            .collect();
        let input = self.input(x)?;
        let images: Vec<u32> = (0..x.dim(0)? as u32).collect();
        let len = input.len() / images.len().max(1);
        let charges = &self.charges(x, spec)?;
        let mut sums = none.clone();
        for chip in chips {
            let compare = |engines: Engines<'_>| {
                let per_image = input.par_chunks(len.max(1)).zip(&images).map(|(input, &image)| {
                    let mut compare = Compare {
                        chip: engines.engine(),
                        exact: DigitalEngine(&digital),
                        sums: none.clone(),
                    };
                    network.run(input, &[image], &mut compare).map(|_| compare.sums)
                });
                per_image.collect::<Result<Vec<_>, _>>()
            };
            let forward = Forward::Macro {
                spec,
                charges,
                chip,
                seed,
            };
            let of_images = with_engines(network, forward, compare)?
                .map_err(|e| super::forward::network_error(&self.graph.name, e))?;
            for image in of_images {
                for (sums, image) in sums.iter_mut().flatten().zip(image.iter().flatten()) {
                    sums.merge(image);
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
        bias.set(&Tensor::from_vec(biases, bias.dims(), bias.device())?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_and_an_offset_are_undone() {
        let mut sums = Sums::default();
        (-50..100).for_each(|exact| sums.add(exact, 2 * exact + 3));
        let (factor, offset) = sums.correction();
        assert!((factor - 0.5).abs() < 1e-12 && (offset + 1.5).abs() < 1e-12);
        // Noise as large as the signal halves what can be told from it.
        let mut noisy = Sums::default();
        for (exact, seen) in [(-1, -2), (-1, 0), (1, 0), (1, 2)] {
            noisy.add(exact, seen);
        }
        assert_eq!(noisy.correction(), (0.5, 0.0));
        let mut silent = Sums::default();
        silent.add(5, 7);
        assert_eq!(silent.correction(), (1.0, -2.0));
    }
}
