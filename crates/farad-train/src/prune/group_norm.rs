//! The size of everything that a channel is made of.

use super::magnitude::{add_over_mean, zeros};
use super::settings::{Checked, must};
use super::{Batch, Criterion, Progress};
use crate::Model;
use crate::graph::Op;
use crate::ops::with_slice;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `I_c = ||w_c||_2` over all parameters that go with channel c: the filters that make it, the weights that read it, the
/// scales of its batch norms. `rho / 2 sum_c 2^(4 (max I - I_c) / (max I - min I)) I_c^2` is added to the loss, which
/// decays small groups up to 16 times as fast as large ones (Fang et al., "DepGraph: towards any structural pruning",
/// CVPR 2023).
///
/// `s_c = I_c` over its mean in the group. The factors of the decay follow every step; the paper renews them every epoch.
#[derive(Debug, Deserialize, Serialize)]
pub struct GroupNorm {
    /// Weight of the decay.
    pub rho: f64,
}

impl Default for GroupNorm {
    fn default() -> Self {
        Self { rho: 1e-4 }
    }
}

impl Criterion for GroupNorm {
    fn check(&self) -> Checked<()> {
        must(self.rho >= 0.0, "rho", "at least 0")
    }

    fn penalty(&self, model: &Model, _: Progress) -> Result<Option<Tensor>> {
        let mut sum: Option<Tensor> = None;
        for squares in squared_norms(model)?.into_iter().flatten() {
            let norms = with_slice(&squares, |squares| {
                squares.iter().map(|s| s.sqrt()).collect::<Vec<f32>>()
            })?;
            let (low, high) = norms
                .iter()
                .fold((f32::MAX, 0.0f32), |(low, high), n| (low.min(*n), high.max(*n)));
            let factors = norms
                .iter()
                .map(|n| libm::exp2f(4.0 * (high - n) / (high - low).max(f32::MIN_POSITIVE)))
                .collect();
            let factors = Tensor::from_vec(factors, squares.shape(), squares.device())?;
            let term = ((squares * factors)?.sum_all()? * (self.rho / 2.0))?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        Ok(sum)
    }

    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let mut scores = zeros(model);
        for (scores, squares) in scores.iter_mut().zip(squared_norms(model)?) {
            if let Some(squares) = squares {
                with_slice(&squares.sqrt()?, |norms| add_over_mean(scores, norms))?;
            }
        }
        Ok(scores)
    }
}

/// `I_c^2` of every prunable group.
fn squared_norms(model: &Model) -> Result<Vec<Option<Tensor>>> {
    let graph = model.graph();
    let mut sums: Vec<Option<Tensor>> = vec![None; graph.groups.len()];
    let mut add = |g: usize, squares: Tensor| {
        if graph.groups[g].prunable {
            sums[g] = Some(match sums[g].take() {
                Some(sum) => (sum + squares)?,
                None => squares,
            });
        }
        Ok::<_, candle_core::Error>(())
    };
    for (i, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.op, Op::Conv(_) | Op::Dense) {
            continue;
        }
        let squares = model.parameter(i, "weight").sqr()?;
        if matches!(node.op, Op::Conv(_)) {
            add(node.group, squares.reshape((graph.channels(i), ()))?.sum(1)?)?;
            add(node.group, model.parameter(i, "gamma").sqr()?)?;
        }
        if !matches!(node.op, Op::Conv(conv) if conv.depthwise) {
            let input = graph.nodes[node.inputs[0]].group;
            add(input, squares.reshape(((), graph.in_channels(i)))?.sum(0)?)?;
        }
    }
    Ok(sums)
}
