//! Bit operations, two ways of counting them.

use crate::layer::MacLayer;

/// `MACs * weight bits * input bits`, for one image.
#[must_use]
pub fn bops(layer: &MacLayer) -> u64 {
    layer
        .shape
        .macs()
        .saturating_mul(u64::from(layer.weight_bits) * u64::from(layer.input_bits))
}

/// `MACs * (b_w b_a + b_w + b_a + log2(n k^2))`, for one image, rounded to an integer: the multiplier and the adder of
/// the accumulator width, with `n` input channels of a group and `k^2` kernel taps.
///
/// Baskin et al., "UNIQ: Uniform Noise Injection for Non-Uniform Quantization of Neural Networks", ACM TOCS 37 (2021),
/// section 4.1 (arXiv:1804.10969).
#[must_use]
pub fn bops_uniq(layer: &MacLayer) -> u64 {
    let (w, a) = (f64::from(layer.weight_bits), f64::from(layer.input_bits));
    let fan_in = layer.shape.rows_per_group() as f64;
    (layer.shape.macs() as f64 * (w * a + w + a + libm::log2(fan_in))).round() as u64
}
