//! Criteria that look at the scales of batch norm.

use super::magnitude::zeros;
use super::settings::{Checked, must};
use super::{Batch, Criterion, Progress};
use crate::Model;
use crate::ops::with_slice;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `s_c = |gamma_c|`, while `rho sum |gamma|` is added to the loss (Liu et al., "Learning efficient convolutional networks
/// through network slimming", ICCV 2017).
///
/// One threshold for the whole network, as in the paper. The scales are those that a mask would multiply; where several
/// belong to one channel, as in a residual stream, the score is their sum, while the paper selects the inputs of each
/// block. The penalty is descended by its subgradient.
#[derive(Debug, Deserialize, Serialize)]
pub struct NetworkSlimming {
    /// Weight of the penalty. The paper takes 1e-4 for VGG and 1e-5 for ResNets.
    pub rho: f64,
}

impl Default for NetworkSlimming {
    fn default() -> Self {
        Self { rho: 1e-4 }
    }
}

impl Criterion for NetworkSlimming {
    fn check(&self) -> Checked<()> {
        must(self.rho >= 0.0, "rho", "at least 0")
    }

    fn penalty(&self, model: &Model, _: Progress) -> Result<Option<Tensor>> {
        let penalty = scales(model)?.abs()?.sum_all()? * self.rho;
        penalty.map(Some)
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        by_scale(model)
    }
}

/// The convolutions whose batch norm a mask multiplies, of prunable groups: number and group.
pub(super) fn masked(model: &Model) -> impl Iterator<Item = (usize, usize)> {
    let groups = model.graph().groups.iter().enumerate();
    groups
        .filter(|(_, group)| group.prunable)
        .flat_map(|(g, group)| group.masked.iter().map(move |&i| (i, g)))
}

/// The scales of all [`masked`] convolutions, one after another.
pub(super) fn scales(model: &Model) -> Result<Tensor> {
    let gammas: Vec<&Tensor> = masked(model).map(|(i, _)| model.parameter(i, "gamma")).collect();
    Tensor::cat(&gammas, 0)
}

/// For each channel, the sum of the absolute scales of its convolutions.
pub(super) fn by_scale(model: &Model) -> Result<Vec<Vec<f32>>> {
    let mut scores = zeros(model);
    for (i, g) in masked(model) {
        with_slice(model.parameter(i, "gamma"), |gamma| {
            for (score, gamma) in scores[g].iter_mut().zip(gamma) {
                *score += gamma.abs();
            }
        })?;
    }
    Ok(scores)
}
