//! QuantizeLinear and DequantizeLinear: where float expressions become integer nodes.

use std::rc::Rc;

use super::Importer;
use super::constant::{Constant, Dequantised, Small};
use super::proto::Node;
use super::value::{Placement, Stored, Value};
use crate::error::NetError;
use crate::graph::Tensor;
use crate::network::Input;
use crate::requant::{Quantiser, Ties};

/// Scale, zero point and type of a QuantizeLinear or DequantizeLinear.
struct Steps {
    scale: Vec<f32>,
    zero: Vec<i32>,
    small: Option<Small>,
    axis: usize,
}

impl Steps {
    /// The quantiser of an activation: one scale, an integer of 8 or 4 bits; and whether that is signed.
    fn activation(&self, node: &Node) -> Result<(Quantiser, bool), NetError> {
        let (&[scale], &[zero], Some(small)) = (self.scale.as_slice(), self.zero.as_slice(), self.small) else {
            return Err(NetError::form(
                node.label(),
                "an activation needs one scale and a zero point of type int8, uint8, int4 or uint4",
            ));
        };
        let quantiser = stored_quantiser(scale, zero, small);
        let quantiser = quantiser.ok_or_else(|| NetError::form(node.label(), "its zero point is out of range"))?;
        Ok((quantiser, small.signed))
    }
}

/// The quantiser of a tensor of type `small` whose zero point in the file is `zero`.
fn stored_quantiser(scale: f32, zero: i32, Small { signed, bits }: Small) -> Option<Quantiser> {
    let ties = Ties::Even;
    let mut quantiser = Quantiser {
        scale,
        zero: 0,
        bits,
        ties,
    };
    quantiser.zero = u8::try_from(zero + i32::from(quantiser.origin(signed))).ok()?;
    Some(quantiser).filter(|q| q.zero <= q.most())
}

/// How a result is called, and the type it is quantised to.
pub(super) struct Target<'n> {
    pub(super) node: &'n str,
    pub(super) tensor: &'n str,
    pub(super) quantiser: Quantiser,
    pub(super) signed: bool,
}

impl Importer<'_> {
    fn steps(&self, node: &Node, rank: usize) -> Result<Steps, NetError> {
        let scale = self.constant(node, 1)?;
        let scale = scale
            .floats()
            .map(<[f32]>::to_vec)
            .filter(|s| !s.is_empty() && s.iter().all(|&s| s > 0.0 && s.is_finite()));
        let scale = scale.ok_or_else(|| NetError::form(node.label(), "its scales must be positive floats"))?;
        if node.int("block_size", 0) != 0 {
            return Err(NetError::form(node.label(), "blockwise quantisation is not supported"));
        }
        let zero = self.optional_constant(node, 2)?;
        let uint8 = Small { signed: false, bits: 8 };
        let small = zero.map_or(Some(uint8), |z| z.stored().map(|(_, small)| small));
        let zero = match zero {
            None => vec![0; scale.len()],
            Some(zero) => {
                let ints = zero.ints().unwrap_or_default();
                ints.iter().map(|&z| i32::try_from(z).unwrap_or_default()).collect()
            }
        };
        if zero.len() != scale.len() {
            return Err(NetError::form(node.label(), "it needs as many zero points as scales"));
        }
        let axis = node.int("axis", 1);
        let axis = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        Ok(Steps {
            scale,
            zero,
            small,
            axis: usize::try_from(axis).unwrap_or_default(),
        })
    }

    pub(super) fn dequantize_linear(&mut self, node: &Node) -> Result<Value, NetError> {
        let fit = |steps: &Steps, constant: &Constant| {
            steps.scale.len() == 1 || constant.dims.get(steps.axis) == Some(&steps.scale.len())
        };
        match self.value(node, 0)?.clone() {
            Value::Constant(constant) => {
                let steps = self.steps(node, constant.dims.len())?;
                if !fit(&steps, &constant) || constant.floats().is_some() {
                    return Err(NetError::form(node.label(), "its scales do not fit its constant"));
                }
                let Steps { scale, zero, axis, .. } = steps;
                let constant = Rc::unwrap_or_clone(constant);
                Ok(Value::Dequantised(Rc::new(Dequantised {
                    constant,
                    scale,
                    zero,
                    axis,
                })))
            }
            Value::Stored(stored) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                if quantiser != stored.quantiser || signed != stored.signed {
                    let what = "its scale or zero point differs from its input's QuantizeLinear";
                    return Err(NetError::form(node.label(), what));
                }
                Ok(Value::Float(Rc::new(self.dequantised(&stored, node.label()))))
            }
            // A network whose input is 8-bit already.
            Value::Input(place) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                if quantiser.bits != 8 {
                    return Err(NetError::form(node.label(), "an input of 4 bits cannot hold pixels"));
                }
                let stored = self.place_input(node, place, &node.input[0], quantiser, signed, false)?;
                Ok(Value::Float(Rc::new(self.dequantised(&stored, node.label()))))
            }
            Value::Dequantised(_) | Value::Float(_) => {
                Err(NetError::form(node.label(), "it dequantises something that is float"))
            }
        }
    }

    pub(super) fn quantize_linear(&mut self, node: &Node) -> Result<Value, NetError> {
        let output = node.output.first().cloned().unwrap_or_default();
        match self.value(node, 0)?.clone() {
            Value::Constant(constant) => {
                let Steps {
                    scale,
                    zero,
                    small,
                    axis,
                } = self.steps(node, constant.dims.len())?;
                let fits = scale.len() == 1 || constant.dims.get(axis) == Some(&scale.len());
                let quantised = small
                    .filter(|_| fits)
                    .and_then(|to| constant.quantise(&scale, &zero, to, axis));
                let quantised =
                    quantised.ok_or_else(|| NetError::form(node.label(), "it does not fit its constant"))?;
                Ok(Value::Constant(Rc::new(quantised)))
            }
            Value::Input(place) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                Ok(Value::Stored(
                    self.place_input(node, place, &output, quantiser, signed, true)?,
                ))
            }
            Value::Float(expr) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                let target = Target {
                    node: &expr.node,
                    tensor: &output,
                    quantiser,
                    signed,
                };
                Ok(Value::Stored(self.emit(&expr, &target)?))
            }
            Value::Dequantised(_) | Value::Stored(_) => {
                Err(NetError::form(node.label(), "it quantises something that is quantised"))
            }
        }
    }

    fn place_input(
        &mut self,
        node: &Node,
        place: Placement,
        name: &str,
        quantiser: Quantiser,
        signed: bool,
        is_float: bool,
    ) -> Result<Stored, NetError> {
        if self.input.is_some() {
            return Err(NetError::form(
                node.label(),
                "the input is quantised twice; use one QuantizeLinear",
            ));
        }
        let stored = self.stored(name, place, quantiser, signed)?;
        let dims = self.builder.tensors[stored.tensor].dims.clone();
        let shape = <[usize; 3]>::try_from(dims).unwrap_or([1, 1, stored.place.len()]);
        self.input = Some(Input {
            tensor: stored.tensor,
            shape,
            quantiser,
            is_float,
        });
        Ok(stored)
    }

    pub(super) fn stored(
        &mut self,
        name: &str,
        place: Placement,
        quantiser: Quantiser,
        signed: bool,
    ) -> Result<Stored, NetError> {
        let Quantiser { scale, zero, .. } = quantiser;
        let tensor = Tensor {
            name: name.to_owned(),
            dims: place.stored_dims(),
            scale,
            zero,
            data: None,
        };
        let tensor = self.builder.tensor(tensor)?;
        Ok(Stored {
            tensor,
            quantiser,
            signed,
            place,
        })
    }

    /// A constant operand, row-major.
    pub(super) fn stored_constant(&mut self, name: &str, constant: &Dequantised) -> Result<Stored, NetError> {
        let stored = constant.constant.stored().filter(|_| constant.scale.len() == 1);
        let read = stored.and_then(|(bytes, small)| {
            let quantiser = stored_quantiser(constant.scale[0], constant.zero[0], small)?;
            Some((bytes, quantiser, small.signed))
        });
        let (bytes, quantiser, signed) = read.ok_or_else(|| NetError::NotQuantised {
            tensor: name.to_owned(),
            what: "a constant without one scale and zero point of 8 or 4 bits".to_owned(),
        })?;
        // No batch, and a leading 1 broadcasts either way.
        let dims: Vec<usize> = constant.constant.dims.iter().copied().skip_while(|&d| d == 1).collect();
        let place = Placement::row_major(dims.clone());
        let data = Some(bytes);
        let tensor = Tensor {
            name: name.to_owned(),
            dims,
            scale: quantiser.scale,
            zero: quantiser.zero,
            data,
        };
        Ok(Stored {
            tensor: self.builder.tensor(tensor)?,
            quantiser,
            signed,
            place,
        })
    }
}
