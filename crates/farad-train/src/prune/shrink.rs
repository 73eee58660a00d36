//! The network that has only the channels that stay.

use crate::Model;
use crate::graph::Op;
use crate::ops::with_slice;
use crate::optimizer::{Average, Optimizer};
use candle_core::{Result, Tensor};

/// Which entries stay on which axes.
type Axes<'a> = &'a [(usize, &'a Vec<usize>)];

/// Removes all channels of each group that are not in `keep` (ascending indices) from the model, and from what the
/// optimiser and the average remember. A layer that depended on a removed channel loses that input.
///
/// # Errors
/// If a parameter cannot be made.
pub fn shrink(model: &mut Model, optimizer: &mut Optimizer, average: &mut Average, keep: &[Vec<usize>]) -> Result<()> {
    for i in 0..model.graph.nodes.len() {
        let node = model.graph.nodes[i].clone();
        let out = &keep[node.group];
        let axes: &[(&str, Axes<'_>)] = match node.op {
            Op::Conv(conv) if conv.depthwise => {
                &[("weight", &[(0, out)]), ("gamma", &[(0, out)]), ("beta", &[(0, out)])]
            }
            Op::Conv(_) => {
                let input = &keep[model.graph.nodes[node.inputs[0]].group];
                &[
                    ("weight", &[(0, out), (3, input)]),
                    ("gamma", &[(0, out)]),
                    ("beta", &[(0, out)]),
                ]
            }
            Op::Dense => {
                let input = &keep[model.graph.nodes[node.inputs[0]].group];
                &[("weight", &[(1, input)])]
            }
            Op::Input | Op::MaxPool | Op::AveragePool | Op::Add(_) => continue,
        };
        for (part, axes) in axes {
            shrink_parameter(model, optimizer, average, &format!("{}.{part}", node.name), axes)?;
        }
        if let Some(moments) = model.running.get_mut(&i) {
            moments.mean = out.iter().map(|&c| moments.mean[c]).collect();
            moments.var = out.iter().map(|&c| moments.var[c]).collect();
        }
    }
    for (g, keep) in keep.iter().enumerate() {
        let prefix = format!("mask.{g}.");
        let names: Vec<String> = model
            .parameters
            .keys()
            .filter(|n| n.starts_with(&prefix))
            .cloned()
            .collect();
        for name in names {
            shrink_parameter(model, optimizer, average, &name, &[(0, keep)])?;
        }
        model.graph.groups[g].channels = keep.len();
    }
    Ok(())
}

fn shrink_parameter(
    model: &mut Model,
    optimizer: &mut Optimizer,
    average: &mut Average,
    name: &str,
    axes: Axes<'_>,
) -> Result<()> {
    let Some(old) = model.parameters.get(name) else {
        candle_core::bail!("no parameter {name}");
    };
    let shape = old.dims().to_vec();
    let pick = |values: &[f32]| {
        let (mut values, mut shape) = (values.to_vec(), shape.clone());
        for &(axis, keep) in axes {
            values = select(&values, &shape, axis, keep);
            shape[axis] = keep.len();
        }
        (values, shape)
    };
    let (values, new_shape) = with_slice(old, pick)?;
    let value = Tensor::from_vec(values, new_shape, old.device())?;
    model.insert(name.to_owned(), &value)?;
    if let Some(slots) = optimizer.slots.get_mut(name) {
        for slot in [&mut slots.first, &mut slots.second] {
            if !slot.is_empty() {
                *slot = pick(slot).0;
            }
        }
    }
    if let Some(values) = average.values.get_mut(name) {
        *values = pick(values).0;
    }
    Ok(())
}

/// The entries `keep` of `axis` of a row-major array.
fn select(values: &[f32], shape: &[usize], axis: usize, keep: &[usize]) -> Vec<f32> {
    let inner: usize = shape[axis + 1..].iter().product();
    let block = inner * shape[axis];
    let blocks = values.chunks_exact(block.max(1));
    blocks
        .flat_map(|block| keep.iter().flat_map(move |&k| &block[k * inner..(k + 1) * inner]))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pass, Statistics};
    use crate::{Architecture, Graph, Precision};
    use candle_core::{DType, Device};

    #[test]
    fn selects_along_an_axis() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        assert_eq!(select(&values, &[3, 4], 0, &[0, 2]), [0., 1., 2., 3., 8., 9., 10., 11.]);
        assert_eq!(select(&values, &[3, 4], 1, &[1, 3]), [1., 3., 5., 7., 9., 11.]);
    }

    /// A channel whose mask is 0 contributes nothing, so the network without it computes the same.
    #[test]
    fn a_masked_channel_is_a_removed_channel() {
        for name in ["resnet-20", "mobilenet-v2"] {
            let graph = Graph::new(&Architecture::load(name).unwrap()).unwrap();
            let mut model = Model::new(graph, 3, &Device::Cpu).unwrap();
            let x = Tensor::rand(-1f32, 1f32, (2, 32, 32, 3), &Device::Cpu).unwrap();
            let mut masks = Vec::new();
            let mut keep = Vec::new();
            for (g, group) in model.graph().groups.iter().enumerate() {
                let kept: Vec<usize> = (0..group.channels)
                    .filter(|c| !group.prunable || !(c + g).is_multiple_of(3))
                    .collect();
                let mut mask = vec![0.0f32; group.channels];
                kept.iter().for_each(|&c| mask[c] = 1.0);
                masks.push(group.prunable.then(|| {
                    let mask = Tensor::from_vec(mask, (1, group.channels), &Device::Cpu).unwrap();
                    mask.broadcast_as((2, group.channels)).unwrap().contiguous().unwrap()
                }));
                keep.push(kept);
            }
            let pass = |masks| Pass {
                statistics: Statistics::Batch { momentum: 0.0 },
                masks,
                precision: Precision::F32,
            };
            let masked = model.forward(&x, pass(&masks)).unwrap();
            let (mut optimizer, mut average) = (Optimizer::default(), Average::default());
            average.update(model.parameters(), 0.9).unwrap();
            shrink(&mut model, &mut optimizer, &mut average, &keep).unwrap();
            let shrunk = model.forward(&x, pass(&[])).unwrap();
            let difference = (masked - shrunk).unwrap().abs().unwrap().max_all().unwrap();
            assert!(
                difference.to_dtype(DType::F32).unwrap().to_scalar::<f32>().unwrap() < 1e-3,
                "{name}"
            );
            for (name, values) in &average.values {
                assert_eq!(values.len(), model.parameters()[name].elem_count());
            }
        }
    }
}
