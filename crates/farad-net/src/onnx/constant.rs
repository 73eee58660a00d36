//! Constants: initializers, Constant nodes, and what QuantizeLinear makes of them.

use super::proto::{Node, Tensor, kind};
use crate::error::NetError;

/// A tensor whose values the file holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constant {
    pub(crate) dims: Vec<usize>,
    pub(crate) data: Data,
}

/// Values by type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    /// Within -8..=7.
    I4(Vec<i8>),
    /// Within 0..=15.
    U4(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

/// An integer type that a stored byte can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) signed: bool,
    /// 8 or 4.
    pub(crate) bits: u32,
}

/// An integer constant and the real value of its steps.
#[derive(Debug, Clone)]
pub(crate) struct Dequantised {
    pub(crate) constant: Constant,
    /// One, or one per index along `axis`.
    pub(crate) scale: Vec<f32>,
    /// As many as scales.
    pub(crate) zero: Vec<i32>,
    pub(crate) axis: usize,
}

impl Constant {
    /// An initializer's or attribute's tensor.
    pub(crate) fn read(tensor: &Tensor) -> Result<Self, NetError> {
        let bad = |what: &str| NetError::tensor(&tensor.name, what);
        if tensor.data_location != 0 {
            return Err(bad(
                "its data lies in another file; save the model with its weights inside",
            ));
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.ok_or_else(|| bad("a negative dimension"))?;
        let len = dims
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .ok_or_else(|| bad("an impossible shape"))?;
        let raw = tensor.raw_data.as_deref();
        let (ints, floats, longs) = (&tensor.int32_data, &tensor.float_data, &tensor.int64_data);
        let data = match tensor.data_type {
            kind::FLOAT => Data::F32(raw.map_or_else(|| floats.clone(), |raw| words(raw, f32::from_le_bytes))),
            kind::INT32 => Data::I32(raw.map_or_else(|| ints.clone(), |raw| words(raw, i32::from_le_bytes))),
            kind::INT64 => Data::I64(raw.map_or_else(|| longs.clone(), |raw| words(raw, i64::from_le_bytes))),
            kind::INT8 => Data::I8(raw.map_or_else(
                || ints.iter().map(|&i| i as i8).collect(),
                |raw| words(raw, i8::from_le_bytes),
            )),
            kind::UINT8 => Data::U8(raw.map_or_else(|| ints.iter().map(|&i| i as u8).collect(), <[u8]>::to_vec)),
            kind::UINT4 => Data::U4(nibbles(raw, ints, len, &bad)?),
            kind::INT4 => {
                let values = nibbles(raw, ints, len, &bad)?;
                Data::I4(values.into_iter().map(|v| ((v << 4) as i8) >> 4).collect())
            }
            other => return Err(bad(&format!("element type {other} is not supported"))),
        };
        let constant = Self { dims, data };
        if constant.len() != len {
            return Err(bad(&format!("{} values for shape {:?}", constant.len(), constant.dims)));
        }
        Ok(constant)
    }

    /// A Constant node.
    pub(crate) fn of_node(node: &Node) -> Result<Self, NetError> {
        let flat = |data: Data, rank: usize| {
            let constant = Self { dims: Vec::new(), data };
            Self {
                dims: if rank == 0 { Vec::new() } else { vec![constant.len()] },
                ..constant
            }
        };
        for attribute in &node.attribute {
            match attribute.name.as_str() {
                "value" => {
                    let tensor = attribute.t.as_ref();
                    return Self::read(tensor.ok_or_else(|| NetError::form(node.label(), "a constant without value"))?);
                }
                "value_float" => {
                    return Ok(flat(Data::F32(vec![attribute.f.unwrap_or_default()]), 0));
                }
                "value_floats" => return Ok(flat(Data::F32(attribute.floats.clone()), 1)),
                "value_int" => {
                    return Ok(flat(Data::I64(vec![attribute.i.unwrap_or_default()]), 0));
                }
                "value_ints" => return Ok(flat(Data::I64(attribute.ints.clone()), 1)),
                _ => {}
            }
        }
        Err(NetError::form(
            node.label(),
            "a constant that is neither a number nor a tensor of numbers",
        ))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.data {
            Data::F32(v) => v.len(),
            Data::I8(v) | Data::I4(v) => v.len(),
            Data::U8(v) | Data::U4(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
        }
    }

    pub(crate) fn floats(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// Integers of any width.
    pub(crate) fn ints(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::F32(_) => None,
            Data::I8(v) | Data::I4(v) => Some(v.iter().map(|&x| x.into()).collect()),
            Data::U8(v) | Data::U4(v) => Some(v.iter().map(|&x| x.into()).collect()),
            Data::I32(v) => Some(v.iter().map(|&x| x.into()).collect()),
            Data::I64(v) => Some(v.clone()),
        }
    }

    /// Values as stored bytes, and their type; `None` unless a byte can hold them.
    pub(crate) fn stored(&self) -> Option<(Vec<u8>, Small)> {
        let small = |signed, bits| Small { signed, bits };
        match &self.data {
            Data::U8(v) => Some((v.clone(), small(false, 8))),
            Data::U4(v) => Some((v.clone(), small(false, 4))),
            Data::I8(v) => Some((v.iter().map(|&x| x as u8 ^ 0x80).collect(), small(true, 8))),
            Data::I4(v) => Some((v.iter().map(|&x| (x + 8) as u8).collect(), small(true, 4))),
            _ => None,
        }
    }

    /// QuantizeLinear: float values on steps of `scale` along `axis`.
    pub(crate) fn quantise(&self, scale: &[f32], zero: &[i32], to: Small, axis: usize) -> Option<Self> {
        let values = self.floats()?;
        let (inner, count) = match scale.len() {
            1 => (1, 1),
            n => (self.dims.get(axis + 1..)?.iter().product::<usize>().max(1), n),
        };
        let count_of = 1 << to.bits;
        let low = if to.signed { -count_of / 2 } else { 0 };
        let steps = values.iter().enumerate().map(|(i, &x)| {
            let c = i / inner % count;
            ((x / scale[c]).round_ties_even() as i32)
                .saturating_add(zero[c])
                .clamp(low, low + count_of - 1)
        });
        let data = match (to.signed, to.bits) {
            (true, 4) => Data::I4(steps.map(|s| s as i8).collect()),
            (true, _) => Data::I8(steps.map(|s| s as i8).collect()),
            (false, 4) => Data::U4(steps.map(|s| s as u8).collect()),
            (false, _) => Data::U8(steps.map(|s| s as u8).collect()),
        };
        Some(Self {
            dims: self.dims.clone(),
            data,
        })
    }
}

impl Dequantised {
    /// Real values.
    pub(crate) fn reals(&self) -> Option<Vec<f32>> {
        let inner = match self.scale.len() {
            1 => 1,
            _ => self
                .constant
                .dims
                .get(self.axis + 1..)?
                .iter()
                .product::<usize>()
                .max(1),
        };
        let count = self.scale.len();
        let real = |(i, x): (usize, i64)| {
            let c = i / inner % count;
            (x - i64::from(self.zero[c])) as f32 * self.scale[c]
        };
        Some(self.constant.ints()?.into_iter().enumerate().map(real).collect())
    }
}

/// Values of 4 bits, two to a byte of `raw` or to an element of `ints`, the first in the low half.
fn nibbles(raw: Option<&[u8]>, ints: &[i32], len: usize, bad: &impl Fn(&str) -> NetError) -> Result<Vec<u8>, NetError> {
    let bytes = raw.map_or_else(|| ints.iter().map(|&i| i as u8).collect(), <[u8]>::to_vec);
    if bytes.len() != len.div_ceil(2) {
        return Err(bad(&format!("{} bytes for {len} values of 4 bits", bytes.len())));
    }
    Ok(bytes.iter().flat_map(|&b| [b & 15, b >> 4]).take(len).collect())
}

fn words<const N: usize, T>(raw: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|&b| f(b)).collect()
}
