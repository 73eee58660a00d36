//! The backward pass: straight through every rounding, and stopped where something was clipped.
//!
//! With `x` and `W` as the integers stand for them and `m = 1` where `y` was not clipped, a layer `y = quantise(W * x + b)`
//! has `dW = x (m dy)`, `db = sum m dy`, `dx = W^T (m dy)`. What a macro adds to the accumulator is a constant: forward
//! noisy, backward clean.

use super::forward::{Integers, Trace, is_inside};
use super::observe::real;
use crate::graph::{Graph, Op};
use candle_core::{Device, Result, Tensor};
use farad_kernels::dense::{
    Conv2d, Precision, average_pool_backward, conv_input_gradient, conv_weight_gradient, max_pool2_backward,
    max_pool2_forward,
};
use farad_net::Quantisation;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// One backward pass.
pub(super) struct Backward<'a> {
    pub(super) graph: &'a Graph,
    pub(super) ranges: &'a [Quantisation],
    pub(super) integers: &'a Integers,
    pub(super) trace: &'a Trace,
    pub(super) images: usize,
    /// Of the convolutions' operands.
    pub(super) precision: Precision,
}

impl Backward<'_> {
    /// Gradients of all weights and biases by name, from those of the logits `[n][classes]`.
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
                    stop(&mut dy, &self.trace.inside[i]);
                    if let Some(dx) = self.layer(i, &dy, &mut gradients)? {
                        add(&mut of_outputs[node.inputs[0]], dx);
                    }
                }
                Op::MaxPool => add(&mut of_outputs[node.inputs[0]], self.max_pool(node.inputs[0], &dy)),
                Op::AveragePool => add(
                    &mut of_outputs[node.inputs[0]],
                    self.average_pool(i, node.inputs[0], dy),
                ),
                Op::Add(_) => {
                    let (a, b) = (node.inputs[0], node.inputs[1]);
                    self.stop_sum(i, a, b, &mut dy);
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
        let range = self.ranges[i];
        self.trace.codes[i].par_iter().map(|&code| real(code, range)).collect()
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
        let mut dw = vec![0.0; shape.weights_len()];
        conv_weight_gradient(&shape, self.precision, &self.values(input), dy, &mut dw);
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
        let mut dx = vec![0.0; shape.input_len()];
        conv_input_gradient(&shape, self.precision, dy, &integer.real(), &mut dx);
        Ok(Some(dx))
    }

    fn max_pool(&self, input: usize, dy: &[f32]) -> Vec<f32> {
        let ((height, width), channels) = (self.extent(input), self.graph.channels(input));
        let x = self.values(input);
        let (mut y, mut argmax) = (vec![0.0; dy.len()], vec![0; dy.len()]);
        max_pool2_forward(self.images, height, width, channels, &x, &mut y, &mut argmax);
        let mut dx = vec![0.0; x.len()];
        max_pool2_backward(self.images, height, width, channels, &argmax, dy, &mut dx);
        dx
    }

    fn average_pool(&self, i: usize, input: usize, mut dy: Vec<f32>) -> Vec<f32> {
        let ((height, width), channels) = (self.extent(input), self.graph.channels(input));
        let (from, to) = (self.ranges[input], self.ranges[i]);
        let (codes, positions) = (&self.trace.codes[input], height * width);
        let step = from.scale / (to.scale * positions as f32);
        for (n, dy) in dy.chunks_exact_mut(channels).enumerate() {
            let image = &codes[n * positions * channels..(n + 1) * positions * channels];
            for (c, dy) in dy.iter_mut().enumerate() {
                let sum: i32 = image[c..].iter().step_by(channels).map(|&x| i32::from(x)).sum();
                let steps = (sum - positions as i32 * i32::from(from.zero)) as f32 * step;
                if !is_inside(steps, to) {
                    *dy = 0.0;
                }
            }
        }
        let mut dx = vec![0.0; codes.len()];
        average_pool_backward(self.images, positions, channels, &dy, &mut dx);
        dx
    }

    /// Nothing flows through a sum that was clipped (its activation is a clip, too).
    fn stop_sum(&self, i: usize, a: usize, b: usize, dy: &mut [f32]) {
        let (to, codes) = (self.ranges[i], &self.trace.codes);
        let steps = |k: usize| -> [f32; 256] { std::array::from_fn(|c| real(c as u8, self.ranges[k]) / to.scale) };
        let (of_a, of_b) = (steps(a), steps(b));
        (dy.par_iter_mut(), &codes[a], &codes[b])
            .into_par_iter()
            .for_each(|(dy, &a, &b)| {
                if !is_inside(of_a[usize::from(a)] + of_b[usize::from(b)], to) {
                    *dy = 0.0;
                }
            });
    }
}

fn stop(dy: &mut [f32], inside: &[bool]) {
    dy.par_iter_mut().zip(inside).for_each(|(dy, &inside)| {
        if !inside {
            *dy = 0.0;
        }
    });
}

/// A tensor that several nodes read gets the sum of their gradients.
fn add(sum: &mut Option<Vec<f32>>, d: Vec<f32>) {
    match sum {
        Some(sum) => sum.par_iter_mut().zip(d).for_each(|(sum, d)| *sum += d),
        None => *sum = Some(d),
    }
}
