//! The laws of quantisation-aware training, on a network with every operator.

use super::forward::{Forward, Integers, Trace};
use super::observe::real;
use super::{Objective, Observer, QatModel, QatSettings, from_file};
use crate::Precision;
use crate::architecture::Architecture;
use crate::graph::{Graph, Op};
use crate::model::{Model, Pass, Statistics};
use crate::prune::Batch;
use crate::rng::{Purpose, Rng};
use candle_core::{Device, Tensor};
use farad_net::Preprocess;
use std::collections::BTreeMap;

mod autograd;
mod chip;

const NETWORK: &str = r#"
name = "small"
input = [8, 8, 2]
layers = [
    { conv = 6 }, { pool = "max" },
    { residual = [{ conv = 6 }, { conv = 6, activation = "none" }] },
    { conv = 8, kernel = 1, activation = "relu6" }, { depthwise = true, stride = 2, activation = "none" },
    { pool = "average" }, { dense = 3 },
]
"#;

const IMAGES: usize = 12;

fn preprocess() -> Preprocess {
    Preprocess {
        pixel_max: 255.0,
        mean: vec![120.0, 90.0],
        std: vec![70.0, 60.0],
    }
}

/// Bright images of class 0, dark ones of class 1, images of one channel of class 2.
fn batch(seed: u64) -> Batch {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let preprocess = preprocess();
    for i in 0..IMAGES {
        let mut rng = Rng::new(seed, Purpose::Order, i as u32, 0);
        let label = rng.below(3);
        for k in 0..8 * 8 * 2 {
            let light = [120, 20, 120 * (k % 2)][label];
            pixels.push(preprocess.real(k % 2, (light + rng.below(120)) as u8));
        }
        labels.push(label as u32);
    }
    let x = Tensor::from_vec(pixels, (IMAGES, 8, 8, 2), &Device::Cpu).unwrap();
    (x, Tensor::from_vec(labels, IMAGES, &Device::Cpu).unwrap())
}

fn objective(smoothing: f64) -> Objective<'static> {
    Objective {
        smoothing,
        teacher: None,
        precision: Precision::F32,
    }
}

fn numbers() -> Vec<u32> {
    (0..IMAGES as u32).collect()
}

/// The network with random weights, scales, shifts and the moments of its batch.
fn model() -> Model {
    let graph = Graph::new(&Architecture::parse("small.toml", NETWORK).unwrap()).unwrap();
    let mut model = Model::new(graph, 4, &Device::Cpu).unwrap();
    for (number, (name, parameter)) in model.parameters.iter().enumerate() {
        let mut rng = Rng::new(9, Purpose::Init, number as u32, 1);
        let mut random = |offset: f32| {
            let values: Vec<f32> = (0..parameter.elem_count())
                .map(|_| offset + 0.3 * rng.normal())
                .collect();
            parameter
                .set(&Tensor::from_vec(values, parameter.dims(), &Device::Cpu).unwrap())
                .unwrap();
        };
        match name.rsplit('.').next() {
            Some("gamma") => random(1.0),
            Some("beta" | "bias") => random(0.0),
            _ => {}
        }
    }
    let pass = Pass {
        statistics: Statistics::Batch { momentum: 1.0 },
        ..Pass::evaluation(Precision::F32)
    };
    model.forward(&batch(1).0, pass).unwrap();
    model
}

fn quantised(observer: Observer) -> QatModel {
    let settings = QatSettings {
        observer,
        ..QatSettings::default()
    };
    QatModel::new(&mut model(), &[batch(1)], &preprocess(), &settings).unwrap()
}

/// With 4 bits between the ends, and so many there, and steps that were learned a little.
fn four_bits(observer: Observer, ends: u32) -> QatModel {
    let settings = QatSettings {
        weights: Some(4),
        activations: Some(4),
        ends: Some(ends),
        observer,
        ..QatSettings::default()
    };
    let mut qat = QatModel::new(&mut model(), &[batch(1)], &preprocess(), &settings).unwrap();
    qat.learn_steps(None).unwrap();
    for (k, (_, step)) in qat
        .parameters
        .iter()
        .filter(|(name, _)| name.ends_with(".step"))
        .enumerate()
    {
        // Finer, so that something is clipped, and coarser.
        let factor = [0.7, 1.1, 0.8][k % 3];
        step.set(&(step.as_tensor() * factor).unwrap()).unwrap();
    }
    qat
}

const WHOLE: Observer = Observer::MinMax { decay: 0.0 };

fn exact(qat: &QatModel) -> (Integers, Trace) {
    let integers = qat.integers().unwrap();
    let trace = qat.trace(&integers, &batch(1).0, &numbers(), Forward::Exact).unwrap();
    (integers, trace)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Node `i` of `graph` before its rounding, written down as its definition, from the outputs of all nodes. `relu` is
/// whether its activation is applied.
fn node(graph: &Graph, i: usize, y: &[Vec<f64>], weights: &[f64], bias: &[f64], relu: bool) -> Vec<f64> {
    let node = &graph.nodes[i];
    let x = &y[node.inputs[0]];
    let extents = graph.extents(8, 8);
    let (from, to) = (extents[node.inputs[0]], extents[i]);
    let (in_c, out_c) = (graph.in_channels(i), graph.channels(i));
    let at = |n: usize, row: usize, column: usize, c: usize| {
        let inside = row < from.height && column < from.width;
        if inside {
            x[((n * from.height + row) * from.width + column) * in_c + c]
        } else {
            0.0
        }
    };
    let mut out = Vec::new();
    for n in 0..IMAGES {
        for p in 0..to.height * to.width {
            let (row, column) = (p / to.width, p % to.width);
            for c in 0..out_c {
                out.push(match node.op {
                    Op::Conv(conv) => {
                        let depth = if conv.depthwise { 1 } else { in_c };
                        let mut sum = bias[c];
                        for k in 0..conv.kernel * conv.kernel * depth {
                            let (tap, d) = (k / depth, k % depth);
                            let row = (row * conv.stride + tap / conv.kernel).wrapping_sub(conv.padding());
                            let column = (column * conv.stride + tap % conv.kernel).wrapping_sub(conv.padding());
                            let d = if conv.depthwise { c } else { d };
                            sum += weights[c * conv.kernel * conv.kernel * depth + k] * at(n, row, column, d);
                        }
                        match conv.activation.kernel() {
                            farad_kernels::dense::Activation::Relu if relu => sum.max(0.0),
                            farad_kernels::dense::Activation::Relu6 if relu => sum.clamp(0.0, 6.0),
                            _ => sum,
                        }
                    }
                    Op::Dense => bias[c] + (0..in_c).map(|d| weights[c * in_c + d] * at(n, 0, 0, d)).sum::<f64>(),
                    Op::MaxPool => [(0, 0), (0, 1), (1, 0), (1, 1)]
                        .iter()
                        .map(|(a, b)| at(n, 2 * row + a, 2 * column + b, c))
                        .fold(f64::MIN, f64::max),
                    Op::AveragePool => {
                        let count = from.height * from.width;
                        (0..count)
                            .map(|p| at(n, p / from.width, p % from.width, c))
                            .sum::<f64>()
                            / count as f64
                    }
                    Op::Add(_) => {
                        let sum = at(n, row, column, c) + y[node.inputs[1]][out.len()];
                        if relu { sum.max(0.0) } else { sum }
                    }
                    Op::Input => unreachable!(),
                });
            }
        }
    }
    out
}

fn wide(values: impl IntoIterator<Item = f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// What the integers of node `i` stand for: weights and bias.
fn of_integers(integers: &Integers, i: usize) -> (Vec<f64>, Vec<f64>) {
    let Some(layer) = &integers.layers[i] else {
        return (Vec::new(), Vec::new());
    };
    let bias = layer.bias.iter().zip(&layer.scales);
    let bias = bias.map(|(&b, &s)| f64::from(b) * f64::from(s) * f64::from(layer.input_scale));
    (wide(layer.real()), bias.collect())
}

#[test]
fn the_float_graph_with_fake_quantisation_is_the_integer_network() {
    let observers = [WHOLE, Observer::Percentile(98.0), Observer::Mse];
    let few = [(WHOLE, 8), (Observer::Percentile(98.0), 4), (Observer::Mse, 8)];
    let few = few.map(|(observer, ends)| four_bits(observer, ends));
    for qat in observers.map(quantised).into_iter().chain(few) {
        let (integers, trace) = exact(&qat);
        let ranges = &integers.ranges;
        let values = |i: usize| wide(trace.codes[i].iter().map(|&code| real(code, ranges[i])));
        let y: Vec<Vec<f64>> = (0..trace.codes.len()).map(values).collect();
        for i in 1..y.len() {
            let (weights, bias) = of_integers(&integers, i);
            let range = ranges[i];
            let code = |v: f64| {
                let steps = (v / f64::from(range.scale)).round_ties_even() + f64::from(range.zero);
                steps.clamp(0.0, f64::from(range.most())) as u8
            };
            let codes: Vec<u8> = node(&qat.graph, i, &y, &weights, &bias, false)
                .into_iter()
                .map(code)
                .collect();
            assert!(codes == trace.codes[i], "{} {range:?}", qat.graph.nodes[i].name);
        }
        assert_eq!(wide(trace.logits.clone()), y[y.len() - 1]);
    }
}

/// Each rounding moves a value by half a step, a range's end (it is moved to let 0 be a step) by another half, and a
/// layer multiplies what it gets by its weights: added up, a bound of the whole network's error.
#[test]
fn logits_are_within_the_bound_of_quantisation() {
    let mut model = model();
    let qat = quantised(WHOLE);
    let (integers, trace) = exact(&qat);
    let steps = |i: usize| f64::from(qat.ranges[i].scale);
    let input = wide(flat(&batch(1).0));
    let mut errors = vec![vec![steps(0); input.len()]];
    let mut y = vec![input];
    for i in 1..qat.graph.nodes.len() {
        let name = &qat.graph.nodes[i].name;
        let parameter = |part: &str| qat.parameters.get(&format!("{name}.{part}"));
        let values = |part| parameter(part).map_or(Vec::new(), |p| wide(flat(p)));
        let (weights, bias) = (values("weight"), values("bias"));
        let (rounded, rounded_bias) = of_integers(&integers, i);
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).collect::<Vec<f64>>();
        let magnitudes = |values: &[f64]| values.iter().map(|v| v.abs()).collect::<Vec<f64>>();
        let sizes: Vec<Vec<f64>> = y.iter().map(|v| magnitudes(v)).collect();
        let none = vec![0.0; bias.len()];
        let inherited = node(&qat.graph, i, &errors, &magnitudes(&rounded), &none, false);
        let own = match qat.graph.nodes[i].op {
            Op::Conv(_) | Op::Dense => {
                let bias = distance(&bias, &rounded_bias);
                node(&qat.graph, i, &sizes, &distance(&weights, &rounded), &bias, false)
            }
            _ => vec![0.0; inherited.len()],
        };
        errors.push(inherited.iter().zip(own).map(|(a, b)| a + b + steps(i)).collect());
        y.push(node(&qat.graph, i, &y, &weights, &bias, true));
    }
    let float = model.forward(&batch(1).0, Pass::evaluation(Precision::F32)).unwrap();
    let last = y.len() - 1;
    for (k, float) in flat(&float).into_iter().enumerate() {
        // Folding the batch norm changes nothing but the order of operations in f32.
        assert!((f64::from(float) - y[last][k]).abs() < 1e-4);
        assert!((f64::from(trace.logits[k]) - y[last][k]).abs() <= errors[last][k]);
    }
}

#[test]
fn the_file_is_the_network_that_was_trained() {
    let qat = quantised(Observer::Mse);
    let file = qat.export(&[("farad.dataset", "small".to_owned())]).unwrap();
    let network = farad_net::Network::parse("small", &file).unwrap();
    let input = qat.input(&batch(1).0).unwrap();
    let logits = network.run(&input, &numbers(), &mut farad_net::ExactEngine).unwrap();
    assert_eq!(
        logits,
        flat(&qat.logits(&batch(1).0, &numbers(), Forward::Exact).unwrap())
    );
    assert_eq!(network.dataset(), Some("small"));
}

#[test]
fn without_images_there_are_no_ranges() {
    let error = QatModel::new(&mut model(), &[], &preprocess(), &QatSettings::default()).unwrap_err();
    assert!(error.to_string().contains("no images"));
}

#[test]
fn a_file_trains_on_as_the_network_that_it_is() {
    trains_on(&quantised(Observer::Mse));
    let file = quantised(Observer::Mse).export(&[]).unwrap();
    let fresh = || Graph::new(&Architecture::parse("small.toml", NETWORK).unwrap()).unwrap();
    let other = NETWORK.replace("{ conv = 6 }, { pool", "{ conv = 6, kernel = 5 }, { pool");
    let other = Graph::new(&Architecture::parse("other.toml", &other).unwrap()).unwrap();
    let refusal = from_file(other, &file).unwrap_err();
    assert!(
        refusal.contains("`small`") && refusal.contains("`conv1` has 108 weights"),
        "{refusal}"
    );
    assert!(from_file(fresh(), &file[..file.len() / 2]).is_err());
}

#[test]
fn so_does_a_file_of_four_bits() {
    trains_on(&four_bits(Observer::Mse, 8));
    trains_on(&four_bits(Observer::Mse, 4));
}

/// First and last layer have their own, and what is only added or averaged has 8.
#[test]
fn bits_are_in_the_file() {
    let bits = |qat: &QatModel| -> Vec<(u32, u32)> {
        let network = qat.network().unwrap();
        let layers = network.mac_layers().iter();
        layers.map(|layer| (layer.weight_bits, layer.input_bits)).collect()
    };
    assert_eq!(bits(&four_bits(Observer::Mse, 4)), [(4, 4); 6]);
    let qat = four_bits(Observer::Mse, 8);
    let network = qat.network().unwrap();
    assert_eq!(bits(&qat), [(8, 8), (4, 4), (4, 4), (4, 4), (4, 4), (8, 8)]);
    let eight = quantised(Observer::Mse).network().unwrap();
    for (few, many) in network.mac_layers().iter().zip(eight.mac_layers()) {
        let times = if few.weight_bits == 4 { 4 } else { 1 };
        assert_eq!(farad_net::bops(few) * times, farad_net::bops(many));
    }
    let settings = |weights| QatSettings {
        weights,
        ..QatSettings::default()
    };
    assert!(qat.has_bits_of(&settings(None)) && qat.has_bits_of(&settings(Some(4))));
    assert!(!qat.has_bits_of(&settings(Some(8))));
}

/// The same integers and gradients, once more.
fn trains_on(qat: &QatModel) {
    let file = qat.export(&[]).unwrap();
    let fresh = || Graph::new(&Architecture::parse("small.toml", NETWORK).unwrap()).unwrap();
    let mut again = from_file(fresh(), &file).unwrap();
    // The same integers, scales, ranges and widths, so the same file.
    assert!(again.export(&[]).unwrap() == file);
    let ranges = qat.current_ranges().unwrap();
    assert_eq!((again.graph(), again.ranges()), (qat.graph(), ranges.as_slice()));
    again.learn_steps(None).unwrap();
    assert!(again.export(&[]).unwrap() == file);
    let [own, read] = [qat, &again].map(|q| {
        q.gradients(&batch(1), &numbers(), Forward::Exact, objective(0.1))
            .unwrap()
    });
    assert_eq!(own.loss, read.loss);
    assert_eq!(own.of.keys().collect::<Vec<_>>(), read.of.keys().collect::<Vec<_>>());
}

/// A network learns from its own answers nothing new: the gradient of the logits is `p - p`.
#[test]
fn a_teacher_that_says_the_same_teaches_nothing() {
    let qat = quantised(Observer::Mse);
    let network = qat.network().unwrap();
    let taught = Objective {
        teacher: Some((&network, 1.0)),
        ..objective(0.0)
    };
    let gradients = qat.gradients(&batch(1), &numbers(), Forward::Exact, taught).unwrap();
    let largest = |of: &BTreeMap<String, Tensor>| of.values().flat_map(flat).fold(0.0f32, |m, g| m.max(g.abs()));
    let own = qat
        .gradients(&batch(1), &numbers(), Forward::Exact, objective(0.0))
        .unwrap();
    assert!(largest(&gradients.of) < 1e-5 * largest(&own.of));
}
