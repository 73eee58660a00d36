//! The sum at the end of a residual block.

use super::{composed, slice, tensor, with_slice};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use farad_kernels::dense::{Activation, act_backward, add_act_forward};

/// `act(a + b)` of equal shapes.
pub(crate) fn add(a: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return composed::activate(&(a + b)?, activation);
    }
    a.apply_op2(b, Add(activation))
}

struct Add(Activation);

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (slice(a, a_layout)?, slice(b, b_layout)?);
        let y = add_act_forward(a, b, self.0);
        Ok((CpuStorage::F32(y), a_layout.shape().clone()))
    }

    fn bwd(&self, a: &Tensor, _b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let d = with_slice(y, |y| with_slice(dy, |dy| act_backward(y, dy, self.0)))??;
        let d = tensor(d, a)?;
        Ok((Some(d.clone()), Some(d)))
    }
}
