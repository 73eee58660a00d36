//! What the loss says about a gate on each channel.

use super::magnitude::zeros;
use super::{Batch, Criterion};
use crate::model::{Pass, Statistics};
use crate::ops::{cross_entropy, with_slice};
use crate::{Model, Precision};
use candle_core::{DType, Result, Var};
use serde::{Deserialize, Serialize};

/// `s_c = E_n[(dL_n / dm_c)^2]` for a gate `m_c = 1` on the batch norm's output, where
/// `dL/dm = gamma dL/dgamma + beta dL/dbeta` (Molchanov et al., "Importance estimation for neural network pruning",
/// CVPR 2019, there per batch; here per image).
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Taylor {}

impl Criterion for Taylor {
    fn score(&mut self, model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>> {
        gate_energy(model, batches)
    }

    fn cost_power(&self) -> f64 {
        1.0
    }
}

/// The mean over images of the squared gradient of an image's loss with respect to a gate on each channel: the diagonal
/// of the gates' empirical Fisher information, one vector for each prunable group.
///
/// # Errors
/// If the model cannot run on the batches.
pub fn gate_energy(model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>> {
    let groups = model.graph().groups.clone();
    let mut energy = zeros(model);
    let mut images = 0;
    for (x, labels) in batches {
        let n = x.dim(0)?;
        let mut gates = Vec::new();
        for group in &groups {
            gates.push(if group.prunable {
                Some(Var::ones((n, group.channels), DType::F32, model.device())?)
            } else {
                None
            });
        }
        let masks: Vec<_> = gates
            .iter()
            .map(|g| g.as_ref().map(|g| g.as_tensor().clone()))
            .collect();
        let pass = Pass {
            statistics: Statistics::Batch { momentum: 0.0 },
            masks: &masks,
            precision: Precision::F32,
        };
        let logits = model.forward(x, pass)?;
        let gradients = cross_entropy(&logits, labels, 0.0)?.backward()?;
        for (energy, gate) in energy.iter_mut().zip(&gates) {
            let Some(gradient) = gate.as_ref().and_then(|gate| gradients.get(gate)) else {
                continue;
            };
            with_slice(gradient, |g| {
                for image in g.chunks_exact(energy.len()) {
                    for (e, g) in energy.iter_mut().zip(image) {
                        // The loss is the mean over the batch; an image's own gradient is n times that.
                        *e += (g * n as f32).powi(2);
                    }
                }
            })?;
        }
        images += n;
    }
    for energy in &mut energy {
        energy.iter_mut().for_each(|e| *e /= images.max(1) as f32);
    }
    Ok(energy)
}
