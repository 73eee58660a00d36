//! Import of ONNX networks in QDQ form, with the arithmetic of onnxruntime's CPU provider.
//!
//! A QDQ file computes in float between DequantizeLinear and QuantizeLinear. onnxruntime replaces such groups by integer
//! kernels (QLinearConv, QGemm, QLinearAdd, ...) and leaves the rest in float. The import does alike: a float name stands
//! for an [expression](value::Expr) that is emitted as one integer node when a QuantizeLinear fixes its scale.
//!
//! A bias counts accumulator steps when its scale is the product of input and weight scales; else its real value is used,
//! as the file says, where onnxruntime's QGemm would take the integers as they are.
//!
//! To add an operator: one arm in `operators.rs`; a function of one value is a `Unary`, a movement a `MoveKind`.

mod constant;
mod emit;
pub(crate) mod export;
mod mac;
mod movement;
mod operators;
mod proto;
mod quantise;
mod value;
mod write;

use std::collections::BTreeMap;
use std::rc::Rc;

use prost::Message;

use crate::error::NetError;
use crate::graph::{Builder, checked_len};
use crate::network::{Imported, Input, Output, OutputSource};
use crate::preprocess::Preprocess;
use crate::requant::Unary;
use constant::Constant;
use proto::{Graph, Model, Node, StringEntry, ValueInfo};
use value::{Expr, Placement, Source, Value};

/// Whether the bytes look like an ONNX model: its writers put the IR version, field 1, first.
pub(crate) fn is_onnx(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x08)
}

/// Imports an ONNX model.
pub(crate) fn import(bytes: &[u8]) -> Result<Imported, NetError> {
    let model = Model::decode(bytes)?;
    let graph = model.graph.ok_or_else(|| NetError::form("model", "it has no graph"))?;
    let opset = model
        .opset_import
        .iter()
        .find(|o| o.domain.is_empty() || o.domain == "ai.onnx");
    let mut importer = Importer::new(bytes.len(), &graph, opset.map_or(0, |o| o.version))?;
    for node in &graph.node {
        let value = importer.evaluate(node)?;
        let output = node.output.first().filter(|name| !name.is_empty());
        let output = output.ok_or_else(|| NetError::form(node.label(), "it has no output"))?;
        if importer.values.insert(output.clone(), value).is_some() {
            return Err(NetError::tensor(output, "two nodes write it"));
        }
    }
    importer.finish(&graph, &model.metadata_props)
}

struct Importer<'a> {
    builder: Builder,
    /// What each name stands for so far.
    values: BTreeMap<String, Value>,
    /// How many nodes read each name; a graph output counts as one.
    uses: BTreeMap<&'a str, usize>,
    /// Batch size the file was exported with; 1 where it is symbolic.
    batch: usize,
    opset: i64,
    input: Option<Input>,
}

impl<'a> Importer<'a> {
    fn new(file_len: usize, graph: &'a Graph, opset: i64) -> Result<Self, NetError> {
        let mut values = BTreeMap::new();
        for tensor in &graph.initializer {
            values.insert(tensor.name.clone(), Value::Constant(Rc::new(Constant::read(tensor)?)));
        }
        let mut uses = BTreeMap::new();
        let read = graph
            .node
            .iter()
            .flat_map(|n| &n.input)
            .chain(graph.output.iter().map(|o| &o.name));
        for name in read {
            *uses.entry(name.as_str()).or_insert(0) += 1;
        }
        // Old files list initializers among the inputs.
        let mut inputs = graph.input.iter().filter(|i| !values.contains_key(&i.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(NetError::form("model", "it must have exactly one input"));
        };
        let (batch, dims) = input_dims(input)?;
        let place = match *dims.as_slice() {
            [_, _, _] if is_nhwc(graph, &input.name) => Placement::row_major(dims),
            [c, h, w] => Placement::picture(c, h, w),
            [_] => Placement::row_major(dims),
            _ => {
                return Err(NetError::tensor(
                    &input.name,
                    "an input must be a batch of pictures or of vectors",
                ));
            }
        };
        let name = input.name.clone();
        values.insert(name, Value::Input(place));
        Ok(Self {
            builder: Builder::new(file_len),
            values,
            uses,
            batch,
            opset,
            input: None,
        })
    }

    /// What a node's input stands for.
    fn value(&self, node: &Node, which: usize) -> Result<&Value, NetError> {
        let missing = || NetError::form(node.label(), format!("input {which} is missing"));
        let name = node.optional(which).ok_or_else(missing)?;
        self.values
            .get(name)
            .ok_or_else(|| NetError::form(node.label(), format!("nothing computes `{name}` before it")))
    }

    /// A constant input.
    fn constant(&self, node: &Node, which: usize) -> Result<&Constant, NetError> {
        match self.value(node, which)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(NetError::form(
                node.label(),
                format!("input {which} must be a constant; simplify the model first"),
            )),
        }
    }

    /// An optional constant input.
    fn optional_constant(&self, node: &Node, which: usize) -> Result<Option<&Constant>, NetError> {
        node.optional(which).map(|_| self.constant(node, which)).transpose()
    }

    /// Integers from an input (newer operator sets) or an attribute (older ones).
    fn integers(&self, node: &Node, which: usize, attribute: &str) -> Result<Option<Vec<i64>>, NetError> {
        match self.optional_constant(node, which)? {
            Some(constant) => {
                let ints = constant.ints();
                ints.map(Some)
                    .ok_or_else(|| NetError::form(node.label(), format!("input {which} must hold integers")))
            }
            None => Ok(node.ints(attribute).map(<[i64]>::to_vec)),
        }
    }

    fn finish(mut self, graph: &Graph, metadata: &[StringEntry]) -> Result<Imported, NetError> {
        let [output] = graph.output.as_slice() else {
            let what = format!("{} outputs; only one is supported", graph.output.len());
            return Err(NetError::form("model", what));
        };
        let value = self.values.get(&output.name).cloned();
        let output = match value {
            Some(Value::Float(expr)) => self.output(&expr, &output.name)?,
            Some(Value::Stored(stored)) => {
                let expr = self.dequantised(&stored, &output.name);
                self.output(&expr, &output.name)?
            }
            _ => {
                return Err(NetError::tensor(
                    &output.name,
                    "no quantised computation leads to this output",
                ));
            }
        };
        let not_quantised = || NetError::NotQuantised {
            tensor: "input".to_owned(),
            what: "float32".to_owned(),
        };
        let input = self.input.ok_or_else(not_quantised)?;
        Ok(Imported {
            builder: self.builder,
            input,
            output,
            preprocess: preprocess(metadata)?,
            dataset: metadata
                .iter()
                .find(|e| e.key == "farad.dataset")
                .map(|e| e.value.clone()),
        })
    }

    /// The logits: an activation, or a last layer that nothing quantises, perhaps through a softmax.
    fn output(&mut self, expr: &Expr, name: &str) -> Result<Output, NetError> {
        match &expr.source {
            Source::Softmax(inner) if expr.post.is_empty() && expr.moves.is_empty() => Ok(Output {
                softmax: true,
                ..self.output(&inner.clone(), name)?
            }),
            Source::Stored(stored) if expr.moves.is_empty() => {
                let order: Vec<usize> = (0..stored.place.dims.len()).collect();
                let stored = self.in_order(stored.clone(), &order, &expr.node)?;
                let real = std::array::from_fn(|b| Unary::all(&expr.post, stored.quantiser.real(b as u8)));
                let source = OutputSource::Stored {
                    tensor: stored.tensor,
                    real: Box::new(real),
                };
                Ok(Output { source, softmax: false })
            }
            Source::Mac(mac) if expr.moves.is_empty() && mac.layer.shape.positions() == 1 => {
                let affine = crate::requant::Affine {
                    scale: mac.scale.clone(),
                    bias: mac.real_bias(),
                };
                let layer = self.builder.layer(mac.layer.clone())?;
                let source = OutputSource::Mac {
                    layer,
                    input: mac.input.tensor,
                    affine,
                    post: expr.post.clone(),
                };
                Ok(Output { source, softmax: false })
            }
            _ => Err(NetError::NotQuantised {
                tensor: name.to_owned(),
                what: format!("float32 from `{}`", expr.node),
            }),
        }
    }
}

/// Batch and image dimensions of the graph's input.
fn input_dims(input: &ValueInfo) -> Result<(usize, Vec<usize>), NetError> {
    let shape = input
        .r#type
        .as_ref()
        .and_then(|t| t.tensor_type.as_ref())
        .and_then(|t| t.shape.as_ref());
    let dynamic = || NetError::DynamicShape {
        tensor: input.name.clone(),
    };
    let dims = &shape.ok_or_else(dynamic)?.dim;
    let size = |value: i64| usize::try_from(value).ok().filter(|&d| d > 0);
    let (batch, image) = dims.split_first().ok_or_else(dynamic)?;
    let batch = batch.dim_value.and_then(size).unwrap_or(1);
    let dims: Option<Vec<usize>> = image.iter().map(|d| d.dim_value.and_then(size)).collect();
    let dims = dims.ok_or_else(dynamic)?;
    checked_len(&input.name, &dims)?;
    Ok((batch, dims))
}

/// Whether the input is NHWC: the first thing that happens to it, quantisation apart, is a Transpose to NCHW.
fn is_nhwc(graph: &Graph, input: &str) -> bool {
    let mut name = input;
    for _ in 0..3 {
        let Some(node) = graph.node.iter().find(|n| n.input.first().is_some_and(|i| i == name)) else {
            return false;
        };
        match node.op_type.as_str() {
            "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
            "QuantizeLinear" | "DequantizeLinear" => name = node.output.first().map_or("", String::as_str),
            _ => return false,
        }
    }
    false
}

/// The normalisation from `farad.pixel_max`, `farad.mean` and `farad.std`, when all three are there.
fn preprocess(metadata: &[StringEntry]) -> Result<Option<Preprocess>, NetError> {
    let list = |key: &str| -> Result<Option<Vec<f32>>, NetError> {
        let Some(entry) = metadata.iter().find(|e| e.key == key) else {
            return Ok(None);
        };
        let values: Result<Vec<f32>, _> = entry.value.split(',').map(|v| v.trim().parse()).collect();
        values
            .map(Some)
            .map_err(|_| NetError::BadPreprocess(format!("metadata {key} = `{}` is not numbers", entry.value)))
    };
    let (Some(pixel_max), Some(mean), Some(std)) = (list("farad.pixel_max")?, list("farad.mean")?, list("farad.std")?)
    else {
        return Ok(None);
    };
    let &[pixel_max] = pixel_max.as_slice() else {
        return Err(NetError::BadPreprocess(
            "metadata farad.pixel_max must be one number".to_owned(),
        ));
    };
    Ok(Some(Preprocess { pixel_max, mean, std }))
}

#[cfg(test)]
mod tests {
    use super::proto::{Dimension, Shape, Tensor, TensorType, Type};
    use super::*;

    fn node(op: &str, inputs: &[&str], output: &str) -> Node {
        Node {
            op_type: op.to_owned(),
            name: format!("node_{output}"),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Node::default()
        }
    }

    /// A picture of 2 channels, 4 by 4, through `nodes` to `out`; `w` is a float filter, `s` a scale.
    fn refusal(nodes: Vec<Node>, width: Option<i64>) -> String {
        let dim = |dim_value| Dimension {
            dim_value,
            dim_param: None,
        };
        let shape = Shape {
            dim: vec![dim(None), dim(Some(2)), dim(Some(4)), dim(width)],
        };
        let tensor_type = Some(TensorType {
            elem_type: proto::kind::FLOAT,
            shape: Some(shape),
        });
        let input = ValueInfo {
            name: "image".to_owned(),
            r#type: Some(Type { tensor_type }),
        };
        let floats = |name: &str, dims: &[i64], len: usize| Tensor {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: proto::kind::FLOAT,
            float_data: vec![0.5; len],
            ..Tensor::default()
        };
        let graph = Graph {
            node: nodes,
            initializer: vec![floats("w", &[3, 2, 1, 1], 6), floats("s", &[], 1)],
            input: vec![input],
            output: vec![ValueInfo {
                name: "out".to_owned(),
                r#type: None,
            }],
            ..Graph::default()
        };
        let model = Model {
            graph: Some(graph),
            ..Model::default()
        };
        match import(&model.encode_to_vec()) {
            Ok(_) => panic!("it was imported"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn float_networks_are_refused() {
        let message = refusal(vec![node("Conv", &["image", "w"], "out")], Some(4));
        assert!(message.contains("`image` is not quantised"), "{message}");
        let quantise = node("QuantizeLinear", &["image", "s"], "q");
        let dequantise = node("DequantizeLinear", &["q", "s"], "x");
        let message = refusal(vec![quantise, dequantise, node("Conv", &["x", "w"], "out")], Some(4));
        assert!(message.contains("`w` is not quantised"), "{message}");
    }

    #[test]
    fn unsupported_operators_are_named() {
        let message = refusal(vec![node("Einsum", &["image"], "out")], Some(4));
        assert!(
            message.contains("`node_out`") && message.contains("Einsum"),
            "{message}"
        );
        let message = refusal(vec![node("QLinearConv", &["image"], "out")], Some(4));
        assert!(message.contains("QDQ"), "{message}");
    }

    #[test]
    fn dynamic_shapes_are_refused() {
        let message = refusal(vec![node("Relu", &["image"], "out")], None);
        assert!(message.contains("`image` has a dynamic shape"), "{message}");
    }

    #[test]
    fn an_undefined_name_is_named() {
        let message = refusal(vec![node("Relu", &["nowhere"], "out")], Some(4));
        assert!(message.contains("`nowhere`"), "{message}");
    }
}
