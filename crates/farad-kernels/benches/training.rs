//! GFLOP/s of training (criterion's "Gelem/s"), by layer and for a whole step. Run with
//! `cargo bench -p farad-kernels --bench training`.
//!
//! The network is VGG-16-BN for 32 by 32 images, at its own widths and at ragged ones as pruning leaves them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farad_kernels::dense::{
    Activation, Conv2d, Norm, Precision, channel_moments, conv_forward, conv_input_gradient, conv_weight_gradient,
    max_pool2_backward, max_pool2_forward, norm_backward, norm_forward, retain_memory,
};
use std::hint::black_box;
use std::time::Duration;

const IMAGES: usize = 128;
const SIDES: [usize; 13] = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2];
const DENSE: [usize; 13] = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
const PRUNED: [usize; 13] = [35, 51, 95, 86, 146, 89, 94, 93, 51, 58, 66, 31, 128];
const PRECISIONS: [(&str, Precision); 2] = [("bf16", Precision::Bf16), ("f32", Precision::F32)];

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1000) as f32 / 1000.0 - 0.5).collect()
}

/// A convolution, its batch norm with ReLU, a pool if the next map is smaller, and all that a step stores.
struct Layer {
    conv: Conv2d,
    pooled: bool,
    weights: Vec<f32>,
    weight_gradient: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    channel_gradients: [Vec<f32>; 2],
    mean: Vec<f32>,
    inv_std: Vec<f32>,
    /// The convolution's output.
    u: Vec<f32>,
    argmax: Vec<u8>,
    /// What the next layer gets, and its gradient.
    output: Vec<f32>,
    output_gradient: Vec<f32>,
}

impl Layer {
    fn new(conv: Conv2d, pooled: bool) -> Self {
        let channels = conv.out_channels;
        Self {
            conv,
            pooled,
            weights: values(conv.weights_len()),
            weight_gradient: Vec::new(),
            gamma: vec![1.0; channels],
            beta: vec![0.1; channels],
            channel_gradients: [(); 2].map(|()| vec![0.0; channels]),
            mean: vec![0.0; channels],
            inv_std: vec![1.0; channels],
            u: Vec::new(),
            argmax: Vec::new(),
            output: Vec::new(),
            output_gradient: values(conv.output_len() / if pooled { 4 } else { 1 }),
        }
    }

    fn forward(&mut self, precision: Precision, input: &[f32]) {
        let c = &self.conv;
        self.u = conv_forward(c, precision, input, &self.weights);
        let positions = c.height * c.width;
        channel_moments(
            IMAGES * positions,
            c.out_channels,
            &self.u,
            &mut self.mean,
            &mut self.inv_std,
        );
        for var in &mut self.inv_std {
            *var = 1.0 / (*var + 1e-5).sqrt();
        }
        let norm = Norm {
            images: IMAGES,
            positions,
            channels: c.out_channels,
            gamma: &self.gamma,
            beta: &self.beta,
            mask: None,
            activation: Activation::Relu,
        };
        self.output = norm_forward(&norm, &self.u, &self.mean, &self.inv_std);
        if self.pooled {
            (self.output, self.argmax) = max_pool2_forward(IMAGES, c.height, c.width, c.out_channels, &self.output);
        }
    }

    /// Returns the gradient of the input, unless that is the images.
    fn backward(&mut self, precision: Precision, input: &[f32], is_first: bool) -> Option<Vec<f32>> {
        let c = &self.conv;
        let norm = Norm {
            images: IMAGES,
            positions: c.height * c.width,
            channels: c.out_channels,
            gamma: &self.gamma,
            beta: &self.beta,
            mask: None,
            activation: Activation::Relu,
        };
        let output = &self.output_gradient;
        let unpooled = self
            .pooled
            .then(|| max_pool2_backward(IMAGES, c.height, c.width, c.out_channels, &self.argmax, output));
        let dy = unpooled.as_ref().unwrap_or(output);
        let [dgamma, dbeta] = &mut self.channel_gradients;
        let mut du = std::mem::take(&mut self.u);
        norm_backward(&norm, &mut du, &self.mean, &self.inv_std, dy, dgamma, dbeta, None);
        self.weight_gradient = conv_weight_gradient(c, precision, input, &du);
        (!is_first).then(|| conv_input_gradient(c, precision, &du, &self.weights))
    }
}

fn convolutions(widths: [usize; 13]) -> impl Iterator<Item = Conv2d> {
    (0..13).map(move |i| Conv2d {
        images: IMAGES,
        height: SIDES[i],
        width: SIDES[i],
        in_channels: if i == 0 { 3 } else { widths[i - 1] },
        out_channels: widths[i],
        kernel: 3,
        stride: 1,
        padding: 1,
        depthwise: false,
    })
}

fn step(precision: Precision, input: &[f32], layers: &mut [Layer]) {
    for i in 0..layers.len() {
        let (before, rest) = layers.split_at_mut(i);
        let input = before.last().map_or(input, |layer| &layer.output);
        rest[0].forward(precision, input);
    }
    for i in (0..layers.len()).rev() {
        let (before, rest) = layers.split_at_mut(i);
        match before.last_mut() {
            Some(before) => {
                let dx = rest[0].backward(precision, &before.output, false);
                before.output_gradient = dx.expect("the gradient of an inner layer");
            }
            None => drop(rest[0].backward(precision, input, true)),
        }
    }
}

fn steps(criterion: &mut Criterion) {
    retain_memory();
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (network, widths) in [("dense", DENSE), ("pruned", PRUNED)] {
        let pooled = |i: usize| SIDES.get(i + 1).is_none_or(|&next| next < SIDES[i]);
        let mut layers: Vec<Layer> = convolutions(widths)
            .enumerate()
            .map(|(i, conv)| Layer::new(conv, pooled(i)))
            .collect();
        let input = values(layers[0].conv.input_len());
        // Forward and two gradients, as is usual; the first layer's input needs none.
        let macs: u64 = layers.iter().map(|layer| layer.conv.macs()).sum();
        group.throughput(Throughput::Elements(6 * macs));
        for (name, precision) in PRECISIONS {
            group.bench_function(format!("{network}/{name}"), |bencher| {
                bencher.iter(|| step(precision, black_box(&input), &mut layers));
            });
        }
    }
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    retain_memory();
    for (network, widths) in [("dense", DENSE), ("pruned", PRUNED)] {
        let mut group = criterion.benchmark_group(network);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(400));
        for (i, c) in convolutions(widths).enumerate() {
            let (side, ci, co) = (c.height, c.in_channels, c.out_channels);
            let layer = format!("{:02} {side}x{side}x{ci}->{co}", i + 1);
            let (x, w, dy) = (values(c.input_len()), values(c.weights_len()), values(c.output_len()));
            group.throughput(Throughput::Elements(2 * c.macs()));
            for (name, precision) in PRECISIONS {
                group.bench_function(format!("{layer}/{name}/forward"), |bencher| {
                    bencher.iter(|| conv_forward(&c, precision, black_box(&x), &w));
                });
                group.bench_function(format!("{layer}/{name}/input gradient"), |bencher| {
                    bencher.iter(|| conv_input_gradient(&c, precision, black_box(&dy), &w));
                });
                group.bench_function(format!("{layer}/{name}/weight gradient"), |bencher| {
                    bencher.iter(|| conv_weight_gradient(&c, precision, black_box(&x), &dy));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(training, steps, layers);
criterion_main!(training);
