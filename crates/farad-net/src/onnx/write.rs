//! An ONNX graph being written: constants and nodes, each name given once.

use std::collections::BTreeSet;

use super::export::ExportError;
use super::proto::{
    Attribute, Dimension, Graph, Node, Shape, Tensor, TensorType, Type, ValueInfo, attribute_kind, kind,
};

/// A graph and the names that its tensors have.
#[derive(Debug)]
pub(super) struct Writer {
    graph: Graph,
    names: BTreeSet<String>,
}

impl Writer {
    /// A graph of that name with one input; `output` is kept for [`finish`](Self::finish).
    pub(super) fn new(name: &str, input: ValueInfo, output: &str) -> Self {
        let names = [input.name.clone(), output.to_owned()].into();
        let graph = Graph {
            name: name.to_owned(),
            input: vec![input],
            ..Graph::default()
        };
        Self { graph, names }
    }

    /// Adds a constant.
    pub(super) fn initializer(&mut self, tensor: Tensor) -> Result<(), ExportError> {
        self.take(&tensor.name)?;
        self.graph.initializer.push(tensor);
        Ok(())
    }

    /// Adds a node of the standard operator set with one output, whose name it returns.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: String,
        inputs: Vec<String>,
        output: String,
        attributes: Vec<Attribute>,
    ) -> Result<String, ExportError> {
        self.take(&output)?;
        self.push(op, name, inputs, output.clone(), attributes);
        Ok(output)
    }

    /// The graph; its last node has this operator and these inputs and writes the output.
    pub(super) fn finish(mut self, op: &str, inputs: Vec<String>, output: ValueInfo) -> Graph {
        let name = output.name.clone();
        self.push(op, format!("{name}.{op}"), inputs, name, Vec::new());
        self.graph.output.push(output);
        self.graph
    }

    fn push(&mut self, op: &str, name: String, inputs: Vec<String>, output: String, attributes: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs,
            output: vec![output],
            name,
            op_type: op.to_owned(),
            attribute: attributes,
            domain: String::new(),
        });
    }

    fn take(&mut self, name: &str) -> Result<(), ExportError> {
        match !name.is_empty() && self.names.insert(name.to_owned()) {
            true => Ok(()),
            false => Err(ExportError::Name(name.to_owned())),
        }
    }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: usize) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: Some(value as i64),
        r#type: attribute_kind::INT,
        ..Attribute::default()
    }
}

/// An attribute of several integers.
pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: values.iter().map(|&v| v as i64).collect(),
        r#type: attribute_kind::INTS,
        ..Attribute::default()
    }
}

/// A constant of little-endian `raw_data`; no dimensions make a scalar.
fn tensor(name: String, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> Tensor {
    Tensor {
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type,
        name,
        raw_data: Some(raw_data),
        ..Tensor::default()
    }
}

/// A float32 constant.
pub(super) fn floats(name: String, dims: &[usize], values: &[f32]) -> Tensor {
    tensor(
        name,
        kind::FLOAT,
        dims,
        values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    )
}

/// An int32 constant.
pub(super) fn int32s(name: String, dims: &[usize], values: &[i32]) -> Tensor {
    tensor(
        name,
        kind::INT32,
        dims,
        values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    )
}

/// A constant of signed integers of 8 or 4 bits.
pub(super) fn signed(name: String, dims: &[usize], bits: u32, values: impl Iterator<Item = i8>) -> Tensor {
    let bytes = values.map(|v| v as u8).collect();
    match bits {
        4 => tensor(name, kind::INT4, dims, packed(bytes)),
        _ => tensor(name, kind::INT8, dims, bytes),
    }
}

/// An unsigned scalar of 8 or 4 bits.
pub(super) fn unsigned(name: String, bits: u32, value: u8) -> Tensor {
    match bits {
        4 => tensor(name, kind::UINT4, &[], packed(vec![value])),
        _ => tensor(name, kind::UINT8, &[], vec![value]),
    }
}

/// Two to a byte, the first in the low half; an odd one has its byte for itself.
fn packed(values: Vec<u8>) -> Vec<u8> {
    let pair = |pair: &[u8]| pair[0] & 15 | pair.get(1).map_or(0, |high| high << 4);
    values.chunks(2).map(pair).collect()
}

/// A float input or output of the graph: any number of images of `dims`.
pub(super) fn batch_of(name: &str, dims: &[usize]) -> ValueInfo {
    let batch = Dimension {
        dim_value: None,
        dim_param: Some("batch".to_owned()),
    };
    let image = dims.iter().map(|&d| Dimension {
        dim_value: Some(d as i64),
        dim_param: None,
    });
    let shape = Shape {
        dim: std::iter::once(batch).chain(image).collect(),
    };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: kind::FLOAT,
                shape: Some(shape),
            }),
        }),
    }
}
