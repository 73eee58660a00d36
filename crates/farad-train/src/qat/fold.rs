//! Batch norm, folded into weights and biases.

use crate::graph::Op;
use crate::model::Model;
use crate::ops::with_slice;
use candle_core::{Device, Result, Tensor, Var};
use std::collections::BTreeMap;

/// `NODE.weight` (shapes as in [`Model`]) and `NODE.bias` `[c_out]` of a network that computes what `model` computes with
/// its running moments: `W' = gamma W / sqrt(var + eps)`, `b' = beta - gamma mean / sqrt(var + eps)`.
pub(super) fn fold(model: &Model) -> Result<BTreeMap<String, Var>> {
    let mut parameters = BTreeMap::new();
    for (i, node) in model.graph.nodes.iter().enumerate() {
        let (weight, bias) = match node.op {
            Op::Conv(_) => folded(model, i)?,
            Op::Dense => (model.parameter(i, "weight").copy()?, model.parameter(i, "bias").copy()?),
            Op::Input | Op::MaxPool | Op::AveragePool | Op::Add(_) => continue,
        };
        parameters.insert(format!("{}.weight", node.name), Var::from_tensor(&weight)?);
        parameters.insert(format!("{}.bias", node.name), Var::from_tensor(&bias)?);
    }
    Ok(parameters)
}

fn folded(model: &Model, i: usize) -> Result<(Tensor, Tensor)> {
    let values = |part| with_slice(model.parameter(i, part), <[f32]>::to_vec);
    let (mut weights, gamma, mut bias) = (values("weight")?, values("gamma")?, values("beta")?);
    let moments = &model.running[&i];
    let depth = weights.len() / gamma.len();
    for (c, inv_std) in moments.inv_std().into_iter().enumerate() {
        let factor = gamma[c] * inv_std;
        let of_channel = &mut weights[c * depth..(c + 1) * depth];
        of_channel.iter_mut().for_each(|w| *w *= factor);
        bias[c] -= moments.mean[c] * factor;
    }
    let shape = model.parameter(i, "weight").shape();
    let channels = bias.len();
    Ok((
        Tensor::from_vec(weights, shape, &Device::Cpu)?,
        Tensor::from_vec(bias, channels, &Device::Cpu)?,
    ))
}
