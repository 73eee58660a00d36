//! Which random bits belong to what.
//!
//! A draw is [`philox4x32`] of a counter and a key, and nothing else:
//!
//! * **static** draws (a chip's mismatch, offsets) are keyed by `(chip, domain)` and counted by the physical place:
//!   macro instance, column or ADC, row. Two layers that time-share a macro meet the same errors.
//! * **temporal** draws (noise of one conversion) are keyed by the run's seed and counted by
//!   `(conversion slot, output position, layer and tile part, dataset image)`. They do not depend on the chip, so chips
//!   are compared under the same noise.

use crate::normal::z_q12;
use crate::philox::philox4x32;

/// What a static draw is for. Each domain is its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Domain {
    /// Unit capacitor of a cell.
    Cell = 1,
    /// Weighting capacitor or ladder of a column or cell.
    Combiner = 2,
    /// CDAC, taps or ramp of an ADC.
    Adc = 3,
    /// Comparator offset of an ADC.
    Offset = 4,
    /// Pair of capacitors that merges input bits.
    SerialShare = 5,
    /// Row driver.
    RowDriver = 6,
    /// Lumped gain and offset of a column.
    Column = 7,
}

/// Standard normal draws that belong to one physical place of one chip, in order.
///
/// Sixteen random bits each, so a draw lies within 4.2 sigma.
#[derive(Debug, Clone)]
pub struct StaticNormals {
    key: [u32; 2],
    place: [u32; 3],
    block: u32,
    draws: [u16; 8],
    next: usize,
}

impl StaticNormals {
    /// The stream of `domain` for the place `(instance, unit, part)` on `chip`.
    #[must_use]
    pub fn new(chip: u32, domain: Domain, instance: u32, unit: u32, part: u32) -> Self {
        Self {
            key: [chip, domain as u32],
            place: [instance, unit, part],
            block: 0,
            draws: [0; 8],
            next: 8,
        }
    }

    /// The next draw in units of sigma / 4096.
    pub fn next_q12(&mut self) -> i16 {
        if self.next == 8 {
            let [a, b, c] = self.place;
            self.draws = halves(philox4x32([self.block, a, b, c], self.key));
            self.block += 1;
            self.next = 0;
        }
        self.next += 1;
        z_q12(self.draws[self.next - 1])
    }

    /// The next draw, in sigmas.
    pub fn next_sigmas(&mut self) -> f64 {
        f64::from(self.next_q12()) / 4096.0
    }
}

/// The eight 16-bit halves of a Philox block, low half first.
#[must_use]
pub fn halves(block: [u32; 4]) -> [u16; 8] {
    std::array::from_fn(|i| (block[i / 2] >> (16 * (i % 2))) as u16)
}

/// Where temporal noise belongs, up to the lane (position and image).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey {
    /// Philox key: the run's seed.
    pub key: [u32; 2],
    /// Layer and part, in counter word 2; the low four bits are the block.
    pub site: u32,
}

impl NoiseKey {
    /// Noise of tile part `part` (below 2^16) of MAC layer `layer` (below 2^12) in a run with `seed`.
    #[must_use]
    pub fn new(seed: u64, layer: usize, part: usize) -> Self {
        debug_assert!(layer < 1 << 12 && part < 1 << 16, "the schema bounds layers and parts");
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            site: (layer as u32) << 20 | (part as u32) << 4,
        }
    }

    /// Eight draws of `slot` (output channel x conversions per output + conversion) at output `position` of `image`.
    /// Block 0 holds one draw per evaluation; further blocks serve noise per decision.
    #[must_use]
    pub fn draws(&self, slot: u32, position: u32, image: u32, block: u32) -> [u16; 8] {
        halves(philox4x32([slot, position, self.site | block, image], self.key))
    }
}
