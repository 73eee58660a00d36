//! How likely the activation shuts a channel off.

use super::magnitude::zeros;
use super::settings::{Checked, must};
use super::variational::{draw, fold, group_weights};
use super::{Batch, Criterion, Progress};
use crate::Model;
use crate::architecture::Activation;
use crate::graph::Op;
use crate::ops::with_slice;
use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `m_c ~ relaxed Bernoulli(Phi(beta_c / |gamma_c|))`: a batch norm's output is close to normal with mean beta and
/// deviation |gamma|, so that is the probability that it passes the relu. `m = sigmoid((logit p + g) / tau)` with logistic
/// noise g multiplies the batch norm's output, and the loss gets `rho sum_g w_g sum_c p_c` with the cost of a channel as
/// weight (Kang & Han, "Operation-aware soft channel pruning using differentiable masks", ICML 2020).
///
/// Channels go by their probability. After training the mask is replaced by its mean, which scale and shift take over
/// without a change of the probability. The constants are ours. A residual stream has no mask and is pruned last: what is
/// added there has passed a relu before, so it is not normal and no probability follows from it. So is the output of a
/// batch norm that no relu follows (the bottleneck of an inverted residual).
#[derive(Debug, Deserialize, Serialize)]
pub struct OperationAware {
    /// Weight of the penalty.
    pub rho: f64,
    /// Temperature of the mask: 0 makes it 0 or 1.
    pub temperature: f64,
}

impl Default for OperationAware {
    fn default() -> Self {
        Self {
            rho: 1e-4,
            temperature: 0.5,
        }
    }
}

/// `beta / |gamma|` of the channels of group `g`; none if it is not prunable or not the output of one batch norm with a relu.
fn level(model: &Model, g: usize) -> Result<Option<Tensor>> {
    let group = &model.graph().groups[g];
    let &[i] = group.masked.as_slice() else { return Ok(None) };
    let shut = matches!(model.graph().nodes[i].op, Op::Conv(conv) if conv.activation != Activation::None);
    if !group.prunable || !shut {
        return Ok(None);
    }
    // So that a scale of 0 has a derivative.
    let variance = (model.parameter(i, "gamma").sqr()? + 1e-12)?;
    (model.parameter(i, "beta") / variance.sqrt()?).map(Some)
}

/// The probability that a standard normal is below `level`.
fn probability(level: &Tensor) -> Result<Tensor> {
    (level * std::f64::consts::FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)
}

impl Criterion for OperationAware {
    fn check(&self) -> Checked<()> {
        must(self.rho >= 0.0, "rho", "at least 0")?;
        must(self.temperature > 0.0, "temperature", "above 0")
    }

    /// theta is what the mask has for a mean, 1 as long as nothing was trained with it.
    fn attach(&mut self, model: &mut Model, _: &[Batch]) -> Result<()> {
        for g in 0..model.graph().groups.len() {
            if let Some(level) = level(model, g)? {
                let theta = level.ones_like()?.detach();
                model.insert(format!("mask.{g}.theta"), &theta)?;
            }
        }
        Ok(())
    }

    fn masks(&self, model: &Model, images: usize, progress: Progress) -> Result<Vec<Option<Tensor>>> {
        let mask = |g: usize| {
            let Some(level) = level(model, g)? else { return Ok(None) };
            // Where the logit is still finite.
            let p = probability(&level)?.clamp(1e-4, 1.0 - 1e-4)?;
            let logit = (p.log()? - p.affine(-1.0, 1.0)?.log()?)?;
            let noise = draw(model, g, images, progress, |rng| {
                let u = rng.uniform();
                libm::log(u / (1.0 - u)) as f32
            })?;
            let scaled = (noise.broadcast_add(&logit)? * (-1.0 / self.temperature))?;
            (scaled.exp()? + 1.0)?.recip().map(Some)
        };
        (0..model.graph().groups.len()).map(mask).collect()
    }

    fn penalty(&self, model: &Model, _: Progress) -> Result<Option<Tensor>> {
        let mut sum = Tensor::zeros((), DType::F32, model.device())?;
        for (g, weight) in group_weights(model.graph(), 0.5).into_iter().enumerate() {
            if let Some(level) = level(model, g)? {
                sum = (sum + (probability(&level)?.sum_all()? * (weight * self.rho))?)?;
            }
        }
        Ok(Some(sum))
    }

    fn after_step(&mut self, model: &mut Model) -> Result<()> {
        for g in 0..model.graph().groups.len() {
            if let (Some(theta), Some(level)) = (model.parameters().get(&format!("mask.{g}.theta")), level(model, g)?) {
                theta.set(&probability(&level)?.detach())?;
            }
        }
        Ok(())
    }

    /// `beta / |gamma|`, which ranks as its probability does but does not saturate.
    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let mut scores = zeros(model);
        for (g, scores) in scores.iter_mut().enumerate() {
            match level(model, g)? {
                Some(level) => *scores = with_slice(&level, <[f32]>::to_vec)?,
                None => scores.fill(f32::MAX),
            }
        }
        Ok(scores)
    }

    fn detach(&mut self, model: &mut Model) -> Result<()> {
        fold(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Graph};

    #[test]
    fn what_no_relu_follows_has_no_probability() {
        let graph = Graph::new(&Architecture::load("mobilenet-v2").unwrap()).unwrap();
        let model = Model::new(graph, 1, &candle_core::Device::Cpu).unwrap();
        for (i, node) in model.graph().nodes.iter().enumerate() {
            let Op::Conv(conv) = node.op else { continue };
            if model.graph().groups[node.group].masked == [i] {
                let has = level(&model, node.group).unwrap().is_some();
                assert_eq!(has, conv.activation != Activation::None, "{}", node.name);
            }
        }
    }
}
