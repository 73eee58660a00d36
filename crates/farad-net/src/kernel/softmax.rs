//! Softmax along the last axis, on bytes.

use crate::fixed_point::{exp_of_negative, input_radius, reciprocal_of_one_plus};
use crate::requant::{Multiplier, Quantiser, doubling_high_mul, rounding_divide_by_pot};

/// Exponentials by how far a byte lies below the row's largest, and how they are normalised.
#[derive(Debug, Clone)]
pub(crate) struct Softmax {
    depth: usize,
    arithmetic: Arithmetic,
}

#[derive(Debug, Clone)]
enum Arithmetic {
    /// TFLite's reference kernel; exponentials in Q0.
    Fixed(Box<[i32; 256]>),
    /// Float exponentials.
    Float(Box<[f32; 256]>, Quantiser),
}

impl Softmax {
    /// TFLite's int8 reference kernel: `reference_ops::Softmax` and `PreprocessSoftmaxScaling`. Its output scale is 1/256.
    pub(crate) fn tflite(depth: usize, input_scale: f32, beta: f32) -> Self {
        const INTEGER_BITS: u32 = 5;
        let real = f64::from(beta) * f64::from(input_scale) * f64::from(1u32 << (31 - INTEGER_BITS));
        let multiplier = Multiplier::new(real.min(f64::from(i32::MAX)));
        let radius = input_radius(INTEGER_BITS, multiplier.shift);
        let exps = std::array::from_fn(|below| match below as i32 {
            below if below <= radius => exp_of_negative(multiplier.apply(-below), INTEGER_BITS),
            _ => 0,
        });
        Self {
            depth,
            arithmetic: Arithmetic::Fixed(Box::new(exps)),
        }
    }

    /// Softmax in f32.
    pub(crate) fn float(depth: usize, input_scale: f32, output: Quantiser) -> Self {
        let exps = std::array::from_fn(|below| libm::expf(-(below as f32) * input_scale));
        Self {
            depth,
            arithmetic: Arithmetic::Float(Box::new(exps), output),
        }
    }

    pub(crate) fn run(&self, x: &[u8], out: &mut [u8]) {
        for (x, out) in x.chunks_exact(self.depth).zip(out.chunks_exact_mut(self.depth)) {
            let largest = x.iter().copied().max().unwrap_or(0);
            match &self.arithmetic {
                Arithmetic::Fixed(exps) => fixed_row(exps, largest, x, out),
                Arithmetic::Float(exps, quantiser) => {
                    let sum: f32 = x.iter().map(|&x| exps[usize::from(largest - x)]).sum();
                    for (x, out) in x.iter().zip(out) {
                        *out = quantiser.quantise(exps[usize::from(largest - x)] / sum);
                    }
                }
            }
        }
    }
}

fn fixed_row(exps: &[i32; 256], largest: u8, x: &[u8], out: &mut [u8]) {
    const ACCUMULATOR_INTEGER_BITS: i32 = 12;
    let sum = x.iter().fold(0i32, |sum, &x| {
        sum.wrapping_add(rounding_divide_by_pot(
            exps[usize::from(largest - x)],
            ACCUMULATOR_INTEGER_BITS,
        ))
    });
    let headroom = sum.leading_zeros();
    let fraction = ((sum as u32) << headroom).wrapping_sub(1 << 31) as i32;
    let scale = reciprocal_of_one_plus(fraction);
    // 8 bits of output below the sum's integer bits.
    let exponent = (ACCUMULATOR_INTEGER_BITS - headroom as i32 + 31 - 8).clamp(0, 31);
    for (&x, out) in x.iter().zip(out) {
        let y = rounding_divide_by_pot(doubling_high_mul(scale, exps[usize::from(largest - x)]), exponent);
        *out = y.clamp(0, 255) as u8;
    }
}

/// Softmax of one image's logits, in place.
pub(crate) fn softmax_f32(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in logits.iter_mut() {
        *x = libm::expf(*x - largest);
        sum += *x;
    }
    for x in logits.iter_mut() {
        *x /= sum;
    }
}
