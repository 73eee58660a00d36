//! Weight gradient: for every tap, the product of output gradients and shifted inputs, summed over positions and images.

use super::memory::written;
use super::pack::{Maps, pack_images, with_scratch};
use super::shape::{Conv2d, Precision};
use super::split::parts;
use super::tile::{Block, Engine, ROWS, Run, Tile};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Positions, over all images of a chunk, of which a panel of 64 channels fits the second-level cache.
const CHUNK_POSITIONS: usize = 2048;

/// `dw[co][tap][ci] = sum over n and positions of dy[n][position][co] * x[n][source][ci]`.
pub(super) fn weight_gradient(engine: Engine, precision: Precision, c: &Conv2d, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let len = c.weights_len();
    if x.is_empty() || dy.is_empty() || len == 0 {
        return vec![0.0; len];
    }
    let taps: Vec<Vec<Reach>> = (0..c.taps()).map(|tap| reach(c, tap)).collect();
    let task = |images: Range<usize>, outputs: Range<usize>, sums: &mut [MaybeUninit<f32>]| {
        sum_task(engine, precision, c, &taps, x, dy, images, outputs, sums);
    };
    // SAFETY: it writes all sums of its outputs.
    unsafe { sum_groups(c, c.taps() * c.in_channels, task) }
}

/// Sums over all images, `per_output` for each output; there are images and weights. `task` gives those of some images, at least one,
/// and outputs.
///
/// # Safety
/// `task` writes all of its sums.
pub(super) unsafe fn sum_groups(
    c: &Conv2d,
    per_output: usize,
    task: impl Fn(Range<usize>, Range<usize>, &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    // How the images are split decides the sums, so it depends on the shape alone. How the outputs are split does not.
    let groups = groups(c);
    let panels = c.out_channels.div_ceil(ROWS);
    let splits = (2 * rayon::current_num_threads()).div_ceil(groups).min(panels);
    let len = c.out_channels * per_output;
    let sum = |mut sums: &mut [MaybeUninit<f32>]| {
        let mut tasks = Vec::with_capacity(groups * splits);
        for images in parts(c.images, groups) {
            for panels in parts(panels, splits) {
                let outputs = panels.start * ROWS..(panels.end * ROWS).min(c.out_channels);
                let own = sums.split_off_mut(..outputs.len() * per_output);
                tasks.push((images.clone(), outputs, own.expect("sums of all outputs")));
            }
        }
        tasks
            .into_par_iter()
            .for_each(|(images, outputs, sums)| task(images, outputs, sums));
    };
    // SAFETY: each group has tasks for all outputs, and the caller says that they write them.
    let mut sums = unsafe { written(groups * len, sum) };
    let (all, others) = sums.split_at_mut(len);
    // At least a page for each task.
    const SHARE: usize = 1 << 12;
    all.par_chunks_mut(SHARE).enumerate().for_each(|(i, all)| {
        for other in others.chunks_exact(len) {
            for (sum, other) in all.iter_mut().zip(&other[i * SHARE..]) {
                *sum += other;
            }
        }
    });
    sums.truncate(len);
    sums.shrink_to_fit();
    sums
}

/// Groups of images that are summed apart. Few weights need many, to have enough to do for all threads; many weights would
/// spend their time on adding groups up.
fn groups(c: &Conv2d) -> usize {
    let wanted = (512 / c.out_channels).clamp(1, 8);
    // A power of two is shared evenly by most machines.
    (1 << wanted.ilog2()).min(c.images.div_ceil(2))
}

/// The sums of some images, at least one, and outputs: writes all of `sums`.
fn sum_task(
    engine: Engine,
    precision: Precision,
    c: &Conv2d,
    taps: &[Vec<Reach>],
    x: &[f32],
    dy: &[f32],
    images: Range<usize>,
    outputs: Range<usize>,
    sums: &mut [MaybeUninit<f32>],
) {
    let inputs = Maps {
        values: x,
        positions: c.height * c.width,
        channels: c.in_channels,
    };
    let gradients = Maps {
        values: dy,
        positions: c.out_height() * c.out_width(),
        channels: c.out_channels,
    };
    // Whole pairs, so that only the last one of a batch can lack a member.
    let chunk = (CHUNK_POSITIONS / inputs.positions).max(2) / 2 * 2;
    for start in images.clone().step_by(chunk) {
        let chunk = start..(start + chunk).min(images.end);
        let steps = precision.words(chunk.len());
        let blocks = engine.blocks(c.in_channels);
        let input_words = |block: &Block| inputs.positions * steps * block.width;
        let panel_words = gradients.positions * steps * ROWS;
        let longest = blocks.iter().map(input_words).max().unwrap_or(0);
        with_scratch(longest + outputs.len().div_ceil(ROWS) * panel_words, |words| {
            let (input, gradient) = words.split_at_mut(longest);
            pack_images(
                engine,
                precision,
                gradients,
                chunk.clone(),
                outputs.clone(),
                ROWS,
                gradient,
            );
            for block in blocks {
                let channels = block.start..block.start + block.columns;
                let input = &mut input[..input_words(&block)];
                pack_images(engine, precision, inputs, chunk.clone(), channels, block.width, input);
                let runs: Vec<Vec<Run>> = taps.iter().map(|reaches| runs(reaches, steps, block.width)).collect();
                for (panel, gradient) in gradient.chunks_exact(panel_words).enumerate() {
                    for (tap, runs) in runs.iter().enumerate() {
                        let start = (panel * ROWS * c.taps() + tap) * c.in_channels + block.start;
                        let tile = Tile {
                            rows: (outputs.len() - panel * ROWS).min(ROWS),
                            columns: block.columns,
                            width: block.width,
                            runs,
                            a: gradient,
                            a_row: 1,
                            a_step: ROWS,
                            b: input,
                            c: &mut sums[start..],
                            c_row: c.taps() * c.in_channels,
                            accumulate: chunk.start > images.start,
                        };
                        // SAFETY: the first chunk does not accumulate.
                        unsafe { engine.multiply(precision, tile) };
                    }
                }
            }
        });
    }
}

/// Neighbouring positions of the output that reach neighbouring positions of the input through one tap.
struct Reach {
    output: usize,
    input: usize,
    count: usize,
}

/// What a tap reaches.
fn reach(c: &Conv2d, tap: usize) -> Vec<Reach> {
    let (ky, kx) = (tap / c.kernel, tap % c.kernel);
    let mut reaches: Vec<Reach> = Vec::new();
    for oy in 0..c.out_height() {
        let Some(y) = c.source(oy, ky, c.height) else {
            continue;
        };
        for ox in 0..c.out_width() {
            let Some(x) = c.source(ox, kx, c.width) else {
                continue;
            };
            let (output, input) = (oy * c.out_width() + ox, y * c.width + x);
            match reaches.last_mut() {
                Some(last) if last.output + last.count == output && last.input + last.count == input => {
                    last.count += 1;
                }
                _ => reaches.push(Reach {
                    output,
                    input,
                    count: 1,
                }),
            }
        }
    }
    reaches
}

/// Where a tap's products are: the gradient's panel in `a`, the input's in `b`, each with `steps` words of images side by
/// side at every position.
fn runs(reaches: &[Reach], steps: usize, width: usize) -> Vec<Run> {
    let run = |reach: &Reach| Run {
        a: reach.output * steps * ROWS,
        b: reach.input * steps * width,
        steps: reach.count * steps,
    };
    reaches.iter().map(run).collect()
}
