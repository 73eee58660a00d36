//! Pooling: the maximum of 2 by 2, and the average of a whole map.

use super::memory::written;
use super::shape::volume;
use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Lengths of the input and output of a 2 by 2 pool of one image.
fn pooled(height: usize, width: usize, channels: usize) -> (usize, usize) {
    (volume([height, width, channels]), (height / 2) * (width / 2) * channels)
}

/// `y[n][oy][ox][c]`, the maximum of each 2 by 2 square of `x`, and which of the four it was, `2 * dy + dx`, the first of
/// equal ones. The last row or column of an odd map is dropped.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn max_pool2_forward(
    images: usize,
    height: usize,
    width: usize,
    channels: usize,
    x: &[f32],
) -> (Vec<f32>, Vec<u8>) {
    let (input, output) = pooled(height, width, channels);
    assert_eq!(x.len(), volume([images, input]), "length of the input");
    let mut argmax = vec![0; images * output];
    if output == 0 {
        return (Vec::new(), argmax);
    }
    let isa = Isa::detect();
    let pool = |y: &mut [MaybeUninit<f32>]| {
        (
            x.par_chunks(input),
            y.par_chunks_mut(output),
            argmax.par_chunks_mut(output),
        )
            .into_par_iter()
            .for_each(|(x, y, argmax)| pool_image(isa, width, channels, x, y, argmax));
    };
    // SAFETY: the images are all there is, and each is written whole.
    let y = unsafe { written(images * output, pool) };
    (y, argmax)
}

portable! {
    fn pool_image(width: usize, channels: usize, x: &[f32], y: &mut [MaybeUninit<f32>], argmax: &mut [u8]) {
        let out_row = width / 2 * channels;
        let rows = x.chunks_exact(2 * width * channels).zip(y.chunks_exact_mut(out_row)).zip(argmax.chunks_exact_mut(out_row));
        for ((x, y), argmax) in rows {
            let (top, bottom) = x.split_at(width * channels);
            let squares = top.chunks_exact(2 * channels).zip(bottom.chunks_exact(2 * channels));
            let outputs = y.chunks_exact_mut(channels).zip(argmax.chunks_exact_mut(channels));
            for ((top, bottom), (y, argmax)) in squares.zip(outputs) {
                let (x0, x1) = top.split_at(channels);
                let (x2, x3) = bottom.split_at(channels);
                for c in 0..channels {
                    let (mut best, mut place) = (x0[c], 0u8);
                    for (x, i) in [(x1[c], 1), (x2[c], 2), (x3[c], 3)] {
                        place = if x > best { i } else { place };
                        best = if x > best { x } else { best };
                    }
                    y[c].write(best);
                    argmax[c] = place;
                }
            }
        }
    }
}

/// `dx`, the gradient before [`max_pool2_forward`]: `dy` at the maxima, zero elsewhere.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn max_pool2_backward(
    images: usize,
    height: usize,
    width: usize,
    channels: usize,
    argmax: &[u8],
    dy: &[f32],
) -> Vec<f32> {
    let (input, output) = pooled(height, width, channels);
    let len = volume([images, input]);
    assert_eq!(dy.len(), images * output, "length of the output");
    assert_eq!(argmax.len(), images * output, "length of the places");
    if output == 0 {
        return vec![0.0; len];
    }
    let isa = Isa::detect();
    let unpool = |dx: &mut [MaybeUninit<f32>]| {
        (
            dx.par_chunks_mut(input),
            dy.par_chunks(output),
            argmax.par_chunks(output),
        )
            .into_par_iter()
            .for_each(|(dx, dy, argmax)| unpool_image(isa, width, channels, argmax, dy, dx));
    };
    // SAFETY: the images are all there is, and each is written whole.
    unsafe { written(len, unpool) }
}

portable! {
    fn unpool_image(width: usize, channels: usize, argmax: &[u8], dy: &[f32], dx: &mut [MaybeUninit<f32>]) {
        const ZERO: MaybeUninit<f32> = MaybeUninit::new(0.0);
        let out_row = width / 2 * channels;
        let in_rows = 2 * width * channels;
        // What an odd map drops is in no square.
        let whole = dx.len() / in_rows * in_rows;
        dx[whole..].fill(ZERO);
        let rows = dx.chunks_exact_mut(in_rows).zip(dy.chunks_exact(out_row)).zip(argmax.chunks_exact(out_row));
        for ((dx, dy), argmax) in rows {
            let (top, bottom) = dx.split_at_mut(width * channels);
            top[2 * out_row..].fill(ZERO);
            bottom[2 * out_row..].fill(ZERO);
            let squares = top.chunks_exact_mut(2 * channels).zip(bottom.chunks_exact_mut(2 * channels));
            let outputs = dy.chunks_exact(channels).zip(argmax.chunks_exact(channels));
            for ((top, bottom), (dy, argmax)) in squares.zip(outputs) {
                let (x0, x1) = top.split_at_mut(channels);
                let (x2, x3) = bottom.split_at_mut(channels);
                for (i, x) in [x0, x1, x2, x3].into_iter().enumerate() {
                    for c in 0..channels {
                        x[c].write(if usize::from(argmax[c]) == i { dy[c] } else { 0.0 });
                    }
                }
            }
        }
    }
}

/// `y[n][c]`, the average of `x[n][positions][c]` over the positions.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn average_pool_forward(images: usize, positions: usize, channels: usize, x: &[f32]) -> Vec<f32> {
    assert_eq!(x.len(), volume([images, positions, channels]), "length of the input");
    let mut y = vec![0.0; images * channels];
    if x.is_empty() {
        return y;
    }
    let scale = 1.0 / positions as f32;
    x.par_chunks(positions * channels)
        .zip(y.par_chunks_mut(channels))
        .for_each(|(x, y)| {
            for x in x.chunks_exact(channels) {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += x;
                }
            }
            for y in y {
                *y *= scale;
            }
        });
    y
}

/// `dx`, the gradient before [`average_pool_forward`].
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn average_pool_backward(images: usize, positions: usize, channels: usize, dy: &[f32]) -> Vec<f32> {
    assert_eq!(dy.len(), images * channels, "length of the output");
    let len = volume([images, positions, channels]);
    if len == 0 {
        return Vec::new();
    }
    let scale = 1.0 / positions as f32;
    let spread = |dx: &mut [MaybeUninit<f32>]| {
        dx.par_chunks_mut(positions * channels)
            .zip(dy.par_chunks(channels))
            .for_each(|(dx, dy)| {
                for dx in dx.chunks_exact_mut(channels) {
                    for (dx, dy) in dx.iter_mut().zip(dy) {
                        dx.write(dy * scale);
                    }
                }
            });
    };
    // SAFETY: the images are all there is, and each is written whole.
    unsafe { written(len, spread) }
}
