//! The three products of a convolution.

use super::shape::{Conv2d, Precision};

fn operand(precision: Precision, x: f32) -> f32 {
    match precision {
        Precision::F32 => x,
        Precision::Bf16 => {
            let bits = x.to_bits();
            f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
        }
    }
}

/// Visits every product: `(input index, weight index, output index)`.
fn for_each(c: &Conv2d, mut f: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (c.out_height(), c.out_width());
    for n in 0..c.images {
        for oy in 0..oh {
            for ox in 0..ow {
                for ky in 0..c.kernel {
                    for kx in 0..c.kernel {
                        let (Some(y), Some(x)) = (c.source(oy, ky, c.height), c.source(ox, kx, c.width)) else {
                            continue;
                        };
                        let input = ((n * c.height + y) * c.width + x) * c.in_channels;
                        let output = ((n * oh + oy) * ow + ox) * c.out_channels;
                        let tap = ky * c.kernel + kx;
                        for co in 0..c.out_channels {
                            if c.depthwise {
                                f(input + co, co * c.taps() + tap, output + co);
                                continue;
                            }
                            for ci in 0..c.in_channels {
                                f(input + ci, (co * c.taps() + tap) * c.in_channels + ci, output + co);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `y[n][oy][ox][co]`, the convolution of `x` with `w[co][ky][kx][ci]` (depthwise: `w[c][ky][kx]`).
///
/// # Panics
/// If a length is wrong.
pub fn conv_forward(c: &Conv2d, precision: Precision, x: &[f32], w: &[f32], y: &mut [f32]) {
    c.check(x.len(), w.len(), y.len());
    y.fill(0.0);
    for_each(c, |i, k, o| y[o] += operand(precision, x[i]) * operand(precision, w[k]));
}

/// `dx`, the gradient with respect to the input, from `dy`, that with respect to the output.
///
/// # Panics
/// If a length is wrong.
pub fn conv_input_gradient(c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    c.check(dx.len(), w.len(), dy.len());
    dx.fill(0.0);
    for_each(c, |i, k, o| {
        dx[i] += operand(precision, dy[o]) * operand(precision, w[k])
    });
}

/// `dw`, the gradient with respect to the weights, summed over the batch.
///
/// # Panics
/// If a length is wrong.
pub fn conv_weight_gradient(c: &Conv2d, precision: Precision, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    c.check(x.len(), dw.len(), dy.len());
    dw.fill(0.0);
    for_each(c, |i, k, o| {
        dw[k] += operand(precision, x[i]) * operand(precision, dy[o])
    });
}
