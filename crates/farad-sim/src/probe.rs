//! What happened in a tile: events that depend on data, and a systematic sample of conversions.

use crate::plan::TilePlan;
use farad_core::EventCounts;
use farad_core::axis::{half_range, lsb_steps};
use farad_hw::MacroSpec;
use farad_hw::adc::Conversion;
use farad_hw::encoding::{columns, stored_bit};
use farad_hw::spec::{Cell, InputCombine};
use farad_kernels::{Isa, ones};
use std::sync::Arc;

/// One position in this many is sampled.
const SAMPLE: u32 = 64;

/// Whether the conversions of `position` of `image` are in the systematic sample.
#[inline]
#[must_use]
pub(crate) fn is_sampled(position: u32, image: u32) -> bool {
    // 37 is odd, so that all positions of a picture take turns as images go by.
    position.wrapping_add(image.wrapping_mul(37)).is_multiple_of(SAMPLE)
}

/// A conversion as the probe sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// ADC input without temporal noise.
    pub(crate) clean: i16,
    /// What the ADC made of it.
    pub(crate) conversion: Conversion,
}

/// Collects the events of one tile.
#[derive(Debug, Clone)]
pub(crate) struct TileProbe {
    /// Columns whose cell stores a one, by row.
    ones: Arc<[u32]>,
    columns: u32,
    cell: Cell,
    /// Input bits that a row driver applies as one level.
    level_bits: u32,
    evaluations: u32,
    half: i32,
    edge: i32,
    cells_on: u64,
    rows_on: u64,
    histogram: Vec<u64>,
    clipped: u64,
    skipped: u64,
}

impl TileProbe {
    /// A probe for `tile`.
    #[must_use]
    pub(crate) fn new(spec: &MacroSpec, tile: &TilePlan) -> Self {
        let per_output = columns(spec).len();
        let mut ones = vec![0u32; tile.rows];
        for j in 0..tile.outputs.len() {
            for (row, &w) in tile.weights_of(j).iter().enumerate() {
                ones[row] += (0..per_output).map(|k| u32::from(stored_bit(spec, k, w))).sum::<u32>();
            }
        }
        // Successive charge redistribution drives one plane after the other, like bit-serial inputs.
        let level_bits = if let InputCombine::Dac { bits, .. } = spec.input.combine {
            bits
        } else {
            1
        };
        Self {
            ones: ones.into(),
            columns: (per_output * tile.outputs.len()) as u32,
            cell: spec.array.cell,
            level_bits,
            evaluations: spec.input.bits.div_ceil(level_bits),
            half: half_range(spec.adc.bits),
            edge: lsb_steps(spec.adc.bits) / 2,
            cells_on: 0,
            rows_on: 0,
            histogram: vec![0; spec.adc.codes()],
            clipped: 0,
            skipped: 0,
        }
    }

    /// Input vector `x` was driven. Counts are in input levels: ones of a bit-serial input, DAC levels of a multi-level one (the run
    /// divides by full scale).
    pub(crate) fn drive(&mut self, x: &[u8]) {
        self.drive_rows(1, x.iter().map(|&x| self.levels(x)).collect::<Vec<_>>().into_iter());
    }

    /// Sixteen lanes were driven, `lanes` of them with input vectors (the others hold zeros); `counts` is scratch.
    pub(crate) fn drive_block(&mut self, isa: Isa, lanes: usize, block: &[u8], stride: usize, counts: &mut Vec<u8>) {
        if self.level_bits == 1 {
            counts.resize(self.ones.len(), 0);
            ones::count(isa, block, stride, counts);
            self.drive_rows(lanes as u32, counts.iter().map(|&on| u32::from(on)));
        } else {
            block
                .chunks_exact(stride)
                .take(lanes)
                .for_each(|x| self.drive(&x[..self.ones.len()]));
        }
    }

    /// `on` holds the levels of each row, summed over `vectors` input vectors.
    fn drive_rows(&mut self, vectors: u32, on: impl Iterator<Item = u32>) {
        let most = ((1 << self.level_bits) - 1) * self.evaluations * vectors;
        let (mut cells, mut rows) = (0u64, 0u64);
        for (on, &ones) in on.zip(self.ones.iter()) {
            cells += match self.cell {
                Cell::And => u64::from(on * ones),
                Cell::Xnor => u64::from(on * ones) + u64::from((most - on) * (self.columns - ones)),
            };
            rows += u64::from(on);
        }
        self.cells_on += cells;
        self.rows_on += rows;
    }

    fn levels(&self, x: u8) -> u32 {
        if self.level_bits == 1 {
            return x.count_ones();
        }
        let mask = (1 << self.level_bits) - 1;
        (0..self.evaluations)
            .map(|e| u32::from(x) >> (e * self.level_bits) & mask)
            .sum()
    }

    /// A conversion was done; kept if its position is in the sample.
    pub(crate) fn converted(&mut self, position: u32, image: u32, seen: Seen) {
        if is_sampled(position, image) {
            self.sample(seen);
        }
    }

    /// Records a conversion of the sample.
    pub(crate) fn sample(&mut self, seen: Seen) {
        let v = i32::from(seen.clean);
        self.histogram[seen.conversion.code] += 1;
        self.clipped += u64::from(v < -self.half - self.edge || v >= self.half - self.edge);
        self.skipped += u64::from(seen.conversion.skipped);
    }

    /// Adds what was collected to `events`.
    pub(crate) fn add_to(&self, events: &mut EventCounts) {
        events.cells_on += self.cells_on;
        events.rows_on += self.rows_on;
        events.row_columns_on += self.rows_on * u64::from(self.columns);
        events.clipped_in_sample += self.clipped;
        events.skipped_in_sample += self.skipped;
        if events.code_histogram.len() < self.histogram.len() {
            events.code_histogram.resize(self.histogram.len(), 0);
        }
        for (to, from) in events.code_histogram.iter_mut().zip(&self.histogram) {
            *to += from;
        }
    }
}
