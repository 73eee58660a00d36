//! Exact integer accumulators, written to be read.

use crate::layer::{Activations, MacEngine, MacLayer};

/// Exact integer arithmetic: the readable truth that every macro is compared with.
///
/// It gathers the row vector of each output position and group and takes its dot product with each weight row, as
/// [`MacLayer`] defines the accumulator. Sums wrap at 32 bits, as the source tools' do.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExactEngine;

impl MacEngine for ExactEngine {
    fn accumulate(&mut self, _index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        let shape = &layer.shape;
        let rows = shape.rows_per_group();
        let (per_group, image_len) = (shape.out_c_per_group(), shape.in_h * shape.in_w * shape.in_c);
        // i16 operands let the compiler use multiply-add instructions; both fit, |x - zero| <= 255 and |w + offset| < 512.
        let weights: Vec<i16> = layer
            .weights
            .iter()
            .map(|&w| i16::from(w) + layer.weight_offset as i16)
            .collect();
        let mut bytes = vec![0u8; rows];
        let mut values = vec![0i16; rows];
        for (image, out) in x
            .data
            .chunks_exact(image_len)
            .zip(out.chunks_exact_mut(shape.positions() * shape.out_c))
        {
            for oy in 0..shape.out_h {
                for ox in 0..shape.out_w {
                    let out = &mut out[(oy * shape.out_w + ox) * shape.out_c..][..shape.out_c];
                    for (group, out) in out.chunks_exact_mut(per_group).enumerate() {
                        shape.gather_rows(image, layer.x_zero, oy, ox, group, &mut bytes);
                        for (value, &byte) in values.iter_mut().zip(&bytes) {
                            *value = i16::from(byte) - i16::from(layer.x_zero);
                        }
                        let weights = &weights[group * per_group * rows..];
                        for (acc, row) in out.iter_mut().zip(weights.chunks_exact(rows)) {
                            *acc = dot(row, &values);
                        }
                    }
                }
            }
        }
    }
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter()
        .zip(b)
        .fold(0i32, |acc, (&a, &b)| acc.wrapping_add(i32::from(a) * i32::from(b)))
}
