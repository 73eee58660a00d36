//! Forward pass and input gradient: every output position gathers from the positions that its taps reach.

use super::pack::{Maps, Weights, pack_channels, with_scratch};
use super::shape::{Conv2d, Precision};
use super::tile::{Block, Engine, ROWS, Run, Tile};
use crate::LANES;
use rayon::prelude::*;
use std::ops::Range;

/// For every position of the gathering map, its taps inside the other map.
pub(super) struct Taps {
    /// `(tap, source position)`, position after position.
    entries: Vec<(usize, usize)>,
    /// End of each position's entries.
    ends: Vec<usize>,
    /// Positions of the map that is read.
    sources: usize,
}

impl Taps {
    /// Taps of output positions on the input.
    pub(super) fn forward(c: &Conv2d) -> Self {
        Self::new(
            c,
            [c.out_height(), c.out_width()],
            c.height * c.width,
            |[oy, ox], [ky, kx]| Some(c.source(oy, ky, c.height)? * c.width + c.source(ox, kx, c.width)?),
        )
    }

    /// Taps of input positions on the output.
    pub(super) fn input_gradient(c: &Conv2d) -> Self {
        let (height, width) = (c.out_height(), c.out_width());
        let target = |i: usize, k: usize, extent: usize| {
            let shifted = (i + c.padding).checked_sub(k)?;
            (shifted % c.stride == 0 && shifted / c.stride < extent).then_some(shifted / c.stride)
        };
        Self::new(c, [c.height, c.width], height * width, |[iy, ix], [ky, kx]| {
            Some(target(iy, ky, height)? * width + target(ix, kx, width)?)
        })
    }

    fn new(
        c: &Conv2d,
        [height, width]: [usize; 2],
        sources: usize,
        source: impl Fn([usize; 2], [usize; 2]) -> Option<usize>,
    ) -> Self {
        let mut taps = Self {
            entries: Vec::new(),
            ends: Vec::with_capacity(height * width),
            sources,
        };
        for position in 0..height * width {
            let reached = (0..c.taps()).filter_map(|tap| {
                let source = source([position / width, position % width], [tap / c.kernel, tap % c.kernel])?;
                Some((tap, source))
            });
            taps.entries.extend(reached);
            taps.ends.push(taps.entries.len());
        }
        taps
    }

    /// Taps of each position, in order.
    pub(super) fn positions(&self) -> impl Iterator<Item = &[(usize, usize)]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.entries[start..end])
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Which channels of the weights are the columns of the product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Outputs,
    Inputs,
}

/// Words of a chunk of packed images: with a block of weights they fit the second-level cache of 1 MiB.
const CHUNK_WORDS: usize = 192 << 10;

/// `to[n][position][column] = sum over taps and channels of from[n][source][channel] * weight[tap][channel][column]`.
pub(super) fn gather(
    engine: Engine,
    precision: Precision,
    taps: &Taps,
    images: usize,
    from: &[f32],
    weights: Weights,
    side: Columns,
    to: &mut [f32],
) {
    if from.is_empty() || to.is_empty() {
        to.fill(0.0);
        return;
    }
    let (columns, channels) = match side {
        Columns::Outputs => (weights.outputs, weights.inputs),
        Columns::Inputs => (weights.inputs, weights.outputs),
    };
    let depth = precision.words(channels);
    let blocks = engine.blocks(columns);
    let block_len = |block: &Block| weights.taps * depth * block.vectors * LANES;
    with_scratch(blocks.iter().map(block_len).sum(), |packed| {
        let mut rest = &mut *packed;
        let parts: Vec<(Block, &mut [u32])> = blocks
            .iter()
            .map(|block| {
                (
                    *block,
                    rest.split_off_mut(..block_len(block)).expect("blocks fill the scratch"),
                )
            })
            .collect();
        let parts: Vec<(Block, &[u32])> = parts
            .into_par_iter()
            .map(|(block, words)| {
                let range = block.start..block.start + block.columns;
                match side {
                    Columns::Outputs => {
                        weights.pack_outputs(engine, precision, range, block.vectors * LANES, words);
                    }
                    Columns::Inputs => {
                        weights.pack_inputs(engine, precision, range, block.vectors * LANES, words);
                    }
                }
                (block, &*words)
            })
            .collect();

        let maps = Maps {
            values: from,
            positions: taps.sources,
            channels,
        };
        let mut rest = to;
        let chunks: Vec<(Range<usize>, &mut [f32])> = chunks(images, taps.sources * depth)
            .map(|range| {
                let len = range.len() * taps.len() * columns;
                (range, rest.split_off_mut(..len).expect("chunks are of whole images"))
            })
            .collect();
        chunks.into_par_iter().for_each(|(range, to)| {
            with_scratch(range.len() * taps.sources * depth, |words| {
                pack_channels(engine, precision, maps, range.clone(), words);
                for (block, weights) in &parts {
                    multiply_block(
                        engine,
                        precision,
                        taps,
                        range.len(),
                        depth,
                        words,
                        *block,
                        weights,
                        columns,
                        to,
                    );
                }
            });
        });
    });
}

/// Splits images into chunks of near-even size that fit the cache, as many for each thread.
fn chunks(images: usize, words_per_image: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (CHUNK_WORDS / words_per_image.max(1)).max(ROWS) / ROWS * ROWS;
    let count = images
        .div_ceil(most)
        .next_multiple_of(rayon::current_num_threads())
        .min(images);
    parts(images, count)
}

/// `0..len` in `count` near-even ranges.
pub(super) fn parts(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |i| i * len / count..(i + 1) * len / count)
}

/// One block of columns of a chunk of images.
fn multiply_block(
    engine: Engine,
    precision: Precision,
    taps: &Taps,
    images: usize,
    depth: usize,
    words: &[u32],
    block: Block,
    weights: &[u32],
    columns: usize,
    to: &mut [f32],
) {
    let mut runs = Vec::new();
    for (position, reached) in taps.positions().enumerate() {
        runs.clear();
        runs.extend(reached.iter().map(|&(tap, source)| Run {
            a: source * images * depth,
            b: tap * depth * block.vectors * LANES,
            steps: depth,
        }));
        for tile in parts(images, images.div_ceil(ROWS)) {
            engine.multiply(
                precision,
                Tile {
                    rows: tile.len(),
                    columns: block.columns,
                    vectors: block.vectors,
                    runs: &runs,
                    a: &words[tile.start * depth..],
                    a_row: depth,
                    a_step: 1,
                    b: weights,
                    c: &mut to[(tile.start * taps.len() + position) * columns + block.start..],
                    c_row: taps.len() * columns,
                    accumulate: false,
                },
            );
        }
    }
}
