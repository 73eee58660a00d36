//! The fully connected layer.

use candle_core::{Result, Tensor};

/// `x w^T + b`: `x` is `[n][1][1][c]`, `w` is `[classes][c]`, the result `[n][classes]`.
pub(crate) fn dense(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    let x = x.reshape((x.dim(0)?, w.dim(1)?))?;
    x.matmul(&w.t()?)?.broadcast_add(b)
}
