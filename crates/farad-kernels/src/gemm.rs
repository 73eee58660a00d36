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

/// Rows of inputs that [`multiply`] takes at once.
pub const ROWS: usize = 3;

/// `out[row][output] = sum over inputs of x[row][input] * w[output][input]` for up to [`ROWS`] rows, each of [`Weights::row_len`].
///
/// # Panics
/// If `x` or `out` has the wrong length.
pub fn multiply(isa: Isa, weights: &Weights, x: &[u8], out: &mut [i32]) {
    let (len, outputs) = (weights.row_len(), weights.outputs);
    let rows = x.len() / len;
    assert!(rows <= ROWS && x.len() == rows * len && out.len() == rows * outputs);
    let depth = len / DEPTH;
    for (b, block) in weights.packed.chunks_exact(depth).enumerate() {
        let mut sums = [[0i32; WIDTH]; ROWS];
        multiply_rows(isa, block, x, &mut sums[..rows]);
        let columns = b * WIDTH..outputs.min((b + 1) * WIDTH);
        for (out, sums) in out.chunks_exact_mut(outputs).zip(&sums) {
            out[columns.clone()].copy_from_slice(&sums[..columns.len()]);
        }
    }
}

/// One block of outputs of some rows, into zeros.
fn multiply_rows(isa: Isa, block: &[[[i8; DEPTH]; WIDTH]], x: &[u8], sums: &mut [[i32; WIDTH]]) {
    let len = DEPTH * block.len();
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx2 {
        // SAFETY: the features were detected; `x` has as many rows as there are sums, and each has four bytes per step of the block.
        unsafe {
            match sums {
                [a] => avx2::block(block, x, [a]),
                [a, b] => avx2::block(block, x, [a, b]),
                [a, b, c] => avx2::block(block, x, [a, b, c]),
                _ => unreachable!("at most {ROWS} rows"),
            }
        }
        return;
    }
    for (x, sums) in x.chunks_exact(len).zip(sums) {
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 {
            // SAFETY: the features were detected; `x` has four bytes per step of the block.
            unsafe { avx512::block(block, x, sums) };
            continue;
        }
        multiply_block(isa, block, x, sums);
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
mod avx2 {
    use super::{DEPTH, WIDTH};
    use crate::array::from_fn;
    use std::arch::x86_64::*;

    /// Products of 16 bits, two added into 32: a product of bytes with bytes would saturate. Weights are widened once for all rows.
    ///
    /// # Safety
    /// Needs AVX2; `x` has `R` rows of four bytes per entry of `weights`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn block<const R: usize>(
        weights: &[[[i8; DEPTH]; WIDTH]],
        x: &[u8],
        sums: [&mut [i32; WIDTH]; R],
    ) {
        let len = DEPTH * weights.len();
        // Each output has two sums, of even and of odd pairs of inputs.
        let mut pairs = [[_mm256_setzero_si256(); 4]; R];
        for (k, w) in weights.iter().enumerate() {
            // SAFETY: in bounds by the caller's contract; unaligned loads.
            unsafe {
                let x: [__m256i; R] = from_fn(|r| {
                    let four = x.as_ptr().add(r * len + DEPTH * k).cast::<i32>().read_unaligned();
                    _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)))
                });
                for quarter in 0..4 {
                    let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.as_ptr().add(4 * quarter).cast()));
                    for r in 0..R {
                        pairs[r][quarter] = _mm256_add_epi32(pairs[r][quarter], _mm256_madd_epi16(x[r], w));
                    }
                }
            }
        }
        for (sums, pairs) in sums.into_iter().zip(pairs) {
            for (sums, half) in sums.as_chunks_mut::<8>().0.iter_mut().zip([0, 2]) {
                let both = _mm256_hadd_epi32(pairs[half], pairs[half + 1]);
                let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(both);
                // SAFETY: eight 32-bit sums are one unaligned store.
                unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), both) };
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
        fn equals_the_sum_of_products(rows in 1usize..=ROWS, inputs in 1usize..70, outputs in 1usize..40, seed in any::<u64>()) {
            let mut state = seed | 1;
            let mut byte = || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); (state >> 56) as u8 };
            let w: Vec<i8> = (0..inputs * outputs).map(|_| byte() as i8).collect();
            let weights = Weights::new(inputs, &w);
            let mut x = vec![0; rows * weights.row_len()];
            for x in x.chunks_exact_mut(weights.row_len()) {
                x[..inputs].fill_with(&mut byte);
            }
            for &isa in Isa::available() {
                let mut out = vec![0; rows * outputs];
                multiply(isa, &weights, &x, &mut out);
                for (x, out) in x.chunks_exact(weights.row_len()).zip(out.chunks_exact(outputs)) {
                    for o in 0..outputs {
                        let expected: i32 = (0..inputs).map(|i| i32::from(x[i]) * i32::from(w[o * inputs + i])).sum();
                        prop_assert_eq!(out[o], expected);
                    }
                }
            }
        }
    }
}
