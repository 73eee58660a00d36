//! Floating-point kernels of training: convolutions, batch norm, pooling and their gradients.
//!
//! Tensors are row-major NHWC slices of f32. The decision of this module: **a convolution is a product of words**. A word
//! is 32 bits, one f32 or two bf16; operands are first packed into words, position-major with the images of a chunk
//! side by side, so that every image of a tile sees the same valid taps. A position then lists only the taps that fall
//! inside the map, and padding is neither stored nor multiplied; strides and the input gradient are other lists for the
//! same loop. One micro-kernel (`tile`) serves forward, input and weight gradient, in both precisions.
//!
//! In f32, convolutions of 3 by 3 and stride 1 take fewer products with `winograd`, whose matrices the same micro-kernel
//! multiplies, unless their maps or channels are few.
//!
//! Results do not depend on the number of threads: sums are partitioned by shapes alone and added in the order of their
//! index. Unlike the integer kernels, they may differ between instruction sets, which sum with different rounding.
//! The functions use rayon's current pool, and panic if a slice has not the length that its shape says.

mod bf16;
mod convolution;
mod depthwise;
mod elementwise;
mod gather;
mod lanes;
mod memory;
mod norm;
mod pack;
mod pool;
mod shape;
mod split;
#[cfg(test)]
mod tests;
mod tile;
mod unfold;
mod weight_gradient;
mod winograd;

pub use convolution::{conv_forward, conv_input_gradient, conv_weight_gradient};
pub use elementwise::{Activation, act_backward, add_act_forward};
pub use memory::retain_memory;
pub use norm::{Norm, channel_moments, norm_backward, norm_forward};
pub use pool::{average_pool_backward, average_pool_forward, max_pool2_backward, max_pool2_forward};
pub use shape::{Conv2d, Precision};
