//! The parts of a TFLite model that Farad reads.
//!
//! Field numbers follow `tensorflow/lite/schema/schema.fbs`, version 3.

use super::flatbuffer::{Bytes, Table, Vector};
use crate::error::NetError;

/// Characters of a name that are kept.
const MAX_NAME: usize = 512;

/// `TensorType` values Farad tells apart.
pub(crate) mod kind {
    pub(crate) const FLOAT32: i8 = 0;
    pub(crate) const INT32: i8 = 2;
    pub(crate) const UINT8: i8 = 3;
    pub(crate) const INT64: i8 = 4;
    pub(crate) const INT8: i8 = 9;
}

/// A tensor as the file describes it.
pub(crate) struct RawTensor<'a> {
    pub(crate) name: String,
    pub(crate) dims: Vec<i32>,
    pub(crate) kind: i8,
    pub(crate) scale: Vec<f32>,
    pub(crate) zero: Vec<i64>,
    pub(crate) axis: i32,
    /// Bytes of a constant; empty for an activation.
    pub(crate) data: &'a [u8],
}

/// An operator as the file describes it.
pub(crate) struct RawOperator<'a> {
    pub(crate) code: i32,
    /// Name of a custom operator.
    pub(crate) custom: String,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
    pub(crate) options: Option<Table<'a>>,
}

/// The first subgraph of a model.
pub(crate) struct Model<'a> {
    pub(crate) tensors: Vec<RawTensor<'a>>,
    pub(crate) operators: Vec<RawOperator<'a>>,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
}

/// Whether the bytes carry TFLite's file identifier.
pub(crate) fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

impl<'a> Model<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, NetError> {
        let model = Bytes::new(bytes).root()?;
        let codes = model.vector(1, 4)?;
        let subgraphs = model.vector(2, 4)?;
        let buffers = model.vector(4, 4)?;
        if subgraphs.len != 1 {
            let what = format!("{} subgraphs; only one is supported", subgraphs.len);
            return Err(NetError::form("model", what));
        }
        let graph = subgraphs.table(0)?;
        let tensors = graph.vector(0, 4)?;
        let operators = graph.vector(3, 4)?;
        Ok(Self {
            tensors: (0..tensors.len)
                .map(|i| RawTensor::read(&tensors.table(i)?, &buffers))
                .collect::<Result<_, _>>()?,
            operators: (0..operators.len)
                .map(|i| RawOperator::read(&operators.table(i)?, &codes))
                .collect::<Result<_, _>>()?,
            inputs: graph.vector(1, 4)?.i32s(),
            outputs: graph.vector(2, 4)?.i32s(),
        })
    }
}

impl<'a> RawTensor<'a> {
    fn read(tensor: &Table<'a>, buffers: &Vector<'a>) -> Result<Self, NetError> {
        let mut name = tensor.string(3)?;
        if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
            name.truncate(end);
        }
        // A vector that belongs to one tensor is as short as its channels; damaged files share long ones.
        let short = |vector: Vector<'a>, most: usize| match vector.len > most {
            true => Err(NetError::tensor(
                &name,
                format!("a vector of {} entries describes it", vector.len),
            )),
            false => Ok(vector),
        };
        let dims = short(tensor.vector(0, 4)?, 8)?.i32s();
        let most = dims.iter().copied().max().unwrap_or(1).max(1) as usize;
        let (mut scale, mut zero, mut axis) = (Vec::new(), Vec::new(), 0);
        if let Some(quantization) = tensor.table(4)? {
            scale = short(quantization.vector(2, 4)?, most)?.f32s();
            zero = short(quantization.vector(3, 8)?, most)?.i64s();
            axis = quantization.i32(6, 0)?;
        }
        let buffer = tensor.u32(2)? as usize;
        let data = if buffer == 0 {
            &[]
        } else {
            buffers.table(buffer)?.vector(0, 1)?.raw(1)
        };
        Ok(Self {
            dims,
            kind: tensor.i8(1, 0)?,
            scale,
            zero,
            axis,
            data,
            name,
        })
    }
}

impl<'a> RawOperator<'a> {
    fn read(operator: &Table<'a>, codes: &Vector<'a>) -> Result<Self, NetError> {
        let code = codes.table(operator.u32(0)? as usize)?;
        // Files older than schema 3a store the operator in the byte field only; newer ones in both.
        let builtin = code.i32(3, 0)?.max(i32::from(code.i8(0, 0)?));
        let (inputs, outputs) = (operator.vector(1, 4)?, operator.vector(2, 4)?);
        if inputs.len > 1024 || outputs.len > 1024 {
            return Err(NetError::form(
                "model",
                format!("an operator with {} inputs", inputs.len),
            ));
        }
        Ok(Self {
            code: builtin,
            custom: code.string(1)?,
            inputs: inputs.i32s(),
            outputs: outputs.i32s(),
            options: operator.table(4)?,
        })
    }
}
