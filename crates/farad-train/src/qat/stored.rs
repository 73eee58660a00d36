//! A network file as the start of training.

use super::QatModel;
use super::integer::IntegerLayer;
use super::steps::{of_weights, parameter};
use crate::graph::{Graph, Op};
use candle_core::{Device, Tensor, Var};
use farad_net::{Quantisation, StoredGraph, StoredWeights};
use std::collections::BTreeMap;

/// The int8 network of an ONNX file that an export of `graph` wrote, at the widths of the file. Its parameters are the real
/// values of the file's integers, and become the same integers again.
///
/// # Errors
/// What the file lacks, or has otherwise than an export of this architecture.
pub(crate) fn from_file(mut graph: Graph, bytes: &[u8]) -> Result<QatModel, String> {
    let file = StoredGraph::parse(bytes).map_err(|e| e.to_string())?;
    let preprocess = file
        .preprocess()
        .ok_or("it does not say how pixels become its input")?
        .clone();
    if preprocess.pixel_max != 255.0 {
        return Err(format!(
            "its pixels end at {}, and those of training at 255",
            preprocess.pixel_max
        ));
    }
    let layers = layers(&mut graph, &file)?;
    let mut ranges: Vec<Quantisation> = Vec::new();
    for node in &graph.nodes {
        ranges.push(match node.op {
            Op::Input => file.input().ok_or("its input is not stored as an export stores it")?,
            Op::MaxPool => ranges[node.inputs[0]],
            _ => file
                .quantisation(&node.name)
                .ok_or_else(|| format!("it has no `{}`", node.name))?,
        });
    }
    let mut parameters = BTreeMap::new();
    for (i, layer) in layers.iter().enumerate() {
        let Some(layer) = layer else { continue };
        let node = &graph.nodes[i];
        let input_scale = ranges[node.inputs[0]].scale;
        let integer = IntegerLayer {
            values: layer.values.clone(),
            bits: layer.bits,
            scales: layer.scales.clone(),
            bias: layer.bias.clone(),
            input_scale,
        };
        let (weight, bias) = (integer.real(), integer.real_bias());
        let again = |steps| IntegerLayer::new(&weight, &bias, input_scale, layer.bits, steps);
        let is_same = |steps| again(steps).weights() == layer.weights();
        // Steps that were learned do not follow from the largest weight.
        let learned = !is_same(None);
        if !is_same(learned.then_some(&layer.scales)) {
            return Err(format!(
                "`{}` is not rounded as Farad rounds: a weight is out of range, or a bias has more than 24 bits",
                node.name
            ));
        }
        let dims = match node.op {
            Op::Dense => vec![layer.scales.len(), layer.depth],
            Op::Conv(conv) if conv.depthwise => vec![layer.scales.len(), conv.kernel, conv.kernel],
            Op::Conv(conv) => vec![layer.scales.len(), conv.kernel, conv.kernel, layer.depth],
            _ => continue,
        };
        if learned {
            let steps = parameter(layer.scales.clone()).map_err(|e| e.to_string())?;
            parameters.insert(of_weights(&node.name), steps);
        }
        let mut insert = |part: &str, values: Vec<f32>, dims: Vec<usize>| {
            let tensor = Tensor::from_vec(values, dims, &Device::Cpu)?;
            parameters.insert(format!("{}.{part}", node.name), Var::from_tensor(&tensor)?);
            Ok::<_, candle_core::Error>(())
        };
        insert("weight", weight, dims)
            .and_then(|()| insert("bias", bias, vec![layer.scales.len()]))
            .map_err(|e| e.to_string())?;
    }
    let weight_bits = layers.iter().map(|layer| layer.as_ref().map_or(8, |layer| layer.bits));
    let weight_bits = weight_bits.collect();
    Ok(QatModel::restore(graph, parameters, ranges, weight_bits, preprocess))
}

/// The layers of the file by node, whose channels become those of `graph`.
fn layers(graph: &mut Graph, file: &StoredGraph) -> Result<Vec<Option<StoredWeights>>, String> {
    let mut layers = Vec::new();
    for i in 0..graph.nodes.len() {
        let node = graph.nodes[i].clone();
        let depthwise = match node.op {
            Op::Conv(conv) => conv.depthwise,
            Op::Dense => false,
            _ => {
                layers.push(None);
                continue;
            }
        };
        let other = || format!("it is no export of the architecture `{}`", graph.name);
        let layer = file
            .weights(&node.name)
            .ok_or_else(|| format!("{}: it has no layer `{}` of 8 or 4 bits", other(), node.name))?;
        let channels = layer.scales.len();
        let taps = match node.op {
            Op::Conv(conv) => conv.kernel * conv.kernel,
            _ => 1,
        };
        let before = graph.channels(node.inputs[0]);
        let depth = if depthwise { 1 } else { before };
        if layer.depth != depth || layer.values.len() != channels * taps * depth {
            return Err(format!(
                "{}: `{}` has {} weights for {channels} outputs, where {taps} taps of {depth} inputs are read",
                other(),
                node.name,
                layer.values.len()
            ));
        }
        let seen = graph.nodes[..i].iter().any(|n| n.group == node.group);
        let group = &graph.groups[node.group];
        if channels > group.full || (seen || !group.prunable) && channels != group.channels {
            return Err(format!(
                "{}: `{}` has {channels} outputs, not {}",
                other(),
                node.name,
                group.channels
            ));
        }
        graph.groups[node.group].channels = channels;
        layers.push(Some(layer));
    }
    Ok(layers)
}
