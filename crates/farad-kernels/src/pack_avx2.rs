//! AVX2 form of packing: bits of rows are moved as fields of words, sixteen lanes at a time.

use super::{FOUR, Fours};
use crate::LANES;
use crate::array::{from_fn, map};
use std::arch::x86_64::*;

/// Packs one block of row vectors into groups of four.
///
/// # Safety
/// Needs AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn fours(rows: &[u8], stride: usize, block: &mut [Fours]) {
    for (window, groups) in block.chunks_mut(2).enumerate() {
        let rows = transpose(rows, stride, 8 * window);
        for (group, rows) in groups.iter_mut().zip(rows.as_chunks::<FOUR>().0) {
            // Even planes in the low byte of a lane, odd ones in the high byte, each with a free bit above it.
            let planes = map(*rows, |row| {
                let row = _mm256_cvtepu8_epi16(row);
                let both = _mm256_or_si256(row, _mm256_slli_epi16::<7>(row));
                _mm256_and_si256(both, _mm256_set1_epi16(0x5555))
            });
            let [low, high] = map([[planes[0], planes[1]], [planes[2], planes[3]]], |[a, b]| {
                _mm256_or_si256(a, _mm256_slli_epi16::<1>(b))
            });
            let twos = _mm256_set1_epi16(0x3333);
            let pairs_0_2 = _mm256_or_si256(
                _mm256_and_si256(low, twos),
                _mm256_slli_epi16::<2>(_mm256_and_si256(high, twos)),
            );
            let pairs_1_3 = _mm256_or_si256(
                _mm256_and_si256(_mm256_srli_epi16::<2>(low), twos),
                _mm256_andnot_si256(twos, high),
            );
            let vectors = [
                pairs_0_2,
                pairs_1_3,
                _mm256_srli_epi16::<4>(pairs_0_2),
                _mm256_srli_epi16::<4>(pairs_1_3),
            ];
            for (to, vector) in group.0.as_chunks_mut::<32>().0.iter_mut().zip(vectors) {
                let vector = _mm256_and_si256(vector, _mm256_set1_epi8(15));
                // SAFETY: 32 bytes are one unaligned store.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) };
            }
        }
    }
}

/// Rows `first ..` of sixteen row vectors: a register for each row, its lanes in the order of [`Fours`].
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: &[u8], stride: usize, first: usize) -> [__m128i; 8] {
    let lanes: [__m128i; LANES] = from_fn(|word| {
        let bytes = &rows[Fours::lane(word) * stride + first..][..8];
        // SAFETY: eight bytes are one unaligned load.
        unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
    });
    // Each step halves the distance between lanes that are put side by side.
    let a: [__m128i; 8] = from_fn(|i| _mm_unpacklo_epi8(lanes[i], lanes[i + 8]));
    let halves = |a: __m128i, b: __m128i| [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)];
    let b: [[__m128i; 2]; 4] = from_fn(|i| halves(a[i], a[i + 4]));
    let c: [[[__m128i; 2]; 2]; 2] = from_fn(|i| map([0, 1], |half| halves(b[i][half], b[i + 2][half])));
    let d: [[__m128i; 2]; 4] = from_fn(|i| halves(c[0][i / 2][i % 2], c[1][i / 2][i % 2]));
    from_fn(|row| d[row / 2][row % 2])
}
