//! The size of the weights, and what criteria of weights share.

use super::{Batch, Criterion};
use crate::Model;
use crate::graph::Op;
use crate::ops::with_slice;
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// `s_c = sum |W_c|` over the filters that make channel `c`, divided by the mean over the channels of its layer so that
/// layers compare (Li et al., "Pruning filters for efficient ConvNets", ICLR 2017, which prunes each layer by a rate).
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct L1Norm {}

impl Criterion for L1Norm {
    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        by_layer(model, |filters| {
            filters.iter().map(|w| w.iter().map(|w| w.abs()).sum()).collect()
        })
    }
}

/// The sum over a group's convolutions of `measure` of the layer's filters, each layer divided by its mean.
pub(super) fn by_layer(model: &Model, measure: impl Fn(&[&[f32]]) -> Vec<f32>) -> Result<Vec<Vec<f32>>> {
    let graph = model.graph();
    let mut scores = zeros(model);
    for (i, node) in graph.nodes.iter().enumerate() {
        let group = &mut scores[node.group];
        if matches!(node.op, Op::Conv(_)) && !group.is_empty() {
            with_slice(model.parameter(i, "weight"), |w| {
                let filters: Vec<&[f32]> = w.chunks_exact(w.len() / group.len()).collect();
                add_over_mean(group, &measure(&filters));
            })?;
        }
    }
    Ok(scores)
}

/// A score of 0 for every channel of every prunable group.
pub(super) fn zeros(model: &Model) -> Vec<Vec<f32>> {
    let groups = model.graph().groups.iter();
    groups
        .map(|g| vec![0.0; if g.prunable { g.channels } else { 0 }])
        .collect()
}

/// Adds a layer's values to its group's scores, divided by their mean so that layers compare.
pub(super) fn add_over_mean(scores: &mut [f32], layer: &[f32]) {
    let mean = layer.iter().sum::<f32>() / layer.len() as f32;
    for (score, s) in scores.iter_mut().zip(layer) {
        *score += s / mean.max(f32::MIN_POSITIVE);
    }
}

/// Channels by rising score.
pub(super) fn rising(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order
}

/// Scores of which only the order within a group counts: each becomes the part of its group that scores lower, so that
/// every group loses the same part of its channels, as where a method gives all layers one rate.
pub(super) fn by_place(mut scores: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    for scores in &mut scores {
        let order = rising(scores);
        let channels = order.len() as f32;
        for (place, c) in order.into_iter().enumerate() {
            scores[c] = place as f32 / channels;
        }
    }
    scores
}
