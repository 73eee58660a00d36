//! Ranges of activations that suit the macro.
//!
//! The noise of a conversion does not know how large the signal is. Where a range holds the largest activation, most others
//! are small integers with little charge; a range that cuts the largest off makes the others larger against the noise. So
//! the best range is narrower than the one of least rounding error, the more so the noisier the macro is.
//!
//! Weights are left alone: cutting each channel's by the same rule lowers the error of each layer, too, but what it does to
//! the few large weights is the same for every image and adds up through the layers.

use super::QatModel;
use super::forward::{Forward, Integers, with_chips};
use super::moments::{Sums, compared, exact_layer};
use super::steps::of_output;
use crate::TrainError;
use crate::graph::Op;
use candle_core::Tensor;
use farad_hw::MacroSpec;
use farad_net::{Activations, MacLayer, Quantisation};
use farad_sim::DigitalNetwork;
use rayon::prelude::*;
use std::ops::Range;

/// Ranges are cut by so many steps of a quarter of an octave: down to a quarter.
const STEPS: u8 = 9;

impl QatModel {
    /// Cuts the range of each tensor that only layers read to the part with which these layers have the least error on the macro,
    /// in their own variances: over `chips` and the images `x` `[n][h][w][c]`, after the best straight line of
    /// each channel, as [`recalibrate`](Self::recalibrate) takes it out. `seed` is the temporal noise's. Ranges whose steps
    /// are learned stay, and so do those of tensors that are added or averaged.
    ///
    /// # Errors
    /// If the images do not fit the network, or the network does not fit the macro.
    pub fn fit_ranges(&mut self, x: &Tensor, spec: &MacroSpec, chips: Range<u32>, seed: u64) -> Result<(), TrainError> {
        let images: Vec<u32> = (0..x.dim(0)? as u32).collect();
        let readers = self.readers();
        let plain = Plain::new(self, x, images, &readers)?;
        let cut = |factors: &[f32]| -> Vec<Quantisation> {
            let ranges = self.ranges.iter().zip(factors);
            let cut = |(range, factor): (&Quantisation, &f32)| Quantisation {
                scale: range.scale * factor,
                ..*range
            };
            ranges.map(cut).collect()
        };
        let mut best = vec![(f64::INFINITY, 1.0f32); readers.len()];
        for factor in (0..STEPS).map(|step| 0.5f32.powf(f32::from(step) / 4.0)) {
            let all: Vec<f32> = readers
                .iter()
                .map(|r| if r.is_empty() { 1.0 } else { factor })
                .collect();
            let network = Self::restore(
                self.graph.clone(),
                self.parameters.clone(),
                cut(&all),
                self.weight_bits().to_vec(),
                self.preprocess().clone(),
            );
            let sums = network.compare_with(&plain, x, spec, chips.clone(), seed)?;
            for (best, readers) in best.iter_mut().zip(&readers) {
                let error: f64 = readers.iter().map(|&i| plain.error(i, &sums[i])).sum();
                if !readers.is_empty() && error < best.0 {
                    *best = (error, factor);
                }
            }
        }
        let factors: Vec<f32> = best.into_iter().map(|(_, factor)| factor).collect();
        self.ranges = cut(&factors);
        Ok(())
    }

    /// The layers that read the output of each node, themselves or a maximum of it; none where the range has to stay.
    fn readers(&self) -> Vec<Vec<usize>> {
        let nodes = &self.graph.nodes;
        let mut readers = vec![Vec::new(); nodes.len()];
        let mut stays: Vec<bool> = nodes
            .iter()
            .map(|node| node.op == Op::Input || self.parameters.contains_key(&of_output(&node.name)))
            .collect();
        let source = |mut i: usize| {
            while nodes[i].op == Op::MaxPool {
                i = nodes[i].inputs[0];
            }
            i
        };
        for (i, node) in nodes.iter().enumerate() {
            for &read in &node.inputs {
                match node.op {
                    Op::Conv(_) | Op::Dense => readers[source(read)].push(i),
                    Op::AveragePool | Op::Add(_) => stays[source(read)] = true,
                    Op::Input | Op::MaxPool => {}
                }
            }
        }
        for (readers, stays) in readers.iter_mut().zip(stays) {
            if stays {
                readers.clear();
            }
        }
        readers
    }

    /// Accumulators of each node's channels on chips of the macro, when layers get what they get in `plain`, stored in the
    /// ranges of this network, beside the exact ones of `plain`. None of nodes that read no tensor whose range may be cut.
    fn compare_with(
        &self,
        plain: &Plain,
        x: &Tensor,
        spec: &MacroSpec,
        chips: Range<u32>,
        seed: u64,
    ) -> Result<Vec<Vec<Sums>>, TrainError> {
        let integers = self.integers()?;
        let charges = self.charges_of(&integers.network, x, spec)?;
        let layers = integers.network.mac_layers();
        with_chips(layers, spec, &charges, (chips, seed), |chips| {
            let mut of_nodes = vec![Vec::new(); self.graph.nodes.len()];
            for (index, layer) in layers.iter().enumerate() {
                let Some(exact) = &plain.accumulators[index] else {
                    continue;
                };
                let node = integers.nodes[index];
                let input = self.graph.nodes[node].inputs[0];
                let data: Vec<u8> = plain.codes[input]
                    .par_iter()
                    .map(|&code| stored(code, plain.integers.ranges[input], integers.ranges[input]))
                    .collect();
                let x = Activations {
                    data: &data,
                    images: &plain.images,
                };
                let mut sums = vec![Sums::default(); layer.shape.out_c];
                for chip in chips {
                    let seen = compared(chip, index, layer, x, exact).sums();
                    sums.iter_mut().zip(&seen).for_each(|(sums, seen)| sums.merge(seen));
                }
                of_nodes[node] = sums;
            }
            of_nodes
        })
    }
}

/// A network in exact integers, and what it computed of some images.
struct Plain {
    integers: Integers,
    images: Vec<u32>,
    /// The output of each node.
    codes: Vec<Vec<u8>>,
    /// Of each layer that reads a tensor whose range may be cut.
    accumulators: Vec<Option<Vec<i32>>>,
}

impl Plain {
    fn new(model: &QatModel, x: &Tensor, images: Vec<u32>, readers: &[Vec<usize>]) -> Result<Self, TrainError> {
        let integers = model.integers()?;
        let trace = integers.run(&model.graph, model.input(x)?, &images, Forward::Exact)?;
        let layers = integers.network.mac_layers();
        let exact = DigitalNetwork::new(layers);
        let of_layer = |(index, layer): (usize, &MacLayer)| {
            let node = integers.nodes[index];
            readers.iter().flatten().any(|&reader| reader == node).then(|| {
                let mut out = vec![0; images.len() * layer.shape.positions() * layer.shape.out_c];
                let codes = &trace.codes[model.graph.nodes[node].inputs[0]];
                exact_layer(&exact, index, images.len(), codes, &mut out);
                out
            })
        };
        Ok(Self {
            accumulators: layers.iter().enumerate().map(of_layer).collect(),
            codes: trace.codes,
            integers,
            images,
        })
    }

    /// The error of the layer at a node over its variance, channels weighed by what their accumulators stand for.
    fn error(&self, node: usize, sums: &[Sums]) -> f64 {
        let scales = self.integers.layers[node].iter().flat_map(|layer| &layer.scales);
        let [variance, error] = sums.iter().zip(scales).fold([0.0; 2], |total, (sums, &scale)| {
            let [variance, error] = sums.left_over();
            let square = f64::from(scale).powi(2);
            [total[0] + square * variance, total[1] + square * error]
        });
        if variance > 0.0 { error / variance } else { 0.0 }
    }
}

/// A code of one range in another one with the same zero point.
fn stored(code: u8, from: Quantisation, to: Quantisation) -> u8 {
    let zero = f32::from(from.zero);
    let steps = (f32::from(code) - zero) * (from.scale / to.scale);
    (steps.round_ties_even() + zero).clamp(0.0, f32::from(to.most())) as u8
}
