//! Soft filter pruning: what is pruned may come back.

use super::magnitude::{by_layer, by_place, rising};
use super::settings::{Checked, must};
use super::{Batch, Criterion};
use crate::Model;
use crate::graph::Op;
use crate::ops::with_slice;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Part of each group's filters that criteria with soft pruning set to zero; one of the rates of He et al. (2018).
pub(super) const SOFT_RATE: f64 = 0.3;

/// `s_c = ||W_c||_2`; after each epoch the filters of lowest score are set to zero, and go on training (He et al., "Soft
/// filter pruning for accelerating deep convolutional neural networks", IJCAI 2018).
///
/// The paper removes the same part of every layer, so channels go by their place in their group.
#[derive(Debug, Deserialize, Serialize)]
pub struct SoftFilter {
    /// Part of each group's filters that is set to zero.
    pub rate: f64,
}

impl Default for SoftFilter {
    fn default() -> Self {
        Self { rate: SOFT_RATE }
    }
}

impl Criterion for SoftFilter {
    fn check(&self) -> Checked<()> {
        must((0.0..1.0).contains(&self.rate), "rate", "from 0 to below 1")
    }

    fn after_epoch(&mut self, model: &mut Model) -> Result<()> {
        let scores = self.score(model, &[])?;
        zero_lowest(model, &scores, self.rate)
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let norm = |w: &&[f32]| w.iter().map(|w| w * w).sum::<f32>().sqrt();
        by_layer(model, |filters| filters.iter().map(norm).collect()).map(by_place)
    }
}

/// Sets to zero the filters of the `rate` of each group's channels, rounded down, that score lowest.
pub(super) fn zero_lowest(model: &Model, scores: &[Vec<f32>], rate: f64) -> Result<()> {
    for node in &model.graph().nodes {
        let scores = &scores[node.group];
        if !matches!(node.op, Op::Conv(_)) || scores.is_empty() {
            continue;
        }
        let order = rising(scores);
        let weight = &model.parameters()[&format!("{}.weight", node.name)];
        let mut values = with_slice(weight, <[f32]>::to_vec)?;
        let filter = values.len() / scores.len();
        for &c in &order[..(rate * scores.len() as f64) as usize] {
            values[c * filter..(c + 1) * filter].fill(0.0);
        }
        weight.set(&Tensor::from_vec(values, weight.dims(), weight.device())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::tests::{PLANTED, network, plant};

    #[test]
    fn an_epoch_ends_with_its_smallest_filters_at_zero() {
        let mut model = network(3);
        plant(&model);
        let mut criterion = SoftFilter::default();
        criterion.after_epoch(&mut model).unwrap();
        for node in model.graph().nodes.iter().filter(|n| matches!(n.op, Op::Conv(_))) {
            let weight = &model.parameters()[&format!("{}.weight", node.name)];
            let values = weight.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let filters: Vec<&[f32]> = values.chunks_exact(values.len() / 8).collect();
            let zeros: Vec<usize> = (0..8).filter(|&c| filters[c].iter().all(|w| *w == 0.0)).collect();
            // 0.3 of 8 channels, rounded down.
            assert!(zeros.len() == 2 && zeros.contains(&PLANTED), "{} {zeros:?}", node.name);
        }
    }
}
