//! What a name of an ONNX graph stands for.

use std::rc::Rc;

use super::constant::{Constant, Dequantised};
use super::movement::Move;
use crate::kernel::pool::Window;
use crate::layer::MacLayer;
use crate::requant::{Quantiser, Unary};

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Numbers of the file.
    Constant(Rc<Constant>),
    /// DequantizeLinear of such numbers.
    Dequantised(Rc<Dequantised>),
    /// The network's input, before anything quantised it.
    Input(Placement),
    /// An activation in integers.
    Stored(Stored),
    /// A float activation, somewhere between DequantizeLinear and QuantizeLinear.
    Float(Rc<Expr>),
}

/// Logical dimensions of one image, and which logical axis is stored first, second, ...
///
/// A picture is `[c, h, w]` to ONNX and stored NHWC: its order is `[1, 2, 0]`. So a Transpose only renames axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) dims: Vec<usize>,
    pub(crate) order: Vec<usize>,
}

/// Stored order of a picture `[c, h, w]`.
pub(crate) const NHWC: [usize; 3] = [1, 2, 0];

impl Placement {
    pub(crate) fn row_major(dims: Vec<usize>) -> Self {
        Self {
            order: (0..dims.len()).collect(),
            dims,
        }
    }

    /// A picture of `c` channels, stored NHWC.
    pub(crate) fn picture(c: usize, h: usize, w: usize) -> Self {
        Self {
            dims: vec![c, h, w],
            order: NHWC.to_vec(),
        }
    }

    /// Dimensions as stored.
    pub(crate) fn stored_dims(&self) -> Vec<usize> {
        self.order.iter().map(|&axis| self.dims[axis]).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

/// An activation of the graph, one byte each.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) tensor: usize,
    pub(crate) quantiser: Quantiser,
    /// int8 or int4 in the file.
    pub(crate) signed: bool,
    pub(crate) place: Placement,
}

impl Stored {
    /// The file's zero point.
    pub(crate) fn file_zero(&self) -> f32 {
        f32::from(self.quantiser.zero) - self.origin()
    }

    /// What a stored byte exceeds the file's number by.
    pub(crate) fn origin(&self) -> f32 {
        f32::from(self.quantiser.origin(self.signed))
    }
}

/// A float activation: what it comes from, then functions of each value, then movements. Movements and monotone functions
/// commute with quantisation, so both can wait until the QuantizeLinear decides the scale.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    /// Name of the float tensor that `source` is.
    pub(crate) name: String,
    /// Name of the node that made it.
    pub(crate) node: String,
    pub(crate) source: Source,
    pub(crate) post: Vec<Unary>,
    pub(crate) moves: Vec<Move>,
}

/// Where a float activation comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// DequantizeLinear of an activation.
    Stored(Stored),
    /// A layer's accumulators.
    Mac(Rc<Mac>),
    /// A sum or product of two activations.
    Binary { op: BinaryOp, a: Operand, b: Operand },
    /// A mean over windows; `count_pads` where padding counts.
    Mean {
        input: Stored,
        window: Window,
        count_pads: bool,
        global: bool,
    },
    /// Activations joined along a logical axis.
    Concat { inputs: Vec<Operand>, axis: usize },
    /// Softmax along the last axis.
    Softmax(Rc<Expr>),
}

/// A dequantised activation and functions of its values.
#[derive(Debug, Clone)]
pub(crate) struct Operand {
    pub(crate) stored: Stored,
    pub(crate) post: Vec<Unary>,
}

impl Operand {
    pub(crate) fn real(&self, byte: u8) -> f32 {
        Unary::all(&self.post, self.stored.quantiser.real(byte))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Mul,
}

/// A layer before its output is quantised.
#[derive(Debug, Clone)]
pub(crate) struct Mac {
    pub(crate) layer: MacLayer,
    pub(crate) input: Stored,
    /// Real value of one accumulator step, per channel.
    pub(crate) scale: Vec<f32>,
    pub(crate) bias: Bias,
    pub(crate) place: Placement,
}

/// A layer's bias.
#[derive(Debug, Clone)]
pub(crate) enum Bias {
    /// In accumulator steps.
    Steps(Vec<i32>),
    /// In real units.
    Real(Vec<f32>),
}

impl Mac {
    /// The bias in real units.
    pub(crate) fn real_bias(&self) -> Vec<f32> {
        match &self.bias {
            Bias::Steps(steps) => steps.iter().zip(&self.scale).map(|(&b, &s)| b as f32 * s).collect(),
            Bias::Real(real) => real.clone(),
        }
    }
}
