//! Forward pass and input gradient: every output position gathers from the positions that its taps reach.

use super::memory::written;
use super::pack::{Maps, Weights, pack_channels, with_packed, with_scratch};
use super::shape::{Conv2d, Precision};
use super::split::{chunks, for_each_chunk, parts};
use super::tile::{Block, Engine, ROWS, Run, Tile};
use std::mem::MaybeUninit;

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

    /// Positions.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Which channels of the weights are the columns of the product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Outputs,
    Inputs,
}

impl Columns {
    /// Of the channels of inputs and outputs, those that are summed over, and those that are columns.
    pub(super) fn of(self, inputs: usize, outputs: usize) -> (usize, usize) {
        match self {
            Self::Outputs => (inputs, outputs),
            Self::Inputs => (outputs, inputs),
        }
    }
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
    pub(super) fn run(&self, from: &[f32]) -> Vec<f32> {
        let len = self.images * self.taps.len() * self.columns();
        if from.is_empty() || len == 0 {
            return vec![0.0; len];
        }
        // SAFETY: the blocks have all columns, and their tiles all positions of all images.
        unsafe { written(len, |to| self.multiply(from, to)) }
    }

    /// The same, into `to`, all of which it writes.
    fn multiply(&self, from: &[f32], to: &mut [MaybeUninit<f32>]) {
        let words_per_image = self.taps.sources * self.depth();
        let maps = Maps {
            values: from,
            positions: self.taps.sources,
            channels: self.channels(),
        };
        // Whole tiles.
        let most = (CHUNK_WORDS / words_per_image.max(1)).max(ROWS) / ROWS * ROWS;
        let per_image = self.taps.len() * self.columns();
        let product = |blocks: &[(Block, &[u32])]| {
            for_each_chunk(
                chunks(self.images, most),
                |chunk| chunk.len() * per_image,
                to,
                |chunk, to| {
                    with_scratch(chunk.len() * words_per_image, |words| {
                        pack_channels(self.engine, self.precision, maps, chunk.clone(), words);
                        for &(block, weights) in blocks {
                            self.multiply_block(chunk.len(), words, block, weights, to);
                        }
                    });
                },
            );
        };
        let blocks = self.engine.blocks(self.columns());
        with_packed(
            blocks,
            |block| self.weights.taps * self.depth() * block.width,
            |block, words| self.pack_weights(block, words),
            product,
        );
    }

    /// Columns of the product.
    fn columns(&self) -> usize {
        self.side.of(self.weights.inputs, self.weights.outputs).1
    }

    /// Channels that are summed over.
    fn channels(&self) -> usize {
        self.side.of(self.weights.inputs, self.weights.outputs).0
    }

    /// Words of the channels.
    fn depth(&self) -> usize {
        self.precision.words(self.channels())
    }

    fn pack_weights(&self, block: Block, words: &mut [u32]) {
        let pack = match self.side {
            Columns::Outputs => Weights::pack_outputs,
            Columns::Inputs => Weights::pack_inputs,
        };
        let columns = block.start..block.start + block.columns;
        pack(&self.weights, self.engine, self.precision, columns, block.width, words);
    }

    /// One block of columns of a chunk of images.
    fn multiply_block(&self, images: usize, words: &[u32], block: Block, weights: &[u32], to: &mut [MaybeUninit<f32>]) {
        let (depth, columns, positions) = (self.depth(), self.columns(), self.taps.len());
        let mut runs = Vec::new();
        for (position, reached) in self.taps.positions().enumerate() {
            runs.clear();
            runs.extend(reached.iter().map(|&(tap, source)| Run {
                a: source * images * depth,
                b: tap * depth * block.width,
                steps: depth,
            }));
            for tile in parts(images, images.div_ceil(ROWS)) {
                let tile = Tile {
                    rows: tile.len(),
                    columns: block.columns,
                    width: block.width,
                    runs: &runs,
                    a: &words[tile.start * depth..],
                    a_row: depth,
                    a_step: 1,
                    b: weights,
                    c: &mut to[(tile.start * positions + position) * columns + block.start..],
                    c_row: positions * columns,
                    accumulate: false,
                };
                // SAFETY: it does not accumulate.
                unsafe { self.engine.multiply(self.precision, tile) };
            }
        }
    }
}
