//! Weights in quantisation-aware training.

use super::backward::Backward;
use super::export::encode;
use super::fold::fold;
use super::forward::{Forward, Integers, Trace, exact_logits, macro_error, network_error};
use super::integer::IntegerLayer;
use super::moments::measure;
use super::observe::{code, ranges};
use super::steps::{self, Bits};
use super::surrogate::LayerErrors;
use super::{QatSettings, Steps};
use crate::graph::{Graph, Op};
use crate::model::Model;
use crate::ops::{cross_entropy, soft_cross_entropy, with_slice};
use crate::prune::Batch;
use crate::{Precision, TrainError};
use candle_core::{Device, Tensor, Var};
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_net::{Network, Preprocess, Quantisation};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A network without batch norm in training, whose forward pass is its int8 network.
///
/// Node `conv3` has `conv3.weight` (shapes as in [`Model`]) and `conv3.bias` `[c_out]`. A weight's scale follows from the
/// largest weight of its channel at every step, the ranges of activations stay as they were found at the start, unless
/// their steps are learned: then they are `conv3.weight.step` `[c_out]` and `conv3.step` `[1]`.
#[derive(Debug)]
pub struct QatModel {
    pub(super) graph: Graph,
    pub(super) parameters: BTreeMap<String, Var>,
    /// Before anything was learned of them.
    pub(super) ranges: Vec<Quantisation>,
    /// Of the weights, by node.
    weight_bits: Vec<u32>,
    preprocess: Preprocess,
}

/// What a training step makes smaller.
#[derive(Debug, Clone, Copy)]
pub struct Objective<'a> {
    /// As in [`cross_entropy`].
    pub smoothing: f64,
    /// A network of the same input whose probabilities, in exact integers, are the target of this part of the loss.
    pub teacher: Option<(&'a Network, f64)>,
    /// Of the backward pass.
    pub precision: Precision,
}

/// What a training step needs to know.
#[derive(Debug)]
pub struct Gradients {
    /// Mean cross entropy of the batch.
    pub loss: f32,
    /// Of every parameter, by name.
    pub of: BTreeMap<String, Tensor>,
}

impl QatModel {
    /// Folds the batch norm of `model`, and finds the ranges of activations on `batches`, with the bits and the observer
    /// of `settings`. `preprocess` is how the images of batches were made of pixels.
    ///
    /// # Errors
    /// If there are no batches or the model cannot run on them.
    pub fn new(
        model: &mut Model,
        batches: &[Batch],
        preprocess: &Preprocess,
        settings: &QatSettings,
    ) -> Result<Self, TrainError> {
        let bits = Bits::new(
            &model.graph,
            settings.weights.unwrap_or(8),
            settings.activations.unwrap_or(8),
            settings.ends.unwrap_or(8),
        );
        Ok(Self {
            ranges: ranges(model, batches, preprocess, settings.observer, &bits.outputs)?,
            weight_bits: bits.weights,
            graph: model.graph.clone(),
            parameters: fold(model)?,
            preprocess: preprocess.clone(),
        })
    }

    /// What was kept of a network.
    pub(crate) fn restore(
        graph: Graph,
        parameters: BTreeMap<String, Var>,
        ranges: Vec<Quantisation>,
        weight_bits: Vec<u32>,
        preprocess: Preprocess,
    ) -> Self {
        Self {
            graph,
            parameters,
            ranges,
            weight_bits,
            preprocess,
        }
    }

    /// How pixels become the input.
    pub(crate) fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// How the output of each node is stored, before anything was learned of it.
    pub(crate) fn ranges(&self) -> &[Quantisation] {
        &self.ranges
    }

    /// Bits of the weights of each node.
    pub(crate) fn weight_bits(&self) -> &[u32] {
        &self.weight_bits
    }

    /// Whether all tensors have the bits of `settings`, where it says any.
    pub(crate) fn has_bits_of(&self, settings: &QatSettings) -> bool {
        let own = Bits {
            weights: self.weight_bits.clone(),
            outputs: self.ranges.iter().map(|range| range.bits).collect(),
        };
        // What it does not say may be anything.
        let any = |bits: Option<u32>| bits.map_or([8, 4], |bits| [bits; 2]);
        any(settings.weights).into_iter().any(|weights| {
            any(settings.activations).into_iter().any(|activations| {
                let same = |&ends: &u32| Bits::new(&self.graph, weights, activations, ends) == own;
                any(settings.ends).iter().any(same)
            })
        })
    }

    /// Makes parameters of the steps that `choice` has learned, where they are none yet.
    ///
    /// # Errors
    /// If a parameter cannot be read.
    pub fn learn_steps(&mut self, choice: Option<Steps>) -> Result<(), TrainError> {
        let mut starts: Vec<(String, Vec<f32>)> = Vec::new();
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let (range, bits) = (self.ranges[i], self.weight_bits[i]);
            if Steps::learned(choice, range.bits) && !matches!(node.op, Op::Input | Op::MaxPool) {
                starts.push((steps::of_output(&node.name), vec![range.scale]));
            }
            if Steps::learned(choice, bits) && matches!(node.op, Op::Conv(_) | Op::Dense) {
                let weights = &self.parameters[&format!("{}.weight", node.name)];
                let depth = weights.elem_count() / self.graph.channels(i);
                let start = with_slice(weights, |weights| steps::start(weights, depth, bits))?;
                starts.push((steps::of_weights(&node.name), start));
            }
        }
        for (name, start) in starts {
            if let Entry::Vacant(entry) = self.parameters.entry(name) {
                entry.insert(steps::parameter(start)?);
            }
        }
        Ok(())
    }

    /// How the output of each node is stored now.
    pub(super) fn current_ranges(&self) -> Result<Vec<Quantisation>, TrainError> {
        let mut current = self.ranges.clone();
        for (i, node) in self.graph.nodes.iter().enumerate() {
            if let Some(step) = self.parameters.get(&steps::of_output(&node.name)) {
                current[i].scale = with_slice(step, |step| steps::positive(step[0]))?;
            } else if node.op == Op::MaxPool {
                current[i] = current[node.inputs[0]];
            }
        }
        Ok(current)
    }

    /// The network without its parameters.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// All parameters by name.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    /// The ONNX file (QDQ) of the int8 network, with entries for its metadata.
    ///
    /// # Errors
    /// If a parameter is no number.
    pub fn export(&self, metadata: &[(&str, String)]) -> Result<Vec<u8>, TrainError> {
        let ranges = self.current_ranges()?;
        self.encoded(&self.layers(&ranges)?, &ranges, metadata)
    }

    fn encoded(
        &self,
        layers: &[Option<IntegerLayer>],
        ranges: &[Quantisation],
        metadata: &[(&str, String)],
    ) -> Result<Vec<u8>, TrainError> {
        encode(&self.graph, layers, ranges, &self.preprocess, metadata).map_err(|e| network_error(&self.graph.name, e))
    }

    /// Weights as integers, by node.
    fn layers(&self, ranges: &[Quantisation]) -> Result<Vec<Option<IntegerLayer>>, TrainError> {
        let layer = |(node, &bits): (&crate::graph::Node, &u32)| match node.op {
            Op::Conv(_) | Op::Dense => {
                let values = |name: &str| {
                    let parameter = self.parameters.get(name);
                    parameter.map(|p| with_slice(p, <[f32]>::to_vec)).transpose()
                };
                let name = &node.name;
                let input_scale = ranges[node.inputs[0]].scale;
                let weights = values(&format!("{name}.weight"))?.unwrap_or_default();
                let bias = values(&format!("{name}.bias"))?.unwrap_or_default();
                let steps = values(&steps::of_weights(name))?;
                let layer = IntegerLayer::new(&weights, &bias, input_scale, bits, steps.as_deref());
                Ok(Some(layer))
            }
            Op::Input | Op::MaxPool | Op::AveragePool | Op::Add(_) => Ok(None),
        };
        self.graph.nodes.iter().zip(&self.weight_bits).map(layer).collect()
    }

    /// The int8 network.
    ///
    /// # Errors
    /// If a parameter is no number.
    pub fn network(&self) -> Result<Network, TrainError> {
        Ok(self.integers()?.network)
    }

    pub(super) fn integers(&self) -> Result<Integers, TrainError> {
        let ranges = self.current_ranges()?;
        let layers = self.layers(&ranges)?;
        let file = self.encoded(&layers, &ranges, &[])?;
        let network = Network::parse(&self.graph.name, &file).map_err(|e| network_error(&self.graph.name, e))?;
        Integers::new(&self.graph, network, layers, ranges)
    }

    /// Stored bytes of normalised images.
    pub(super) fn input(&self, x: &Tensor) -> Result<Vec<u8>, TrainError> {
        let range = self.ranges[0];
        Ok(with_slice(x, |values| {
            values.iter().map(|&v| code(v, range)).collect()
        })?)
    }

    pub(super) fn trace(
        &self,
        integers: &Integers,
        x: &Tensor,
        images: &[u32],
        forward: Forward<'_>,
    ) -> Result<Trace, TrainError> {
        integers.run(&self.graph, self.input(x)?, images, forward)
    }

    /// The logits `[n][classes]` of the int8 network for `x` `[n][h][w][c]`, images of these numbers in their dataset.
    ///
    /// # Errors
    /// If the images do not fit the network, or the network does not fit the macro.
    pub fn logits(&self, x: &Tensor, images: &[u32], forward: Forward<'_>) -> Result<Tensor, TrainError> {
        self.tensor(self.trace(&self.integers()?, x, images, forward)?.logits, images.len())
    }

    fn tensor(&self, logits: Vec<f32>, images: usize) -> Result<Tensor, TrainError> {
        Ok(Tensor::from_vec(logits, (images, self.classes()), &Device::Cpu)?)
    }

    fn classes(&self) -> usize {
        self.graph.channels(self.graph.nodes.len() - 1)
    }

    /// What the charges of each layer are like on the images `x` `[n][h][w][c]`, for a macro whose ADC range follows them.
    ///
    /// # Errors
    /// If the images do not fit the network, or the network does not fit the macro.
    pub fn charges(&self, x: &Tensor, spec: &MacroSpec) -> Result<Vec<Vec<ChargeStats>>, TrainError> {
        self.charges_of(&self.network()?, x, spec)
    }

    /// [`charges`](Self::charges) of `network`, which is this one's.
    pub(super) fn charges_of(
        &self,
        network: &Network,
        x: &Tensor,
        spec: &MacroSpec,
    ) -> Result<Vec<Vec<ChargeStats>>, TrainError> {
        let mapping = farad_map::map(spec, network.mac_layers()).map_err(|e| macro_error(&spec.name, e))?;
        let images: Vec<u32> = (0..x.dim(0)? as u32).collect();
        farad_sim::charge_statistics(spec, network, &mapping, &self.input(x)?, &images)
            .map_err(|e| network_error(&self.graph.name, e))
    }

    /// What chip `chip` does to the accumulators of each layer, on the images `x` `[n][h][w][c]`. `charges` are as in
    /// [`Forward::Macro`], `seed` is the temporal noise's.
    ///
    /// # Errors
    /// As [`charges`](Self::charges).
    pub fn errors(
        &self,
        x: &Tensor,
        spec: &MacroSpec,
        charges: &[Vec<ChargeStats>],
        chip: u32,
        seed: u64,
    ) -> Result<Vec<LayerErrors>, TrainError> {
        let images: Vec<u32> = (0..x.dim(0)? as u32).collect();
        let (integers, input) = (self.integers()?, self.input(x)?);
        Ok(measure(&integers, spec, charges, (chip, seed), &input, &images)?.errors)
    }

    /// The loss of a batch, images of these numbers in their dataset, and its gradients, straight through the rounding.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn gradients(
        &self,
        (x, labels): &Batch,
        images: &[u32],
        forward: Forward<'_>,
        objective: Objective<'_>,
    ) -> Result<Gradients, TrainError> {
        let integers = self.integers()?;
        let trace = self.trace(&integers, x, images, forward)?;
        let logits = Var::from_tensor(&self.tensor(trace.logits.clone(), images.len())?)?;
        let mut loss = cross_entropy(&logits, labels, objective.smoothing)?;
        if let Some((teacher, part)) = objective.teacher {
            let taught = self.tensor(exact_logits(teacher, &trace.codes[0], images)?, images.len())?;
            loss = ((loss * (1.0 - part))? + (soft_cross_entropy(&logits, &taught)? * part)?)?;
        }
        let of_logits = match loss.backward()?.get(&logits) {
            Some(gradient) => with_slice(gradient, <[f32]>::to_vec)?,
            None => vec![0.0; trace.logits.len()],
        };
        let backward = Backward {
            graph: &self.graph,
            parameters: &self.parameters,
            integers: &integers,
            trace: &trace,
            images: images.len(),
            precision: objective.precision,
        };
        Ok(Gradients {
            loss: loss.to_scalar()?,
            of: backward.run(of_logits)?,
        })
    }
}
