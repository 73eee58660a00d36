//! Scales of batch norm that gather at two ends.

use super::settings::{Checked, must};
use super::slimming::{by_scale, masked, scales};
use super::{Batch, Criterion, Progress};
use crate::Model;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `s_c = |gamma_c|`, while `rho (t sum |gamma| - sum |gamma - mean gamma|)` is added to the loss, with gamma kept in 0..1:
/// scales below the mean are drawn to 0 and, for t < 2, those above it to each other far from 0 (Zhuang et al.,
/// "Neuron-level structured pruning using polarization regularizer", NeurIPS 2020).
///
/// The mean is over all scales of the network. The paper cuts in the valley between the two ends; here the budget decides.
/// It starts from scales of 0.5; here from those that the network has, clipped at the first step.
#[derive(Debug, Deserialize, Serialize)]
pub struct Polarization {
    /// Weight of the penalty.
    pub rho: f64,
    /// Weight of the sum against the spread.
    pub t: f64,
}

impl Default for Polarization {
    fn default() -> Self {
        Self { rho: 1e-4, t: 1.2 }
    }
}

impl Criterion for Polarization {
    fn check(&self) -> Checked<()> {
        must(self.rho >= 0.0, "rho", "at least 0")?;
        must(self.t >= 0.0, "t", "at least 0")
    }

    fn penalty(&self, model: &Model, _: Progress) -> Result<Option<Tensor>> {
        let gamma = scales(model)?;
        let spread = gamma.broadcast_sub(&gamma.mean_all()?)?.abs()?.sum_all()?;
        let penalty = ((gamma.abs()?.sum_all()? * self.t)? - spread)? * self.rho;
        penalty.map(Some)
    }

    fn after_step(&mut self, model: &mut Model) -> Result<()> {
        for (i, _) in masked(model) {
            let gamma = &model.parameters()[&format!("{}.gamma", model.graph().nodes[i].name)];
            gamma.set(&gamma.as_detached_tensor().clamp(0f32, 1f32)?)?;
        }
        Ok(())
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        by_scale(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::tests::{network, progress};
    use candle_core::Device;

    /// Of 24 scales, half at 0 and half at 1: `rho (1.2 * 12 - 24 / 2)`, less than with all at the same mean,
    /// `rho * 1.2 * 12`.
    #[test]
    fn two_ends_cost_less_than_one_middle() {
        let model = network(3);
        let penalty = |even: f32, odd: f32| {
            for (i, _) in masked(&model) {
                let gamma = &model.parameters()[&format!("{}.gamma", model.graph().nodes[i].name)];
                let values: Vec<f32> = (0..8).map(|c| if c % 2 == 0 { even } else { odd }).collect();
                gamma.set(&Tensor::from_vec(values, 8, &Device::Cpu).unwrap()).unwrap();
            }
            let penalty = Polarization::default().penalty(&model, progress(0)).unwrap().unwrap();
            f64::from(penalty.to_scalar::<f32>().unwrap())
        };
        assert!((penalty(0.0, 1.0) - 1e-4 * (1.2 * 12.0 - 12.0)).abs() < 1e-8);
        assert!((penalty(0.5, 0.5) - 1e-4 * 1.2 * 12.0).abs() < 1e-8);
    }
}
