//! Unsigned bytes times signed bytes into 32-bit sums: the exact accumulators of a layer.

use crate::Isa;
use crate::isa::portable;

/// Outputs computed together.
const WIDTH: usize = 16;
/// Inputs multiplied together.
const DEPTH: usize = 4;

/// Weights `[output][input]` rearranged for [`multiply`].
#[derive(Debug, Clone)]
pub struct Weights {
    inputs: usize,
    outputs: usize,
    /// `[output / 16][input / 4][output % 16][input % 4]`, zero-filled.
    packed: Vec<[[i8; DEPTH]; WIDTH]>,
}

impl Weights {
    /// Packs `weights[output * inputs + input]`.
    ///
    /// # Panics
    /// If the length is not a multiple of `inputs`.
    #[must_use]
    pub fn new(inputs: usize, weights: &[i8]) -> Self {
        assert!(
            inputs > 0 && weights.len().is_multiple_of(inputs),
            "weights are whole rows of inputs"
        );
        let outputs = weights.len() / inputs;
        let depth = inputs.div_ceil(DEPTH);
        let mut packed = vec![[[0; DEPTH]; WIDTH]; outputs.div_ceil(WIDTH) * depth];
        for (o, row) in weights.chunks_exact(inputs).enumerate() {
            for (i, &w) in row.iter().enumerate() {
                packed[o / WIDTH * depth + i / DEPTH][o % WIDTH][i % DEPTH] = w;
            }
        }
        Self {
            inputs,
            outputs,
            packed,
        }
    }

    /// Length that an input row must have: the inputs, rounded up to 4 (the tail is read and must be 0).
    #[must_use]
    pub fn row_len(&self) -> usize {
        self.inputs.next_multiple_of(DEPTH)
    }

    /// Outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

/// `out[output] = sum over inputs of x[input] * w[output][input]` for one row `x`.
///
/// # Panics
/// If `x` or `out` has the wrong length.
pub fn multiply(isa: Isa, weights: &Weights, x: &[u8], out: &mut [i32]) {
    assert!(x.len() == weights.row_len() && out.len() == weights.outputs);
    let depth = x.len() / DEPTH;
    for (block, out) in weights.packed.chunks_exact(depth).zip(out.chunks_mut(WIDTH)) {
        let mut sums = [0i32; WIDTH];
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 {
            // SAFETY: the features were detected; `x` has four bytes per step of the block.
            unsafe { avx512::block(block, x, &mut sums) };
            out.copy_from_slice(&sums[..out.len()]);
            continue;
        }
        multiply_block(isa, block, x, &mut sums);
        out.copy_from_slice(&sums[..out.len()]);
    }
}

portable! {
    fn multiply_block(weights: &[[[i8; DEPTH]; WIDTH]], x: &[u8], sums: &mut [i32; WIDTH]) {
        for (w, x) in weights.iter().zip(x.chunks_exact(DEPTH)) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum += (0..DEPTH).map(|i| i32::from(x[i]) * i32::from(w[i])).sum::<i32>();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{DEPTH, WIDTH};
    use std::arch::x86_64::*;

    /// # Safety
    /// Needs the features below; `x` has four bytes per entry of `weights`.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn block(weights: &[[[i8; DEPTH]; WIDTH]], x: &[u8], sums: &mut [i32; WIDTH]) {
        let mut partial = [_mm512_setzero_si512(); 4];
        for (k, w) in weights.iter().enumerate() {
            // SAFETY: in bounds by the caller's contract; unaligned loads.
            unsafe {
                let x = _mm512_set1_epi32(x.as_ptr().add(DEPTH * k).cast::<i32>().read_unaligned());
                let w = _mm512_loadu_si512(w.as_ptr().cast());
                partial[k % 4] = _mm512_dpbusd_epi32(partial[k % 4], x, w);
            }
        }
        let [a, b, c, d] = partial;
        let sum = _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d));
        // SAFETY: sixteen 32-bit sums are one unaligned 64-byte store.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), sum) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_sum_of_products(inputs in 1usize..70, outputs in 1usize..40, seed in any::<u64>()) {
            let mut state = seed | 1;
            let mut byte = || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); (state >> 56) as u8 };
            let w: Vec<i8> = (0..inputs * outputs).map(|_| byte() as i8).collect();
            let weights = Weights::new(inputs, &w);
            let mut x: Vec<u8> = (0..inputs).map(|_| byte()).collect();
            x.resize(weights.row_len(), 0);
            for &isa in Isa::available() {
                let mut out = vec![0; outputs];
                multiply(isa, &weights, &x, &mut out);
                for o in 0..outputs {
                    let expected: i32 = (0..inputs).map(|i| i32::from(x[i]) * i32::from(w[o * inputs + i])).sum();
                    prop_assert_eq!(out[o], expected);
                }
            }
        }
    }
}
