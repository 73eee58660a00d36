//! Filters that others can stand in for.

use super::magnitude::{by_layer, by_place};
use super::settings::{Checked, must};
use super::soft::{SOFT_RATE, zero_lowest};
use super::{Batch, Criterion};
use crate::Model;
use candle_core::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// `s_c = sum_j ||W_c - W_j||_2` over the filters of the layer: the smallest is nearest to their geometric median, where
/// the others can replace it (He et al., "Filter pruning via geometric median for deep convolutional neural networks
/// acceleration", CVPR 2019).
///
/// Trained softly as [`SoftFilter`](super::SoftFilter), which is the paper's schedule. The paper removes the same part of
/// every layer, so channels go by their place in their group.
#[derive(Debug, Deserialize, Serialize)]
pub struct GeometricMedian {
    /// Part of each group's filters that is set to zero after each epoch.
    pub rate: f64,
}

impl Default for GeometricMedian {
    fn default() -> Self {
        Self { rate: SOFT_RATE }
    }
}

impl Criterion for GeometricMedian {
    fn check(&self) -> Checked<()> {
        must((0.0..1.0).contains(&self.rate), "rate", "from 0 to below 1")
    }

    fn after_epoch(&mut self, model: &mut Model) -> Result<()> {
        let scores = self.score(model, &[])?;
        zero_lowest(model, &scores, self.rate)
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        by_layer(model, |filters| {
            let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            let sum = |w: &&[f32]| filters.iter().map(|other| distance(w, other)).sum();
            filters.par_iter().map(sum).collect()
        })
        .map(by_place)
    }
}
