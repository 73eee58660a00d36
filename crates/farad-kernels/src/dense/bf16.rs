//! Rounding f32 to pairs of bf16.
//!
//! A word is two bf16 that are multiplied and added together, the first in the lower half. Where a pair lacks its second
//! member it is zero. Subnormal numbers aside, which native multiplication takes for zero anyway, the native conversion
//! equals the portable one.

use super::tile::Engine;
use crate::isa::portable;

/// The nearest bf16, ties to even, in the upper half; the lower half is to be cut off. A NaN stays one.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        bits | 0x0040_0000
    } else {
        bits + 0x7fff + (bits >> 16 & 1)
    }
}

/// The word of two operands.
#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    round(low) >> 16 | round(high) & 0xffff_0000
}

/// `words[i]` is the pair of `values[2 * i]` and `values[2 * i + 1]`.
///
/// # Panics
/// If there are not half as many words as values, rounded up.
pub(super) fn pair_neighbours(engine: Engine, values: &[f32], words: &mut [u32]) {
    assert_eq!(words.len(), values.len().div_ceil(2));
    #[cfg(target_arch = "x86_64")]
    if engine == Engine::Avx512Bf16 {
        // SAFETY: the engine has the features; the lengths were compared.
        return unsafe { native::pair_neighbours(values, words) };
    }
    portable_neighbours(engine.isa(), values, words);
}

/// `words[i]` is the pair of `low[i]` and `high[i]`.
///
/// # Panics
/// If the lengths differ.
pub(super) fn pair_rows(engine: Engine, low: &[f32], high: Option<&[f32]>, words: &mut [u32]) {
    assert!(low.len() == words.len() && high.is_none_or(|high| high.len() == words.len()));
    #[cfg(target_arch = "x86_64")]
    if engine == Engine::Avx512Bf16 {
        // SAFETY: the engine has the features; the lengths were compared.
        return unsafe { native::pair_rows(low, high, words) };
    }
    portable_rows(engine.isa(), low, high, words);
}

portable! {
    fn portable_neighbours(values: &[f32], words: &mut [u32]) {
        let (pairs, last) = values.as_chunks::<2>();
        for (word, &[low, high]) in words.iter_mut().zip(pairs) {
            *word = pair(low, high);
        }
        if let ([low], Some(word)) = (last, words.last_mut()) {
            *word = pair(*low, 0.0);
        }
    }
}

portable! {
    fn portable_rows(low: &[f32], high: Option<&[f32]>, words: &mut [u32]) {
        match high {
            Some(high) => {
                for ((word, &low), &high) in words.iter_mut().zip(low).zip(high) {
                    *word = pair(low, high);
                }
            }
            None => {
                for (word, &low) in words.iter_mut().zip(low) {
                    *word = pair(low, 0.0);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod native {
    use crate::LANES;
    use std::arch::x86_64::*;

    /// Sixteen values from `start` as bf16, zero beyond the end.
    ///
    /// # Safety
    /// Needs the features; `start` is within `values`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn convert(values: &[f32], start: usize) -> __m256i {
        // SAFETY: lanes beyond the end are masked out; the types are views of the same 256 bits.
        unsafe {
            let from = values.as_ptr().add(start);
            let left = values.len() - start;
            let values = if left < LANES {
                _mm512_maskz_loadu_ps(lanes(left), from)
            } else {
                _mm512_loadu_ps(from)
            };
            std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values))
        }
    }

    /// Mask of the first `count` lanes, less than all. What a masked store wrote is slow to load again, so whole
    /// registers are stored without.
    #[inline]
    fn lanes(count: usize) -> __mmask16 {
        (1 << count) - 1
    }

    /// # Safety
    /// Needs the features, and a word for every two values.
    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    pub(super) unsafe fn pair_neighbours(values: &[f32], words: &mut [u32]) {
        for start in (0..words.len()).step_by(LANES / 2) {
            let left = words.len() - start;
            // SAFETY: words beyond the end are masked out; the others have values.
            unsafe {
                let converted = convert(values, 2 * start);
                let to = words.as_mut_ptr().add(start);
                if left < LANES / 2 {
                    _mm256_mask_storeu_epi32(to.cast(), lanes(left) as __mmask8, converted);
                } else {
                    _mm256_storeu_si256(to.cast(), converted);
                }
            }
        }
    }

    /// # Safety
    /// Needs the features, and equal lengths.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn pair_rows(low: &[f32], high: Option<&[f32]>, words: &mut [u32]) {
        for start in (0..words.len()).step_by(LANES) {
            let left = words.len() - start;
            // SAFETY: words beyond the end are masked out; the others have values.
            unsafe {
                let mut pairs = _mm512_cvtepu16_epi32(convert(low, start));
                if let Some(high) = high {
                    let high = _mm512_cvtepu16_epi32(convert(high, start));
                    pairs = _mm512_or_si512(pairs, _mm512_slli_epi32::<16>(high));
                }
                let to = words.as_mut_ptr().add(start);
                if left < LANES {
                    _mm512_mask_storeu_epi32(to.cast(), lanes(left), pairs);
                } else {
                    _mm512_storeu_si512(to.cast(), pairs);
                }
            }
        }
    }
}
