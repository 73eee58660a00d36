//! The network as an ONNX file in QDQ form.

use super::integer::IntegerLayer;
use crate::graph::{Graph, Op};
use farad_net::{ExportError, Preprocess, QdqGraph, QdqTensor, Quantisation, Window};

/// The file of `graph` with `layers[i]` for node `i` that has weights, and `ranges[i]` for its output.
pub(super) fn encode(
    graph: &Graph,
    layers: &[Option<IntegerLayer>],
    ranges: &[Quantisation],
    preprocess: &Preprocess,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, ExportError> {
    let (mut qdq, input) = QdqGraph::new(&graph.name, graph.input, ranges[0], preprocess)?;
    for (key, value) in metadata {
        qdq.describe(key, value);
    }
    let mut tensors: Vec<QdqTensor> = vec![input];
    for (i, node) in graph.nodes.iter().enumerate().skip(1) {
        let x = &tensors[node.inputs[0]];
        let y = match (node.op, &layers[i]) {
            (Op::Conv(conv), Some(layer)) => {
                let window = Window::square(conv.kernel, conv.stride, conv.padding());
                let groups = if conv.depthwise { graph.channels(i) } else { 1 };
                qdq.conv(&node.name, x, window, groups, &layer.weights(), ranges[i])?
            }
            (Op::Dense, Some(layer)) => qdq.dense(&node.name, x, &layer.weights(), ranges[i])?,
            (Op::MaxPool, _) => qdq.max_pool(&node.name, x, Window::square(2, 2, 0))?,
            (Op::AveragePool, _) => qdq.global_average_pool(&node.name, x, ranges[i])?,
            (Op::Add(_), _) => qdq.add(&node.name, x, &tensors[node.inputs[1]], ranges[i])?,
            (Op::Input | Op::Conv(_) | Op::Dense, _) => x.clone(),
        };
        tensors.push(y);
    }
    qdq.encode(&tensors[graph.nodes.len() - 1])
}
