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

/// A product to be computed.
pub(super) struct Gather<'a> {
    pub(super) engine: Engine,
    pub(super) precision: Precision,
    pub(super) taps: &'a Taps,
    pub(super) images: usize,
    pub(super) weights: Weights<'a>,
    pub(super) side: Columns,
}

impl Gather<'_> {
    /// `to[n][position][column] = sum over taps and channels of from[n][source][channel] * weight[tap][channel][column]`.
    pub(super) fn run(&self, from: &[f32], to: &mut [f32]) {
        if from.is_empty() || to.is_empty() {
            to.fill(0.0);
            return;
        }
        let words_per_image = self.taps.sources * self.depth();
        let maps = Maps {
            values: from,
            positions: self.taps.sources,
            channels: self.channels(),
        };
        let blocks = self.engine.blocks(self.columns());
        with_scratch(blocks.iter().map(|block| self.block_len(block)).sum(), |packed| {
            let blocks = self.pack_weights(blocks, packed);
            let mut rest = to;
            let chunks: Vec<(Range<usize>, &mut [f32])> = chunks(self.images, words_per_image)
                .map(|range| {
                    let len = range.len() * self.taps.len() * self.columns();
                    (range, rest.split_off_mut(..len).expect("chunks are of whole images"))
                })
                .collect();
            chunks.into_par_iter().for_each(|(range, to)| {
                with_scratch(range.len() * words_per_image, |words| {
                    pack_channels(self.engine, self.precision, maps, range.clone(), words);
                    for &(block, weights) in &blocks {
                        self.multiply_block(range.len(), words, block, weights, to);
                    }
                });
            });
        });
    }

    /// Columns of the product.
    fn columns(&self) -> usize {
        match self.side {
            Columns::Outputs => self.weights.outputs,
            Columns::Inputs => self.weights.inputs,
        }
    }

    /// Channels that are summed over.
    fn channels(&self) -> usize {
        match self.side {
            Columns::Outputs => self.weights.inputs,
            Columns::Inputs => self.weights.outputs,
        }
    }

    /// Words of the channels.
    fn depth(&self) -> usize {
        self.precision.words(self.channels())
    }

    /// Words of a block's weights.
    fn block_len(&self, block: &Block) -> usize {
        self.weights.taps * self.depth() * block.vectors * LANES
    }

    /// Packs the weights of all blocks.
    fn pack_weights<'p>(&self, blocks: Vec<Block>, mut packed: &'p mut [u32]) -> Vec<(Block, &'p [u32])> {
        let parts: Vec<(Block, &mut [u32])> = blocks
            .into_iter()
            .map(|block| {
                let words = packed.split_off_mut(..self.block_len(&block));
                (block, words.expect("words of all blocks"))
            })
            .collect();
        let pack = match self.side {
            Columns::Outputs => Weights::pack_outputs,
            Columns::Inputs => Weights::pack_inputs,
        };
        parts
            .into_par_iter()
            .map(|(block, words)| {
                let columns = block.start..block.start + block.columns;
                pack(
                    &self.weights,
                    self.engine,
                    self.precision,
                    columns,
                    block.vectors * LANES,
                    words,
                );
                (block, &*words)
            })
            .collect()
    }

    /// One block of columns of a chunk of images.
    fn multiply_block(&self, images: usize, words: &[u32], block: Block, weights: &[u32], to: &mut [f32]) {
        let (depth, columns, positions) = (self.depth(), self.columns(), self.taps.len());
        let mut runs = Vec::new();
        for (position, reached) in self.taps.positions().enumerate() {
            runs.clear();
            runs.extend(reached.iter().map(|&(tap, source)| Run {
                a: source * images * depth,
                b: tap * depth * block.vectors * LANES,
                steps: depth,
            }));
            for tile in parts(images, images.div_ceil(ROWS)) {
                let tile = Tile {
                    rows: tile.len(),
                    columns: block.columns,
                    vectors: block.vectors,
                    runs: &runs,
                    a: &words[tile.start * depth..],
                    a_row: depth,
                    a_step: 1,
                    b: weights,
                    c: &mut to[(tile.start * positions + position) * columns + block.start..],
                    c_row: positions * columns,
                    accumulate: false,
                };
                self.engine.multiply(self.precision, tile);
            }
        }
    }
}

/// Splits images into chunks of near-even size that fit the cache, equally many for each thread. No sum crosses images.
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
