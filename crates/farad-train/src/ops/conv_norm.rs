//! Convolution, batch norm, mask and activation in one.

use super::{composed, slice, tensor, with_slice};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use farad_kernels::dense::{
    Activation, Conv2d, Norm, Precision, channel_moments, conv_forward, conv_input_gradient, conv_weight_gradient,
    norm_backward, norm_forward,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Added to a variance before its root (the usual value of batch norm).
pub(crate) const EPSILON: f32 = 1e-5;

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f32>,
    pub(crate) var: Vec<f32>,
}

impl Moments {
    pub(crate) fn inv_std(&self) -> Vec<f32> {
        self.var.iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect()
    }
}

/// What the batch norm subtracts and divides by.
#[derive(Debug, Clone)]
pub(crate) enum Normalize {
    /// The moments of this batch, through which the gradient flows.
    Batch,
    /// These moments.
    With(Moments),
}

/// `act(m * (gamma * (conv(x, w) - mean) / sqrt(var + eps) + beta))`, and the moments that normalised it.
///
/// `x` is `[n][h][w][c_in]`, `w` is `[c_out][k][k][c_in]` (depthwise `[c_out][k][k]`). `affine` is `[2 + m][c_out]`: gamma,
/// beta, and the mask of each image, where `m` is `n`, or 0 for no mask.
pub(crate) fn conv_norm(
    x: &Tensor,
    w: &Tensor,
    affine: &Tensor,
    shape: Conv2d,
    precision: Precision,
    activation: Activation,
    normalize: &Normalize,
) -> Result<(Tensor, Moments)> {
    if !x.device().is_cpu() {
        return composed::conv_norm(x, w, affine, shape, activation, normalize);
    }
    let saved = Arc::new(Mutex::new(None));
    let op = ConvNorm {
        shape,
        precision,
        activation,
        fixed: match normalize {
            Normalize::Batch => None,
            Normalize::With(moments) => Some(moments.clone()),
        },
        saved: Arc::clone(&saved),
    };
    let y = x.contiguous()?.apply_op3(&w.contiguous()?, &affine.contiguous()?, op)?;
    let saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
    match &*saved {
        Some(Saved { moments, .. }) => Ok((y, moments.clone())),
        None => candle_core::bail!("the convolution did not run"),
    }
}

struct ConvNorm {
    shape: Conv2d,
    precision: Precision,
    activation: Activation,
    fixed: Option<Moments>,
    saved: Arc<Mutex<Option<Saved>>>,
}

/// What the forward pass leaves for the backward pass.
struct Saved {
    /// Output of the convolution.
    u: Vec<f32>,
    moments: Moments,
}

impl ConvNorm {
    fn norm<'a>(&self, affine: &'a [f32]) -> Norm<'a> {
        let channels = self.shape.out_channels;
        Norm {
            images: self.shape.images,
            positions: self.shape.out_height() * self.shape.out_width(),
            channels,
            gamma: &affine[..channels],
            beta: &affine[channels..2 * channels],
            mask: Some(&affine[2 * channels..]).filter(|mask| !mask.is_empty()),
            activation: self.activation,
        }
    }
}

impl CustomOp3 for ConvNorm {
    fn name(&self) -> &'static str {
        "conv-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let affine = slice(affine, affine_layout)?;
        let (x, w) = (slice(x, x_layout)?, slice(w, w_layout)?);
        let u = conv_forward(&self.shape, self.precision, x, w);
        let norm = self.norm(affine);
        let moments = self.fixed.clone().unwrap_or_else(|| {
            let (mut mean, mut var) = (vec![0.0; norm.channels], vec![0.0; norm.channels]);
            channel_moments(norm.images * norm.positions, norm.channels, &u, &mut mean, &mut var);
            Moments { mean, var }
        });
        let y = norm_forward(&norm, &u, &moments.mean, &moments.inv_std());
        let shape = Shape::from((
            self.shape.images,
            self.shape.out_height(),
            self.shape.out_width(),
            norm.channels,
        ));
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Saved { u, moments });
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        affine: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Saved { mut u, moments }) = saved.take() else {
            candle_core::bail!("a second backward pass through one forward pass");
        };
        drop(saved);
        if self.fixed.is_some() {
            candle_core::bail!("no gradient through fixed moments");
        }
        let channels = self.shape.out_channels;
        let d_affine = with_slice(affine, |values| {
            with_slice(dy, |dy| {
                let norm = self.norm(values);
                let mut d = vec![0.0; values.len()];
                let (scale_shift, gate) = d.split_at_mut(2 * channels);
                let (dgamma, dbeta) = scale_shift.split_at_mut(channels);
                let gate = Some(gate).filter(|gate| !gate.is_empty());
                let inv_std = moments.inv_std();
                norm_backward(&norm, &mut u, &moments.mean, &inv_std, dy, dgamma, dbeta, gate);
                d
            })
        })??;
        let du = u;
        let dw = with_slice(x, |x| conv_weight_gradient(&self.shape, self.precision, x, &du))?;
        // The images need no gradient.
        let dx = if x.track_op() {
            let dx = with_slice(w, |w| conv_input_gradient(&self.shape, self.precision, &du, w))?;
            Some(tensor(dx, x)?)
        } else {
            None
        };
        Ok((dx, Some(tensor(dw, w)?), Some(tensor(d_affine, affine)?)))
    }
}
