//! Convolutions of 3 by 3 in fewer products: F(2 by 2, 3 by 3), Winograd's minimal filtering (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016).
//!
//! A tile of 2 by 2 outputs takes 16 products for each pair of channels instead of 36. Its patch of 4 by 4 inputs and the weights are
//! transformed to 16 points each, the points multiplied, summed over channels, and transformed back:
//! `y = A' ((G w G') * (B' d B)) A`. For each point that is a product of matrices, which the micro-kernel computes, with one row for
//! each tile. The input gradient is the same convolution of `dy` with the weights turned round; the weight gradient is
//! `G' (sum over tiles of (A dy A') * (B' d B)) G`.
//!
//! In f32 only: sums and differences of bf16 need more digits than it has.

mod transform;

use super::gather::Columns;
use super::memory::written;
use super::pack::{with_packed, with_scratch};
use super::shape::{Conv2d, Precision};
use super::split::{chunks, for_each_chunk, parts};
use super::tile::{Block, Engine, ROWS, Run, Tile};
use super::weight_gradient::sum_groups;
use crate::LANES;
use crate::array::from_fn;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Points of a transformed patch.
const POINTS: usize = 16;

/// Words of the points of a chunk of tiles.
const SHORT_WORDS: usize = 64 << 10;

/// The same in a weight gradient, with those of the output gradients. The more tiles, the fewer times are sums loaded and stored.
const LONG_WORDS: usize = 192 << 10;

/// Channels on either side from which the products that are saved outweigh the transformations. At least those of a register, less
/// one: see [`Rows`].
const FEWEST: usize = 32;
const _: () = assert!(FEWEST + 1 >= LANES);

/// Pairs of channels up to which the points of a weight gradient stay in the cache while tiles are added to them.
const MOST_SUMS: usize = 1 << 15;

/// Whether fewer products make the convolution and its input gradient faster: on small maps most taps lie outside, and a direct
/// convolution does not multiply those.
pub(super) fn suits(c: &Conv2d) -> bool {
    let is_plain = c.kernel == 3 && c.stride == 1 && c.padding == 1 && !c.depthwise;
    let map = Grid::of(c);
    let taps = |extent: usize| (3 * extent).saturating_sub(2);
    let (points, direct) = (POINTS * map.rows() * map.columns(), taps(c.height) * taps(c.width));
    is_plain && c.in_channels.min(c.out_channels) >= FEWEST && direct > 0 && 7 * points <= 4 * direct
}

/// Whether that holds of the weight gradient as well.
pub(super) fn suits_weight_gradient(c: &Conv2d) -> bool {
    suits(c) && c.images > 0 && c.in_channels * c.out_channels <= MOST_SUMS
}

/// `y`, as [`conv_forward`](super::conv_forward).
pub(super) fn forward(engine: Engine, c: &Conv2d, x: &[f32], w: &[f32]) -> Vec<f32> {
    Matrices::new(engine, c, Columns::Outputs).run(x, w)
}

/// `dx`, as [`conv_input_gradient`](super::conv_input_gradient).
pub(super) fn input_gradient(engine: Engine, c: &Conv2d, dy: &[f32], w: &[f32]) -> Vec<f32> {
    Matrices::new(engine, c, Columns::Inputs).run(dy, w)
}

/// Maps of equal size on both sides, in tiles of 2 by 2; the last row or column of tiles may stand out by one.
#[derive(Clone, Copy)]
struct Grid {
    images: usize,
    height: usize,
    width: usize,
}

impl Grid {
    fn of(c: &Conv2d) -> Self {
        Self {
            images: c.images,
            height: c.height,
            width: c.width,
        }
    }

    /// Rows of tiles of an image.
    fn rows(&self) -> usize {
        self.height.div_ceil(2)
    }

    /// Tiles of a row.
    fn columns(&self) -> usize {
        self.width.div_ceil(2)
    }

    /// Positions before a row of tiles of the whole batch.
    fn before(&self, row: usize) -> usize {
        (row / self.rows() * self.height + row % self.rows() * 2) * self.width
    }

    /// Positions of a square of `SIDE` by `SIDE`, as far as they are on the map. It begins as many positions before the tile as
    /// `outset` says; `row` is one of the whole batch.
    fn square<const SIDE: usize>(&self, row: usize, column: usize, outset: usize) -> [[Option<usize>; SIDE]; SIDE] {
        let image = row / self.rows() * self.height;
        let inside =
            |tile: usize, i: usize, extent: usize| (2 * tile + i).checked_sub(outset).filter(|&at| at < extent);
        from_fn(|y| {
            let y = inside(row % self.rows(), y, self.height);
            from_fn(|x| Some((image + y?) * self.width + inside(column, x, self.width)?))
        })
    }
}

/// Rows of channels that are read in whole registers, beyond their ends: there is the next row, whose values nothing uses.
struct Rows<'a> {
    values: &'a [f32],
    channels: usize,
    /// The last row, which no other follows.
    last: Vec<f32>,
    outside: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn new(values: &'a [f32], channels: usize, lanes: usize) -> Self {
        let mut last = values[values.len().saturating_sub(channels)..].to_vec();
        last.resize(channels + lanes, 0.0);
        Self {
            values,
            channels,
            last,
            outside: vec![0.0; channels + lanes],
        }
    }

    /// `count` values of a row from `start` on, less than a register of them beyond its end; zeros of none.
    fn part(&self, row: Option<usize>, start: usize, count: usize) -> &[f32] {
        let Some(row) = row else {
            return &self.outside[start..start + count];
        };
        debug_assert!(
            (row + 1) * self.channels <= self.values.len(),
            "row {row} of those there are"
        );
        let begin = row * self.channels + start;
        let whole = self.values.get(begin..begin + count);
        whole.unwrap_or_else(|| &self.last[start..start + count])
    }
}

/// A convolution, or an input gradient, as 16 products of matrices.
struct Matrices {
    engine: Engine,
    map: Grid,
    side: Columns,
    /// Channels that are summed over.
    channels: usize,
    /// Channels of the result.
    columns: usize,
    /// Input channels of the convolution.
    inputs: usize,
}

impl Matrices {
    fn new(engine: Engine, c: &Conv2d, side: Columns) -> Self {
        let (channels, columns) = side.of(c.in_channels, c.out_channels);
        Self {
            engine,
            map: Grid::of(c),
            side,
            channels,
            columns,
            inputs: c.in_channels,
        }
    }

    /// Words of the points of a patch: whole registers.
    fn depth(&self) -> usize {
        self.channels.next_multiple_of(self.engine.lanes())
    }

    fn run(&self, from: &[f32], w: &[f32]) -> Vec<f32> {
        let len = self.map.before(self.map.images * self.map.rows()) * self.columns;
        // SAFETY: the chunks have all tiles, the blocks all columns.
        unsafe { written(len, |to| self.multiply(from, w, to)) }
    }

    /// Into `to`, all of which it writes.
    fn multiply(&self, from: &[f32], w: &[f32], to: &mut [MaybeUninit<f32>]) {
        let (map, lanes) = (self.map, self.engine.lanes());
        let (from, weights) = (Rows::new(from, self.channels, lanes), Rows::new(w, self.inputs, lanes));
        let most = (SHORT_WORDS / (POINTS * self.channels * map.columns())).max(1);
        let product = |blocks: &[(Block, &[u32])]| {
            for_each_chunk(
                chunks(map.images * map.rows(), most),
                |rows| (map.before(rows.end) - map.before(rows.start)) * self.columns,
                to,
                |rows, to| self.multiply_rows(&from, rows, blocks, to),
            );
        };
        with_packed(
            self.engine.blocks(self.columns),
            |block| POINTS * self.channels * block.width,
            |block, words| self.pack_weights(&weights, block, words),
            product,
        );
    }

    /// The points of the weights of a block, `words[point][channel][width]`. Words beyond the columns hold anything.
    fn pack_weights(&self, weights: &Rows, block: Block, words: &mut [u32]) {
        match self.side {
            Columns::Outputs => {
                let mut points = vec![0; POINTS * self.depth()];
                for column in 0..block.columns {
                    let row = |tap| Some((block.start + column) * 9 + tap);
                    let taps = from_fn(|y| from_fn(|x| weights.part(row(3 * y + x), 0, self.depth())));
                    transform::weights(self.engine, &taps, 0..self.depth(), self.depth(), &mut points);
                    let words = words.chunks_exact_mut(self.channels * block.width);
                    for (words, points) in words.zip(points.chunks_exact(self.depth())) {
                        for (word, &point) in words[column..].iter_mut().step_by(block.width).zip(points) {
                            *word = point;
                        }
                    }
                }
            }
            Columns::Inputs => {
                for output in 0..self.channels {
                    // Turned round.
                    let row = |tap| Some(output * 9 + 8 - tap);
                    let taps = from_fn(|y| from_fn(|x| weights.part(row(3 * y + x), block.start, block.width)));
                    let words = &mut words[output * block.width..];
                    transform::weights(self.engine, &taps, 0..block.width, self.channels * block.width, words);
                }
            }
        }
    }

    /// Some rows of tiles.
    fn multiply_rows(&self, from: &Rows, rows: Range<usize>, blocks: &[(Block, &[u32])], to: &mut [MaybeUninit<f32>]) {
        let (map, depth) = (self.map, self.depth());
        let tiles = rows.len() * map.columns();
        let widest = blocks.iter().map(|(block, _)| block.width).max().unwrap_or(0);
        let of_points = distance(tiles * depth);
        with_scratch(POINTS * (of_points + distance(tiles * widest)), |words| {
            let (points, sums) = words.split_at_mut(POINTS * of_points);
            let whole = Block {
                start: 0,
                columns: self.channels,
                width: depth,
            };
            points_of_squares(
                self.engine,
                map,
                rows.clone(),
                1,
                from,
                &[whole],
                points,
                transform::patch,
            );
            for &(block, weights) in blocks {
                let of_sums = distance(tiles * block.width);
                for point in 0..POINTS {
                    for tile_rows in parts(tiles, tiles.div_ceil(ROWS)) {
                        // SAFETY: a tile writes numbers.
                        let all = unsafe { as_sums(sums) };
                        let tile = Tile {
                            rows: tile_rows.len(),
                            // All of it, so that whole registers are stored.
                            columns: block.width,
                            width: block.width,
                            runs: &[Run {
                                a: point * of_points + tile_rows.start * depth,
                                b: point * self.channels * block.width,
                                steps: self.channels,
                            }],
                            a: points,
                            a_row: depth,
                            a_step: 1,
                            b: weights,
                            c: &mut all[point * of_sums + tile_rows.start * block.width..],
                            c_row: block.width,
                            accumulate: false,
                        };
                        // SAFETY: it does not accumulate.
                        unsafe { self.engine.multiply(Precision::F32, tile) };
                    }
                }
                self.store(rows.clone(), block, sums, to);
            }
        });
    }

    /// Transforms the sums of some rows of tiles back.
    fn store(&self, rows: Range<usize>, block: Block, sums: &[u32], to: &mut [MaybeUninit<f32>]) {
        let map = self.map;
        let tiles = rows.len() * map.columns();
        let before = map.before(rows.start);
        for (i, row) in rows.enumerate() {
            for column in 0..map.columns() {
                let own = |position: usize| (position - before) * self.columns + block.start;
                let square: [[Option<usize>; 2]; 2] = map.square(row, column, 0);
                let places = from_fn(|y| from_fn(|x| square[y][x].map(own)));
                let sums = &sums[(i * map.columns() + column) * block.width..];
                transform::back(
                    self.engine,
                    sums,
                    distance(tiles * block.width),
                    block.columns,
                    places,
                    to,
                );
            }
        }
    }
}

/// `dw`, as [`conv_weight_gradient`](super::conv_weight_gradient), of at least one image.
pub(super) fn weight_gradient(engine: Engine, c: &Conv2d, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let lanes = engine.lanes();
    let (input, gradient) = (Rows::new(x, c.in_channels, lanes), Rows::new(dy, c.out_channels, lanes));
    let width = c.in_channels.next_multiple_of(lanes);
    let task = |images: Range<usize>, outputs: Range<usize>, sums: &mut [MaybeUninit<f32>]| {
        sum_task(engine, Grid::of(c), &input, &gradient, images, outputs, sums);
    };
    // SAFETY: it writes all sums of its outputs.
    let points = unsafe { sum_groups(c, POINTS * width, task) };
    let mut dw = vec![0.0; c.weights_len()];
    dw.par_chunks_exact_mut(9 * c.in_channels)
        .zip(points.par_chunks_exact(POINTS * width))
        .for_each(|(dw, points)| transform::weights_back(engine, points, dw));
    dw
}

/// Sums of some images, at least one, and outputs, `[output][point][width]` in whole registers: writes all of them.
fn sum_task(
    engine: Engine,
    map: Grid,
    x: &Rows,
    dy: &Rows,
    images: Range<usize>,
    outputs: Range<usize>,
    sums: &mut [MaybeUninit<f32>],
) {
    let rows = images.start * map.rows()..images.end * map.rows();
    let blocks = engine.blocks(x.channels);
    let width: usize = blocks.iter().map(|block| block.width).sum();
    let of_outputs = Block {
        start: outputs.start,
        columns: outputs.len(),
        width: outputs.len().next_multiple_of(engine.lanes()),
    };
    let step = of_outputs.width;
    // It depends on how the outputs are shared among threads, which does not show: a tile that accumulates goes on with the same sum.
    let most = (LONG_WORDS / (POINTS * (width + step) * map.columns())).max(1);
    for start in rows.clone().step_by(most) {
        let chunk = start..(start + most).min(rows.end);
        let tiles = chunk.len() * map.columns();
        let of_block = |block: &Block| distance(tiles * block.width);
        let of_input: usize = blocks.iter().map(of_block).sum();
        let of_gradient = distance(tiles * step);
        with_scratch(POINTS * (of_input + of_gradient), |words| {
            let (input, gradient) = words.split_at_mut(POINTS * of_input);
            points_of_squares(engine, map, chunk.clone(), 1, x, &blocks, input, transform::patch);
            points_of_squares(
                engine,
                map,
                chunk.clone(),
                0,
                dy,
                &[of_outputs],
                gradient,
                transform::gradient,
            );
            let mut rest = &*input;
            for block in &blocks {
                let (input, others) = rest.split_at(POINTS * of_block(block));
                rest = others;
                for point in 0..POINTS {
                    for panel in (0..outputs.len()).step_by(ROWS) {
                        let tile = Tile {
                            rows: (outputs.len() - panel).min(ROWS),
                            columns: block.width,
                            width: block.width,
                            runs: &[Run {
                                a: point * of_gradient + panel,
                                b: point * of_block(block),
                                steps: tiles,
                            }],
                            a: gradient,
                            a_row: 1,
                            a_step: step,
                            b: input,
                            c: &mut sums[(panel * POINTS + point) * width + block.start..],
                            c_row: POINTS * width,
                            accumulate: chunk.start > rows.start,
                        };
                        // SAFETY: the first chunk does not accumulate.
                        unsafe { engine.multiply(Precision::F32, tile) };
                    }
                }
            }
        });
    }
}

/// Words from a point to the next of `len` words each: an odd number of cache lines, so that points which are written one after the
/// other do not all fall into the same set of the cache.
fn distance(len: usize) -> usize {
    const LINE: usize = 16;
    (len.div_ceil(LINE) | 1) * LINE
}

/// Scratch memory for a tile to write.
///
/// # Safety
/// Nothing but numbers is written.
unsafe fn as_sums(words: &mut [u32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: of equal size and alignment, and the caller says what is written.
    unsafe { &mut *(std::ptr::from_mut(words) as *mut [MaybeUninit<f32>]) }
}

/// Points of squares of some rows of tiles, which begin `outset` positions before each tile: for each block of neighbouring channels,
/// one after the other, `words[point][tile][width]`, a [`distance`] from a point to the next.
fn points_of_squares<const SIDE: usize>(
    engine: Engine,
    map: Grid,
    rows: Range<usize>,
    outset: usize,
    values: &Rows,
    blocks: &[Block],
    words: &mut [u32],
    transform: impl Fn(Engine, &[[&[f32]; SIDE]; SIDE], Range<usize>, usize, &mut [u32]),
) {
    let tiles = rows.len() * map.columns();
    let width: usize = blocks.iter().map(|block| block.width).sum();
    for (i, row) in rows.enumerate() {
        for column in 0..map.columns() {
            let positions: [[Option<usize>; SIDE]; SIDE] = map.square(row, column, outset);
            let square = from_fn(|y| from_fn(|x| values.part(positions[y][x], blocks[0].start, width)));
            let tile = i * map.columns() + column;
            let (mut start, mut before) = (0, 0);
            for block in blocks {
                let of_block = distance(tiles * block.width);
                let words = &mut words[before + tile * block.width..];
                transform(engine, &square, start..start + block.width, of_block, words);
                start += block.width;
                before += POINTS * of_block;
            }
        }
    }
}
