//! The backward pass against candle's autograd.

use super::super::Steps;
use super::super::forward::is_inside;
use super::*;
use crate::ops::{self, cross_entropy};
use candle_core::Var;

/// `(clamp(y) + (quantised - clamp(y)).detach())` by candle's autograd, operator by operator.
#[test]
fn gradients_are_those_of_autograd_straight_through() {
    // Ranges that clip, so that there is something to stop.
    compare_with_autograd(&quantised(Observer::Percentile(97.0)));
    let few = four_bits(Observer::Percentile(97.0), 8);
    assert_eq!(few.parameters.keys().filter(|name| name.ends_with(".step")).count(), 8);
    compare_with_autograd(&few);
    // Then first layer and logits, sums and means have steps, too.
    let mut all = few;
    all.learn_steps(Some(Steps::Learned)).unwrap();
    assert_eq!(all.parameters.keys().filter(|name| name.ends_with(".step")).count(), 14);
    compare_with_autograd(&all);
}

/// `q s` with `q = clamp(v) + (code - clamp(v)).detach()` of `v` steps, which is LSQ's definition.
fn learned(v: &Tensor, codes: &Tensor, [low, high]: [f32; 2], step: &Tensor) -> Tensor {
    let clipped = v.clamp(low, high).unwrap();
    let q = (&clipped + (codes - clipped.detach()).unwrap().detach()).unwrap();
    q.broadcast_mul(step).unwrap()
}

fn compare_with_autograd(qat: &QatModel) {
    let (x, labels) = batch(1);
    let own = qat
        .gradients(&(x, labels.clone()), &numbers(), Forward::Exact, objective(0.1))
        .unwrap();
    let (integers, trace) = exact(qat);
    let extents = qat.graph.extents(8, 8);
    let mut parameters = BTreeMap::new();
    let mut scales = BTreeMap::new();
    let mut y: Vec<Tensor> = Vec::new();
    for (i, n) in qat.graph.nodes.iter().enumerate() {
        let range = integers.ranges[i];
        let dims = match n.op {
            Op::Dense => vec![IMAGES, qat.graph.channels(i)],
            _ => vec![IMAGES, extents[i].height, extents[i].width, qat.graph.channels(i)],
        };
        let stored: Vec<f32> = trace.codes[i].iter().map(|&code| real(code, range)).collect();
        let stored = Tensor::from_vec(stored, dims, &Device::Cpu).unwrap();
        let mut variable = |part: &str, values: Vec<f64>| {
            let name = format!("{}.{part}", n.name);
            let step = format!("{name}.step");
            if let (Some(parameter), Some(layer)) = (qat.parameters.get(&step), &integers.layers[i]) {
                let (weight, parameter) = (qat.parameters[&name].copy(), parameter.copy());
                let (weight, parameter) = (weight.unwrap(), parameter.unwrap());
                let (channels, depth) = (layer.scales.len(), layer.values.len() / layer.scales.len());
                let [weight, parameter] = [weight, parameter].map(|t| Var::from_tensor(&t).unwrap());
                let flat = |t: &Tensor, columns: usize| t.reshape((channels, columns)).unwrap();
                let steps = flat(&parameter, 1);
                let codes: Vec<f32> = layer.values.iter().map(|&q| f32::from(q)).collect();
                let codes = Tensor::from_vec(codes, (channels, depth), &Device::Cpu).unwrap();
                let most = if layer.bits == 4 { 7.0 } else { 127.0 };
                let v = flat(&weight, depth).broadcast_div(&steps).unwrap();
                // The largest weight is at the very bound where its step has just begun.
                let rounded = learned(&v, &codes, [-most - 5e-4, most + 5e-4], &steps);
                scales.insert(step.clone(), 1.0 / (depth as f32 * most).sqrt());
                let rounded = rounded.reshape(weight.dims()).unwrap();
                parameters.insert(step, parameter);
                parameters.insert(name, weight);
                return rounded;
            }
            let values = values.into_iter().map(|v| v as f32).collect();
            let tensor = Tensor::from_vec(values, qat.parameters[&name].dims(), &Device::Cpu).unwrap();
            parameters
                .entry(name)
                .or_insert(Var::from_tensor(&tensor).unwrap())
                .as_tensor()
                .clone()
        };
        let input = |k: usize| &y[n.inputs[k]];
        let real_value = match n.op {
            Op::Input => {
                y.push(stored);
                continue;
            }
            Op::MaxPool => {
                let pooled = ops::max_pool(input(0)).unwrap();
                y.push(pooled);
                continue;
            }
            Op::AveragePool => input(0).mean_keepdim((1, 2)).unwrap(),
            Op::Add(_) => (input(0) + input(1)).unwrap(),
            Op::Dense => {
                let (w, b) = of_integers(&integers, i);
                ops::dense(input(0), &variable("weight", w), &variable("bias", b)).unwrap()
            }
            Op::Conv(conv) => {
                let (w, b) = of_integers(&integers, i);
                let (w, b) = (variable("weight", w), variable("bias", b));
                let channels = qat.graph.channels(i);
                let (w, groups) = if conv.depthwise {
                    (w.unsqueeze(3).unwrap(), channels)
                } else {
                    (w, 1)
                };
                let nchw = |t: &Tensor| t.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
                let y = nchw(input(0))
                    .conv2d(&nchw(&w), conv.padding(), conv.stride, 1, groups)
                    .unwrap();
                y.permute((0, 2, 3, 1))
                    .unwrap()
                    .contiguous()
                    .unwrap()
                    .broadcast_add(&b)
                    .unwrap()
            }
        };
        // An accumulator of exactly 0 is not clipped; in f32 it may be anything within the rounding of the sum.
        let step = format!("{}.step", n.name);
        if let Some(parameter) = qat.parameters.get(&step) {
            let parameter = Var::from_tensor(&parameter.copy().unwrap()).unwrap();
            let zero = f32::from(range.zero);
            let bounds = [-zero - 5e-4, f32::from(range.most()) - zero + 5e-4];
            let codes = (&stored / f64::from(range.scale)).unwrap().round().unwrap();
            let v = real_value.broadcast_div(&parameter).unwrap();
            y.push(learned(&v, &codes, bounds, &parameter));
            let values = real_value.elem_count() / IMAGES;
            scales.insert(step.clone(), 1.0 / (values as f32 * f32::from(range.most())).sqrt());
            parameters.insert(step, parameter);
            continue;
        }
        let rounding = 5e-4 * range.scale;
        let (low, high) = (real(0, range) - rounding, real(range.most(), range) + rounding);
        let clipped = real_value.clamp(low, high).unwrap();
        y.push((&clipped + (stored - clipped.detach()).unwrap().detach()).unwrap());
    }
    let loss = cross_entropy(&y[y.len() - 1], &labels, 0.1).unwrap();
    assert!((loss.to_scalar::<f32>().unwrap() - own.loss).abs() < 1e-5);
    let gradients = loss.backward().unwrap();
    assert_eq!(own.of.len(), parameters.len());
    for (name, variable) in &parameters {
        let scale = scales.get(name).copied().unwrap_or(1.0);
        let a: Vec<f32> = flat(gradients.get(variable).unwrap())
            .iter()
            .map(|a| a * scale)
            .collect();
        let b = flat(&own.of[name]);
        let scale = a.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
        for (a, b) in a.iter().zip(&b) {
            // Sums of a few hundred products in another order.
            assert!((a - b).abs() < 1e-4 * scale, "{name}: {a} {b}");
        }
    }
    let clipped = |(steps, &range): (&Vec<f32>, _)| steps.iter().any(|&v| !is_inside(v, range));
    assert!(trace.steps.iter().zip(&integers.ranges).any(clipped));
}
