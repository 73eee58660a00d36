//! AVX2 form of the charges.

use super::{Charges, FOURS_BITS, FoursSpan, LANES, Lanes};
use crate::array::{from_fn, map};
use crate::pack::{FOUR, Fours};
use std::arch::x86_64::*;

/// Ones of a half byte that are among those of another: `ONES[m][i]` counts `m & i`.
const ONES: [[u8; 16]; 16] = {
    let mut ones = [[0; 16]; 16];
    let mut i = 0;
    while i < 256 {
        ones[i / 16][i % 16] = ((i / 16) & (i % 16)).count_ones() as u8;
        i += 1;
    }
    ones
};

/// Adds to `out` the counts of the rows of `index` that are set in `bits`, which has 32 rows to the word and fewer than 256 ones.
///
/// # Safety
/// Needs AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn count(bits: &[u32], index: &[Fours], out: &mut Charges) {
    let mut counts = [_mm256_setzero_si256(); 4];
    for (&word, index) in bits.iter().zip(index.chunks(32 / FOUR)) {
        let mut word = word;
        for index in index {
            let ones = sixteen(&ONES[word as usize & 15]);
            word >>= FOUR;
            for (i, counts) in counts.iter_mut().enumerate() {
                *counts = _mm256_add_epi8(*counts, _mm256_shuffle_epi8(ones, vector(index, i)));
            }
        }
    }
    let zero = _mm256_setzero_si256();
    for (pair, counts) in counts.into_iter().enumerate() {
        let even = _mm256_and_si256(counts, _mm256_set1_epi16(255));
        for (plane, counts) in [even, _mm256_srli_epi16::<8>(counts)].into_iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { add(counts, zero, 1, &mut out[2 * pair + plane]) };
        }
    }
}

/// Adds `low + weight * high` of sixteen words to the lanes of `out`. The order of the lanes in the index makes up for unpacking
/// within half registers.
///
/// # Safety
/// Needs AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add(low: __m256i, high: __m256i, weight: i32, out: &mut Lanes<i32>) {
    let weights = _mm256_set1_epi32(weight << 16 | 1);
    let lanes = [_mm256_unpacklo_epi16(low, high), _mm256_unpackhi_epi16(low, high)];
    for (out, parts) in out.0.as_chunks_mut::<{ LANES / 2 }>().0.iter_mut().zip(lanes) {
        let to = out.as_mut_ptr().cast();
        // SAFETY: eight lanes are one load and one store, aligned as halves of `Lanes` are.
        unsafe {
            _mm256_store_si256(
                to,
                _mm256_add_epi32(_mm256_load_si256(to), _mm256_madd_epi16(parts, weights)),
            );
        };
    }
}

/// A table of sixteen bytes in both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen(table: &[u8; 16]) -> __m256i {
    // SAFETY: sixteen bytes are one unaligned load.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// One of the four index vectors of a group.
#[inline]
#[target_feature(enable = "avx2")]
fn vector(index: &Fours, i: usize) -> __m256i {
    // SAFETY: `Fours` is 128 bytes, aligned to 64.
    unsafe { _mm256_load_si256(index.0[32 * i..][..32].as_ptr().cast()) }
}

/// Bytes of 32 conversions, summed: words that hold the even bytes' sums and 256 times the odd ones', and the odd ones' sums.
#[derive(Clone, Copy)]
struct Wide {
    mixed: __m256i,
    odd: __m256i,
}

impl Wide {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self {
            mixed: _mm256_setzero_si256(),
            odd: _mm256_setzero_si256(),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, bytes: __m256i) {
        self.mixed = _mm256_add_epi16(self.mixed, bytes);
        self.odd = _mm256_add_epi16(self.odd, _mm256_srli_epi16::<8>(bytes));
    }

    /// Sums of the even and of the odd bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn split(self) -> [__m256i; 2] {
        let even = _mm256_sub_epi16(self.mixed, _mm256_slli_epi16::<8>(self.odd));
        [even, self.odd]
    }
}

/// Low and high parts that a table gives for the index vectors `pair` and `pair + 1`.
#[inline]
#[target_feature(enable = "avx2")]
fn parts(table: &[[u8; 16]; 2], index: &Fours, pair: usize) -> [[__m256i; 2]; 2] {
    let at = [vector(index, pair), vector(index, pair + 1)];
    from_fn(|part| {
        let bytes = sixteen(&table[part]);
        map(at, |at| _mm256_shuffle_epi8(bytes, at))
    })
}

/// Adds the lookups of `span` to `out`.
///
/// Low parts fit 7 bits, so those of two groups are added before their bytes are widened; high parts of a whole run are.
///
/// # Safety
/// Needs AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn look_up(span: &FoursSpan, index: &[Fours], out: &mut Charges) {
    assert_eq!(span.sums.len(), index.len());
    for pair in [0, 2] {
        let (mut low, mut high) = ([Wide::zero(); 2], [Wide::zero(); 2]);
        let (mut sums, mut index) = (span.sums.as_slice(), index);
        for &run in &span.runs {
            let (tables, at);
            (tables, sums) = sums.split_at(run.into());
            (at, index) = index.split_at(run.into());
            let mut bytes = [_mm256_setzero_si256(); 2];
            let (twos, last) = tables.as_chunks::<2>();
            let (at_twos, at_last) = at.as_chunks::<2>();
            for ([first, second], [at_first, at_second]) in twos.iter().zip(at_twos) {
                let (a, b) = (parts(first, at_first, pair), parts(second, at_second, pair));
                for i in 0..2 {
                    low[i].add(_mm256_add_epi8(a[0][i], b[0][i]));
                    bytes[i] = _mm256_add_epi8(bytes[i], _mm256_add_epi8(a[1][i], b[1][i]));
                }
            }
            for (table, at) in last.iter().zip(at_last) {
                let a = parts(table, at, pair);
                for i in 0..2 {
                    low[i].add(a[0][i]);
                    bytes[i] = _mm256_add_epi8(bytes[i], a[1][i]);
                }
            }
            for (high, bytes) in high.iter_mut().zip(bytes) {
                high.add(bytes);
            }
        }
        for i in 0..2 {
            let planes = low[i].split().into_iter().zip(high[i].split());
            for (plane, (low, high)) in planes.enumerate() {
                // SAFETY: the caller's contract.
                unsafe { add(low, high, 1 << FOURS_BITS, &mut out[2 * (pair + i) + plane]) };
            }
        }
    }
}
