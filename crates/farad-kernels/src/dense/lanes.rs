//! Sums of neighbouring columns, a register's worth, and how an instruction set multiplies words into them.

use crate::LANES;

/// `LANES` f32 sums.
///
/// # Safety
/// Every function needs the instruction set that the implementing type names. Pointers are valid for `LANES`
/// 32-bit values, or for `count` where that is given; nothing need be aligned.
pub(super) trait Sums: Copy {
    /// How many.
    const LANES: usize;
    /// As many operands of 32 bits.
    type Words: Copy;

    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32, count: usize) -> Self;
    unsafe fn store(self, to: *mut f32, count: usize);
    unsafe fn words(from: *const u32) -> Self::Words;
    /// The word at `from` in all lanes.
    unsafe fn broadcast(from: *const u32) -> Self::Words;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn subtract(self, other: Self) -> Self;
    unsafe fn halve(self) -> Self;
    /// `self + a * b`, where a word is an f32.
    unsafe fn add_product(self, a: Self::Words, b: Self::Words) -> Self;
}

/// What a word is: how two of them are multiplied into a sum.
///
/// # Safety
/// As for [`Sums`].
pub(super) trait Product<S: Sums> {
    unsafe fn add(sum: S, a: S::Words, b: S::Words) -> S;
}

/// A word is an f32.
pub(super) struct Single;

impl<S: Sums> Product<S> for Single {
    #[inline(always)]
    unsafe fn add(sum: S, a: S::Words, b: S::Words) -> S {
        // SAFETY: the caller's contract.
        unsafe { sum.add_product(a, b) }
    }
}

/// Portable Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Sums for Portable {
    const LANES: usize = LANES;
    type Words = [u32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> Self {
        let mut sums = [0.0; LANES];
        // SAFETY: the caller's contract; `count` is at most sixteen.
        unsafe { sums.as_mut_ptr().copy_from_nonoverlapping(from, count) };
        Self(sums)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's contract; `count` is at most sixteen.
        unsafe { to.copy_from_nonoverlapping(self.0.as_ptr(), count) };
    }

    #[inline(always)]
    unsafe fn words(from: *const u32) -> Self::Words {
        // SAFETY: the caller's contract.
        unsafe { from.cast::<[u32; LANES]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const u32) -> Self::Words {
        // SAFETY: the caller's contract.
        unsafe { [from.read_unaligned(); LANES] }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    unsafe fn halve(self) -> Self {
        Self(self.0.map(|value| 0.5 * value))
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self::Words, b: Self::Words) -> Self {
        Self(std::array::from_fn(|i| {
            self.0[i] + f32::from_bits(a[i]) * f32::from_bits(b[i])
        }))
    }
}

/// A word is two bf16, each of which is the upper half of an f32: the definition of what AVX512-BF16 computes.
pub(super) struct Pair;

impl Product<Portable> for Pair {
    #[inline(always)]
    unsafe fn add(sum: Portable, a: [u32; LANES], b: [u32; LANES]) -> Portable {
        let halves = |words: [u32; LANES]| [words.map(|w| w << 16), words.map(|w| w & 0xffff_0000)];
        let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
        // SAFETY: portable.
        unsafe { sum.add_product(a0, b0).add_product(a1, b1) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{Product, Sums};
    use crate::LANES;
    use std::arch::x86_64::*;

    /// AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(in crate::dense) struct Fma(__m256);

    impl Sums for Fma {
        const LANES: usize = 8;
        type Words = __m256i;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm256_setzero_ps()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32, count: usize) -> Self {
            // SAFETY: the caller's contract; the short copy has room for all lanes.
            unsafe {
                let mut short = [0.0; Self::LANES];
                let mut from = from;
                if count < Self::LANES {
                    short.as_mut_ptr().copy_from_nonoverlapping(from, count);
                    from = short.as_ptr();
                }
                Self(_mm256_loadu_ps(from))
            }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32, count: usize) {
            // SAFETY: the caller's contract; the short copy has room for all lanes.
            unsafe {
                let mut short = [0.0; Self::LANES];
                let target = if count < Self::LANES { short.as_mut_ptr() } else { to };
                _mm256_storeu_ps(target, self.0);
                if count < Self::LANES {
                    to.copy_from_nonoverlapping(short.as_ptr(), count);
                }
            }
        }

        #[inline(always)]
        unsafe fn words(from: *const u32) -> Self::Words {
            // SAFETY: the caller's contract.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const u32) -> Self::Words {
            // SAFETY: the caller's contract.
            unsafe { _mm256_set1_epi32(from.read_unaligned().cast_signed()) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm256_add_ps(self.0, other.0)) }
        }

        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm256_sub_ps(self.0, other.0)) }
        }

        #[inline(always)]
        unsafe fn halve(self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm256_mul_ps(self.0, _mm256_set1_ps(0.5))) }
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self::Words, b: Self::Words) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), self.0)) }
        }
    }

    /// AVX-512 F.
    #[derive(Clone, Copy)]
    pub(in crate::dense) struct Avx512(__m512);

    impl Sums for Avx512 {
        const LANES: usize = LANES;
        type Words = __m512i;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm512_setzero_ps()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32, count: usize) -> Self {
            // SAFETY: the caller's contract; lanes that are masked out are not read.
            unsafe {
                if count < LANES {
                    Self(_mm512_maskz_loadu_ps(lanes(count), from))
                } else {
                    Self(_mm512_loadu_ps(from))
                }
            }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32, count: usize) {
            // SAFETY: the caller's contract; lanes that are masked out are not written.
            unsafe {
                if count < LANES {
                    _mm512_mask_storeu_ps(to, lanes(count), self.0);
                } else {
                    _mm512_storeu_ps(to, self.0);
                }
            }
        }

        #[inline(always)]
        unsafe fn words(from: *const u32) -> Self::Words {
            // SAFETY: the caller's contract.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const u32) -> Self::Words {
            // SAFETY: the caller's contract.
            unsafe { _mm512_set1_epi32(from.read_unaligned().cast_signed()) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm512_add_ps(self.0, other.0)) }
        }

        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
        }

        #[inline(always)]
        unsafe fn halve(self) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm512_mul_ps(self.0, _mm512_set1_ps(0.5))) }
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self::Words, b: Self::Words) -> Self {
            // SAFETY: the caller's contract.
            unsafe { Self(_mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), self.0)) }
        }
    }

    /// Mask of the first `count` lanes, less than all.
    #[inline(always)]
    fn lanes(count: usize) -> __mmask16 {
        (1 << count) - 1
    }

    /// A word is two bf16 that AVX512-BF16 multiplies at once; it takes subnormal numbers for zero.
    pub(in crate::dense) struct NativePair;

    impl Product<Avx512> for NativePair {
        #[inline(always)]
        unsafe fn add(sum: Avx512, a: __m512i, b: __m512i) -> Avx512 {
            // SAFETY: the caller's contract; the types are views of the same 512 bits.
            unsafe {
                let (a, b) = (
                    std::mem::transmute::<__m512i, __m512bh>(a),
                    std::mem::transmute::<__m512i, __m512bh>(b),
                );
                Avx512(_mm512_dpbf16_ps(sum.0, a, b))
            }
        }
    }
}
