//! The layers that multiply and accumulate: what the macro has to do.

use farad_core::MacShape;

/// A convolution or fully connected layer in integers.
///
/// Activations are unsigned bytes everywhere in Farad: an int8 tensor is stored with 128 added to its values and to
/// its zero point, an int4 tensor with 8. The exact accumulator of output channel `o` at a position is
/// `sum_r (w[o][r] + weight_offset) * (x[r] - x_zero)`, and a padding tap has `x = x_zero`.
#[derive(Debug, Clone)]
pub struct MacLayer {
    /// The node's name in the source file.
    pub name: String,
    /// `conv2d`, `depthwise_conv2d` or `dense`.
    pub op: &'static str,
    /// Shape for one image.
    pub shape: MacShape,
    /// Signed weights, `[out_c][ky][kx][in_c / groups]`.
    pub weights: Vec<i8>,
    /// Added to each weight (an asymmetric weight tensor); 0 for symmetric weights.
    pub weight_offset: i32,
    /// Zero point of the input, in stored (unsigned) terms.
    pub x_zero: u8,
    /// Bits of an activation, 8 unless the source says fewer.
    pub input_bits: u32,
    /// Bits of a weight, 8 unless the source says fewer.
    pub weight_bits: u32,
}

/// [`MacLayer::op`] of a convolution.
pub(crate) fn convolution_op(shape: &MacShape) -> &'static str {
    if shape.groups == shape.in_c && shape.in_c > 1 {
        "depthwise_conv2d"
    } else {
        "conv2d"
    }
}

/// Activations of a batch as the macro sees them.
#[derive(Debug, Clone, Copy)]
pub struct Activations<'a> {
    /// Unsigned bytes, NHWC.
    pub data: &'a [u8],
    /// Dataset index of each image of the batch: what random draws are keyed by.
    pub images: &'a [u32],
}

/// Whatever computes the accumulators of MAC layers: exact integers, or a macro.
pub trait MacEngine {
    /// Fills `out` (`[image][oy][ox][out_c]`) with accumulators of layer `index` of the network, without bias.
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]);
}
