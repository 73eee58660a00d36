//! Criteria that look at weights only.

use super::{Batch, Criterion};
use crate::Model;
use crate::graph::Op;
use crate::ops::with_slice;
use candle_core::Result;

/// `s_c = sum |W_c|` over the filters that make channel `c`, divided by the mean over the channels of its layer so that
/// layers compare (Li et al., "Pruning filters for efficient ConvNets", ICLR 2017, which prunes each layer by a rate).
#[derive(Debug)]
pub struct L1Norm;

impl Criterion for L1Norm {
    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        by_filter(model, |filter| filter.iter().map(|w| w.abs()).sum())
    }
}

/// The sum over a group's convolutions of `measure` of each filter, each layer divided by its mean.
pub(super) fn by_filter(model: &Model, measure: impl Fn(&[f32]) -> f32) -> Result<Vec<Vec<f32>>> {
    let graph = model.graph();
    let mut scores: Vec<Vec<f32>> = graph
        .groups
        .iter()
        .map(|g| vec![0.0; if g.prunable { g.channels } else { 0 }])
        .collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        let group = &mut scores[node.group];
        if !matches!(node.op, Op::Conv(_)) || group.is_empty() {
            continue;
        }
        with_slice(model.parameter(i, "weight"), |w| {
            let layer: Vec<f32> = w.chunks_exact(w.len() / group.len()).map(&measure).collect();
            let mean = layer.iter().sum::<f32>() / layer.len() as f32;
            for (score, s) in group.iter_mut().zip(layer) {
                *score += s / mean.max(f32::MIN_POSITIVE);
            }
        })?;
    }
    Ok(scores)
}
