//! Step sizes: which tensors have fewer than 8 bits, and the steps that training moves.
//!
//! A learned step `s` is that of LSQ (Esser et al., "Learned Step Size Quantization", ICLR 2020). With `v = y / s` and
//! `q = clip(round(v), -Q_N, Q_P)` the stored value is `q s`, and straight through the rounding, equations 2 and 3 there,
//!
//! `d(q s)/ds = q - v` where `y` was not clipped, else `q`, which is `-Q_N` or `Q_P`; `d(q s)/dy = 1`, else `0`.
//!
//! The gradient of a step is multiplied by `g = 1 / sqrt(N Q_P)`, `N` being the weights or the outputs of one image that
//! share the step (section 2.2): so steps move as fast as weights do, measured by what they are.

use super::Steps;
use crate::graph::{Graph, Op};
use candle_core::{Device, Result, Tensor, Var};

/// Smallest step that training may arrive at.
const SMALLEST_STEP: f32 = 1e-8;

/// Bits by node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits {
    /// Of the weights of nodes that have any.
    pub(super) weights: Vec<u32>,
    /// Of the outputs.
    pub(super) outputs: Vec<u32>,
}

impl Bits {
    /// `ends` are those of the weights and inputs of the first and the last layer; 8 is the custom (section 2.3 of LSQ). Tensors that
    /// no layer multiplies have 8: the logits, and what is only added or averaged.
    pub(super) fn new(graph: &Graph, weights: u32, activations: u32, ends: u32) -> Self {
        let nodes = &graph.nodes;
        let mut bits = Self {
            weights: vec![8; nodes.len()],
            outputs: vec![8; nodes.len()],
        };
        for (i, node) in nodes.iter().enumerate().rev() {
            let input = match node.op {
                Op::Conv(_) | Op::Dense => {
                    let is_end = i + 1 == nodes.len() || is_image(graph, node.inputs[0]);
                    let (of_weights, of_input) = if is_end { (ends, ends) } else { (weights, activations) };
                    bits.weights[i] = of_weights;
                    of_input
                }
                // A maximum is one of the values that it is taken of.
                Op::MaxPool => bits.outputs[i],
                Op::Input | Op::AveragePool | Op::Add(_) => 8,
            };
            for &read in &node.inputs {
                bits.outputs[read] = bits.outputs[read].min(input);
            }
        }
        for (i, node) in nodes.iter().enumerate() {
            if node.op == Op::MaxPool {
                bits.outputs[i] = bits.outputs[node.inputs[0]];
            }
        }
        bits
    }
}

/// Whether node `i` gives the pixels or maxima of them.
fn is_image(graph: &Graph, i: usize) -> bool {
    match graph.nodes[i].op {
        Op::Input => true,
        Op::MaxPool => is_image(graph, graph.nodes[i].inputs[0]),
        _ => false,
    }
}

impl Steps {
    /// Whether the steps of a tensor of so many bits are learned; without a choice those of 4 bits and below.
    pub(super) fn learned(choice: Option<Self>, bits: u32) -> bool {
        choice.map_or(bits <= 4, |steps| steps == Self::Learned)
    }
}

/// Name of the steps of a layer's weights, `[c_out]`.
pub(super) fn of_weights(node: &str) -> String {
    format!("{node}.weight.step")
}

/// Name of the step of a node's output, `[1]`.
pub(super) fn of_output(node: &str) -> String {
    format!("{node}.step")
}

/// Steps as parameters.
pub(super) fn parameter(steps: Vec<f32>) -> Result<Var> {
    let len = steps.len();
    Var::from_tensor(&Tensor::from_vec(steps, len, &Device::Cpu)?)
}

/// What a parameter stands for.
pub(super) fn positive(step: f32) -> f32 {
    step.max(SMALLEST_STEP)
}

/// The largest integer of weights.
pub(super) fn most_weight(bits: u32) -> f32 {
    ((1 << (bits - 1)) - 1) as f32
}

/// The steps that weights `[c_out][depth]` begin with: `2 mean |w| / sqrt(Q_P)` as in section 2.1, or the step that just clips
/// nothing, where that is finer.
pub(super) fn start(weights: &[f32], depth: usize, bits: u32) -> Vec<f32> {
    let most = most_weight(bits);
    let of_channel = |weights: &[f32]| {
        let (sum, largest) = weights
            .iter()
            .fold((0.0, 0.0f32), |(sum, m), w| (sum + w.abs(), m.max(w.abs())));
        positive((2.0 * sum / depth as f32 / most.sqrt()).min(largest / most))
    };
    weights.chunks_exact(depth).map(of_channel).collect()
}

/// `d(q s)/ds` of a value of `v` steps that is stored as the integer `q`.
pub(super) fn slope(v: f32, q: f32, inside: bool) -> f32 {
    if inside { q - v } else { q }
}

/// The factor of the gradient of a step that `values` values share, whose integers go up to `most`.
pub(super) fn gradient_scale(values: usize, most: f32) -> f64 {
    1.0 / (values as f64 * f64::from(most)).sqrt()
}

/// Straight through the rounding of `weights` `[c_out][depth]` to `values`: stops the gradients `dw` where a weight was clipped,
/// and returns those of the steps of all channels.
pub(super) fn through_weights(weights: &[f32], values: &[i8], scales: &[f32], bits: u32, dw: &mut [f32]) -> Vec<f32> {
    let (depth, most) = (weights.len() / scales.len(), most_weight(bits));
    let mut of_steps = Vec::with_capacity(scales.len());
    for (c, dw) in dw.chunks_exact_mut(depth).enumerate() {
        let channel = c * depth..(c + 1) * depth;
        let mut sum = 0.0;
        for ((w, &q), dw) in weights[channel.clone()].iter().zip(&values[channel]).zip(dw) {
            let v = w / scales[c];
            // A weight at the very end is within, however the division was rounded.
            let inside = v.abs() <= most * (1.0 + 4.0 * f32::EPSILON);
            sum += f64::from(*dw * slope(v, f32::from(q), inside));
            if !inside {
                *dw = 0.0;
            }
        }
        of_steps.push((sum * gradient_scale(depth, most)) as f32);
    }
    of_steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `q s` with the rounding held at what it adds to `v` at `s = at`: what the straight-through estimator differentiates.
    fn held(y: f32, s: f32, at: f32, most: f32) -> f32 {
        let v = y / at;
        let added = v.clamp(-most, most).round_ties_even() - v.clamp(-most, most);
        ((y / s).clamp(-most, most) + added) * s
    }

    #[test]
    fn the_gradient_of_a_step_is_a_finite_difference() {
        let weights = [0.31f32, -0.12, 0.9, -2.0, 0.04, 0.6];
        let (scales, bits) = ([0.1f32, 0.2], 4);
        let given = [1.0f32, -0.5, 0.25, 2.0, 1.5, -1.0];
        let most = most_weight(bits);
        let step = |c: usize| scales[c];
        let values: Vec<i8> = (0..6)
            .map(|i| (weights[i] / step(i / 3)).round_ties_even().clamp(-most, most) as i8)
            .collect();
        assert_eq!(values, [3, -1, 7, -7, 0, 3]);
        let mut dw = given;
        let of_steps = through_weights(&weights, &values, &scales, bits, &mut dw);
        for c in 0..2 {
            let loss = |s: f32| -> f64 {
                let channel = c * 3..c * 3 + 3;
                channel
                    .map(|i| f64::from(given[i] * held(weights[i], s, scales[c], most)))
                    .sum()
            };
            let h = 1e-3;
            let difference = (loss(scales[c] + h) - loss(scales[c] - h)) / f64::from(2.0 * h);
            let expected = difference / (3.0 * 7.0f64).sqrt();
            assert!(
                (f64::from(of_steps[c]) - expected).abs() < 1e-3,
                "{of_steps:?} {expected}"
            );
        }
        // 0.9 is 9 steps and -2 is -10: clipped.
        assert_eq!(dw, [1.0, -0.5, 0.0, 0.0, 1.5, -1.0]);
    }

    /// Values on a grid of step 0.1, seen with the step 0.13: descent of the squared error finds the grid.
    #[test]
    fn a_planted_step_is_found() {
        let weights: Vec<f32> = (-7..=7).map(|q| q as f32 * 0.1).collect();
        let mut step = 0.13f32;
        for _ in 0..400 {
            let values: Vec<i8> = weights
                .iter()
                .map(|w| (w / step).round_ties_even().clamp(-7.0, 7.0) as i8)
                .collect();
            let errors = weights.iter().zip(&values).map(|(w, &q)| f32::from(q) * step - w);
            let mut dw: Vec<f32> = errors.collect();
            step -= 0.05 * through_weights(&weights, &values, &[step], 4, &mut dw)[0];
        }
        assert!((step - 0.1).abs() < 1e-3, "{step}");
    }

    #[test]
    fn a_start_is_that_of_the_paper_or_clips_nothing() {
        // Means 1 and 0.25, largest 1 and 1.
        let steps = start(&[1.0, -1.0, 1.0, 1.0, 0.0, 0.0, -1.0, 0.0], 4, 4);
        assert!((steps[0] - 1.0 / 7.0).abs() < 1e-6 && (steps[1] - 1.0 / 7.0).abs() < 1e-6);
        let rare: Vec<f32> = (0..100).map(|i| if i == 0 { 1.0 } else { 0.01 }).collect();
        assert!((start(&rare, 100, 4)[0] - 2.0 * 0.0199 / 7.0f32.sqrt()).abs() < 1e-5);
    }
}
