//! How often a network is right.

use crate::batches::Images;
use crate::{Model, Pass, Precision, Statistics, TrainError, correct};
use candle_core::Tensor;
use farad_data::Dataset;
use rayon::prelude::*;

/// Training batches from which the moments are estimated anew before an evaluation.
const REESTIMATE: usize = 40;
/// Images of an evaluation batch.
const EVALUATION: usize = 250;

/// Accuracy on the test images, with batch-norm moments estimated anew: noise of masks, resolution and averaged
/// weights all make the running ones wrong.
pub(crate) fn float_accuracy(
    model: &mut Model,
    train: &Images<'_>,
    test: &Images<'_>,
    seed: u64,
    batch: usize,
    precision: Precision,
) -> Result<f64, TrainError> {
    let device = model.device().clone();
    let order = train.order(seed, u32::MAX);
    let masks = model.mean_masks(batch)?;
    for (k, indices) in order.chunks_exact(batch).take(REESTIMATE).enumerate() {
        let (x, _) = train.plain(indices, &device)?;
        let momentum = 1.0 / (k + 1) as f32;
        let statistics = Statistics::Batch { momentum };
        forward(model, &x, statistics, &masks, precision)?;
    }
    let all: Vec<u32> = (0..test.len() as u32).collect();
    let mut right = 0;
    for indices in all.chunks(EVALUATION) {
        let (x, labels) = test.plain(indices, &device)?;
        let masks = model.mean_masks(indices.len())?;
        let logits = forward(model, &x, Statistics::Running, &masks, precision)?;
        right += correct(&logits, &labels)?;
    }
    Ok(right as f64 / test.len() as f64)
}

/// Part of the images that the network gets right in exact integers.
pub(crate) fn digital_accuracy(network: &farad_net::Network, data: &Dataset) -> Result<f64, farad_net::NetError> {
    let packed = farad_sim::DigitalNetwork::new(network.mac_layers());
    let right = (0..data.len())
        .into_par_iter()
        .map(|i| {
            let input = network.quantize_input(data.image(i))?;
            let logits = network.run(&input, &[i as u32], &mut farad_sim::DigitalEngine(&packed))?;
            Ok(farad_sim::accuracy(&logits, &data.labels[i..=i]).0)
        })
        .collect::<Result<Vec<u64>, farad_net::NetError>>()?;
    Ok(right.iter().sum::<u64>() as f64 / data.len() as f64)
}

fn forward(
    model: &mut Model,
    x: &Tensor,
    statistics: Statistics,
    masks: &[Option<Tensor>],
    precision: Precision,
) -> Result<Tensor, TrainError> {
    let pass = Pass {
        statistics,
        masks,
        precision,
    };
    Ok(model.forward(x, pass)?.detach())
}
