//! Sums, products and concatenations of TFLite.

use super::activation::Clamp;
use super::mac::options;
use super::schema::RawOperator;
use super::{Importer, Made};
use crate::error::NetError;
use crate::kernel::binary::TABLE_BYTES;
use crate::kernel::{Binary, Concat, Kernel};
use crate::requant::{Multiplier, Quantiser};

impl<'a> Importer<'a> {
    /// ADD, or SUB with `sign` -1 (`reference_integer_ops::Add`, `PrepareGeneralAddOp`): both operands in units of half
    /// the larger scale's 2^-19, then the sum on the output's scale.
    pub(super) fn add(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
        sign: i32,
    ) -> Result<Made, NetError> {
        const LEFT_SHIFT: u32 = 20;
        let [a, b, y] = self.three(operator, output, node)?;
        let twice_larger = 2.0 * f64::from(a.scale.max(b.scale));
        let factor_a = Multiplier::new(f64::from(a.scale) / twice_larger);
        let factor_b = Multiplier::new(f64::from(b.scale) / twice_larger);
        let factor_y = Multiplier::new(twice_larger / (f64::from(1u32 << LEFT_SHIFT) * f64::from(y.scale)));
        let scaled = |factor: Multiplier, x: u8, zero: u8| factor.apply((i32::from(x) - i32::from(zero)) << LEFT_SHIFT);
        let op = if sign > 0 { "add" } else { "sub" };
        self.binary(operator, output, node, op, |p, q| {
            factor_y.apply(scaled(factor_a, p, a.zero) + sign * scaled(factor_b, q, b.zero))
        })
    }

    /// MUL (`reference_integer_ops::Mul`); the scales combine in float.
    pub(super) fn mul(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let [a, b, y] = self.three(operator, output, node)?;
        let factor = Multiplier::new(f64::from(a.scale * b.scale / y.scale));
        self.binary(operator, output, node, "mul", |p, q| {
            factor.apply((i32::from(p) - i32::from(a.zero)) * (i32::from(q) - i32::from(b.zero)))
        })
    }

    fn three(&self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<[Quantiser; 3], NetError> {
        let (a, b) = (self.input_of(operator, 0, node)?, self.input_of(operator, 1, node)?);
        Ok([self.quantiser(a)?, self.quantiser(b)?, self.quantiser(output)?])
    }

    /// Tabulates `f`, which gives the output before its zero point and clamp.
    fn binary(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
        op: &'static str,
        f: impl Fn(u8, u8) -> i32,
    ) -> Result<Made, NetError> {
        let inputs = vec![self.input_of(operator, 0, node)?, self.input_of(operator, 1, node)?];
        let (a, b) = (self.operand(inputs[0])?, self.operand(inputs[1])?);
        let to = self.quantiser(output)?;
        let (low, high) = Clamp::fused(options(operator, node)?.i8(0, 0)?, node)?.range(to);
        self.builder.charge(node, TABLE_BYTES)?;
        let (a, b) = (&self.builder.tensors[a].dims, &self.builder.tensors[b].dims);
        let kernel = Binary::new(a, b, |p, q| {
            f(p, q)
                .saturating_add(i32::from(to.zero))
                .clamp(i32::from(low), i32::from(high)) as u8
        });
        let kernel = kernel.ok_or_else(|| NetError::form(node, format!("shapes {a:?} and {b:?} do not broadcast")))?;
        Ok(Made {
            op,
            inputs,
            dims: kernel.dims().to_vec(),
            kernel: Kernel::Binary(kernel),
        })
    }

    /// CONCATENATION: TFLite requires all int8 tensors of it to share scale and zero point.
    pub(super) fn concat(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let options = options(operator, node)?;
        if Clamp::fused(options.i8(1, 0)?, node)? != Clamp::None {
            return Err(NetError::form(
                node,
                "a concatenation with a fused activation is not supported",
            ));
        }
        let (axis, to) = (options.i32(0, 0)?, self.quantiser(output)?);
        let mut all = Vec::new();
        for &input in &operator.inputs {
            if self.quantiser(input)? != to {
                return Err(NetError::form(node, "its tensors must share scale and zero point"));
            }
            let tensor = self.operand(input)?;
            all.push(self.builder.tensors[tensor].dims.clone());
        }
        let rank = all.first().map_or(0, Vec::len);
        // Axis 0 is the batch.
        let axis = if axis < 0 {
            i64::from(axis) + rank as i64
        } else {
            i64::from(axis) - 1
        };
        let (dims, runs) = usize::try_from(axis)
            .ok()
            .and_then(|axis| Concat::shape(&all, axis))
            .ok_or_else(|| NetError::form(node, format!("shapes {all:?} do not concatenate")))?;
        let tables = vec![None; runs.len()];
        let kernel = Kernel::Concat(Concat { runs, tables });
        Ok(Made {
            op: "concat",
            inputs: operator.inputs.clone(),
            dims,
            kernel,
        })
    }
}
