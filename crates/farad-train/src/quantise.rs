//! From a trained network to an int8 one.
//!
//! Batch norm is folded into weights and biases. Weights are int8, symmetric, with a scale for each output channel;
//! activations are uint8 with one scale each, and zero point 0 where a relu came before (Jacob et al., "Quantization and
//! training of neural networks for efficient integer-arithmetic-only inference", 2018).

use crate::graph::{Graph, Op};
use crate::model::{Model, Pass};
use crate::ops::with_slice;
use crate::prune::Batch;
use crate::{Precision, TrainError};
use candle_core::Result;
use farad_net::{ExportError, Preprocess, QdqGraph, QdqTensor, Quantisation, QuantisedWeights, Window};

/// Values of each tensor that the search for its range looks at.
const SAMPLES: usize = 1 << 16;
/// Ranges that it tries: parts of the largest value, in steps of 1/80.
const RATIOS: std::ops::RangeInclusive<u32> = 20..=80;

/// The ONNX file (QDQ) of `model` in int8. `batches` are images to find the ranges of activations with.
///
/// # Errors
/// If the model cannot run on the batches, or a parameter is no number.
pub fn export(
    model: &mut Model,
    batches: &[Batch],
    preprocess: &Preprocess,
    metadata: &[(&str, String)],
) -> std::result::Result<Vec<u8>, TrainError> {
    let ranges = activation_ranges(model, batches, preprocess)?;
    build(model, &ranges, preprocess, metadata)?.map_err(|e| TrainError::Data {
        name: model.graph.name.clone(),
        problem: format!("its int8 network cannot be written: {e}"),
    })
}

type Exported = std::result::Result<Vec<u8>, ExportError>;

fn build(
    model: &Model,
    ranges: &[Quantisation],
    preprocess: &Preprocess,
    metadata: &[(&str, String)],
) -> Result<Exported> {
    let graph = &model.graph;
    let mut layers = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        layers.push(match node.op {
            Op::Conv(_) | Op::Dense => Some(folded(model, i)?.quantised(ranges[node.inputs[0]].scale)),
            _ => None,
        });
    }
    Ok(write(graph, &layers, ranges, preprocess, metadata))
}

fn write(
    graph: &Graph,
    layers: &[Option<IntegerLayer>],
    ranges: &[Quantisation],
    preprocess: &Preprocess,
    metadata: &[(&str, String)],
) -> Exported {
    let (mut qdq, input) = QdqGraph::new(&graph.name, graph.input, ranges[0], preprocess)?;
    for (key, value) in metadata {
        qdq.describe(key, value);
    }
    let mut tensors: Vec<QdqTensor> = vec![input];
    for (i, node) in graph.nodes.iter().enumerate().skip(1) {
        let x = &tensors[node.inputs[0]];
        let y = match (node.op, &layers[i]) {
            (Op::Conv(conv), Some(layer)) => {
                let window = Window::square(conv.kernel, conv.stride, conv.padding());
                let groups = if conv.depthwise { graph.channels(i) } else { 1 };
                qdq.conv(&node.name, x, window, groups, &layer.weights(), ranges[i])?
            }
            (Op::Dense, Some(layer)) => qdq.dense(&node.name, x, &layer.weights(), ranges[i])?,
            (Op::MaxPool, _) => qdq.max_pool(&node.name, x, Window::square(2, 2, 0))?,
            (Op::AveragePool, _) => qdq.global_average_pool(&node.name, x, ranges[i])?,
            (Op::Add(_), _) => qdq.add(&node.name, x, &tensors[node.inputs[1]], ranges[i])?,
            (Op::Input | Op::Conv(_) | Op::Dense, _) => x.clone(),
        };
        tensors.push(y);
    }
    qdq.encode(&tensors[graph.nodes.len() - 1])
}

/// A layer without batch norm.
struct Folded {
    /// `[c_out][...]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

struct IntegerLayer {
    values: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
}

impl IntegerLayer {
    fn weights(&self) -> QuantisedWeights<'_> {
        QuantisedWeights {
            values: &self.values,
            scales: &self.scales,
            bias: &self.bias,
        }
    }
}

/// `W' = gamma W / sqrt(var + eps)`, `b' = beta - gamma mean / sqrt(var + eps)`.
fn folded(model: &Model, i: usize) -> Result<Folded> {
    let values = |part| with_slice(model.parameter(i, part), <[f32]>::to_vec);
    let mut weights = values("weight")?;
    let Some(moments) = model.running.get(&i) else {
        let bias = values("bias")?;
        return Ok(Folded { weights, bias });
    };
    let (gamma, mut bias) = (values("gamma")?, values("beta")?);
    let depth = weights.len() / gamma.len();
    for (c, inv_std) in moments.inv_std().into_iter().enumerate() {
        let factor = gamma[c] * inv_std;
        weights[c * depth..(c + 1) * depth]
            .iter_mut()
            .for_each(|w| *w *= factor);
        bias[c] -= moments.mean[c] * factor;
    }
    Ok(Folded { weights, bias })
}

impl Folded {
    fn quantised(&self, input_scale: f32) -> IntegerLayer {
        let depth = self.weights.len() / self.bias.len();
        let mut layer = IntegerLayer {
            values: Vec::with_capacity(self.weights.len()),
            scales: Vec::with_capacity(self.bias.len()),
            bias: Vec::with_capacity(self.bias.len()),
        };
        for (weights, &bias) in self.weights.chunks_exact(depth).zip(&self.bias) {
            let largest = weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            // The bias must fit too: a channel of tiny weights would need a huge integer.
            let scale = (largest / 127.0)
                .max(bias.abs() / (input_scale * 1e9))
                .max(f32::MIN_POSITIVE * 1e6);
            let integer = |w: &f32| (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
            layer.values.extend(weights.iter().map(integer));
            layer
                .bias
                .push((f64::from(bias) / f64::from(input_scale * scale)).round_ties_even() as i32);
            layer.scales.push(scale);
        }
        layer
    }
}

/// How the output of each node is stored.
fn activation_ranges(model: &mut Model, batches: &[Batch], preprocess: &Preprocess) -> Result<Vec<Quantisation>> {
    let nodes = model.graph.nodes.len();
    let mut samples: Vec<Vec<f32>> = vec![Vec::new(); nodes];
    let mut bounds = vec![[0.0f32; 2]; nodes];
    for (x, _) in batches {
        model.forward_seen(x, Pass::evaluation(Precision::F32), |i, y| {
            with_slice(y, |values| {
                // A prime stride meets all channels and places.
                let stride = (values.len() * batches.len() / SAMPLES).max(1) | 1;
                samples[i].extend(values.iter().step_by(stride));
                for &v in values {
                    bounds[i] = [bounds[i][0].min(v), bounds[i][1].max(v)];
                }
            })
        })?;
    }
    let mut ranges: Vec<Quantisation> = (0..nodes).map(|i| best_range(&samples[i], bounds[i])).collect();
    // All pixels, not only those that were seen.
    let channels = 0..preprocess.mean.len();
    let pixels = channels.flat_map(|c| [preprocess.real(c, 0), preprocess.real(c, u8::MAX)]);
    let [low, high] = pixels.fold([0.0f32; 2], |[low, high], v| [low.min(v), high.max(v)]);
    ranges[0] = range(low, high);
    // A maximum is one of the values that it is taken of.
    for (i, node) in model.graph.nodes.iter().enumerate() {
        if node.op == Op::MaxPool {
            ranges[i] = ranges[node.inputs[0]];
        }
    }
    Ok(ranges)
}

/// The range of the smallest mean squared error, among parts of the whole range of the values.
fn best_range(samples: &[f32], [low, high]: [f32; 2]) -> Quantisation {
    let error = |q: Quantisation| {
        let error = |&v: &f32| {
            let step = (v / q.scale).round_ties_even() + f32::from(q.zero);
            f64::from((step.clamp(0.0, 255.0) - f32::from(q.zero)) * q.scale - v).powi(2)
        };
        samples.iter().map(error).sum::<f64>()
    };
    let candidates = RATIOS.map(|r| range(low * r as f32 / 80.0, high * r as f32 / 80.0));
    let rated = candidates.map(|q| (error(q), q));
    rated
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(range(low, high), |(_, q)| q)
}

/// 256 steps from `low` to `high`, which enclose 0; 0 is a step.
fn range(low: f32, high: f32) -> Quantisation {
    let scale = ((high - low) / 255.0).max(1e-12);
    Quantisation {
        scale,
        zero: (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_zero_and_ignore_a_rare_large_value() {
        assert_eq!(range(0.0, 25.5).zero, 0);
        let both = range(-1.0, 3.0);
        assert_eq!((both.zero, (both.scale * 255.0).round()), (64, 4.0));
        let mut samples: Vec<f32> = (0..600_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let plain = best_range(&samples, [0.0, 1.0]);
        // At the edge of a uniform distribution, cutting costs more than it gains.
        assert!(plain.scale * 255.0 > 0.97);
        // Cutting one value by 0.5 costs 0.25; steps of 1.5 / 255 for all others would cost 0.96 more than those of 1 / 255.
        samples.push(1.5);
        assert!(best_range(&samples, [0.0, 1.5]).scale * 255.0 < 1.1);
    }

    #[test]
    fn weights_are_scaled_by_channel() {
        let folded = Folded {
            weights: vec![1.0, -0.501, 0.011, 0.02],
            bias: vec![0.3, -0.1],
        };
        let layer = folded.quantised(0.1);
        assert_eq!(layer.values, [127, -64, 70, 127]);
        assert!((layer.scales[1] - 0.02 / 127.0).abs() < 1e-9);
        assert_eq!(layer.bias, [(0.3 * 1270.0f64).round() as i32, -6350]);
    }
}
