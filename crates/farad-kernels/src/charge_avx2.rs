//! AVX2 form of the charges.

use super::{Charges, FOURS_BITS, FoursSpan, LANES, Lanes};
use crate::pack::Fours;
use std::arch::x86_64::*;

/// Words whose ones a byte can count.
const WORDS: usize = 31;

/// Population counts of `planes & bits`, by table of half bytes.
///
/// # Safety
/// Needs AVX2; `planes` holds 8 planes of `bits.len()` words.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn count(bits: &[u32], planes: &[Lanes<u32>], out: &mut Charges) {
    let ones = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let low_half = _mm256_set1_epi8(15);
    for (plane, out) in planes.chunks_exact(bits.len()).zip(out) {
        for half in 0..2 {
            let mut sums = _mm256_setzero_si256();
            for (words, bits) in plane.chunks(WORDS).zip(bits.chunks(WORDS)) {
                let mut bytes = _mm256_setzero_si256();
                for (word, &w) in words.iter().zip(bits) {
                    // SAFETY: eight of sixteen 32-bit lanes, from lane 0 or 8.
                    let x = unsafe { _mm256_load_si256(word.0.as_ptr().add(half * LANES / 2).cast()) };
                    let x = _mm256_and_si256(x, _mm256_set1_epi32(w as i32));
                    let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(x, low_half));
                    let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16::<4>(x), low_half));
                    bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(low, high));
                }
                let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
            // SAFETY: eight of sixteen 32-bit lanes, from lane 0 or 8.
            unsafe { _mm256_store_si256(out.0.as_mut_ptr().add(half * LANES / 2).cast(), sums) };
        }
    }
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
    // SAFETY: `Fours` is 128 bytes, aligned to 64: four index vectors.
    let at = [0, 1].map(|i| unsafe { _mm256_load_si256(index.0.as_ptr().add(32 * (pair + i)).cast()) });
    table.map(|bytes| {
        // SAFETY: sixteen bytes are one unaligned load.
        let bytes = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
        at.map(|at| _mm256_shuffle_epi8(bytes, at))
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
                // The order of the lanes in the index makes up for unpacking within half registers.
                let weights = _mm256_set1_epi32(1 << FOURS_BITS << 16 | 1);
                let lanes = [_mm256_unpacklo_epi16(low, high), _mm256_unpackhi_epi16(low, high)]
                    .map(|parts| _mm256_madd_epi16(parts, weights));
                let out = &mut out[2 * (pair + i) + plane].0;
                for (out, sums) in out.as_chunks_mut::<{ LANES / 2 }>().0.iter_mut().zip(lanes) {
                    let to = out.as_mut_ptr().cast();
                    // SAFETY: eight lanes are one load and one store, aligned as halves of `Lanes` are.
                    unsafe { _mm256_store_si256(to, _mm256_add_epi32(_mm256_load_si256(to), sums)) };
                }
            }
        }
    }
}
