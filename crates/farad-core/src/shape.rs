//! The shape of a layer that multiplies and accumulates.

use serde::{Deserialize, Serialize};

/// Shape of a convolution, depthwise convolution or fully connected layer, one image.
///
/// A fully connected layer is a 1x1 convolution over a 1x1 picture. The *row vector* of one output
/// position and group lists its inputs in the order `(ky, kx, c)`, `c` running over the group's input
/// channels; the weights of one output channel have the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacShape {
    /// Input height, width in pixels and channels.
    pub in_h: usize,
    /// Input width in pixels.
    pub in_w: usize,
    /// Input channels, all groups together.
    pub in_c: usize,
    /// Output height in pixels.
    pub out_h: usize,
    /// Output width in pixels.
    pub out_w: usize,
    /// Output channels, all groups together.
    pub out_c: usize,
    /// Kernel height.
    pub kernel_h: usize,
    /// Kernel width.
    pub kernel_w: usize,
    /// Vertical stride.
    pub stride_h: usize,
    /// Horizontal stride.
    pub stride_w: usize,
    /// Vertical dilation.
    pub dilation_h: usize,
    /// Horizontal dilation.
    pub dilation_w: usize,
    /// Rows of padding above the picture (below it, whatever the output height needs).
    pub pad_top: usize,
    /// Columns of padding left of the picture.
    pub pad_left: usize,
    /// Groups; `in_c` for a depthwise convolution.
    pub groups: usize,
}

impl MacShape {
    /// Shape of a fully connected layer.
    #[must_use]
    pub fn dense(inputs: usize, outputs: usize) -> Self {
        Self {
            in_h: 1,
            in_w: 1,
            in_c: inputs,
            out_h: 1,
            out_w: 1,
            out_c: outputs,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
            groups: 1,
        }
    }

    /// Length of one group's row vector: kernel taps times input channels of a group.
    #[must_use]
    pub fn rows_per_group(&self) -> usize {
        self.kernel_h * self.kernel_w * self.in_c_per_group()
    }

    /// Input channels of one group.
    #[must_use]
    pub fn in_c_per_group(&self) -> usize {
        self.in_c / self.groups
    }

    /// Output channels of one group.
    #[must_use]
    pub fn out_c_per_group(&self) -> usize {
        self.out_c / self.groups
    }

    /// Output pixels of one image.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.out_h * self.out_w
    }

    /// Multiply-accumulates of one image, padding taps included (they are driven on the macro too).
    #[must_use]
    pub fn macs(&self) -> u64 {
        (self.positions() * self.out_c) as u64 * self.rows_per_group() as u64
    }

    /// Weights, without biases.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.out_c as u64 * self.rows_per_group() as u64
    }

    /// Copies the row vector of output pixel `(oy, ox)` and `group` from one NHWC image into `rows`
    /// (length [`rows_per_group`](Self::rows_per_group)); taps outside the picture read `pad`.
    pub fn gather_rows(&self, image: &[u8], pad: u8, oy: usize, ox: usize, group: usize, rows: &mut [u8]) {
        let c = self.in_c_per_group();
        let mut at = 0;
        for ky in 0..self.kernel_h {
            let y = (oy * self.stride_h + ky * self.dilation_h).wrapping_sub(self.pad_top);
            for kx in 0..self.kernel_w {
                let x = (ox * self.stride_w + kx * self.dilation_w).wrapping_sub(self.pad_left);
                let to = &mut rows[at..at + c];
                if y < self.in_h && x < self.in_w {
                    let from = (y * self.in_w + x) * self.in_c + group * c;
                    to.copy_from_slice(&image[from..from + c]);
                } else {
                    to.fill(pad);
                }
                at += c;
            }
        }
    }
}
