//! A whole training step: forward, backward and the optimiser, batch 128. "Elements" are floating-point operations of the convolutions
//! and the dense layer, three times two for each multiply-accumulate: forward, and the gradients of input and weights.
#![allow(clippy::unwrap_used, missing_docs)]

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farad_train::optimizer::{Optimizer, Rule};
use farad_train::{Architecture, Graph, Model, Pass, Precision, Statistics, cross_entropy};

const BATCH: usize = 128;

fn step(model: &mut Model, optimizer: &mut Optimizer, x: &Tensor, labels: &Tensor, precision: Precision) {
    let pass = Pass {
        statistics: Statistics::Batch { momentum: 0.1 },
        masks: &[],
        precision,
    };
    let logits = model.forward(x, pass).unwrap();
    let gradients = cross_entropy(&logits, labels, 0.1).unwrap().backward().unwrap();
    let rule = Rule::Nesterov {
        momentum: 0.9,
        decay: 5e-4,
    };
    for (name, parameter) in model.parameters() {
        optimizer
            .step(name, parameter, &gradients.get(parameter).unwrap().clone(), rule, 1e-4)
            .unwrap();
    }
}

fn steps(c: &mut Criterion) {
    farad_kernels::dense::retain_memory();
    let mut group = c.benchmark_group("step");
    group.sample_size(10);
    for name in ["vgg16-bn", "resnet-20"] {
        let graph = Graph::new(&Architecture::load(name).unwrap()).unwrap();
        let macs = graph.total_cost(&graph.widths()).macs;
        let mut model = Model::new(graph, 1, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::default();
        let values: Vec<f32> = (0..BATCH * 32 * 32 * 3)
            .map(|i| (i % 255) as f32 / 128.0 - 1.0)
            .collect();
        let x = Tensor::from_vec(values, (BATCH, 32, 32, 3), &Device::Cpu).unwrap();
        let labels = Tensor::from_vec((0..BATCH as u32).map(|i| i % 10).collect(), BATCH, &Device::Cpu).unwrap();
        group.throughput(Throughput::Elements((6 * macs * BATCH) as u64));
        for (word, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
            group.bench_function(format!("{name}/{word}"), |b| {
                b.iter(|| step(&mut model, &mut optimizer, &x, &labels, precision));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
