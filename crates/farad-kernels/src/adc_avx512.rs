//! AVX-512 form of the ADC. Every step computes exactly what `convert_planes_portable` does, 32 conversions to the vector: lane
//! `2 p + h` of vector `w` is plane `2 w + h` of position `p`, which is also how a Philox word splits into two draws.

use super::{CountTable, GROUP, Inputs, LANES, LaneIds, Lanes, Noise, Slot};
use crate::array::{from_fn, map};
use crate::charge::Charges;
use farad_core::axis::{Transfer, half_range, lsb_log2};
use farad_core::normal::quantile_table;
use farad_core::philox::{M0, M1};
use std::arch::x86_64::*;

/// Odd 16-bit lanes.
const ODD: __mmask32 = 0xaaaa_aaaa;

/// 256 bytes in four registers.
#[derive(Clone, Copy)]
struct Bytes256([__m512i; 4]);

impl Bytes256 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 256);
        // SAFETY: 256 bytes, as asserted, are four unaligned 64-byte loads.
        Self(from_fn(|i| unsafe {
            _mm512_loadu_si512(bytes.as_ptr().add(64 * i).cast())
        }))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn at(&self, index: __m512i) -> __m512i {
        let [a, b, c, d] = self.0;
        let low = _mm512_permutex2var_epi8(a, index, b);
        let high = _mm512_permutex2var_epi8(c, index, d);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high)
    }
}

/// 128 words in four registers, indexed by the low 7 bits of each 16-bit lane.
#[derive(Clone, Copy)]
struct Words128([__m512i; 4]);

impl Words128 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(words: &[i16; 128]) -> Self {
        // SAFETY: 128 words are four unaligned 64-byte loads.
        Self(from_fn(|i| unsafe {
            _mm512_loadu_si512(words.as_ptr().add(32 * i).cast())
        }))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn at(&self, index: __m512i, high_half: __mmask32) -> __m512i {
        let [a, b, c, d] = self.0;
        let low = _mm512_permutex2var_epi16(a, index, b);
        let high = _mm512_permutex2var_epi16(c, index, d);
        _mm512_mask_blend_epi16(high_half, low, high)
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(even: __m512i, odd: __m512i) -> __m512i {
    _mm512_mask_blend_epi16(ODD, even, _mm512_slli_epi32::<16>(odd))
}

/// ADC inputs of two planes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn apply(transfer: &Transfer, even: &Lanes<i32>, odd: &Lanes<i32>) -> __m512i {
    let [even, odd] = map([even, odd], |charges| {
        // SAFETY: `Lanes` is 64 bytes and aligned.
        let q = _mm512_cvtepi32_ps(unsafe { _mm512_load_si512(charges.0.as_ptr().cast()) });
        let slope = if transfer.quadratic == 0.0 {
            _mm512_set1_ps(transfer.gain)
        } else {
            let bow = _mm512_mul_ps(_mm512_set1_ps(transfer.quadratic), q);
            _mm512_add_ps(bow, _mm512_set1_ps(transfer.gain))
        };
        let v = _mm512_add_ps(_mm512_mul_ps(slope, q), _mm512_set1_ps(transfer.offset));
        let v = _mm512_max_ps(_mm512_min_ps(v, _mm512_set1_ps(32767.0)), _mm512_set1_ps(-32768.0));
        _mm512_cvtps_epi32(v)
    });
    interleave(even, odd)
}

/// One Philox block per lane.
///
/// Even and odd lanes run apart, each number in the low half of a 64-bit lane: a product then leaves its low word where the next
/// round reads it, and what is above is never looked at.
#[inline]
#[target_feature(enable = "avx512f")]
fn philox(noise: &Noise, ids: &LaneIds) -> [__m512i; 4] {
    // SAFETY: `Lanes` is 64 bytes and aligned.
    let (position, image) = unsafe {
        (
            _mm512_load_si512(ids.position.0.as_ptr().cast()),
            _mm512_load_si512(ids.image.0.as_ptr().cast()),
        )
    };
    let start = |odd: bool| {
        let half = |x: __m512i| if odd { _mm512_srli_epi64::<32>(x) } else { x };
        let [slot, site] = map([noise.slot, noise.key.site], |x| _mm512_set1_epi32(x as i32));
        [slot, half(position), site, half(image)]
    };
    let mut lanes = [start(false), start(true)];
    let [m0, m1] = map([M0, M1], |m| _mm512_set1_epi64(i64::from(m)));
    for [k0, k1] in noise.round_keys {
        let [k0, k1] = map([k0, k1], |k| _mm512_set1_epi32(k as i32));
        for c in &mut lanes {
            let p0 = _mm512_mul_epu32(c[0], m0);
            let p1 = _mm512_mul_epu32(c[2], m1);
            // 0x96 is the three-way exclusive or.
            c[0] = _mm512_ternarylogic_epi32::<0x96>(_mm512_srli_epi64::<32>(p1), c[1], k0);
            c[2] = _mm512_ternarylogic_epi32::<0x96>(_mm512_srli_epi64::<32>(p0), c[3], k1);
            c[1] = p1;
            c[3] = p0;
        }
    }
    let [even, odd] = lanes;
    from_fn(|i| _mm512_mask_blend_epi32(0xaaaa, even[i], _mm512_slli_epi64::<32>(odd[i])))
}

/// [`farad_core::normal::z_q12`] of 32 draws, split into magnitude and sign mask (all ones where positive).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn quantile(u: __m512i, base: &Words128, fall: &Words128) -> (__m512i, __m512i) {
    let sign = _mm512_srai_epi16::<15>(u);
    let m = _mm512_xor_si512(u, sign);
    let k = _mm512_or_si512(_mm512_add_epi16(m, m), _mm512_set1_epi16(1));
    let even = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_and_si512(k, _mm512_set1_epi32(0xffff))));
    let odd = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_srli_epi32::<16>(k)));
    let index = _mm512_mask_blend_epi16(ODD, _mm512_srli_epi32::<20>(even), _mm512_srli_epi32::<4>(odd));
    let fraction = _mm512_mask_blend_epi16(ODD, _mm512_srli_epi32::<5>(even), _mm512_slli_epi32::<11>(odd));
    let fraction = _mm512_and_si512(fraction, _mm512_set1_epi16(0x7fff));
    let upper = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
    let drop = _mm512_mulhrs_epi16(fraction, fall.at(index, upper));
    (_mm512_sub_epi16(base.at(index, upper), drop), sign)
}

/// See [`super::convert_planes`].
///
/// # Safety
/// Needs the features below; the ADC has at most 8 bits and the slices are as [`super::convert_planes`] asserts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
pub(super) unsafe fn convert_planes(
    slot: &Slot,
    ids: &[LaneIds],
    charges: &[Charges],
    sums: &mut [Lanes<i32>],
    mut seen: Option<&mut [Inputs]>,
) {
    // The draws come first: they depend on nothing, so those of several blocks are in flight together.
    let mut draws = [[_mm512_setzero_si512(); 4]; GROUP];
    if let Some(noise) = slot.noise {
        for (draws, ids) in draws.iter_mut().zip(ids) {
            *draws = philox(noise, ids);
        }
    }
    for (block, sums) in sums.iter_mut().enumerate() {
        let q = &charges[block];
        let mut v: [__m512i; 4] = from_fn(|w| apply(&slot.transfer, &q[2 * w], &q[2 * w + 1]));
        let clean = v;
        if let Some(noise) = slot.noise {
            v = add_noise(noise, slot.adc.bits, &draws[block], v);
        }
        if let Some(seen) = seen.as_mut() {
            store(&clean, &mut seen[block].clean);
            store(&v, &mut seen[block].noisy);
        }
        *sums = codes_to_sums(slot, v);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_noise(noise: &Noise, bits: u32, draws: &[__m512i; 4], v: [__m512i; 4]) -> [__m512i; 4] {
    let table = quantile_table();
    let (base, fall) = (Words128::load(&table.base), Words128::load(&table.fall));
    // SAFETY: 32 words are one unaligned 64-byte load.
    let sigmas = unsafe { _mm512_loadu_si512(noise.sigma.as_ptr().cast()) };
    let shift = _mm_cvtsi32_si128((bits + lsb_log2(bits)) as i32 - 5);
    from_fn(|w| {
        let (magnitude, sign) = quantile(draws[w], &base, &fall);
        // The quantile is odd: apply its sign first, since rounding is not. The lower half of the draws is negative.
        let z = _mm512_sub_epi16(sign, _mm512_xor_si512(magnitude, sign));
        let bin = _mm512_sra_epi16(v[w], shift);
        let bin = _mm512_max_epi16(_mm512_min_epi16(bin, _mm512_set1_epi16(15)), _mm512_set1_epi16(-16));
        let n = _mm512_mulhrs_epi16(z, _mm512_permutexvar_epi16(bin, sigmas));
        _mm512_adds_epi16(v[w], n)
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn codes_to_sums(slot: &Slot, v: [__m512i; 4]) -> Lanes<i32> {
    let adc = slot.adc;
    let half = half_range(adc.bits);
    let (top, bottom) = (_mm512_set1_epi16((half - 1) as i16), _mm512_set1_epi16(-half as i16));
    let rises = &adc.rises;
    let mut sums = _mm512_setzero_si512();
    for pair in 0..2 {
        let at: [__m512i; 2] = from_fn(|i| {
            let clamped = _mm512_max_epi16(_mm512_min_epi16(v[2 * pair + i], top), bottom);
            _mm512_sub_epi16(clamped, bottom)
        });
        let bucket = _mm512_packus_epi16(_mm512_srli_epi16::<6>(at[0]), _mm512_srli_epi16::<6>(at[1]));
        let low = _mm512_set1_epi16(63);
        let offset = _mm512_packus_epi16(_mm512_and_si512(at[0], low), _mm512_and_si512(at[1], low));
        let mut code = if adc.regular {
            bucket
        } else {
            Bytes256::load(adc.base_bytes.as_slice()).at(bucket)
        };
        for rise in rises {
            let rise = Bytes256::load(rise).at(bucket);
            code = _mm512_mask_add_epi8(code, _mm512_cmpge_epu8_mask(offset, rise), code, _mm512_set1_epi8(1));
        }
        sums = add_planes(sums, code, pair);
    }
    lanes(sums)
}

/// Adds the codes of planes `4 pair ..` with their weights; `code` is packed from the vectors `2 pair` and `2 pair + 1`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_planes(mut sums: __m512i, code: __m512i, pair: usize) -> __m512i {
    // Unpacking undoes the packing, lane for lane.
    let zero = _mm512_setzero_si512();
    let planes = [_mm512_unpacklo_epi8(code, zero), _mm512_unpackhi_epi8(code, zero)];
    for (i, codes) in planes.into_iter().enumerate() {
        let plane = 2 * (2 * pair + i);
        let weights = _mm512_set1_epi32((2 << plane) << 16 | 1 << plane);
        sums = _mm512_dpwssd_epi32(sums, codes, weights);
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(x: __m512i) -> Lanes<i32> {
    let mut out = Lanes([0i32; LANES]);
    // SAFETY: `Lanes` is 64 bytes and aligned.
    unsafe { _mm512_store_si512(out.0.as_mut_ptr().cast(), x) };
    out
}

/// See [`super::convert_counts`].
///
/// # Safety
/// Needs the features below.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn convert_counts(table: &CountTable, counts: &Charges) -> Lanes<i32> {
    let table = Bytes256::load(&table.0);
    let mut sums = _mm512_setzero_si512();
    for pair in 0..2 {
        let counts: [__m512i; 2] = from_fn(|i| {
            let w = 2 * pair + i;
            // SAFETY: `Lanes` is 64 bytes and aligned.
            unsafe {
                let even = _mm512_load_si512(counts[2 * w].0.as_ptr().cast());
                interleave(even, _mm512_load_si512(counts[2 * w + 1].0.as_ptr().cast()))
            }
        });
        let code = table.at(_mm512_packus_epi16(counts[0], counts[1]));
        sums = add_planes(sums, code, pair);
    }
    lanes(sums)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(v: &[__m512i; 4], to: &mut [[i16; LANES]; 8]) {
    for (w, &v) in v.iter().enumerate() {
        let mut words = [0i16; 32];
        // SAFETY: 32 words are one unaligned 64-byte store.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v) };
        for lane in 0..LANES {
            to[2 * w][lane] = words[2 * lane];
            to[2 * w + 1][lane] = words[2 * lane + 1];
        }
    }
}
