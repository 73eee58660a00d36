//! Functions of one int8 value, as TFLite's reference kernels compute them, in 256-entry tables.

use super::schema::RawOperator;
use super::{Importer, Made, code};
use crate::error::NetError;
use crate::fixed_point::{input_radius, logistic};
use crate::kernel::{Kernel, table};
use crate::requant::{Multiplier, Quantiser, rounding_divide_by_pot};

/// A fused or standalone clamping activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clamp {
    None,
    Relu,
    ReluN1To1,
    Relu6,
}

impl Clamp {
    /// From `ActivationFunctionType`.
    pub(super) fn fused(value: i8, node: &str) -> Result<Self, NetError> {
        match value {
            0 => Ok(Self::None),
            1 => Ok(Self::Relu),
            2 => Ok(Self::ReluN1To1),
            3 => Ok(Self::Relu6),
            _ => Err(NetError::form(
                node,
                format!("fused activation {value}; only Relu, Relu6 and ReluN1To1 are supported"),
            )),
        }
    }

    /// Stored bytes it clamps to (`CalculateActivationRangeQuantized` in `kernel_util.cc`).
    pub(super) fn range(self, output: Quantiser) -> (u8, u8) {
        match self {
            Self::None => (0, 255),
            Self::Relu => (output.quantise(0.0), 255),
            Self::ReluN1To1 => (output.quantise(-1.0), output.quantise(1.0)),
            Self::Relu6 => (output.quantise(0.0), output.quantise(6.0)),
        }
    }
}

impl<'a> Importer<'a> {
    fn unary(
        &self,
        operator: &RawOperator<'a>,
        node: &str,
        op: &'static str,
        f: impl Fn(u8) -> u8,
    ) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        Ok(Made {
            op,
            inputs: vec![x],
            dims: self.dims(x)?,
            kernel: Kernel::Table(table(f)),
        })
    }

    /// `(from, to)` of an operator with one input.
    fn ends(&self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<(Quantiser, Quantiser), NetError> {
        Ok((
            self.quantiser(self.input_of(operator, 0, node)?)?,
            self.quantiser(output)?,
        ))
    }

    /// RELU and its kin (`QuantizedReluX`).
    pub(super) fn relu(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let (from, to) = self.ends(operator, output, node)?;
        let (clamp, op) = match operator.code {
            code::RELU => (Clamp::Relu, "relu"),
            code::RELU6 => (Clamp::Relu6, "relu6"),
            _ => (Clamp::ReluN1To1, "relu_n1_to_1"),
        };
        // The reference divides the scales in float.
        let factor = Multiplier::new(f64::from(from.scale / to.scale));
        self.unary(operator, node, op, rescale(factor, from, to, clamp.range(to)))
    }

    /// QUANTIZE between 8-bit tensors (`reference_ops::Requantize`).
    pub(super) fn requantise(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let (from, to) = self.ends(operator, output, node)?;
        let factor = Multiplier::new(f64::from(from.scale) / f64::from(to.scale));
        self.unary(operator, node, "quantize", rescale(factor, from, to, (0, 255)))
    }

    /// LOGISTIC (`reference_integer_ops::Logistic`); its output scale is 1/256, its zero point -128.
    pub(super) fn logistic(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        const INPUT_INTEGER_BITS: u32 = 4;
        let (from, to) = self.ends(operator, output, node)?;
        if to.scale != 1.0 / 256.0 || to.zero != 0 {
            return Err(NetError::form(
                node,
                "an int8 logistic must have output scale 1/256 and zero point -128",
            ));
        }
        let factor = Multiplier::new(f64::from(from.scale) * f64::from(1u32 << (31 - INPUT_INTEGER_BITS)));
        let radius = input_radius(INPUT_INTEGER_BITS, factor.shift);
        self.unary(operator, node, "sigmoid", |x| {
            let x = i32::from(x) - i32::from(from.zero);
            if x <= -radius {
                0
            } else if x >= radius {
                255
            } else {
                rounding_divide_by_pot(logistic(factor.apply(x), INPUT_INTEGER_BITS), 31 - 8).clamp(0, 255) as u8
            }
        })
    }

    /// HARD_SWISH (`reference_ops::HardSwish`): 16-bit fixed point.
    pub(super) fn hard_swish(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let (from, to) = self.ends(operator, output, node)?;
        let fine_scale = (1.0 / 128.0) * from.scale;
        let to_output = Multiplier::new(f64::from(fine_scale / to.scale));
        let to_gate = Multiplier::new(f64::from(fine_scale / (3.0 / 32768.0)));
        if to_output.shift > 0 {
            return Err(NetError::form(
                node,
                "its output scale is too small for its input scale",
            ));
        }
        self.unary(operator, node, "hard_swish", |x| {
            hard_swish(i32::from(x) - i32::from(from.zero), to_gate, to_output, to.zero)
        })
    }
}

/// `factor * (x - from.zero) + to.zero`, clamped.
fn rescale(factor: Multiplier, from: Quantiser, to: Quantiser, (low, high): (u8, u8)) -> impl Fn(u8) -> u8 {
    move |x| {
        let y = factor
            .apply(i32::from(x) - i32::from(from.zero))
            .saturating_add(i32::from(to.zero));
        y.clamp(i32::from(low), i32::from(high)) as u8
    }
}

fn hard_swish(x: i32, to_gate: Multiplier, to_output: Multiplier, zero: u8) -> u8 {
    let fine = saturate16(x << 7);
    let unshifted = high_mul16(fine, mantissa16(to_output));
    let mut gate = fine;
    if to_gate.shift > 0 {
        gate = saturate16(gate << (to_gate.shift - 1).min(16));
    }
    gate = high_mul16(gate, mantissa16(to_gate));
    if to_gate.shift > 0 {
        gate = saturate16(gate << 1);
    } else {
        gate = rounding_divide_by_pot(gate, -to_gate.shift);
    }
    // From [-1, 1] to [0, 1].
    let gate = (gate + (1 << 15)) >> 1;
    let product = if gate == -(1 << 15) && unshifted == gate {
        i32::from(i16::MAX)
    } else {
        gate * unshifted / (1 << 15)
    };
    (rounding_divide_by_pot(product, -to_output.shift) + i32::from(zero)).clamp(0, 255) as u8
}

fn saturate16(x: i32) -> i32 {
    x.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// The 16-bit `SaturatingRoundingDoublingHighMul`; a mantissa is never -2^15.
fn high_mul16(a: i32, b: i32) -> i32 {
    let product = a * b;
    (product + if product >= 0 { 1 << 14 } else { 1 - (1 << 14) }) / (1 << 15)
}

/// `DownScaleInt32ToInt16Multiplier`.
fn mantissa16(m: Multiplier) -> i32 {
    (m.mantissa.saturating_add(1 << 15) >> 16).min(i32::from(i16::MAX))
}
