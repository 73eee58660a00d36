//! Activations of a tile as the charge kernels read them.
//!
//! A block is sixteen output positions (lanes). Its row vectors arrive as bytes, one row vector after the other; they leave as one of
//! four layouts, all holding the same bits:
//!
//! * [`Layout::Planes`]: `[block][plane][word]`, 32 rows to the word, for popcounts;
//! * [`Layout::Fives`]: `[block][group][plane pair]`, 16-bit lanes `(position, plane 2w), (position, plane 2w + 1)` that hold the bits of
//!   five rows, for vector lookups;
//! * [`Layout::Fours`]: `[block][group]` bytes that hold the bits of four rows, in the order of [`Fours`], for vector lookups of sixteen entries;
//! * [`Layout::Eights`]: `[block][group][plane][position]` bytes that hold the bits of eight rows, for portable lookups.

use crate::{Isa, LANES, Lanes, Words};

/// Rows whose bits index one vector lookup.
pub const FIVE: usize = 5;

/// Rows whose bits index a vector lookup of sixteen entries.
pub const FOUR: usize = 4;

/// Bits of four rows: four vectors of 32 bytes, one for each pair of planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Fours(pub(crate) [u8; 128]);

impl Fours {
    /// Where the bits of a plane and lane are. Lanes 4 to 7 and 8 to 11 change places, since AVX2 unpacks each half of a register
    /// on its own.
    #[inline]
    pub(crate) fn at(plane: usize, lane: usize) -> usize {
        // The exchange is its own inverse.
        plane / 2 * 32 + Self::lane(lane) * 2 + plane % 2
    }

    /// The lane of a word of each vector.
    #[inline]
    fn lane(word: usize) -> usize {
        match word {
            4..8 => word + 4,
            8..12 => word - 4,
            _ => word,
        }
    }
}

/// How a block is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Bit planes.
    Planes,
    /// Groups of five rows.
    Fives,
    /// Groups of four rows.
    Fours,
    /// Groups of eight rows.
    Eights,
}

/// Packed activations of several blocks.
#[derive(Debug, Clone)]
pub struct Packed {
    layout: Layout,
    rows: usize,
    blocks: usize,
    pub(crate) planes: Vec<Lanes<u32>>,
    pub(crate) fives: Vec<Words>,
    pub(crate) fours: Vec<Fours>,
    pub(crate) eights: Vec<[[u8; LANES]; 8]>,
}

impl Packed {
    /// Room for blocks of `rows` rows.
    #[must_use]
    pub fn new(layout: Layout, rows: usize) -> Self {
        Self {
            layout,
            rows,
            blocks: 0,
            planes: Vec::new(),
            fives: Vec::new(),
            fours: Vec::new(),
            eights: Vec::new(),
        }
    }

    /// The layout in which `isa` counts.
    #[must_use]
    pub fn count_layout(isa: Isa) -> Layout {
        match isa {
            Isa::Avx2 => Layout::Fours,
            Isa::Scalar | Isa::Avx512 => Layout::Planes,
        }
    }

    /// The layout that the lookups of `isa` read.
    #[must_use]
    pub fn lookup_layout(isa: Isa) -> Layout {
        match isa {
            Isa::Scalar => Layout::Eights,
            Isa::Avx2 => Layout::Fours,
            Isa::Avx512 => Layout::Fives,
        }
    }

    /// Forgets all blocks and changes the number of rows.
    pub fn reset(&mut self, layout: Layout, rows: usize) {
        self.layout = layout;
        self.rows = rows;
        self.blocks = 0;
        self.planes.clear();
        self.fives.clear();
        self.fours.clear();
        self.eights.clear();
    }

    /// Blocks held.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// 32-row words of a plane.
    #[must_use]
    pub fn words(&self) -> usize {
        self.rows.div_ceil(32)
    }

    /// Groups of a lookup layout.
    #[must_use]
    pub fn groups(&self) -> usize {
        match self.layout {
            Layout::Fives => self.rows.div_ceil(FIVE),
            Layout::Fours => self.rows.div_ceil(FOUR),
            Layout::Eights | Layout::Planes => self.rows.div_ceil(8),
        }
    }

    /// Adds a block: sixteen row vectors, `rows[lane * stride..][..self.rows]`.
    ///
    /// # Panics
    /// If `rows` is shorter than sixteen strides, or the stride is shorter than the rows rounded up to 8 (the tail is read and must be 0).
    pub fn push(&mut self, isa: Isa, rows: &[u8], stride: usize) {
        assert!(
            rows.len() >= LANES * stride && stride >= self.rows.next_multiple_of(8),
            "a block is sixteen padded row vectors"
        );
        match self.layout {
            Layout::Planes => self.push_planes(rows, stride),
            Layout::Fours => self.push_fours(isa, rows, stride),
            Layout::Eights => self.push_eights(rows, stride),
            Layout::Fives => self.push_fives(isa, rows, stride),
        }
        self.blocks += 1;
    }

    fn push_planes(&mut self, rows: &[u8], stride: usize) {
        let words = self.words();
        let at = self.planes.len();
        self.planes.resize(at + 8 * words, Lanes::default());
        let block = &mut self.planes[at..];
        for lane in 0..LANES {
            let bytes = &rows[lane * stride..][..self.rows.next_multiple_of(8)];
            for (eight, chunk) in bytes.chunks_exact(8).enumerate() {
                let bits = transpose8(u64::from_le_bytes([
                    chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
                ]));
                for (plane, byte) in bits.to_le_bytes().into_iter().enumerate() {
                    block[plane * words + eight / 4].0[lane] |= u32::from(byte) << (8 * (eight % 4));
                }
            }
        }
    }

    fn push_eights(&mut self, rows: &[u8], stride: usize) {
        let groups = self.groups();
        let at = self.eights.len();
        self.eights.resize(at + groups, [[0; LANES]; 8]);
        for lane in 0..LANES {
            let bytes = &rows[lane * stride..][..groups * 8];
            for (group, chunk) in bytes.chunks_exact(8).enumerate() {
                let bits = transpose8(u64::from_le_bytes([
                    chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
                ]));
                for (plane, byte) in bits.to_le_bytes().into_iter().enumerate() {
                    self.eights[at + group][plane][lane] = byte;
                }
            }
        }
    }

    fn push_fours(&mut self, isa: Isa, rows: &[u8], stride: usize) {
        let groups = self.groups();
        let at = self.fours.len();
        self.fours.resize(at + groups, Fours([0; 128]));
        #[cfg(target_arch = "x86_64")]
        if isa != Isa::Scalar {
            // SAFETY: the features were detected.
            unsafe { avx2::fours(rows, stride, &mut self.fours[at..]) };
            return;
        }
        let _ = isa;
        for lane in 0..LANES {
            let bytes = &rows[lane * stride..][..self.rows.next_multiple_of(8)];
            for (groups, chunk) in self.fours[at..].chunks_mut(2).zip(bytes.chunks_exact(8)) {
                let bits = transpose8(u64::from_le_bytes([
                    chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
                ]));
                for (half, group) in groups.iter_mut().enumerate() {
                    for (plane, byte) in bits.to_le_bytes().into_iter().enumerate() {
                        group.0[Fours::at(plane, lane)] = byte >> (4 * half) & 15;
                    }
                }
            }
        }
    }

    fn push_fives(&mut self, isa: Isa, rows: &[u8], stride: usize) {
        let groups = self.groups();
        let at = self.fives.len();
        self.fives.resize(at + groups * 4, Words::default());
        let block = &mut self.fives[at..];
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 {
            // SAFETY: `Isa::Avx512` is only detected where all its features are; lengths are asserted in `push`.
            unsafe { crate::pack::avx512::fives(rows, stride, self.rows, block) };
            return;
        }
        let _ = isa;
        for group in 0..groups {
            for lane in 0..LANES {
                for pair in 0..4 {
                    let mut halves = [0i16; 2];
                    for (k, row) in (group * FIVE..((group + 1) * FIVE).min(self.rows)).enumerate() {
                        let byte = rows[lane * stride + row];
                        halves[0] |= i16::from(byte >> (2 * pair) & 1) << k;
                        halves[1] |= i16::from(byte >> (2 * pair + 1) & 1) << k;
                    }
                    block[group * 4 + pair].0[2 * lane] = halves[0];
                    block[group * 4 + pair].0[2 * lane + 1] = halves[1];
                }
            }
        }
    }
}

/// Transposes an 8 x 8 bit matrix: bit `i` of byte `r` becomes bit `r` of byte `i`.
#[inline]
#[must_use]
pub fn transpose8(mut x: u64) -> u64 {
    let mut t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^ t ^ (t << 28)
}

#[cfg(target_arch = "x86_64")]
#[path = "pack_avx2.rs"]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{FIVE, LANES};
    use crate::Words;
    use std::arch::x86_64::*;

    /// Packs one block of row vectors into groups of five.
    ///
    /// # Safety
    /// Needs the features below and `rows` as [`super::Packed::push`] asserts.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni")]
    pub(super) unsafe fn fives(rows: &[u8], stride: usize, row_count: usize, block: &mut [Words]) {
        let groups = row_count.div_ceil(FIVE);
        // Byte b of 64-bit lane g takes row 5 g + b (b < 5) of a 40-row window; other bytes are zero.
        let mut spread = [0u8; 64];
        let mut keep = 0u64;
        for g in 0..8 {
            for b in 0..FIVE {
                spread[8 * g + b] = (FIVE * g + b) as u8;
                keep |= 1 << (8 * g + b);
            }
        }
        // The 8 x 8 bit transpose as a GF(2) affine map: with the identity as the vector, the matrix comes out transposed. The
        // instruction numbers matrix rows from the top, hence the reversed identity, and bytes reverse accordingly.
        let identity = _mm512_set1_epi64(0x8040_2010_0804_0201u64 as i64);
        // SAFETY: plain 64-byte load of a local array.
        let spread = unsafe { _mm512_loadu_si512(spread.as_ptr().cast()) };
        let mut bits = [[0u64; 8]; LANES];
        for window in 0..groups.div_ceil(8) {
            let first = window * 8 * FIVE;
            let len = (row_count - first).min(8 * FIVE);
            let load = (1u64 << len) - 1;
            for (lane, bits) in bits.iter_mut().enumerate() {
                // SAFETY: the mask keeps the load inside the row vector.
                unsafe {
                    let bytes = _mm512_maskz_loadu_epi8(load, rows.as_ptr().add(lane * stride + first).cast());
                    let lanes = _mm512_maskz_permutexvar_epi8(keep, spread, bytes);
                    let planes = _mm512_gf2p8affine_epi64_epi8::<0>(identity, reverse_bytes(lanes));
                    _mm512_storeu_si512(bits.as_mut_ptr().cast(), planes);
                }
            }
            for g in 0..8.min(groups - window * 8) {
                let out = &mut block[(window * 8 + g) * 4..][..4];
                for (lane, bits) in bits.iter().enumerate() {
                    let planes = bits[g].to_le_bytes();
                    for pair in 0..4 {
                        let both = u32::from(planes[2 * pair]) | u32::from(planes[2 * pair + 1]) << 16;
                        out[pair].0[2 * lane] = both as i16;
                        out[pair].0[2 * lane + 1] = (both >> 16) as i16;
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn reverse_bytes(x: __m512i) -> __m512i {
        let order = _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607);
        _mm512_shuffle_epi8(x, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(packed: &Packed, block: usize, lane: usize, row: usize, plane: usize) -> bool {
        match packed.layout() {
            Layout::Planes => {
                packed.planes[(block * 8 + plane) * packed.words() + row / 32].0[lane] >> (row % 32) & 1 == 1
            }
            Layout::Eights => packed.eights[block * packed.groups() + row / 8][plane][lane] >> (row % 8) & 1 == 1,
            Layout::Fours => {
                packed.fours[block * packed.groups() + row / FOUR].0[Fours::at(plane, lane)] >> (row % FOUR) & 1 == 1
            }
            Layout::Fives => {
                let words = &packed.fives[(block * packed.groups() + row / FIVE) * 4 + plane / 2];
                words.0[2 * lane + plane % 2] >> (row % FIVE) & 1 == 1
            }
        }
    }

    proptest! {
        /// Every layout on every instruction set holds exactly the bits of the bytes.
        #[test]
        fn holds_the_bits(rows in 1usize..150, seed in any::<u64>()) {
            let stride = rows.next_multiple_of(8);
            let mut bytes = vec![0u8; LANES * stride];
            let mut state = seed | 1;
            for lane in 0..LANES {
                for row in 0..rows {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    bytes[lane * stride + row] = (state >> 56) as u8;
                }
            }
            for &isa in Isa::available() {
                for layout in [Layout::Planes, Layout::Fives, Layout::Fours, Layout::Eights] {
                    let mut packed = Packed::new(layout, rows);
                    packed.push(isa, &bytes, stride);
                    packed.push(isa, &bytes, stride);
                    for lane in 0..LANES {
                        for row in 0..rows {
                            for plane in 0..8 {
                                let expected = bytes[lane * stride + row] >> plane & 1 == 1;
                                prop_assert_eq!(bit(&packed, 1, lane, row, plane), expected, "{:?} {:?} row {}", isa, layout, row);
                            }
                        }
                    }
                }
            }
        }
    }
}
