//! AVX2 form of the ADC. Every step computes exactly what `convert_planes_portable` does, 16 conversions to the vector: lane
//! `2 p + h` of vector `w` is plane `2 w + h` of position `p` of a half block, which is also how a Philox word splits into two draws.
//! Tables of up to 256 bytes are looked up by half bytes: a shuffle for each sixteen entries, then a tree of blends.

use super::{CountTable, Inputs, LANES, LaneIds, Lanes, Noise, Slot};
use crate::array::{from_fn, map};
use crate::charge::Charges;
use farad_core::axis::{Transfer, half_range, lsb_log2};
use farad_core::normal::quantile_table;
use farad_core::philox::{M0, M1};
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Positions of half a block.
const HALF: usize = LANES / 2;

/// Sixteen bytes of a table in both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen(table: &[u8], i: usize) -> __m256i {
    let bytes = &table[16 * i..][..16];
    // SAFETY: sixteen bytes are one unaligned load.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// What picks among the sixteens of a table: an index's half bytes.
#[derive(Clone, Copy)]
struct Index {
    /// Entry in each sixteen.
    entry: __m256i,
    /// Bits 4, 5, 6 and 7 of the index, each as the top bit of its byte.
    bits: [__m256i; 4],
}

impl Index {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(index: __m256i) -> Self {
        Self {
            entry: _mm256_and_si256(index, _mm256_set1_epi8(15)),
            bits: [
                _mm256_slli_epi16::<3>(index),
                _mm256_slli_epi16::<2>(index),
                _mm256_slli_epi16::<1>(index),
                index,
            ],
        }
    }

    /// Entries of the 32 bytes of `table` that start at `32 i`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of_32(&self, table: &[u8], i: usize) -> __m256i {
        let [low, high] = map([2 * i, 2 * i + 1], |i| {
            _mm256_shuffle_epi8(sixteen(table, i), self.entry)
        });
        _mm256_blendv_epi8(low, high, self.bits[0])
    }

    /// Entries of the 128 bytes of `table` that start at `128 i`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of_128(&self, table: &[u8], i: usize) -> __m256i {
        let low = _mm256_blendv_epi8(self.of_32(table, 4 * i), self.of_32(table, 4 * i + 1), self.bits[1]);
        let high = _mm256_blendv_epi8(self.of_32(table, 4 * i + 2), self.of_32(table, 4 * i + 3), self.bits[1]);
        _mm256_blendv_epi8(low, high, self.bits[2])
    }

    /// Entries of the 256 bytes of `table`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of_256(&self, table: &[u8; 256]) -> __m256i {
        _mm256_blendv_epi8(self.of_128(table, 0), self.of_128(table, 1), self.bits[3])
    }
}

/// [`quantile_table`], each byte of its words in a table of its own.
struct QuantileBytes {
    base: [[u8; 128]; 2],
    fall: [[u8; 128]; 2],
}

fn quantile_bytes() -> &'static QuantileBytes {
    static BYTES: OnceLock<QuantileBytes> = OnceLock::new();
    let bytes = |words: &[i16; 128]| [0, 1].map(|byte| words.map(|word| word.to_le_bytes()[byte]));
    BYTES.get_or_init(|| QuantileBytes {
        base: bytes(&quantile_table().base),
        fall: bytes(&quantile_table().fall),
    })
}

/// ADC inputs of two planes of half a block.
#[inline]
#[target_feature(enable = "avx2")]
fn apply(transfer: &Transfer, even: &Lanes<i32>, odd: &Lanes<i32>, half: usize) -> __m256i {
    let [even, odd] = map([even, odd], |charges| {
        let charges = &charges.0[half * HALF..][..HALF];
        // SAFETY: eight lanes are one unaligned load.
        let q = _mm256_cvtepi32_ps(unsafe { _mm256_loadu_si256(charges.as_ptr().cast()) });
        let slope = if transfer.quadratic == 0.0 {
            _mm256_set1_ps(transfer.gain)
        } else {
            let bow = _mm256_mul_ps(_mm256_set1_ps(transfer.quadratic), q);
            _mm256_add_ps(bow, _mm256_set1_ps(transfer.gain))
        };
        let v = _mm256_add_ps(_mm256_mul_ps(slope, q), _mm256_set1_ps(transfer.offset));
        // What is too low converts to the lowest integer, which packing saturates; what is too high would too.
        _mm256_cvtps_epi32(_mm256_min_ps(v, _mm256_set1_ps(32767.0)))
    });
    let interleave = _mm256_setr_epi8(
        0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15,
    );
    _mm256_shuffle_epi8(_mm256_packs_epi32(even, odd), interleave)
}

/// One Philox block per lane, of both halves of a block.
///
/// Even and odd lanes run apart, each number in the low half of a 64-bit lane: a product then leaves its low word where the next
/// round reads it, and what is above is never looked at.
#[inline]
#[target_feature(enable = "avx2")]
fn philox(noise: &Noise, ids: &LaneIds) -> [[__m256i; 4]; 2] {
    let start = |half: usize, odd: bool| {
        let lanes = |x: &Lanes<u32>| {
            // SAFETY: eight of sixteen lanes are one unaligned load.
            let x = unsafe { _mm256_loadu_si256(x.0[half * HALF..][..HALF].as_ptr().cast()) };
            if odd { _mm256_srli_epi64::<32>(x) } else { x }
        };
        let [slot, site] = map([noise.slot, noise.key.site], |x| _mm256_set1_epi32(x as i32));
        [slot, lanes(&ids.position), site, lanes(&ids.image)]
    };
    let mut lanes = [start(0, false), start(0, true), start(1, false), start(1, true)];
    let [m0, m1] = map([M0, M1], |m| _mm256_set1_epi64x(i64::from(m)));
    for [k0, k1] in noise.round_keys {
        let [k0, k1] = map([k0, k1], |k| _mm256_set1_epi32(k as i32));
        for c in &mut lanes {
            let p0 = _mm256_mul_epu32(c[0], m0);
            let p1 = _mm256_mul_epu32(c[2], m1);
            c[0] = _mm256_xor_si256(_mm256_srli_epi64::<32>(p1), _mm256_xor_si256(c[1], k0));
            c[2] = _mm256_xor_si256(_mm256_srli_epi64::<32>(p0), _mm256_xor_si256(c[3], k1));
            c[1] = p1;
            c[3] = p0;
        }
    }
    let [a, b, c, d] = lanes;
    map([[a, b], [c, d]], |[even, odd]| {
        from_fn(|i| _mm256_blend_epi32::<0xaa>(even[i], _mm256_slli_epi64::<32>(odd[i])))
    })
}

/// Bytes that were packed from two vectors, as the low and the high bytes of their lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn words([low, high]: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)]
}

/// [`farad_core::normal::z_q12`] of 32 draws.
#[inline]
#[target_feature(enable = "avx2")]
fn quantile(draws: [__m256i; 2], table: &QuantileBytes) -> [__m256i; 2] {
    let sign = map(draws, |u| _mm256_srai_epi16::<15>(u));
    let at: [[__m256i; 2]; 2] = from_fn(|i| {
        let m = _mm256_xor_si256(draws[i], sign[i]);
        let k = _mm256_or_si256(_mm256_add_epi16(m, m), _mm256_set1_epi16(1));
        let even = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_and_si256(k, _mm256_set1_epi32(0xffff))));
        let odd = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srli_epi32::<16>(k)));
        let index = _mm256_blend_epi16::<0xaa>(_mm256_srli_epi32::<20>(even), _mm256_srli_epi32::<4>(odd));
        let fraction = _mm256_blend_epi16::<0xaa>(_mm256_srli_epi32::<5>(even), _mm256_slli_epi32::<11>(odd));
        [
            _mm256_and_si256(index, _mm256_set1_epi16(127)),
            _mm256_and_si256(fraction, _mm256_set1_epi16(0x7fff)),
        ]
    });
    let index = Index::new(_mm256_packus_epi16(at[0][0], at[1][0]));
    let base = words(map([0, 1], |byte| index.of_128(&table.base[byte], 0)));
    let fall = words(map([0, 1], |byte| index.of_128(&table.fall[byte], 0)));
    from_fn(|i| {
        let magnitude = _mm256_sub_epi16(base[i], _mm256_mulhrs_epi16(at[i][1], fall[i]));
        // The quantile is odd: apply its sign before sigma, since rounding is not. The lower half of the draws is negative.
        _mm256_sub_epi16(sign[i], _mm256_xor_si256(magnitude, sign[i]))
    })
}

/// The low and the high bytes of words.
#[inline]
#[target_feature(enable = "avx2")]
fn split(words: &[i16; 32]) -> [[u8; 32]; 2] {
    let (first, second) = words.split_at(16);
    // SAFETY: sixteen words are one unaligned load.
    let words = map([first, second], |half| unsafe {
        _mm256_loadu_si256(half.as_ptr().cast())
    });
    let low = map(words, |w| _mm256_and_si256(w, _mm256_set1_epi16(255)));
    let high = map(words, |w| _mm256_srli_epi16::<8>(w));
    map([low, high], |[a, b]| {
        let mut bytes = [0; 32];
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(a, b));
        // SAFETY: 32 bytes are one unaligned store.
        unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), packed) };
        bytes
    })
}

/// A slot's noise, as the vectors need it.
struct Sigmas {
    /// Sigma of each bin, each byte of the words in a table of its own.
    bytes: [[u8; 32]; 2],
    /// From an input to its bin.
    shift: __m128i,
    quantile: &'static QuantileBytes,
}

impl Sigmas {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(noise: &Noise, bits: u32) -> Self {
        Self {
            bytes: split(&noise.sigma),
            shift: _mm_cvtsi32_si128((bits + lsb_log2(bits)) as i32 - 5),
            quantile: quantile_bytes(),
        }
    }

    /// `v` with the noise of `draws`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&self, v: [__m256i; 2], draws: [__m256i; 2]) -> [__m256i; 2] {
        let z = quantile(draws, self.quantile);
        let [a, b] = map(v, |v| _mm256_sra_epi16(v, self.shift));
        let bin = _mm256_min_epi8(_mm256_packs_epi16(a, b), _mm256_set1_epi8(15));
        let bin = _mm256_and_si256(_mm256_max_epi8(bin, _mm256_set1_epi8(-16)), _mm256_set1_epi8(31));
        let bin = Index::new(bin);
        let sigma = words(map([0, 1], |byte| bin.of_32(&self.bytes[byte], 0)));
        from_fn(|i| _mm256_adds_epi16(v[i], _mm256_mulhrs_epi16(z[i], sigma[i])))
    }
}

/// See [`super::convert_planes`].
///
/// # Safety
/// Needs the features below; the ADC has at most 8 bits and the slices are as [`super::convert_planes`] asserts.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn convert_planes(
    slot: &Slot,
    ids: &[LaneIds],
    charges: &[Charges],
    sums: &mut [Lanes<i32>],
    mut seen: Option<&mut [Inputs]>,
) {
    let noise = slot.noise.map(|noise| (noise, Sigmas::new(noise, slot.adc.bits)));
    for (block, sums) in sums.iter_mut().enumerate() {
        let q = &charges[block];
        let mut draws = [[_mm256_setzero_si256(); 4]; 2];
        if let Some((noise, _)) = &noise {
            draws = philox(noise, &ids[block]);
        }
        for half in 0..2 {
            let mut v: [__m256i; 4] = from_fn(|w| apply(&slot.transfer, &q[2 * w], &q[2 * w + 1], half));
            let clean = v;
            if let Some((_, sigmas)) = &noise {
                let [a, b, c, d] = draws[half];
                let [low, high] = [sigmas.add([v[0], v[1]], [a, b]), sigmas.add([v[2], v[3]], [c, d])];
                v = [low[0], low[1], high[0], high[1]];
            }
            if let Some(seen) = seen.as_mut() {
                store(&clean, half, &mut seen[block].clean);
                store(&v, half, &mut seen[block].noisy);
            }
            add_planes(codes(slot, v), half, sums);
        }
    }
}

/// Codes of half a block, packed from the vectors 0 and 1, and 2 and 3.
#[inline]
#[target_feature(enable = "avx2")]
fn codes(slot: &Slot, v: [__m256i; 4]) -> [__m256i; 2] {
    let adc = slot.adc;
    let half = half_range(adc.bits);
    let (top, bottom) = (_mm256_set1_epi16((half - 1) as i16), _mm256_set1_epi16(-half as i16));
    let at = map(v, |v| {
        _mm256_sub_epi16(_mm256_max_epi16(_mm256_min_epi16(v, top), bottom), bottom)
    });
    map([[at[0], at[1]], [at[2], at[3]]], |[a, b]| {
        let bucket = _mm256_packus_epi16(_mm256_srli_epi16::<6>(a), _mm256_srli_epi16::<6>(b));
        let low = _mm256_set1_epi16(63);
        let offset = _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
        // Offsets and rises are at most 64, so that signed bytes compare them.
        let beyond = _mm256_add_epi8(offset, _mm256_set1_epi8(1));
        let index = Index::new(bucket);
        let mut code = if adc.regular {
            bucket
        } else {
            index.of_256(&adc.base_bytes)
        };
        for rise in &adc.rises {
            let rise = rise.first_chunk().expect("tables have 256 entries");
            code = _mm256_sub_epi8(code, _mm256_cmpgt_epi8(beyond, index.of_256(rise)));
        }
        code
    })
}

/// Sets lanes of `sums` to the codes of their eight planes, weighted.
#[inline]
#[target_feature(enable = "avx2")]
fn add_planes([low, high]: [__m256i; 2], half: usize, sums: &mut Lanes<i32>) {
    // Of each sixteen bytes, eight are planes 0 and 1 (or 4 and 5) of four positions, and eight are planes 2 and 3 (or 6 and 7).
    let weights = _mm256_set1_epi64x(0x0201_0201_0201_0201);
    let weights = _mm256_blend_epi32::<0xcc>(weights, _mm256_slli_epi16::<2>(weights));
    let [low, high] = map([low, high], |codes| _mm256_maddubs_epi16(codes, weights));
    // All weights together are 255, and so is the largest code: sums fit 16 bits.
    let parts = _mm256_add_epi16(low, _mm256_slli_epi16::<4>(high));
    let both = _mm256_add_epi16(parts, _mm256_srli_si256::<8>(parts));
    let all = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(both)));
    let to = &mut sums.0[half * HALF..][..HALF];
    // SAFETY: eight lanes are one unaligned store.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), all) };
}

/// See [`super::convert_counts`].
///
/// # Safety
/// Needs the features below.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn convert_counts(table: &CountTable, counts: &Charges) -> Lanes<i32> {
    let mut sums = Lanes::default();
    for half in 0..2 {
        let pairs: [__m256i; 4] = from_fn(|w| {
            let [even, odd] = map([2 * w, 2 * w + 1], |plane| {
                let counts = &counts[plane].0[half * HALF..][..HALF];
                // SAFETY: eight lanes are one unaligned load.
                unsafe { _mm256_loadu_si256(counts.as_ptr().cast()) }
            });
            _mm256_blend_epi16::<0xaa>(even, _mm256_slli_epi32::<16>(odd))
        });
        let codes = map([[pairs[0], pairs[1]], [pairs[2], pairs[3]]], |[a, b]| {
            let bytes = _mm256_packus_epi16(
                _mm256_and_si256(a, _mm256_set1_epi16(255)),
                _mm256_and_si256(b, _mm256_set1_epi16(255)),
            );
            Index::new(bytes).of_256(&table.0)
        });
        add_planes(codes, half, &mut sums);
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(v: &[__m256i; 4], half: usize, to: &mut [[i16; LANES]; 8]) {
    for (w, &v) in v.iter().enumerate() {
        let mut words = [0i16; 2 * HALF];
        // SAFETY: sixteen words are one unaligned store.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), v) };
        for i in 0..HALF {
            to[2 * w][half * HALF + i] = words[2 * i];
            to[2 * w + 1][half * HALF + i] = words[2 * i + 1];
        }
    }
}
