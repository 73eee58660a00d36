//! Laws that every criterion keeps, on a network small enough to train in a test.

use super::{
    CRITERIA, Criterion, Divergence, Entry, Lambda, LogVariance, MacsWeight, Progress, Settings, VariationalMask,
    gate_energy,
};
use crate::optimizer::{Optimizer, Rule};
use crate::rng::{Purpose, Rng};
use crate::{Architecture, Graph, Model, Pass, Precision, Statistics, cross_entropy};
use candle_core::{Device, Result, Tensor};

/// Channels of each convolution of [`network`].
const CHANNELS: usize = 8;
/// The channel that [`plant`] makes useless.
pub(super) const PLANTED: usize = 3;

/// A network of `convs` convolutions for images of 8x8 and two classes.
pub(super) fn network(convs: usize) -> Model {
    let layers = "{ conv = 8 }, ".repeat(convs);
    let text =
        format!("name = \"small\"\ninput = [8, 8, 1]\nlayers = [{layers}{{ pool = \"average\" }}, {{ dense = 2 }}]");
    let graph = Graph::new(&Architecture::parse("small.toml", &text).unwrap()).unwrap();
    Model::new(graph, 11, &Device::Cpu).unwrap()
}

/// Noisy images of stripes, upright or lying; one label in eight is wrong, so that no training makes all gradients vanish.
fn batch(images: usize, number: u32) -> (Tensor, Tensor) {
    let mut rng = Rng::new(2, Purpose::Init, number, 1);
    let mut pixels = Vec::with_capacity(images * 64);
    let mut labels = Vec::with_capacity(images);
    for _ in 0..images {
        let (upright, phase) = (rng.below(2), rng.below(4));
        for position in 0..64 {
            let along = [position / 8, position % 8][upright];
            let stripe = if (along + phase) % 4 < 2 { 0.5 } else { -0.5 };
            pixels.push(stripe + rng.normal());
        }
        let wrong = usize::from(rng.below(8) == 0);
        labels.push((upright ^ wrong) as u32);
    }
    let pixels = Tensor::from_vec(pixels, (images, 8, 8, 1), &Device::Cpu).unwrap();
    (pixels, Tensor::from_vec(labels, images, &Device::Cpu).unwrap())
}

pub(super) fn progress(step: u64) -> Progress {
    Progress {
        step,
        // Past every warm-up.
        epoch: 100.0,
        seed: 5,
    }
}

/// Makes [`PLANTED`] useless in every layer, in all the ways that a criterion may look at: its filters, scales and the
/// weights that read it are next to nothing, and its shift keeps the relu shut.
pub(super) fn plant(model: &Model) {
    let scale = |name: String, axis: usize, factor: f32, shift: f32| {
        let var = &model.parameters()[&name];
        let inner: usize = var.dims()[axis + 1..].iter().product();
        let size = var.dims()[axis];
        let mut values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (k, value) in values.iter_mut().enumerate() {
            if k / inner % size == PLANTED {
                *value = *value * factor + shift;
            }
        }
        var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap())
            .unwrap();
    };
    let convs: Vec<_> = model
        .graph()
        .nodes
        .iter()
        .filter(|n| n.name.starts_with("conv"))
        .collect();
    for node in &convs {
        scale(format!("{}.weight", node.name), 0, 1e-3, 0.0);
        scale(format!("{}.gamma", node.name), 0, 1e-3, 0.0);
        scale(format!("{}.beta", node.name), 0, 0.0, -1e-2);
    }
    for node in &convs[1..] {
        scale(format!("{}.weight", node.name), 3, 1e-3, 0.0);
    }
    scale("dense.weight".to_owned(), 1, 1e-3, 0.0);
}

/// One step on `batch` of the parameters that `rule` gives a rule and a rate for.
fn step(
    model: &mut Model,
    optimizer: &mut Optimizer,
    criterion: &mut dyn Criterion,
    (x, labels): &(Tensor, Tensor),
    number: u64,
    rule: impl Fn(&str) -> Option<(Rule, f32)>,
) -> Result<()> {
    let masks = criterion.masks(model, x.dim(0)?, progress(number))?;
    let pass = Pass {
        statistics: Statistics::Batch { momentum: 0.1 },
        masks: &masks,
        precision: Precision::F32,
    };
    let mut loss = cross_entropy(&model.forward(x, pass)?, labels, 0.0)?;
    if let Some(penalty) = criterion.penalty(model, progress(number))? {
        loss = (loss + penalty)?;
    }
    let gradients = loss.backward()?;
    for (name, parameter) in model.parameters() {
        if let (Some(gradient), Some((rule, rate))) = (gradients.get(parameter), rule(name)) {
            optimizer.step(name, parameter, gradient, rule, rate)?;
        }
    }
    criterion.after_step(model)
}

/// The criterion with its default settings.
fn plain(entry: &Entry) -> Box<dyn Criterion> {
    entry.criterion(1, &Settings::new()).unwrap()
}

/// As a run trains: Nesterov for weights, Adam for masks.
fn all(name: &str) -> Option<(Rule, f32)> {
    Some(if name.starts_with("mask.") {
        (Rule::ADAM, 0.05)
    } else {
        let rule = Rule::Nesterov {
            momentum: 0.9,
            decay: 0.0,
        };
        (rule, 0.02)
    })
}

#[test]
fn every_criterion_ranks_a_useless_channel_last() {
    let batches: Vec<_> = (0..4).map(|n| batch(32, n)).collect();
    for entry in CRITERIA.iter().filter(|entry| entry.name != "random") {
        let mut model = network(3);
        plant(&model);
        let mut criterion = plain(entry);
        let mut optimizer = Optimizer::default();
        criterion.attach(&mut model, &batches).unwrap();
        for number in 0..150 {
            let batch = &batches[number as usize % 4];
            step(&mut model, &mut optimizer, criterion.as_mut(), batch, number, all).unwrap();
            if number == 49 {
                criterion.after_epoch(&mut model).unwrap();
            }
        }
        let scores = criterion.score(&mut model, &batches).unwrap();
        assert_eq!(scores.len(), model.graph().groups.len());
        for (scores, group) in scores.iter().zip(&model.graph().groups) {
            assert_eq!(
                scores.len(),
                if group.prunable { CHANNELS } else { 0 },
                "{}",
                entry.name
            );
            let others = (0..scores.len()).filter(|&c| c != PLANTED);
            for c in others {
                assert!(scores[PLANTED] < scores[c], "{}: {scores:?}", entry.name);
            }
        }
    }
}

/// Where channels are shared, by residual streams and by depthwise convolutions, every criterion has one mask and one score
/// for each, and what it adds without training, it takes away again without changing what the network computes.
#[test]
fn criteria_fit_shared_channels_and_detaching_undoes_attaching() {
    let mut rng = Rng::new(2, Purpose::Init, 0, 2);
    let pixels = (0..2 * 32 * 32 * 3).map(|_| rng.normal()).collect();
    let x = Tensor::from_vec(pixels, (2, 32, 32, 3), &Device::Cpu).unwrap();
    let data = [(x, Tensor::new(&[0u32, 1], &Device::Cpu).unwrap())];
    for (entry, name) in CRITERIA
        .iter()
        .flat_map(|c| ["resnet-20", "mobilenet-v2"].map(|name| (c, name)))
    {
        let place = format!("{} on {name}", entry.name);
        let graph = Graph::new(&Architecture::load(name).unwrap()).unwrap();
        let mut model = Model::new(graph, 3, &Device::Cpu).unwrap();
        let logits = |model: &mut Model| {
            let pass = Pass {
                statistics: Statistics::Batch { momentum: 1.0 },
                masks: &[],
                precision: Precision::F32,
            };
            let logits = model.forward(&data[0].0, pass).unwrap();
            logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let before = logits(&mut model);
        let names: Vec<String> = model.parameters().keys().cloned().collect();
        let mut criterion = plain(entry);
        criterion.attach(&mut model, &data).unwrap();
        let groups = model.graph().groups.clone();
        for (mask, group) in criterion.masks(&model, 2, progress(0)).unwrap().iter().zip(&groups) {
            assert!(group.prunable || mask.is_none(), "{place}");
            assert!(mask.as_ref().is_none_or(|m| m.dims() == [2, group.channels]), "{place}");
        }
        if let Some(penalty) = criterion.penalty(&model, progress(0)).unwrap() {
            assert!(penalty.to_scalar::<f32>().unwrap().is_finite(), "{place}");
        }
        let scores = criterion.score(&mut model, &data).unwrap();
        for (scores, group) in scores.iter().zip(&groups) {
            assert_eq!(scores.len(), if group.prunable { group.channels } else { 0 }, "{place}");
            assert!(scores.iter().all(|s| s.is_finite()), "{place}");
        }
        criterion.detach(&mut model).unwrap();
        assert!(model.parameters().keys().eq(&names), "{place}");
        let scale = before.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (before, after) in before.iter().zip(logits(&mut model)) {
            assert!((before - after).abs() <= 1e-4 * scale, "{place}");
        }
    }
}

/// Trains only log sigma^2 of `mask`, on one batch again and again, with falling steps.
fn train_noise(model: &mut Model, mask: &mut VariationalMask, data: &(Tensor, Tensor), steps: u64, rates: [f32; 2]) {
    let mut optimizer = Optimizer::default();
    for number in 0..steps {
        let rate = rates[0] + (rates[1] - rates[0]) * number as f32 / steps as f32;
        let noise = |name: &str| name.ends_with("log_variance").then_some((Rule::ADAM, rate));
        step(model, &mut optimizer, mask, data, number, noise).unwrap();
    }
}

fn log_alpha(model: &Model) -> Vec<Vec<f32>> {
    let groups = 0..model.graph().groups.len();
    groups
        .filter_map(|g| VariationalMask::log_alpha(model, g).unwrap())
        .map(|log_alpha| log_alpha.to_vec1().unwrap())
        .collect()
}

/// A mask of weight `lambda / images` on every channel.
fn mask(lambda: f64, images: usize) -> VariationalMask {
    VariationalMask {
        lambda: Lambda::Value(lambda),
        divergence: Divergence::Ard,
        images,
        macs_weight: MacsWeight::EQUAL,
        ..VariationalMask::default()
    }
}

/// `alpha = lambda / (N H theta^2)`, H the mean curvature of an image's loss along the gate.
///
/// With one convolution the logits are linear in the gates, so that `H = mean p (1 - p) (w_1c - w_0c)^2 a_c^2` with a_c
/// the channel's mean after the relu, whatever the labels. theta is 1. Where the two may differ in log alpha:
/// - the divergence pulls by `1 / (1 + alpha)`: at most alpha;
/// - the noise of all gates moves the logits' difference by a variance V, and `p (1 - p)`, whose second derivative is at
///   most itself, by at most V / 2, where `V = sum_c sigma_c^2 H_c / mean p (1 - p)`;
/// - the last steps of Adam, of rate r, leave a variance of r / 2 over the signal to noise of one step's gradient,
///   `sqrt(B lambda / N)`; five standard deviations.
#[test]
fn the_noise_of_a_mask_reaches_its_equilibrium() {
    let (images, weight, rate) = (512, 0.002, 0.002f32);
    let mut model = network(1);
    // Curvatures that differ, all far above the divergence's weight, of both signs so that p is not near 0 or 1.
    let dense: Vec<f32> = (0..2 * CHANNELS)
        .map(|k| (k / CHANNELS) as f32 * 1.2 * libm::exp2f((k % CHANNELS) as f32 / 5.0) * [1.0, -1.0][k % 2])
        .collect();
    let spread = Tensor::from_vec(dense.clone(), (2, CHANNELS), &Device::Cpu).unwrap();
    model.parameters()["dense.weight"].set(&spread).unwrap();
    let data = batch(images, 0);

    let pass = Pass {
        statistics: Statistics::Batch { momentum: 0.0 },
        masks: &[],
        precision: Precision::F32,
    };
    let mut means = Vec::new();
    let pooled = model.graph().nodes.len() - 2;
    let logits = model.forward_seen(&data.0, pass, |i, y| {
        if i == pooled {
            means = y.flatten_all()?.to_vec1::<f32>()?;
        }
        Ok(())
    });
    let p: Vec<f32> = logits
        .unwrap()
        .to_vec2::<f32>()
        .unwrap()
        .iter()
        .map(|l| 1.0 / (1.0 + libm::expf(l[0] - l[1])))
        .collect();
    let slope = p.iter().map(|p| p * (1.0 - p)).sum::<f32>() / images as f32;
    let curvature: Vec<f32> = (0..CHANNELS)
        .map(|c| {
            let z = means.chunks_exact(CHANNELS).map(|a| a[c] * dense[CHANNELS + c]);
            z.zip(&p).map(|(z, p)| p * (1.0 - p) * z * z).sum::<f32>() / images as f32
        })
        .collect();

    let mut mask = mask(weight * images as f64, images);
    mask.attach(&mut model, &[]).unwrap();
    train_noise(&mut model, &mut mask, &data, 500, [0.05, rate]);
    let found = &log_alpha(&model)[0];
    let noise: f32 = found
        .iter()
        .zip(&curvature)
        .map(|(l, h)| libm::expf(*l) * h / slope)
        .sum();
    let signal = (images as f32 * weight as f32).sqrt();
    let adam = 5.0 * (rate / 2.0 / signal).sqrt();
    for (found, h) in found.iter().zip(&curvature) {
        let expected = libm::logf(weight as f32 / h);
        // Where noise is small, which the formula is for.
        assert!(expected < -2.0);
        let tolerance = libm::expf(expected) + noise / 2.0 + adam;
        assert!((found - expected).abs() < tolerance, "{found} {expected} {tolerance}");
    }
}

/// With lambda from a quantile, that part of the channels starts at alpha 1 or above (which the start is bounded by), and
/// the others where the equilibrium of their gate's energy is; the noise costs `alpha H / 2`, so that to ten
/// times less energy belongs ten times more noise. For the divergence `1 / (2 alpha)` it is the root of that.
#[test]
fn a_mask_can_start_at_its_equilibrium() {
    let data = [batch(128, 0)];
    for (divergence, power) in [(Divergence::Molchanov, 1.0), (Divergence::Vcnnp, 0.5)] {
        let mut model = network(3);
        let energy: Vec<f32> = gate_energy(&mut model, &data).unwrap().concat();
        let mut mask = VariationalMask {
            lambda: Lambda::Quantile { quantile: 0.25 },
            log_variance: LogVariance::LAPLACE,
            divergence,
            macs_weight: MacsWeight::EQUAL,
            ..mask(1.0, 128)
        };
        mask.attach(&mut model, &data).unwrap();
        let start: Vec<f32> = log_alpha(&model).concat();
        let mut sorted = energy.clone();
        sorted.sort_by(f32::total_cmp);
        let edge = sorted[energy.len() / 4];
        for (start, energy) in start.iter().zip(&energy) {
            let expected = (power * libm::logf(edge / energy)).clamp(-6.0, 0.0);
            assert!((start - expected).abs() < 1e-4, "{start} {expected}");
        }
        assert_eq!(start.iter().filter(|s| **s == 0.0).count(), energy.len() / 4 + 1);
        // What was found stays with the model, where a checkpoint finds it, until the mask is taken off.
        let lambda = model.parameters()["mask.lambda"].to_vec1::<f32>().unwrap()[0];
        assert!((lambda / 128.0 - edge).abs() <= 1e-6 * edge);
        mask.detach(&mut model).unwrap();
        assert!(!model.parameters().contains_key("mask.lambda"));
    }
}

/// The same start for scales that are taken out of batch norm: alpha is the variance over the square of a theta that is
/// not 1.
#[test]
fn scales_as_distributions_start_at_the_same_alpha() {
    let data = [batch(64, 0)];
    let settings = serde_json::json!({ "log_variance": "laplace", "lambda": { "quantile": 0.5 }, "images": 64 });
    let mut alphas = Vec::new();
    for (name, divergence) in [("vcnnp", "vcnnp"), ("variational-mask", "vcnnp")] {
        let mut model = network(2);
        for (i, node) in model.graph().nodes.clone().iter().enumerate() {
            if let Some(gamma) = model.parameters().get(&format!("{}.gamma", node.name)) {
                gamma
                    .set(&(gamma.as_detached_tensor() * (0.3 + i as f64)).unwrap())
                    .unwrap();
            }
        }
        let mut settings = settings.as_object().unwrap().clone();
        settings.insert("divergence".to_owned(), divergence.into());
        // Weights of groups depend on the costs, the same in both.
        settings.insert("macs_weight".to_owned(), 0.5.into());
        let entry = super::criterion(name).unwrap();
        entry
            .criterion(1, &settings)
            .unwrap()
            .attach(&mut model, &data)
            .unwrap();
        alphas.push(log_alpha(&model).concat());
    }
    for (a, b) in alphas[0].iter().zip(&alphas[1]) {
        assert!((a - b).abs() < 1e-4, "{alphas:?}");
    }
}

/// The order of a mask's noise is that of the Taylor criterion, from the other end: both measure the loss that a
/// channel's gate is worth.
#[test]
fn masks_agree_with_taylor() {
    let data = batch(128, 0);
    let mut model = network(3);
    let mut optimizer = Optimizer::default();
    let mut none = super::L1Norm {};
    for number in 0..60 {
        step(&mut model, &mut optimizer, &mut none, &data, number, all).unwrap();
    }
    let energy: Vec<f32> = gate_energy(&mut model, std::slice::from_ref(&data)).unwrap().concat();
    let mut mask = mask(0.5, 128);
    mask.attach(&mut model, &[]).unwrap();
    train_noise(&mut model, &mut mask, &data, 200, [0.05, 0.01]);
    let noise: Vec<f32> = log_alpha(&model).concat();
    let correlation = spearman(&noise, &energy);
    assert!(correlation < -0.8, "{correlation} {noise:?} {energy:?}");
}

/// Spearman's rank correlation.
fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let ranks = |values: &[f32]| {
        let rank = |v: &f32| values.iter().filter(|other| *other < v).count() as f64;
        values.iter().map(rank).collect::<Vec<f64>>()
    };
    let n = a.len() as f64;
    let distance: f64 = ranks(a).iter().zip(ranks(b)).map(|(a, b)| (a - b).powi(2)).sum();
    1.0 - 6.0 * distance / (n * (n * n - 1.0))
}
