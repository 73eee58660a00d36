//! Pooling.

use super::{composed, slice, tensor, with_slice};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use farad_kernels::dense::{average_pool_backward, average_pool_forward, max_pool2_backward, max_pool2_forward};
use std::sync::{Mutex, PoisonError};

/// Maximum of 2x2 with stride 2 of `[n][h][w][c]`; an odd last row or column is dropped.
pub(crate) fn max_pool(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::max_pool(x);
    }
    x.apply_op1(MaxPool::default())
}

#[derive(Default)]
struct MaxPool {
    /// Which of the four, for every output.
    argmax: Mutex<Vec<u8>>,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let shape = Shape::from((n, h / 2, w / 2, c));
        let (y, argmax) = max_pool2_forward(n, h, w, c, slice(x, layout)?);
        *self.argmax.lock().unwrap_or_else(PoisonError::into_inner) = argmax;
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (n, h, w, c) = x.dims4()?;
        let argmax = self.argmax.lock().unwrap_or_else(PoisonError::into_inner);
        let dx = with_slice(dy, |dy| max_pool2_backward(n, h, w, c, &argmax, dy))?;
        Ok(Some(tensor(dx, x)?))
    }
}

/// Average over the map: `[n][h][w][c]` to `[n][1][1][c]`.
pub(crate) fn average_pool(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.mean_keepdim((1, 2));
    }
    x.apply_op1(AveragePool)
}

struct AveragePool;

impl CustomOp1 for AveragePool {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = average_pool_forward(n, h * w, c, slice(x, layout)?);
        Ok((CpuStorage::F32(y), Shape::from((n, 1, 1, c))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (n, h, w, c) = x.dims4()?;
        let dx = with_slice(dy, |dy| average_pool_backward(n, h * w, c, dy))?;
        Ok(Some(tensor(dx, x)?))
    }
}
