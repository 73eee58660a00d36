//! Charge to code: transfer, noise, quantisation, and the sum over input planes.

use crate::charge::Charges;
use crate::isa::portable;
use crate::{Isa, LANES, Lanes};
use farad_core::axis::{SIGMA_BINS, Transfer, half_range, lsb_log2, lsb_steps, sigma_bin};
use farad_core::draw::NoiseKey;
use farad_core::normal::{mulhrs, quantile_table};
use farad_core::philox::{M0, M1, round_keys};

/// The staircase of one ADC, by bucket: the code at a bucket's start, and where inside the bucket it rises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdcTable {
    bits: u32,
    /// Code at the start of each bucket, counted from 0.
    base: Vec<u16>,
    /// `rises[m][bucket]`: offset in the bucket of its `m`-th rise, or 64 for none; at least 256 entries.
    rises: Vec<Box<[u8]>>,
    /// `base` as bytes, where there are at most 256 codes.
    base_bytes: Box<[u8; 256]>,
    /// Every bucket starts at the code of its own number.
    regular: bool,
}

impl AdcTable {
    /// From a staircase: `staircase[k - 1]` is the lowest input with a code of at least `k`, in steps of [`farad_core::axis`],
    /// `i32::MAX` for codes that never come. A bucket is one LSB wide.
    ///
    /// # Panics
    /// If the staircase does not have `2^bits - 1` ascending entries.
    #[must_use]
    pub fn new(bits: u32, staircase: &[i32]) -> Self {
        let codes = 1usize << bits;
        assert!(
            staircase.len() == codes - 1 && staircase.is_sorted(),
            "a staircase has an ascending entry per code"
        );
        let start = |bucket: usize| (bucket as i32 * lsb_steps(bits)) - half_range(bits);
        let base: Vec<u16> = (0..codes)
            .map(|b| staircase.partition_point(|&s| s <= start(b)) as u16)
            .collect();
        let inside = |b: usize| {
            let from = usize::from(base[b]);
            staircase[from..]
                .iter()
                .take_while(move |&&s| s < start(b + 1))
                .map(move |&s| (s - start(b)) as u8)
        };
        let most = (0..codes).map(|b| inside(b).count()).max().unwrap_or(0).max(1);
        let rise = |m| {
            (0..codes.max(256))
                .map(|b| if b < codes { inside(b).nth(m).unwrap_or(64) } else { 64 })
                .collect()
        };
        let rises = (0..most).map(rise).collect();
        let regular = base.iter().enumerate().all(|(b, &code)| b == usize::from(code));
        let base_bytes = Box::new(std::array::from_fn(|b| base.get(b).map_or(0, |&code| code as u8)));
        Self {
            bits,
            base,
            rises,
            base_bytes,
            regular,
        }
    }

    /// Resolution.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The code for ADC input `v`.
    #[inline]
    #[must_use]
    pub fn code(&self, v: i16) -> u16 {
        let half = half_range(self.bits);
        let at = i32::from(v).clamp(-half, half - 1) + half;
        let (bucket, offset) = (
            (at >> lsb_log2(self.bits)) as usize,
            (at & (lsb_steps(self.bits) - 1)) as u8,
        );
        self.base[bucket] + self.rises.iter().map(|r| u16::from(offset >= r[bucket])).sum::<u16>()
    }
}

impl AdcTable {
    /// [`code`](Self::code) of each lane.
    #[inline(always)]
    fn codes_of_lanes(&self, inputs: &[i16; LANES]) -> [u16; LANES] {
        let half = half_range(self.bits);
        let at = inputs.map(|v| (i32::from(v).clamp(-half, half - 1) + half) as u32);
        let bucket = at.map(|at| (at >> lsb_log2(self.bits)) as usize);
        let mut codes = if self.regular {
            bucket.map(|b| b as u16)
        } else {
            bucket.map(|b| self.base[b])
        };
        for rises in &self.rises {
            let rise = bucket.map(|b| rises[b]);
            for lane in 0..LANES {
                codes[lane] += u16::from((at[lane] & (lsb_steps(self.bits) as u32 - 1)) as u8 >= rise[lane]);
            }
        }
        codes
    }
}

/// Temporal noise of a slot: one draw per conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise {
    sigma: [i16; SIGMA_BINS],
    key: NoiseKey,
    slot: u32,
    round_keys: [[u32; 2]; 10],
}

impl Noise {
    /// Noise of conversion slot `slot`. `sigma` is by bin of the ADC's range ([`sigma_bin`]), in 1/8 axis steps; `key` says where the draws belong.
    #[must_use]
    pub fn new(sigma: [i16; SIGMA_BINS], key: NoiseKey, slot: u32) -> Self {
        Self {
            sigma,
            key,
            slot,
            round_keys: round_keys(key.key),
        }
    }
}

/// Which positions and images the lanes of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneIds {
    /// Output position of each lane.
    pub position: Lanes<u32>,
    /// Dataset index of each lane's image.
    pub image: Lanes<u32>,
}

/// A slot's way from charge to code.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a> {
    /// Charge to ADC input.
    pub transfer: Transfer,
    /// Its ADC.
    pub adc: &'a AdcTable,
    /// Temporal noise, if any.
    pub noise: Option<&'a Noise>,
}

/// ADC inputs of one block, without and with noise: `[plane][lane]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Noise-free.
    pub clean: [[i16; LANES]; 8],
    /// As converted.
    pub noisy: [[i16; LANES]; 8],
}

/// Blocks that [`convert_planes`] takes at once, so that their chains of dependent instructions overlap.
pub const GROUP: usize = 4;

/// Converts the charges of eight bit planes of up to [`GROUP`] blocks: `sums[block]` becomes `sum over planes of 2^plane * code`, codes
/// counted from 0. Evaluation `i` uses half `i` of the slot's draw block. `seen`, if given, receives the ADC inputs.
///
/// # Panics
/// If there are more blocks than a group, or the slices differ in length.
pub fn convert_planes(
    isa: Isa,
    slot: &Slot,
    ids: &[LaneIds],
    charges: &[Charges],
    sums: &mut [Lanes<i32>],
    seen: Option<&mut [Inputs]>,
) {
    assert!(ids.len() <= GROUP && charges.len() == ids.len() && sums.len() == ids.len());
    assert!(seen.as_ref().is_none_or(|seen| seen.len() == ids.len()));
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && slot.adc.bits <= 8 && slot.adc.rises.len() <= 4 {
        // SAFETY: the features were detected.
        unsafe { avx512::convert_planes(slot, ids, charges, sums, seen) };
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx2 && slot.adc.bits <= 8 {
        // SAFETY: the features were detected.
        unsafe { avx2::convert_planes(slot, ids, charges, sums, seen) };
        return;
    }
    let mut seen = seen;
    for (block, sums) in sums.iter_mut().enumerate() {
        let seen = seen.as_mut().map(|seen| &mut seen[block]);
        *sums = convert_planes_portable(isa, slot, &ids[block], &charges[block], seen);
    }
}

portable! {
    fn convert_planes_portable(slot: &Slot, ids: &LaneIds, charges: &Charges, seen: Option<&mut Inputs>) -> Lanes<i32> {
        let mut inputs = Inputs::default();
        for (clean, charges) in inputs.clean.iter_mut().zip(charges) {
            for lane in 0..LANES {
                clean[lane] = slot.transfer.apply(charges.0[lane] as f32);
            }
        }
        inputs.noisy = inputs.clean;
        if let Some(noise) = slot.noise {
            add_noise_lanes(noise, slot.adc.bits, ids, &mut inputs.noisy);
        }
        let mut sums = Lanes::default();
        for (plane, noisy) in inputs.noisy.iter().enumerate() {
            let codes = slot.adc.codes_of_lanes(noisy);
            for lane in 0..LANES {
                sums.0[lane] += i32::from(codes[lane]) << plane;
            }
        }
        if let Some(seen) = seen {
            *seen = inputs;
        }
        sums
    }
}

/// [`farad_core::axis::add_noise`] of all planes and lanes, one arithmetic step for all lanes at a time, which compilers vectorise.
#[inline(always)]
fn add_noise_lanes(noise: &Noise, bits: u32, ids: &LaneIds, inputs: &mut [[i16; LANES]; 8]) {
    let table = quantile_table();
    let draws = philox(noise, ids);
    for (plane, inputs) in inputs.iter_mut().enumerate() {
        let draw: [i16; LANES] = std::array::from_fn(|lane| (draws[plane / 2][lane] >> (16 * (plane % 2))) as i16);
        let k: [i32; LANES] = draw.map(|u| i32::from((u ^ (u >> 15)) as u16) << 1 | 1);
        let float = k.map(|k| (k as f32).to_bits());
        let base = float.map(|f| table.base[(f >> 20 & 127) as usize]);
        let fall = float.map(|f| table.fall[(f >> 20 & 127) as usize]);
        let sigma = inputs.map(|v| noise.sigma[sigma_bin(v, bits)]);
        for lane in 0..LANES {
            let magnitude = base[lane] - mulhrs((float[lane] >> 5 & 0x7fff) as i16, fall[lane]);
            let sign = draw[lane] >> 15;
            inputs[lane] = inputs[lane].saturating_add(mulhrs(sign - (magnitude ^ sign), sigma[lane]));
        }
    }
}

/// [`farad_core::philox::philox4x32`] for each lane, in a form that compilers vectorise.
#[inline(always)]
fn philox(noise: &Noise, ids: &LaneIds) -> [[u32; LANES]; 4] {
    let mut c = [
        [noise.slot; LANES],
        ids.position.0,
        [noise.key.site; LANES],
        ids.image.0,
    ];
    for [k0, k1] in noise.round_keys {
        let [c0, c1, c2, c3] = &mut c;
        for lane in 0..LANES {
            let p0 = u64::from(M0) * u64::from(c0[lane]);
            let p1 = u64::from(M1) * u64::from(c2[lane]);
            c0[lane] = (p1 >> 32) as u32 ^ c1[lane] ^ k0;
            c2[lane] = (p0 >> 32) as u32 ^ c3[lane] ^ k1;
            c1[lane] = p1 as u32;
            c3[lane] = p0 as u32;
        }
    }
    c
}

/// The codes of a noise-free slot whose charges are counts from 0 to 255, as one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountTable(pub [u8; 256]);

impl CountTable {
    /// The codes of counts 0 to 255.
    ///
    /// # Panics
    /// If the ADC has more than 8 bits.
    #[must_use]
    pub fn new(transfer: &Transfer, adc: &AdcTable) -> Self {
        assert!(adc.bits <= 8, "codes of a count table are bytes");
        Self(std::array::from_fn(|count| {
            adc.code(transfer.apply(count as f32)) as u8
        }))
    }
}

/// [`convert_planes`] by table, for counts below 256.
#[must_use]
pub fn convert_counts(isa: Isa, table: &CountTable, counts: &Charges) -> Lanes<i32> {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the features were detected.
        return unsafe { avx512::convert_counts(table, counts) };
    }
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx2 {
        // SAFETY: the features were detected.
        return unsafe { avx2::convert_counts(table, counts) };
    }
    convert_counts_portable(isa, table, counts)
}

portable! {
    fn convert_counts_portable(table: &CountTable, counts: &Charges) -> Lanes<i32> {
        let mut sums = Lanes::default();
        for (plane, counts) in counts.iter().enumerate() {
            for lane in 0..LANES {
                sums.0[lane] += i32::from(table.0[(counts.0[lane] & 255) as usize]) << plane;
            }
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
#[path = "adc_avx2.rs"]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[path = "adc_avx512.rs"]
mod avx512;

#[cfg(test)]
mod tests {
    use super::*;
    use farad_core::axis::add_noise;
    use proptest::prelude::*;

    /// A staircase with `spread` steps of jitter, ascending, inside the axis.
    fn staircase(bits: u32, spread: i32, seed: u64) -> Vec<i32> {
        let (half, lsb) = (half_range(bits), lsb_steps(bits));
        let mut state = seed | 1;
        let mut stairs: Vec<i32> = (1..1 << bits)
            .map(|k| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let jitter = (state >> 33) as i32 % (2 * spread + 1) - spread;
                (lsb * k - lsb / 2 - half + jitter).clamp(1 - half, half - 1)
            })
            .collect();
        stairs.sort_unstable();
        stairs
    }

    /// The definition: each conversion on its own, by the functions of `farad_core::axis`.
    fn convert_one_by_one(slot: &Slot, ids: &LaneIds, charges: &Charges) -> (Lanes<i32>, Inputs) {
        let (mut sums, mut inputs) = (Lanes([0; LANES]), Inputs::default());
        for lane in 0..LANES {
            for plane in 0..8 {
                let clean = slot.transfer.apply(charges[plane].0[lane] as f32);
                let noisy = slot.noise.map_or(clean, |noise| {
                    let draws = noise.key.draws(noise.slot, ids.position.0[lane], ids.image.0[lane], 0);
                    add_noise(clean, noise.sigma[sigma_bin(clean, slot.adc.bits)], draws[plane])
                });
                (inputs.clean[plane][lane], inputs.noisy[plane][lane]) = (clean, noisy);
                sums.0[lane] += i32::from(slot.adc.code(noisy)) << plane;
            }
        }
        (sums, inputs)
    }

    proptest! {
        /// The bucket table is the staircase: the code is the number of entries not above the input.
        #[test]
        fn table_equals_staircase(bits in 1u32..=12, spread in 0i32..150, seed in any::<u64>()) {
            let stairs = staircase(bits, spread, seed);
            let table = AdcTable::new(bits, &stairs);
            for v in (i16::MIN..=i16::MAX).step_by(7) {
                let count = stairs.iter().take_while(|&&s| s <= i32::from(v)).count();
                prop_assert_eq!(usize::from(table.code(v)), count, "at {}", v);
            }
        }

        /// All instruction sets convert alike, with and without noise.
        #[test]
        fn isas_agree(
            bits in 1u32..=12, spread in 0i32..100, seed in any::<u64>(), sigma in 0i16..2000, slope in 0i16..40,
            gain in -30.0f32..30.0, offset in -9000.0f32..9000.0, quadratic in -0.01f32..0.01, noisy in any::<bool>(),
        ) {
            let table = AdcTable::new(bits, &staircase(bits, spread, seed));
            let noise = Noise::new(std::array::from_fn(|b| sigma + slope * b as i16), NoiseKey::new(seed, 3, 5), 77);
            let mut ids = LaneIds::default();
            let mut charges = Charges::default();
            let mut state = seed;
            for lane in 0..LANES {
                ids.position.0[lane] = lane as u32 * 3;
                ids.image.0[lane] = 9_000 + lane as u32 / 4;
                for plane in &mut charges {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    plane.0[lane] = (state >> 52) as i32 - 2048;
                }
            }
            let slot = Slot { transfer: Transfer { offset, gain, quadratic }, adc: &table, noise: noisy.then_some(&noise) };
            let (expected, seen) = convert_one_by_one(&slot, &ids, &charges);
            for &isa in Isa::available() {
                let (mut also, mut sums) = ([Inputs::default(); 3], [Lanes::default(); 3]);
                convert_planes(isa, &slot, &[ids; 3], &[charges; 3], &mut sums, Some(&mut also));
                prop_assert_eq!((sums, also), ([expected; 3], [seen; 3]));
                convert_planes(isa, &slot, &[ids; 3], &[charges; 3], &mut sums, None);
                prop_assert_eq!(sums, [expected; 3]);
            }
        }

        #[test]
        fn count_tables_agree(seed in any::<u64>(), gain in 0.0f32..80.0) {
            let adc = AdcTable::new(8, &staircase(8, 30, seed));
            let transfer = Transfer { offset: -8192.0, gain, quadratic: 0.0 };
            let table = CountTable::new(&transfer, &adc);
            let mut counts = Charges::default();
            for (p, plane) in counts.iter_mut().enumerate() {
                plane.0 = std::array::from_fn(|lane| (seed >> (p + lane)) as i32 & 255);
            }
            let slot = Slot { transfer, adc: &adc, noise: None };
            let (expected, _) = convert_one_by_one(&slot, &LaneIds::default(), &counts);
            for &isa in Isa::available() {
                prop_assert_eq!(convert_counts(isa, &table, &counts), expected);
            }
        }
    }
}
