//! Packing tensors into words, position-major.
//!
//! A word is one f32, or two bf16 that are multiplied and added together.

use super::bf16::{pair_neighbours, pair_rows};
use super::shape::Precision;
use super::tile::{Block, Engine, ROWS};
use rayon::prelude::*;
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

/// Calls `f` with the packed weights of all blocks: `pack` fills those of a block, as many words as `len` says.
pub(super) fn with_packed<R>(
    blocks: Vec<Block>,
    len: impl Fn(&Block) -> usize,
    pack: impl Fn(Block, &mut [u32]) + Sync,
    f: impl FnOnce(&[(Block, &[u32])]) -> R,
) -> R {
    with_scratch(blocks.iter().map(&len).sum(), |mut packed| {
        let own = |block: Block| {
            let words = packed.split_off_mut(..len(&block));
            (block, words.expect("words of all blocks"))
        };
        let blocks: Vec<(Block, &mut [u32])> = blocks.into_iter().map(own).collect();
        let packed = blocks.into_par_iter().map(|(block, words)| {
            pack(block, words);
            (block, &*words)
        });
        f(&packed.collect::<Vec<_>>())
    })
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

/// `words[panel][position][image word][width]`, for sums over images: panels are `width` channels, [`ROWS`] or all that there are, the
/// last one padded with anything.
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
    assert!(width == ROWS || channels.len() <= width, "one panel, or panels of rows");
    let mut pairs = match precision {
        Precision::F32 => Vec::new(),
        Precision::Bf16 => vec![0; channels.len()],
    };
    for position in 0..maps.positions {
        for step in 0..steps {
            let values = |image: usize| &maps.row(image, position)[channels.clone()];
            let words = &mut words[(position * steps + step) * width..];
            match precision {
                Precision::F32 => spread(values(images.start + step), f32::to_bits, width, panel_len, words),
                Precision::Bf16 => {
                    let first = images.start + 2 * step;
                    let second = (first + 1 < images.end).then(|| values(first + 1));
                    pair_rows(engine, values(first), second, &mut pairs);
                    spread(&pairs, |pair| pair, width, panel_len, words);
                }
            }
        }
    }
}

/// Puts the channels of a row into their panels, which are `panel_len` words apart.
#[inline(always)]
fn spread<T: Copy>(row: &[T], word: impl Fn(T) -> u32, width: usize, panel_len: usize, words: &mut [u32]) {
    if width == ROWS {
        pieces::<ROWS, T>(row, word, panel_len, words);
    } else {
        // The pieces of a single panel follow each other.
        pieces::<8, T>(row, word, 8, words);
    }
}

/// Puts each `N` values of a row `distance` words from the last. They are few: a call to copy them would take longer than to do so.
#[inline(always)]
fn pieces<const N: usize, T: Copy>(row: &[T], word: impl Fn(T) -> u32, distance: usize, words: &mut [u32]) {
    let (whole, rest) = row.as_chunks::<N>();
    for (i, piece) in whole.iter().enumerate() {
        let words = &mut words[i * distance..][..N];
        for k in 0..N {
            words[k] = word(piece[k]);
        }
    }
    if !rest.is_empty() {
        let words = &mut words[whole.len() * distance..][..rest.len()];
        for (to, &value) in words.iter_mut().zip(rest) {
            *to = word(value);
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
