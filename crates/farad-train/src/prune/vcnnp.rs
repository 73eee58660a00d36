//! The scale of batch norm as a random variable.

use super::settings::Checked;
use super::slimming::masked;
use super::variational::{Divergence, Lambda, LogVariance, MacsWeight, VariationalMask, mask};
use super::{Batch, Criterion, Progress};
use crate::Model;
use crate::ops::with_slice;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `y = act(g (xhat + b))`, `g = mu + sigma eps`: batch norm with its scale taken out of its shift, and that scale
/// learned as a distribution, with the divergence `mu^2 / (2 sigma^2)` (Zhao et al., "Variational convolutional neural
/// network pruning", CVPR 2019).
///
/// That is the [`VariationalMask`] with theta in the place of gamma: gamma starts again at 1, with the shift divided by it.
/// Both are trained, and their product is the scale. A channel goes if its scale is certainly 0, mean and variance both
/// small: `s_c = gamma^2 (theta^2 + sigma^2)`, where the paper has a threshold for each. (For low signal to noise, train
/// the variational mask with this divergence.) Its settings are those of the mask, with other defaults.
///
/// Of scales below 0.05 a part stays in gamma: the shift would explode. Convolutions that are added share one mask, and
/// gamma here is the root mean square of their scales; the paper prunes inside residual blocks only.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Vcnnp {
    mask: VariationalMask,
}

/// The smallest scale that is taken out of a batch norm.
const SMALLEST: f64 = 0.05;

impl Default for Vcnnp {
    fn default() -> Self {
        Self {
            mask: VariationalMask {
                // The divergence of a precise scale is hundreds of times that of a log-uniform prior.
                lambda: Lambda::Value(0.1),
                divergence: Divergence::Vcnnp,
                macs_weight: MacsWeight::EQUAL,
                ..VariationalMask::default()
            },
        }
    }
}

impl Criterion for Vcnnp {
    fn check(&self) -> Checked<()> {
        self.mask.check()
    }

    /// The function stays: theta gets what gamma and beta lose.
    fn attach(&mut self, model: &mut Model, batches: &[Batch]) -> Result<()> {
        self.mask.attach(model, batches)?;
        for (g, scale) in scales(model)?.into_iter().enumerate() {
            let Some(scale) = scale else { continue };
            let scale = scale.maximum(SMALLEST)?;
            let theta = &model.parameters()[&format!("mask.{g}.theta")];
            theta.set(&scale)?;
            if self.mask.log_variance == LogVariance::LAPLACE {
                // Alpha stays.
                let log_variance = &model.parameters()[&format!("mask.{g}.log_variance")];
                log_variance.set(&(log_variance.as_detached_tensor() + (scale.log()? * 2.0)?)?)?;
            }
            for &i in &model.graph().groups[g].masked {
                for part in ["gamma", "beta"] {
                    let var = &model.parameters()[&format!("{}.{part}", model.graph().nodes[i].name)];
                    var.set(&(var.as_detached_tensor() / &scale)?)?;
                }
            }
        }
        Ok(())
    }

    fn masks(&self, model: &Model, images: usize, progress: Progress) -> Result<Vec<Option<Tensor>>> {
        self.mask.masks(model, images, progress)
    }

    fn penalty(&self, model: &Model, progress: Progress) -> Result<Option<Tensor>> {
        self.mask.penalty(model, progress)
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let scales = scales(model)?.into_iter().enumerate();
        scales
            .map(|(g, scale)| match (scale, mask(model, g)) {
                (Some(scale), Some((theta, log_variance))) => {
                    let moment = (scale.sqr()? * (theta.sqr()? + log_variance.exp()?)?)?;
                    with_slice(&moment, <[f32]>::to_vec)
                }
                _ => Ok(Vec::new()),
            })
            .collect()
    }

    fn detach(&mut self, model: &mut Model) -> Result<()> {
        self.mask.detach(model)
    }
}

/// The root mean square of the scales of each prunable group's convolutions.
fn scales(model: &Model) -> Result<Vec<Option<Tensor>>> {
    let groups = &model.graph().groups;
    let mut squares: Vec<Option<Tensor>> = vec![None; groups.len()];
    for (i, g) in masked(model) {
        let square = (model.parameter(i, "gamma").detach().sqr()? / groups[g].masked.len() as f64)?;
        squares[g] = Some(match squares[g].take() {
            Some(sum) => (sum + square)?,
            None => square,
        });
    }
    squares.into_iter().map(|s| s.map(|s| s.sqrt()).transpose()).collect()
}
