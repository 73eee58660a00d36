//! How often a network is right.

use crate::batches::Images;
use crate::qat::{Engines, Forward, network_error, with_engines};
use crate::{Model, Pass, Precision, Statistics, TrainError, correct};
use candle_core::Tensor;
use farad_data::Dataset;
use farad_net::Network;
use rayon::prelude::*;

/// Training batches from which the moments are estimated anew before an evaluation.
const REESTIMATE: usize = 40;
/// Images of an evaluation batch.
const EVALUATION: usize = 250;
/// Images that one thread runs together through the int8 network.
const TOGETHER: usize = 16;

/// Estimates the moments of batch norm anew: noise of masks, resolution and averaged weights all make the running ones wrong.
pub(crate) fn reestimate(
    model: &mut Model,
    train: &Images<'_>,
    seed: u64,
    batch: usize,
    precision: Precision,
) -> Result<(), TrainError> {
    let device = model.device().clone();
    let order = train.order(seed, u32::MAX);
    let masks = model.mean_masks(batch)?;
    for (k, indices) in order.chunks_exact(batch).take(REESTIMATE).enumerate() {
        let (x, _) = train.plain(indices, &device)?;
        let momentum = 1.0 / (k + 1) as f32;
        let statistics = Statistics::Batch { momentum };
        forward(model, &x, statistics, &masks, precision)?;
    }
    Ok(())
}

/// Accuracy on the test images.
pub(crate) fn float_accuracy(model: &mut Model, test: &Images<'_>, precision: Precision) -> Result<f64, TrainError> {
    let device = model.device().clone();
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

/// Part of the first `images` images (0 for all) that the int8 network gets right.
pub(crate) fn integer_accuracy(
    network: &Network,
    data: &Dataset,
    images: usize,
    on: Forward<'_>,
) -> Result<f64, TrainError> {
    let count = if images == 0 {
        data.len()
    } else {
        images.min(data.len())
    };
    let indices: Vec<u32> = (0..count as u32).collect();
    let right = |engines: Engines<'_>| {
        let chunks = indices.par_chunks(TOGETHER).map(|indices| {
            let (first, last) = (indices[0] as usize, indices[indices.len() - 1] as usize);
            let image = data.pixels.len() / data.len();
            let input = network.quantize_input(&data.pixels[first * image..(last + 1) * image])?;
            let logits = network.run(&input, indices, engines.engine().as_mut())?;
            Ok(farad_sim::accuracy(&logits, &data.labels[first..=last]).0)
        });
        chunks.collect::<Result<Vec<u64>, farad_net::NetError>>()
    };
    let right = with_engines(network, on, right)?.map_err(|e| network_error(network.name(), e))?;
    Ok(right.iter().sum::<u64>() as f64 / count as f64)
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
