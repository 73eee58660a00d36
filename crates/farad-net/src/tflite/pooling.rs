//! Pooling and means of TFLite.

use super::activation::Clamp;
use super::mac::{options, padding, size};
use super::schema::RawOperator;
use super::{INT8_ORIGIN, Importer, Made, code};
use crate::error::NetError;
use crate::kernel::Kernel;
use crate::kernel::pool::{Pool, Reduce, Window};
use crate::requant::Multiplier;

impl<'a> Importer<'a> {
    /// AVERAGE_POOL_2D and MAX_POOL_2D (`reference_integer_ops::AveragePool`, `MaxPool`): neither rescales.
    pub(super) fn pool(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let options = options(operator, node)?;
        let x = self.input_of(operator, 0, node)?;
        let [in_h, in_w, channels] = self.picture(x)?;
        let stride_w = size(options.i32(1, 0)?, node)?;
        let stride_h = size(options.i32(2, 0)?, node)?;
        let kernel_w = size(options.i32(3, 0)?, node)?;
        let kernel_h = size(options.i32(4, 0)?, node)?;
        let padding = padding(&options)?;
        let no_window = || NetError::form(node, "its window is larger than its input");
        let (out_h, pad_top) = padding.resolve(in_h, kernel_h, stride_h, 1).ok_or_else(no_window)?;
        let (out_w, pad_left) = padding.resolve(in_w, kernel_w, stride_w, 1).ok_or_else(no_window)?;
        let to = self.quantiser(output)?;
        if self.quantiser(x)? != to {
            return Err(NetError::form(node, "input and output must share scale and zero point"));
        }
        let (low, high) = Clamp::fused(options.i8(5, 0)?, node)?.range(to);
        let (op, reduce) = match operator.code {
            code::MAX_POOL_2D => ("max_pool", Reduce::Max { low, high }),
            _ => (
                "average_pool",
                Reduce::MeanRaw {
                    origin: INT8_ORIGIN,
                    low,
                    high,
                },
            ),
        };
        let window = Window {
            in_h,
            in_w,
            channels,
            out_h,
            out_w,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
        };
        let kernel = Kernel::Pool(Pool { window, reduce });
        Ok(Made {
            op,
            inputs: vec![x],
            dims: vec![out_h, out_w, channels],
            kernel,
        })
    }

    /// MEAN over height and width.
    pub(super) fn mean(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        let mut axes = self.integers(self.input_of(operator, 1, node)?, node)?;
        for axis in &mut axes {
            *axis += if *axis < 0 { 4 } else { 0 };
        }
        axes.sort_unstable();
        if axes != [1, 2] {
            return Err(NetError::form(
                node,
                format!("a mean over axes {axes:?}; only height and width are supported"),
            ));
        }
        let [h, w, channels] = self.picture(x)?;
        let (from, to) = (self.quantiser(x)?, self.quantiser(output)?);
        let factor = mean_factor(Multiplier::new(f64::from(from.scale) / f64::from(to.scale)), h * w);
        let reduce = Reduce::MeanFixed {
            factor,
            in_zero: i32::from(from.zero),
            out_zero: i32::from(to.zero),
        };
        let kernel = Kernel::Pool(Pool {
            window: Window::global(h, w, channels),
            reduce,
        });
        let dims = if options(operator, node)?.bool(0)? {
            vec![1, 1, channels]
        } else {
            vec![channels]
        };
        Ok(Made {
            op: "mean",
            inputs: vec![x],
            dims,
            kernel,
        })
    }
}

/// The factor of a sum that makes it a mean of `count` (`reference_ops::QuantizedMeanOrSum`).
fn mean_factor(factor: Multiplier, count: usize) -> Multiplier {
    let shift = (usize::BITS - 1 - count.leading_zeros())
        .min(32)
        .min((31 + factor.shift).max(0) as u32);
    let mantissa = (i64::from(factor.mantissa) << shift) / count as i64;
    Multiplier {
        mantissa: mantissa as i32,
        shift: factor.shift - shift as i32,
    }
}
