//! The operators of training, as candle custom operators over NHWC tensors.
//!
//! Convolution, batch norm, mask and activation are one operator: its intermediate tensors, the largest of a training
//! step, then never pass through the autograd graph, which would fill, add and allocate each of them once more. On a
//! device that is not the CPU the same functions are composed of candle's own operators (`composed`), which is also
//! what the tests compare the gradients with.

mod add;
mod composed;
mod conv_norm;
mod dense;
mod loss;
mod pool;

pub(crate) use add::add;
pub(crate) use conv_norm::{Moments, Normalize, conv_norm};
pub(crate) use dense::dense;
pub(crate) use loss::soft_cross_entropy;
pub use loss::{correct, cross_entropy};
pub(crate) use pool::{average_pool, max_pool};

use candle_core::{CpuStorage, Device, Layout, Result, Storage, Tensor};

/// The elements of a contiguous f32 argument of an operator.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((begin, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("an operator of training needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[begin..end])
}

/// Calls `f` with the elements of `tensor`, which is on the CPU.
pub(crate) fn with_slice<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(storage, layout)?)),
        _ => candle_core::bail!("a CPU operator on another device"),
    }
}

/// A CPU tensor of these values.
fn tensor(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}
