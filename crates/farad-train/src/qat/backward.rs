//! The backward pass: straight through every rounding, and stopped where something was clipped.
//!
//! With `x` and `W` as the integers stand for them and `m = 1` where `y` was not clipped, a layer `y = quantise(W * x + b)`
//! has `dW = x (m dy)`, `db = sum m dy`, `dx = W^T (m dy)`. What a macro adds to the accumulator is a constant: forward
//! noisy, backward clean.

use super::forward::{Integers, Trace, is_inside};
use super::observe::real;
use super::steps::{gradient_scale, of_output, of_weights, slope, through_weights};
use crate::graph::{Graph, Op};
use crate::ops::with_slice;
use candle_core::{Device, Result, Tensor, Var};
use farad_kernels::dense::{
    Conv2d, Precision, average_pool_backward, conv_input_gradient, conv_weight_gradient, max_pool2_backward,
    max_pool2_forward,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Outputs that one thread goes back through at a time: sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// One backward pass.
pub(super) struct Backward<'a> {
    pub(super) graph: &'a Graph,
    /// Weights and learned steps.
    pub(super) parameters: &'a BTreeMap<String, Var>,
    pub(super) integers: &'a Integers,
    pub(super) trace: &'a Trace,
    pub(super) images: usize,
    /// Of the convolutions' operands.
    pub(super) precision: Precision,
}

impl Backward<'_> {
    /// Gradients of all weights, biases and learned steps by name, from those of the logits `[n][classes]`.
    pub(super) fn run(&self, logits: Vec<f32>) -> Result<BTreeMap<String, Tensor>> {
        let nodes = &self.graph.nodes;
        let mut gradients = BTreeMap::new();
        let mut of_outputs: Vec<Option<Vec<f32>>> = vec![None; nodes.len()];
        of_outputs[nodes.len() - 1] = Some(logits);
        for (i, node) in nodes.iter().enumerate().skip(1).rev() {
            let Some(mut dy) = of_outputs[i].take() else {
                continue;
            };
            match node.op {
                Op::Conv(_) | Op::Dense => {
                    self.through(i, &mut dy, |at| self.trace.steps[i][at], &mut gradients)?;
                    if let Some(dx) = self.layer(i, &dy, &mut gradients)? {
                        add(&mut of_outputs[node.inputs[0]], dx);
                    }
                }
                Op::MaxPool => add(&mut of_outputs[node.inputs[0]], self.max_pool(node.inputs[0], &dy)),
                Op::AveragePool => {
                    let dx = self.average_pool(i, node.inputs[0], dy, &mut gradients)?;
                    add(&mut of_outputs[node.inputs[0]], dx);
                }
                Op::Add(_) => {
                    let (a, b) = (node.inputs[0], node.inputs[1]);
                    self.through_sum(i, a, b, &mut dy, &mut gradients)?;
                    add(&mut of_outputs[a], dy.clone());
                    add(&mut of_outputs[b], dy);
                }
                Op::Input => {}
            }
        }
        Ok(gradients)
    }

    /// The output of node `i`, as the integers stand for it.
    fn values(&self, i: usize) -> Vec<f32> {
        let range = self.integers.ranges[i];
        self.trace.codes[i].par_iter().map(|&code| real(code, range)).collect()
    }

    /// Straight through the rounding of node `i`, whose outputs were so many steps before it: stops `dy` where they were clipped.
    /// Finds the gradient of the step if it is learned.
    fn through(
        &self,
        i: usize,
        dy: &mut [f32],
        steps: impl Fn(usize) -> f32 + Sync,
        gradients: &mut BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let (range, codes) = (self.integers.ranges[i], &self.trace.codes[i]);
        let zero = f32::from(range.zero);
        let of_chunk = |(k, dy): (usize, &mut [f32])| {
            let mut sum = 0.0;
            for (j, dy) in dy.iter_mut().enumerate() {
                let at = k * CHUNK + j;
                let v = steps(at);
                let inside = is_inside(v, range);
                sum += f64::from(*dy * slope(v, f32::from(codes[at]) - zero, inside));
                if !inside {
                    *dy = 0.0;
                }
            }
            sum
        };
        let sums: Vec<f64> = dy.par_chunks_mut(CHUNK).enumerate().map(of_chunk).collect();
        let name = of_output(&self.graph.nodes[i].name);
        if self.parameters.contains_key(&name) {
            let scale = gradient_scale(dy.len() / self.images.max(1), f32::from(range.most()));
            let gradient = (sums.iter().sum::<f64>() * scale) as f32;
            gradients.insert(name, Tensor::from_vec(vec![gradient], 1, &Device::Cpu)?);
        }
        Ok(())
    }

    /// Height and width of the output of node `i`.
    fn extent(&self, i: usize) -> (usize, usize) {
        let [height, width, _] = self.graph.input;
        let extent = self.graph.extents(height, width)[i];
        (extent.height, extent.width)
    }

    /// Gradients of a layer's weights and bias, and of its input unless that is the images.
    fn layer(&self, i: usize, dy: &[f32], gradients: &mut BTreeMap<String, Tensor>) -> Result<Option<Vec<f32>>> {
        let node = &self.graph.nodes[i];
        let Some(integer) = &self.integers.layers[i] else {
            candle_core::bail!("{} has no weights", node.name);
        };
        let input = node.inputs[0];
        let (height, width) = self.extent(input);
        // The dense layer is a convolution of a map of one pixel.
        let (kernel, stride, depthwise) = match node.op {
            Op::Conv(conv) => (conv.kernel, conv.stride, conv.depthwise),
            _ => (1, 1, false),
        };
        let shape = Conv2d {
            images: self.images,
            height,
            width,
            in_channels: self.graph.channels(input),
            out_channels: self.graph.channels(i),
            kernel,
            stride,
            padding: kernel / 2,
            depthwise,
        };
        let mut dw = conv_weight_gradient(&shape, self.precision, &self.values(input), dy);
        if self.parameters.contains_key(&of_weights(&node.name)) {
            let of_steps = with_slice(&self.parameters[&format!("{}.weight", node.name)], |weights| {
                through_weights(weights, &integer.values, &integer.scales, integer.bits, &mut dw)
            })?;
            let of_steps = Tensor::from_vec(of_steps, shape.out_channels, &Device::Cpu)?;
            gradients.insert(of_weights(&node.name), of_steps);
        }
        let mut db = vec![0.0f64; shape.out_channels];
        for row in dy.chunks_exact(shape.out_channels) {
            db.iter_mut().zip(row).for_each(|(sum, &d)| *sum += f64::from(d));
        }
        let dims = match node.op {
            Op::Dense => vec![shape.out_channels, shape.in_channels],
            _ if depthwise => vec![shape.out_channels, kernel, kernel],
            _ => vec![shape.out_channels, kernel, kernel, shape.in_channels],
        };
        gradients.insert(
            format!("{}.weight", node.name),
            Tensor::from_vec(dw, dims, &Device::Cpu)?,
        );
        let db: Vec<f32> = db.into_iter().map(|sum| sum as f32).collect();
        gradients.insert(
            format!("{}.bias", node.name),
            Tensor::from_vec(db, shape.out_channels, &Device::Cpu)?,
        );
        if input == 0 {
            return Ok(None);
        }
        Ok(Some(conv_input_gradient(&shape, self.precision, dy, &integer.real())))
    }

    fn max_pool(&self, input: usize, dy: &[f32]) -> Vec<f32> {
        let ((height, width), channels) = (self.extent(input), self.graph.channels(input));
        let x = self.values(input);
        let (_, argmax) = max_pool2_forward(self.images, height, width, channels, &x);
        max_pool2_backward(self.images, height, width, channels, &argmax, dy)
    }

    fn average_pool(
        &self,
        i: usize,
        input: usize,
        mut dy: Vec<f32>,
        gradients: &mut BTreeMap<String, Tensor>,
    ) -> Result<Vec<f32>> {
        let ((height, width), channels) = (self.extent(input), self.graph.channels(input));
        let (from, to) = (self.integers.ranges[input], self.integers.ranges[i]);
        let (codes, positions) = (&self.trace.codes[input], height * width);
        let step = from.scale / (to.scale * positions as f32);
        let steps = |at: usize| {
            let (n, c) = (at / channels, at % channels);
            let image = &codes[n * positions * channels..(n + 1) * positions * channels];
            let sum: i32 = image[c..].iter().step_by(channels).map(|&x| i32::from(x)).sum();
            (sum - positions as i32 * i32::from(from.zero)) as f32 * step
        };
        self.through(i, &mut dy, steps, gradients)?;
        Ok(average_pool_backward(self.images, positions, channels, &dy))
    }

    /// Nothing flows through a sum that was clipped (its activation is a clip, too).
    fn through_sum(
        &self,
        i: usize,
        a: usize,
        b: usize,
        dy: &mut [f32],
        gradients: &mut BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let (ranges, codes) = (&self.integers.ranges, &self.trace.codes);
        let steps = |k: usize| -> [f32; 256] { std::array::from_fn(|c| real(c as u8, ranges[k]) / ranges[i].scale) };
        let (of_a, of_b) = (steps(a), steps(b));
        let steps = |at: usize| of_a[usize::from(codes[a][at])] + of_b[usize::from(codes[b][at])];
        self.through(i, dy, steps, gradients)
    }
}

/// A tensor that several nodes read gets the sum of their gradients.
fn add(sum: &mut Option<Vec<f32>>, d: Vec<f32>) {
    match sum {
        Some(sum) => sum.par_iter_mut().zip(d).for_each(|(sum, d)| *sum += d),
        None => *sum = Some(d),
    }
}
