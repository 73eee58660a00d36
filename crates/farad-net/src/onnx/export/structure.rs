//! The form of an exported file: what onnxruntime's fusion into integer kernels asks for.

use prost::Message;

use super::*;
use crate::onnx::proto::{Dimension, Graph, Node, kind};

/// Conv, depthwise Conv, Add, MaxPool, GlobalAveragePool and Gemm.
fn model() -> Model {
    let stored = |zero| Quantisation {
        scale: 0.25,
        zero,
        bits: 8,
    };
    let preprocess = Preprocess {
        pixel_max: 1.0,
        mean: vec![0.5; 2],
        std: vec![0.25; 2],
    };
    let (mut graph, image) = QdqGraph::new("all", [6, 5, 2], stored(7), &preprocess).unwrap();
    let values: Vec<i8> = (0..36).collect();
    let weights = |inputs: usize, out_c: usize| QuantisedWeights {
        values: &values[..inputs * out_c],
        scales: &[0.5, 0.125][..out_c],
        bias: &[3, -4][..out_c],
        bits: 8,
    };
    let window = Window::square(3, 1, 1);
    let conv = graph
        .conv("conv", &image, window, 1, &weights(18, 2), stored(0))
        .unwrap();
    let depthwise = graph
        .conv("depthwise", &conv, window, 2, &weights(9, 2), stored(9))
        .unwrap();
    let sum = graph.add("sum", &conv, &depthwise, stored(0)).unwrap();
    let pool = graph.max_pool("pool", &sum, Window::square(2, 2, 0)).unwrap();
    let mean = graph.global_average_pool("mean", &pool, stored(0)).unwrap();
    let logits = graph.dense("dense", &mean, &weights(2, 1), stored(128)).unwrap();
    graph.describe("farad.seed", "7");
    Model::decode(graph.encode(&logits).unwrap().as_slice()).unwrap()
}

fn constant<'a>(graph: &'a Graph, name: &str) -> &'a Tensor {
    graph.initializer.iter().find(|t| t.name == name).unwrap()
}

fn writer<'a>(graph: &'a Graph, tensor: &str) -> Option<&'a Node> {
    graph.node.iter().find(|n| n.output[0] == tensor)
}

#[test]
fn every_float_operator_stands_between_dequantisations_and_one_quantisation() {
    let graph = model().graph.unwrap();
    let mut operators = 0;
    for node in &graph.node {
        if matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear") {
            continue;
        }
        operators += 1;
        for input in &node.input {
            let source = writer(&graph, input).map(|n| n.op_type.as_str());
            assert_eq!(source, Some("DequantizeLinear"), "{input}");
            let readers = graph.node.iter().filter(|n| n.input.contains(input)).count();
            assert_eq!(readers, 1, "{input}");
        }
        let readers: Vec<_> = graph
            .node
            .iter()
            .filter(|n| n.input.contains(&node.output[0]))
            .collect();
        let ops: Vec<_> = readers.iter().map(|n| n.op_type.as_str()).collect();
        assert_eq!(ops, ["QuantizeLinear"], "{}", node.name);
    }
    assert_eq!(operators, 7, "the six operators and a Flatten");
}

#[test]
fn nodes_come_after_what_they_read() {
    let graph = model().graph.unwrap();
    let mut known: Vec<&str> = graph
        .initializer
        .iter()
        .map(|t| t.name.as_str())
        .chain([INPUT])
        .collect();
    for node in &graph.node {
        for input in &node.input {
            assert!(known.contains(&input.as_str()), "{input}");
        }
        known.push(&node.output[0]);
    }
    assert_eq!(known.last(), Some(&OUTPUT));
}

#[test]
fn constants_have_the_layout_of_onnx() {
    let graph = model().graph.unwrap();
    let dims = |name: &str| constant(&graph, name).dims.clone();
    assert_eq!(dims("conv.weight.quantised"), [2, 2, 3, 3]);
    assert_eq!(dims("depthwise.weight.quantised"), [2, 1, 3, 3]);
    assert_eq!(dims("dense.weight.quantised"), [1, 2]);
    // [ky][kx][c] counts up, so that [c][ky][kx] has the even numbers first.
    let weights = constant(&graph, "conv.weight.quantised").raw_data.as_ref().unwrap();
    assert_eq!(weights[..10], [0, 2, 4, 6, 8, 10, 12, 14, 16, 1]);
    let bias = constant(&graph, "conv.bias.quantised");
    assert_eq!((bias.data_type, bias.dims.as_slice()), (kind::INT32, [2].as_slice()));
    // Input scale times weight scale.
    let steps: Vec<u8> = [0.25f32 * 0.5, 0.25 * 0.125]
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    assert_eq!(constant(&graph, "conv.bias.scale").raw_data.as_ref(), Some(&steps));
    // What only moves bytes keeps their steps.
    for moved in ["pool", "dense.flat"] {
        let node = writer(&graph, moved).unwrap();
        assert_eq!(node.input[1], if moved == "pool" { "sum.scale" } else { "mean.scale" });
    }
}

#[test]
fn the_model_says_what_it_is() {
    let model = model();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    let entries: Vec<_> = model
        .metadata_props
        .iter()
        .map(|e| (e.key.as_str(), e.value.as_str()))
        .collect();
    let expected = [
        ("farad.pixel_max", "1"),
        ("farad.mean", "0.5,0.5"),
        ("farad.std", "0.25,0.25"),
        ("farad.seed", "7"),
    ];
    assert_eq!(entries, expected);
    let graph = model.graph.unwrap();
    let dims = |info: &crate::onnx::proto::ValueInfo| {
        let shape = info.r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
        let name = |d: Dimension| d.dim_param.or(d.dim_value.map(|v| v.to_string())).unwrap();
        shape.dim.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(dims(&graph.input[0]), ["batch", "2", "6", "5"]);
    assert_eq!(dims(&graph.output[0]), ["batch", "1"]);
}
