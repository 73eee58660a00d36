//! Import of TFLite full-integer networks, with the arithmetic of TFLite's reference kernels.
//!
//! "Reference" is what `BUILTIN_REF` resolves to: gemmlowp's two roundings everywhere. The optimised kernels and XNNPACK
//! differ from it in last places. Equality was measured with LiteRT 2.3, whose fully connected layer rounds once, in
//! double. A file's tensors are NHWC already; an int8 tensor is stored with 128 added.
//!
//! To add an operator: its number in `code`, an arm in `Importer::make`, and a method that returns what it makes.

mod activation;
mod elementwise;
mod flatbuffer;
mod mac;
mod movement;
mod pooling;
mod schema;

use crate::error::NetError;
use crate::graph::{Builder, Node, Tensor, checked_len};
use crate::kernel::{Kernel, Softmax};
use crate::network::{Imported, Input, Output, OutputSource};
use crate::requant::{Quantiser, Ties};
use schema::{Model, RawOperator, RawTensor, kind};

pub(crate) use movement::slice_range;
pub(crate) use schema::is_tflite;

/// What a stored byte exceeds the file's int8 by.
const INT8_ORIGIN: i32 = 128;

/// Imports a TFLite model.
pub(crate) fn import(bytes: &[u8]) -> Result<Imported, NetError> {
    let model = Model::read(bytes)?;
    let placed = vec![None; model.tensors.len()];
    let mut importer = Importer {
        model,
        builder: Builder::new(bytes.len()),
        placed,
        input: None,
    };
    importer.place_input()?;
    let operators = std::mem::take(&mut importer.model.operators);
    for operator in &operators {
        importer.operator(operator)?;
    }
    importer.finish()
}

struct Importer<'a> {
    model: Model<'a>,
    builder: Builder,
    /// The builder's tensor for each of the file's activations that exists so far. A float tensor stands for the
    /// quantised tensor it came from.
    placed: Vec<Option<usize>>,
    input: Option<Input>,
}

/// A new activation: what an operator makes.
struct Made {
    op: &'static str,
    /// The file's numbers of the activations it reads.
    inputs: Vec<i32>,
    dims: Vec<usize>,
    kernel: Kernel,
}

impl<'a> Importer<'a> {
    fn raw(&self, index: i32) -> Result<&RawTensor<'a>, NetError> {
        let raw = usize::try_from(index).ok().and_then(|i| self.model.tensors.get(i));
        raw.ok_or_else(|| NetError::form("model", format!("it refers to tensor {index}, which does not exist")))
    }

    /// A weight, bias, shape or axis that the file must hold as a constant.
    fn constant(&self, index: i32, node: &str) -> Result<&RawTensor<'a>, NetError> {
        let raw = self.raw(index)?;
        match raw.data.is_empty() {
            true => Err(NetError::form(node, format!("`{}` must be a constant", raw.name))),
            false => Ok(raw),
        }
    }

    /// Constant integers: a shape, axes, paddings.
    fn integers(&self, index: i32, node: &str) -> Result<Vec<i64>, NetError> {
        let raw = self.constant(index, node)?;
        match raw.kind {
            kind::INT32 => Ok(raw
                .data
                .as_chunks()
                .0
                .iter()
                .map(|&b| i64::from(i32::from_le_bytes(b)))
                .collect()),
            kind::INT64 => Ok(raw.data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()),
            _ => Err(NetError::tensor(&raw.name, "integers expected")),
        }
    }

    /// Scale and stored zero point of an 8-bit activation.
    fn quantiser(&self, index: i32) -> Result<Quantiser, NetError> {
        let raw = self.raw(index)?;
        let origin = match raw.kind {
            kind::INT8 => INT8_ORIGIN,
            kind::UINT8 => 0,
            kind::FLOAT32 => return Err(not_quantised(raw, "float32")),
            _ => return Err(not_quantised(raw, "neither int8 nor float32")),
        };
        let (&[scale], zero) = (raw.scale.as_slice(), raw.zero.first().copied().unwrap_or(0)) else {
            return Err(not_quantised(raw, "it has no single scale"));
        };
        if !(scale.is_finite() && scale > 0.0) {
            return Err(NetError::tensor(
                &raw.name,
                format!("scale {scale} is not a positive number"),
            ));
        }
        let zero = u8::try_from(zero.saturating_add(i64::from(origin)))
            .map_err(|_| NetError::tensor(&raw.name, format!("zero point {zero} out of range")))?;
        Ok(Quantiser {
            scale,
            zero,
            bits: 8,
            ties: Ties::AwayFromZero,
        })
    }

    /// Dimensions of one image.
    fn dims(&self, index: i32) -> Result<Vec<usize>, NetError> {
        let raw = self.raw(index)?;
        let dims: Result<Vec<_>, _> = raw.dims.iter().skip(1).map(|&d| usize::try_from(d)).collect();
        let dims = dims.map_err(|_| NetError::DynamicShape {
            tensor: raw.name.clone(),
        })?;
        if raw.dims.is_empty() {
            return Err(NetError::tensor(&raw.name, "no batch dimension"));
        }
        checked_len(&raw.name, &dims)?;
        Ok(dims)
    }

    /// Height, width and channels of a picture.
    fn picture(&self, index: i32) -> Result<[usize; 3], NetError> {
        let dims = self.dims(index)?;
        let rank = dims.len() + 1;
        dims.try_into()
            .map_err(|_| NetError::form(&self.name(index), format!("{rank} dimensions; 4 expected")))
    }

    fn name(&self, index: i32) -> String {
        self.raw(index)
            .map_or_else(|_| format!("tensor {index}"), |raw| raw.name.clone())
    }

    /// Adds an int8 tensor to the graph.
    fn declare(&mut self, index: i32, dims: Vec<usize>, data: Option<Vec<u8>>) -> Result<usize, NetError> {
        let Quantiser { scale, zero, .. } = self.quantiser(index)?;
        let at = usize::try_from(index).unwrap_or_default();
        if self.placed[at].is_some() {
            return Err(NetError::tensor(&self.name(index), "two operators write it"));
        }
        let tensor = self.builder.tensor(Tensor {
            name: self.name(index),
            dims,
            scale,
            zero,
            data,
        })?;
        self.placed[at] = Some(tensor);
        Ok(tensor)
    }

    /// The graph's tensor for an activation that must exist by now.
    fn activation(&self, index: i32) -> Result<usize, NetError> {
        let raw = self.raw(index)?;
        let placed = usize::try_from(index).ok().and_then(|i| self.placed[i]);
        placed.ok_or_else(|| match raw.kind {
            kind::FLOAT32 => not_quantised(raw, "float32"),
            _ => NetError::tensor(&raw.name, "it is read before anything computes it"),
        })
    }

    /// The graph's tensor for an operand, which may be a constant.
    fn operand(&mut self, index: i32) -> Result<usize, NetError> {
        let raw = self.raw(index)?;
        let placed = usize::try_from(index).ok().and_then(|i| self.placed[i]);
        if placed.is_some() || raw.data.is_empty() {
            return self.activation(index);
        }
        if raw.kind != kind::INT8 {
            return Err(not_quantised(raw, "a constant that is not int8"));
        }
        // A constant has no batch: a leading 1 broadcasts either way.
        let dims: Vec<usize> = raw
            .dims
            .iter()
            .skip_while(|&&d| d == 1)
            .map(|&d| d.max(0) as usize)
            .collect();
        let data: Vec<u8> = raw.data.iter().map(|&b| b ^ 0x80).collect();
        if checked_len(&raw.name, &dims)? != data.len() {
            return Err(NetError::tensor(
                &raw.name,
                format!("{} bytes for shape {dims:?}", data.len()),
            ));
        }
        self.declare(index, dims, Some(data))
    }

    fn place_input(&mut self) -> Result<(), NetError> {
        let &[index] = self.model.inputs.as_slice() else {
            let what = format!("{} inputs; only one is supported", self.model.inputs.len());
            return Err(NetError::form("model", what));
        };
        // A float input enters the graph at the QUANTIZE that reads it.
        if self.raw(index)?.kind != kind::FLOAT32 {
            let shape = self.picture(index)?;
            let quantiser = self.quantiser(index)?;
            let tensor = self.declare(index, shape.to_vec(), None)?;
            self.input = Some(Input {
                tensor,
                shape,
                quantiser,
                is_float: false,
            });
        }
        Ok(())
    }

    fn operator(&mut self, operator: &RawOperator<'a>) -> Result<(), NetError> {
        let &[output] = operator.outputs.as_slice() else {
            let what = format!("an operator with {} outputs; one is supported", operator.outputs.len());
            return Err(NetError::form("model", what));
        };
        let node = self.name(output);
        if operator.code == code::DEQUANTIZE {
            let x = self.input_of(operator, 0, &node)?;
            if self.raw(output)?.kind != kind::FLOAT32 || self.dims(output)? != self.dims(x)? {
                return Err(NetError::form(&node, "it must give floats of its input's shape"));
            }
            let tensor = self.activation(x)?;
            if let Some(placed) = usize::try_from(output).ok().and_then(|i| self.placed.get_mut(i)) {
                *placed = Some(tensor);
            }
            return Ok(());
        }
        if operator.code == code::QUANTIZE && Some(&self.input_of(operator, 0, &node)?) == self.model.inputs.first() {
            let x = self.input_of(operator, 0, &node)?;
            if self.raw(x)?.kind == kind::FLOAT32 {
                return self.quantize_float_input(x, output);
            }
        }
        let made = self.make(operator, output, &node)?;
        let expected = self.dims(output)?;
        if made.dims != expected {
            let what = format!(
                "shape {:?} follows from its inputs, the file says {expected:?}",
                made.dims
            );
            return Err(NetError::form(&node, what));
        }
        let inputs = made
            .inputs
            .iter()
            .map(|&i| self.activation(i))
            .collect::<Result<_, _>>()?;
        let output = self.declare(output, made.dims, None)?;
        self.builder.node(Node {
            name: node,
            op: made.op,
            inputs,
            output,
            kernel: made.kernel,
        })
    }

    fn quantize_float_input(&mut self, x: i32, output: i32) -> Result<(), NetError> {
        if self.input.is_some() {
            return Err(NetError::form(&self.name(output), "the float input is quantised twice"));
        }
        let shape = self.picture(x)?;
        if self.dims(output)? != shape {
            return Err(NetError::form(&self.name(output), "its shape differs from the input's"));
        }
        let quantiser = self.quantiser(output)?;
        let tensor = self.declare(output, shape.to_vec(), None)?;
        self.input = Some(Input {
            tensor,
            shape,
            quantiser,
            is_float: true,
        });
        Ok(())
    }

    fn make(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        use code::*;
        if !matches!(operator.code, QUANTIZE) {
            for &index in [output].iter().chain(operator.inputs.first()) {
                let raw = self.raw(index)?;
                if raw.kind == kind::UINT8 {
                    return Err(not_quantised(raw, "uint8, TFLite's scheme before int8"));
                }
            }
        }
        match operator.code {
            CONV_2D => self.conv(operator, output, node),
            DEPTHWISE_CONV_2D => self.depthwise(operator, output, node),
            FULLY_CONNECTED => self.dense(operator, output, node),
            ADD => self.add(operator, output, node, 1),
            SUB => self.add(operator, output, node, -1),
            MUL => self.mul(operator, output, node),
            CONCATENATION => self.concat(operator, output, node),
            AVERAGE_POOL_2D | MAX_POOL_2D => self.pool(operator, output, node),
            MEAN => self.mean(operator, output, node),
            RELU | RELU6 | RELU_N1_TO_1 => self.relu(operator, output, node),
            LOGISTIC => self.logistic(operator, output, node),
            HARD_SWISH => self.hard_swish(operator, output, node),
            QUANTIZE => self.requantise(operator, output, node),
            SOFTMAX => self.softmax(operator, output, node),
            RESHAPE | SQUEEZE | EXPAND_DIMS => self.reshape(operator, output, node),
            PAD | PADV2 => self.pad(operator, output, node),
            TRANSPOSE => self.transpose(operator, output, node),
            SLICE => self.slice(operator, output, node),
            STRIDED_SLICE => self.strided_slice(operator, output, node),
            other => Err(NetError::UnsupportedOperator {
                node: node.to_owned(),
                op: match operator.custom.is_empty() {
                    true => format!("number {other} of TFLite's BuiltinOperator"),
                    false => format!("`{}` (custom)", operator.custom),
                },
                advice: "replace it before converting, or run that part of the network elsewhere",
            }),
        }
    }

    fn input_of(&self, operator: &RawOperator<'_>, which: usize, node: &str) -> Result<i32, NetError> {
        let input = operator.inputs.get(which).copied();
        input.ok_or_else(|| NetError::form(node, format!("input {which} is missing")))
    }

    fn softmax(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        let dims = self.dims(x)?;
        let (from, to) = (self.quantiser(x)?, self.quantiser(output)?);
        if to.scale != 1.0 / 256.0 || to.zero != 0 {
            return Err(NetError::form(
                node,
                "an int8 softmax must have output scale 1/256 and zero point -128",
            ));
        }
        let beta = operator.options.as_ref().map_or(Ok(0.0), |o| o.f32(0, 0.0))?;
        let depth = dims.last().copied().unwrap_or(1);
        let kernel = Kernel::Softmax(Softmax::tflite(depth, from.scale, beta));
        Ok(Made {
            op: "softmax",
            inputs: vec![x],
            dims,
            kernel,
        })
    }

    fn finish(self) -> Result<Imported, NetError> {
        let &[index] = self.model.outputs.as_slice() else {
            let what = format!("{} outputs; only one is supported", self.model.outputs.len());
            return Err(NetError::form("model", what));
        };
        let tensor = self.activation(index)?;
        let input = self
            .input
            .ok_or_else(|| NetError::form("model", "nothing quantises the float input"))?;
        let Tensor { scale, zero, .. } = self.builder.tensors[tensor];
        let quantiser = Quantiser {
            scale,
            zero,
            bits: 8,
            ties: Ties::AwayFromZero,
        };
        let real = Box::new(std::array::from_fn(|b| quantiser.real(b as u8)));
        let output = Output {
            source: OutputSource::Stored { tensor, real },
            softmax: false,
        };
        Ok(Imported {
            builder: self.builder,
            input,
            output,
            preprocess: None,
            dataset: None,
        })
    }
}

fn not_quantised(raw: &RawTensor<'_>, what: &str) -> NetError {
    NetError::NotQuantised {
        tensor: raw.name.clone(),
        what: what.to_owned(),
    }
}

/// `BuiltinOperator` numbers of `schema.fbs`.
mod code {
    pub(super) const ADD: i32 = 0;
    pub(super) const AVERAGE_POOL_2D: i32 = 1;
    pub(super) const CONCATENATION: i32 = 2;
    pub(super) const CONV_2D: i32 = 3;
    pub(super) const DEPTHWISE_CONV_2D: i32 = 4;
    pub(super) const DEQUANTIZE: i32 = 6;
    pub(super) const FULLY_CONNECTED: i32 = 9;
    pub(super) const LOGISTIC: i32 = 14;
    pub(super) const MAX_POOL_2D: i32 = 17;
    pub(super) const MUL: i32 = 18;
    pub(super) const RELU: i32 = 19;
    pub(super) const RELU_N1_TO_1: i32 = 20;
    pub(super) const RELU6: i32 = 21;
    pub(super) const RESHAPE: i32 = 22;
    pub(super) const SOFTMAX: i32 = 25;
    pub(super) const PAD: i32 = 34;
    pub(super) const TRANSPOSE: i32 = 39;
    pub(super) const MEAN: i32 = 40;
    pub(super) const SUB: i32 = 41;
    pub(super) const SQUEEZE: i32 = 43;
    pub(super) const STRIDED_SLICE: i32 = 45;
    pub(super) const PADV2: i32 = 60;
    pub(super) const SLICE: i32 = 65;
    pub(super) const EXPAND_DIMS: i32 = 70;
    pub(super) const QUANTIZE: i32 = 114;
    pub(super) const HARD_SWISH: i32 = 117;
}
