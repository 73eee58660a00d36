//! Packing tensors into words, position-major.
//!
//! A word is one f32, or two bf16 that are multiplied and added together.

use super::bf16::{pair_neighbours, pair_rows};
use super::shape::Precision;
use super::tile::Engine;
use std::cell::RefCell;
use std::ops::Range;

impl Precision {
    /// Words for `count` operands that are summed over.
    pub(super) fn words(self, count: usize) -> usize {
        match self {
            Self::F32 => count,
            Self::Bf16 => count.div_ceil(2),
        }
    }
}

/// Calls `f` with `len` words of the thread's own memory, which keeps its pages from call to call and holds anything.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [u32]) -> R) -> R {
    thread_local! {
        static FREE: RefCell<Vec<Vec<u32>>> = const { RefCell::new(Vec::new()) };
    }
    // Several, because a thread that waits for the tasks of `f` works on some of them, or on another convolution.
    let mut scratch = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
    let result = f(&mut scratch[..len]);
    FREE.with_borrow_mut(|free| free.push(scratch));
    result
}

/// A batch of maps, `[images][positions][channels]`.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) values: &'a [f32],
    pub(super) positions: usize,
    pub(super) channels: usize,
}

impl Maps<'_> {
    fn row(&self, image: usize, position: usize) -> &[f32] {
        let start = (image * self.positions + position) * self.channels;
        &self.values[start..start + self.channels]
    }
}

/// `words[position][image][channel word]`, for sums over channels.
pub(super) fn pack_channels(engine: Engine, precision: Precision, maps: Maps, images: Range<usize>, words: &mut [u32]) {
    let depth = precision.words(maps.channels);
    // Images outermost: reads, which come from memory, are sequential; writes stay in the cache.
    for (i, image) in images.clone().enumerate() {
        for position in 0..maps.positions {
            let row = maps.row(image, position);
            let words = &mut words[(position * images.len() + i) * depth..][..depth];
            pack_row(engine, precision, row, words);
        }
    }
}

/// `words[panel][position][image word][width]`, for sums over images: panels are `width` channels, the last one padded
/// with anything.
pub(super) fn pack_images(
    engine: Engine,
    precision: Precision,
    maps: Maps,
    images: Range<usize>,
    channels: Range<usize>,
    width: usize,
    words: &mut [u32],
) {
    let steps = precision.words(images.len());
    let panel_len = maps.positions * steps * width;
    let mut row = vec![0; channels.len()];
    for position in 0..maps.positions {
        for step in 0..steps {
            let values = |image: usize| &maps.row(image, position)[channels.clone()];
            match precision {
                Precision::F32 => copy_bits(values(images.start + step), &mut row),
                Precision::Bf16 => {
                    let first = images.start + 2 * step;
                    let second = (first + 1 < images.end).then(|| values(first + 1));
                    pair_rows(engine, values(first), second, &mut row);
                }
            }
            let start = (position * steps + step) * width;
            for (panel, row) in row.chunks(width).enumerate() {
                words[panel * panel_len + start..][..row.len()].copy_from_slice(row);
            }
        }
    }
}

/// Words of neighbouring values.
fn pack_row(engine: Engine, precision: Precision, values: &[f32], words: &mut [u32]) {
    match precision {
        Precision::F32 => copy_bits(values, words),
        Precision::Bf16 => pair_neighbours(engine, values, words),
    }
}

fn copy_bits(values: &[f32], words: &mut [u32]) {
    for (word, value) in words.iter_mut().zip(values) {
        *word = value.to_bits();
    }
}

/// Weights `[out][tap][in]` of which to take a block of columns, for sums over the other channels.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    pub(super) taps: usize,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl Weights<'_> {
    fn row(&self, output: usize, tap: usize) -> &[f32] {
        let start = (output * self.taps + tap) * self.inputs;
        &self.values[start..start + self.inputs]
    }

    /// `words[tap][input word][width]`: columns are output channels. Words beyond the columns hold anything.
    pub(super) fn pack_outputs(
        &self,
        engine: Engine,
        precision: Precision,
        columns: Range<usize>,
        width: usize,
        words: &mut [u32],
    ) {
        let depth = precision.words(self.inputs);
        let mut row = vec![0; depth];
        for (tap, words) in words.chunks_exact_mut(depth * width).enumerate() {
            for (column, output) in columns.clone().enumerate() {
                pack_row(engine, precision, self.row(output, tap), &mut row);
                for (words, &word) in words.chunks_exact_mut(width).zip(&row) {
                    words[column] = word;
                }
            }
        }
    }

    /// `words[tap][output word][width]`: columns are input channels. Words beyond the columns hold anything.
    pub(super) fn pack_inputs(
        &self,
        engine: Engine,
        precision: Precision,
        columns: Range<usize>,
        width: usize,
        words: &mut [u32],
    ) {
        let depth = precision.words(self.outputs);
        for (tap, words) in words.chunks_exact_mut(depth * width).enumerate() {
            for (step, words) in words.chunks_exact_mut(width).enumerate() {
                let words = &mut words[..columns.len()];
                let values = |output: usize| &self.row(output, tap)[columns.clone()];
                match precision {
                    Precision::F32 => copy_bits(values(step), words),
                    Precision::Bf16 => {
                        let second = (2 * step + 1 < self.outputs).then(|| values(2 * step + 1));
                        pair_rows(engine, values(2 * step), second, words);
                    }
                }
            }
        }
    }
}
