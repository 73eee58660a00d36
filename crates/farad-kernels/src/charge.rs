//! Charge of one conversion slot: the sum of its cells' charges over the rows whose input bit is one.

use crate::isa::portable;
use crate::pack::{FIVE, FOUR, Fours, Layout, Packed};
use crate::{Isa, LANES, Lanes, Words};

/// Charges of one block: `[plane][lane]`, in quanta.
pub type Charges = [Lanes<i32>; 8];

/// What one slot's rows add when their input bit is one.
#[derive(Debug, Clone)]
pub enum Column {
    /// One quantum where the stored bit is one: `bits` has a bit per row, 32 to the word.
    Bits(Vec<u32>),
    /// A signed charge per row, as lookup tables.
    Tables(Tables),
}

/// Sums of the charges of a few rows for every combination of their input bits.
#[derive(Debug, Clone)]
pub enum Tables {
    /// For [`Layout::Fives`]: 32 sums a group, and after how many groups 16-bit sums must be widened.
    Fives {
        /// One table per group.
        sums: Vec<Words>,
        /// Groups that can be added in 16 bits.
        widen_every: usize,
    },
    /// For [`Layout::Fours`]: 16 sums a group, counted from the group's lowest.
    Fours {
        /// The groups.
        spans: Vec<FoursSpan>,
        /// What all groups are at their lowest.
        lowest: i32,
    },
    /// For [`Layout::Eights`]: 256 sums a group.
    Eights(Vec<[i32; 256]>),
}

/// Groups of four rows whose sums add up in 16 bits.
#[derive(Debug, Clone, Default)]
pub struct FoursSpan {
    /// Sums of each group: their low [`FOURS_BITS`] bits, and the rest.
    pub(crate) sums: Vec<[[u8; 16]; 2]>,
    /// Groups that follow one another and whose high parts add up in a byte.
    pub(crate) runs: Vec<u8>,
}

/// Rows that are counted in a byte.
const COUNTED: usize = 224;
/// Bits in the low part of a sum of four rows.
pub(crate) const FOURS_BITS: u32 = 7;
/// Groups of a [`FoursSpan`]: 128 low parts of 7 bits, and 128 bytes, fit 15 bits.
const SPAN: usize = 128;

impl Tables {
    /// Tables for `charges` (one per row) in `layout`.
    ///
    /// # Panics
    /// If the charges of a group of [`Layout::Fives`] or [`Layout::Fours`] do not fit 16 bits, which a lowered macro excludes, or if `layout` is not a lookup layout.
    #[must_use]
    pub fn new(layout: Layout, charges: &[i16]) -> Self {
        match layout {
            Layout::Fives => {
                let mut sums = Vec::with_capacity(charges.len().div_ceil(FIVE));
                let mut largest = 1;
                for group in charges.chunks(FIVE) {
                    let positive: i32 = group.iter().map(|&c| i32::from(c).max(0)).sum();
                    let negative: i32 = group.iter().map(|&c| i32::from(c).min(0)).sum();
                    largest = largest.max(positive.max(-negative));
                    let mut table = Words::default();
                    for (k, &charge) in group.iter().enumerate() {
                        for low in 0..1 << k {
                            table.0[low | 1 << k] = table.0[low].wrapping_add(charge);
                        }
                    }
                    // A short last group: bits of rows that do not exist are never set.
                    sums.push(table);
                }
                assert!(largest <= i32::from(i16::MAX), "five cells overflow 16 bits");
                Self::Fives {
                    sums,
                    widen_every: (i32::from(i16::MAX) / largest) as usize,
                }
            }
            Layout::Fours => Self::fours(charges),
            Layout::Eights => {
                let tables = charges.chunks(8).map(|group| {
                    let mut table = [0i32; 256];
                    for (k, &charge) in group.iter().enumerate() {
                        for low in 0..1 << k {
                            table[low | 1 << k] = table[low] + i32::from(charge);
                        }
                    }
                    table
                });
                Self::Eights(tables.collect())
            }
            Layout::Planes => panic!("bit planes are counted, not looked up"),
        }
    }

    fn fours(charges: &[i16]) -> Self {
        /// Whether a row counts in a sum: all ones if so.
        const MEMBERS: [[i16; 16]; FOUR] = {
            let mut members = [[0; 16]; FOUR];
            let mut i = 0;
            while i < 16 * FOUR {
                members[i / 16][i % 16] = -(((i % 16) >> (i / 16) & 1) as i16);
                i += 1;
            }
            members
        };
        let mut all_lowest = 0;
        let spans = charges.chunks(FOUR * SPAN).map(|charges| {
            let mut span = FoursSpan::default();
            // High parts of the run so far, at their largest.
            let mut run_high = 0;
            for group in charges.chunks(FOUR) {
                let magnitude: i32 = group.iter().map(|&c| i32::from(c).abs()).sum();
                assert!(magnitude <= i32::from(i16::MAX), "four cells overflow 16 bits");
                let lowest: i16 = group.iter().map(|&c| c.min(0)).sum();
                all_lowest += i32::from(lowest);
                let mut sums = [-lowest; 16];
                for (&charge, members) in group.iter().zip(&MEMBERS) {
                    for (sum, &member) in sums.iter_mut().zip(members) {
                        *sum += charge & member;
                    }
                }
                span.sums.push([
                    sums.map(|sum| (sum & ((1 << FOURS_BITS) - 1)) as u8),
                    sums.map(|sum| (sum >> FOURS_BITS) as u8),
                ]);
                let high = magnitude >> FOURS_BITS;
                match span.runs.last_mut() {
                    Some(run) if run_high + high <= u8::MAX.into() => {
                        *run += 1;
                        run_high += high;
                    }
                    _ => {
                        span.runs.push(1);
                        run_high = high;
                    }
                }
            }
            span
        });
        Self::Fours {
            spans: spans.collect(),
            lowest: all_lowest,
        }
    }
}

/// Charges of `column` for block `block` of `packed`.
///
/// # Panics
/// If the column's length or layout is not the packed one's.
pub fn charges(isa: Isa, column: &Column, packed: &Packed, block: usize, out: &mut Charges) {
    match column {
        Column::Bits(bits) if packed.layout() == Layout::Fours => {
            let groups = packed.groups();
            assert_eq!(groups.div_ceil(COUNTED / FOUR), bits.len().div_ceil(COUNTED / 32));
            *out = Charges::default();
            let index = packed.fours[block * groups..][..groups].chunks(COUNTED / FOUR);
            for (bits, index) in bits.chunks(COUNTED / 32).zip(index) {
                #[cfg(target_arch = "x86_64")]
                if isa != Isa::Scalar {
                    // SAFETY: the features were detected.
                    unsafe { avx2::count(bits, index, out) };
                    continue;
                }
                count_fours(bits, index, out);
            }
        }
        Column::Bits(bits) => {
            assert_eq!((packed.layout(), bits.len()), (Layout::Planes, packed.words()));
            let planes = &packed.planes[block * 8 * bits.len()..][..8 * bits.len()];
            #[cfg(target_arch = "x86_64")]
            if isa == Isa::Avx512 {
                // SAFETY: the features were detected; the slice above holds 8 planes of `bits.len()` words.
                unsafe { avx512::count(bits, planes, out) };
                return;
            }
            count(isa, bits, planes, out);
        }
        Column::Tables(Tables::Fives { sums, widen_every }) => {
            assert_eq!((packed.layout(), sums.len()), (Layout::Fives, packed.groups()));
            let index = &packed.fives[block * 4 * sums.len()..][..4 * sums.len()];
            #[cfg(target_arch = "x86_64")]
            if isa == Isa::Avx512 {
                // SAFETY: the features were detected; the slice above holds four index vectors per table.
                unsafe { avx512::look_up(sums, *widen_every, index, out) };
                return;
            }
            let _ = widen_every;
            look_up_fives(isa, sums, index, out);
        }
        Column::Tables(Tables::Fours { spans, lowest }) => {
            let groups = packed.groups();
            assert_eq!(packed.layout(), Layout::Fours);
            assert_eq!(spans.iter().map(|span| span.sums.len()).sum::<usize>(), groups);
            *out = [Lanes([*lowest; LANES]); 8];
            let index = &packed.fours[block * groups..][..groups];
            for (span, index) in spans.iter().zip(index.chunks(SPAN)) {
                #[cfg(target_arch = "x86_64")]
                if isa != Isa::Scalar {
                    // SAFETY: the features were detected.
                    unsafe { avx2::look_up(span, index, out) };
                    continue;
                }
                look_up_fours(span, index, out);
            }
        }
        Column::Tables(Tables::Eights(tables)) => {
            assert_eq!((packed.layout(), tables.len()), (Layout::Eights, packed.groups()));
            let index = &packed.eights[block * tables.len()..][..tables.len()];
            look_up_eights(isa, tables, index, out);
        }
    }
}

portable! {
    fn count(bits: &[u32], planes: &[Lanes<u32>], out: &mut Charges) {
        for (plane, out) in planes.chunks_exact(bits.len()).zip(out) {
            let mut sums = [0i32; LANES];
            for (word, &w) in plane.iter().zip(bits) {
                for lane in 0..LANES {
                    sums[lane] += (word.0[lane] & w).count_ones() as i32;
                }
            }
            out.0 = sums;
        }
    }
}

portable! {
    fn look_up_fives(sums: &[Words], index: &[Words], out: &mut Charges) {
        *out = Charges::default();
        for (table, index) in sums.iter().zip(index.chunks_exact(4)) {
            for pair in 0..4 {
                for lane in 0..LANES {
                    out[2 * pair].0[lane] += i32::from(table.0[index[pair].0[2 * lane] as usize & 31]);
                    out[2 * pair + 1].0[lane] += i32::from(table.0[index[pair].0[2 * lane + 1] as usize & 31]);
                }
            }
        }
    }
}

/// The definition of a count in [`Layout::Fours`].
fn count_fours(bits: &[u32], index: &[Fours], out: &mut Charges) {
    for (group, index) in index.iter().enumerate() {
        let members = bits[group * FOUR / 32] >> (group * FOUR % 32) & 15;
        for (plane, out) in out.iter_mut().enumerate() {
            for (lane, sum) in out.0.iter_mut().enumerate() {
                *sum += (u32::from(index.0[Fours::at(plane, lane)]) & members).count_ones() as i32;
            }
        }
    }
}

/// The definition of the lookup in [`Layout::Fours`].
fn look_up_fours(span: &FoursSpan, index: &[Fours], out: &mut Charges) {
    for ([low, high], index) in span.sums.iter().zip(index) {
        for (plane, out) in out.iter_mut().enumerate() {
            for (lane, sum) in out.0.iter_mut().enumerate() {
                let at = usize::from(index.0[Fours::at(plane, lane)]);
                *sum += i32::from(low[at]) + (i32::from(high[at]) << FOURS_BITS);
            }
        }
    }
}

portable! {
    fn look_up_eights(tables: &[[i32; 256]], index: &[[[u8; LANES]; 8]], out: &mut Charges) {
        for plane in 0..8 {
            let mut sums = [0i32; LANES];
            for (table, index) in tables.iter().zip(index) {
                for lane in 0..LANES {
                    sums[lane] += table[usize::from(index[plane][lane])];
                }
            }
            out[plane].0 = sums;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[path = "charge_avx2.rs"]
mod avx2;

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Charges, Lanes, Words};
    use std::arch::x86_64::*;

    /// Population counts of `planes & bits`.
    ///
    /// # Safety
    /// Needs the features below; `planes` holds 8 planes of `bits.len()` words.
    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
    pub(super) unsafe fn count(bits: &[u32], planes: &[Lanes<u32>], out: &mut Charges) {
        let words = bits.len();
        let mut sums = [_mm512_setzero_si512(); 8];
        for (k, &w) in bits.iter().enumerate() {
            let w = _mm512_set1_epi32(w as i32);
            for (plane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: in bounds by the caller's contract; `Lanes` is 64-byte aligned.
                let x = unsafe { _mm512_load_si512(planes.as_ptr().add(plane * words + k).cast()) };
                *sum = _mm512_add_epi32(*sum, _mm512_popcnt_epi32(_mm512_and_si512(x, w)));
            }
        }
        for (sum, out) in sums.into_iter().zip(out) {
            // SAFETY: `Lanes` is 64 bytes and aligned.
            unsafe { _mm512_store_si512(out.0.as_mut_ptr().cast(), sum) };
        }
    }

    /// Sums of 32-entry lookups, widened to 32 bits every `widen_every` groups.
    ///
    /// # Safety
    /// Needs the features below; `index` holds four vectors per table.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn look_up(sums: &[Words], widen_every: usize, index: &[Words], out: &mut Charges) {
        let low_half = _mm512_set1_epi32(1);
        let high_half = _mm512_set1_epi32(1 << 16);
        let mut low = [_mm512_setzero_si512(); 4];
        let mut high = [_mm512_setzero_si512(); 4];
        for (tables, index) in sums.chunks(widen_every).zip(index.chunks(4 * widen_every)) {
            let mut short = [_mm512_setzero_si512(); 4];
            for (group, table) in tables.iter().enumerate() {
                // SAFETY: `Words` is 64 bytes and aligned; the index has four vectors per table.
                unsafe {
                    let table = _mm512_load_si512(table.0.as_ptr().cast());
                    for (pair, short) in short.iter_mut().enumerate() {
                        let at = _mm512_load_si512(index.as_ptr().add(4 * group + pair).cast());
                        *short = _mm512_add_epi16(*short, _mm512_permutexvar_epi16(at, table));
                    }
                }
            }
            for pair in 0..4 {
                low[pair] = _mm512_dpwssd_epi32(low[pair], short[pair], low_half);
                high[pair] = _mm512_dpwssd_epi32(high[pair], short[pair], high_half);
            }
        }
        for pair in 0..4 {
            // SAFETY: `Lanes` is 64 bytes and aligned.
            unsafe {
                _mm512_store_si512(out[2 * pair].0.as_mut_ptr().cast(), low[pair]);
                _mm512_store_si512(out[2 * pair + 1].0.as_mut_ptr().cast(), high[pair]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Counts and lookups on every instruction set are the sums that they stand for.
        #[test]
        fn charges_are_sums(rows in 1usize..1100, seed in any::<u64>(), largest in 1i16..6000) {
            let stride = rows.next_multiple_of(8);
            let mut state = seed | 1;
            let mut next = || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407); state >> 33 };
            let mut x = vec![0u8; LANES * stride];
            for lane in 0..LANES {
                x[lane * stride..][..rows].iter_mut().for_each(|x| *x = next() as u8);
            }
            let cells: Vec<i16> = (0..rows).map(|_| (next() % (2 * largest as u64 + 1)) as i16 - largest).collect();
            let bits: Vec<u32> = (0..rows.div_ceil(32)).map(|_| next() as u32).collect();
            let expected = |lane: usize, plane: usize, charge: &dyn Fn(usize) -> i32| -> i32 {
                (0..rows).filter(|&row| x[lane * stride + row] >> plane & 1 == 1).map(charge).sum()
            };
            for &isa in Isa::available() {
                let lookup = |layout| (layout, Column::Tables(Tables::new(layout, &cells)));
                let columns = [
                    (Layout::Planes, Column::Bits(bits.clone())),
                    (Layout::Fours, Column::Bits(bits.clone())),
                    lookup(Packed::lookup_layout(isa)),
                    lookup(Layout::Fours),
                ];
                for (layout, column) in columns {
                    let counted = matches!(column, Column::Bits(_));
                    let mut packed = Packed::new(layout, rows);
                    packed.push(isa, &x, stride);
                    let mut q = Charges::default();
                    charges(isa, &column, &packed, 0, &mut q);
                    for plane in 0..8 {
                        for lane in 0..LANES {
                            let charge = |row: usize| match counted {
                                true => (bits[row / 32] >> (row % 32) & 1) as i32,
                                false => i32::from(cells[row]),
                            };
                            prop_assert_eq!(q[plane].0[lane], expected(lane, plane, &charge), "{:?} {:?}", isa, layout);
                        }
                    }
                }
            }
        }
    }
}
