//! Depthwise convolutions: each channel alone, in f32, sixteen and more channels at a time.
//!
//! They do so little with each value that memory sets their speed, whatever the precision.

use super::gather::Taps;
use super::memory::written;
use super::shape::Conv2d;
use super::split::parts;
use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// `to[n][position][c] = sum over taps of from[n][source][c] * w[c][tap]`: forward, or input gradient, as the taps say.
pub(super) fn gather(isa: Isa, taps: &Taps, images: usize, from: &[f32], w: &[f32], channels: usize) -> Vec<f32> {
    let len = images * taps.len() * channels;
    if len == 0 || from.is_empty() {
        return vec![0.0; len];
    }
    // Channels side by side, as in the maps.
    let by_tap = transpose(w, channels);
    let sum = |to: &mut [MaybeUninit<f32>]| {
        to.par_chunks_exact_mut(taps.len() * channels)
            .zip(from.par_chunks_exact(from.len() / images))
            .for_each(|(to, from)| {
                to.fill(MaybeUninit::new(0.0));
                // SAFETY: they have just been written.
                let to = unsafe { &mut *(std::ptr::from_mut(to) as *mut [f32]) };
                for (to, reached) in to.chunks_exact_mut(channels).zip(taps.positions()) {
                    for &(tap, source) in reached {
                        add_products(
                            isa,
                            &from[source * channels..][..channels],
                            &by_tap[tap * channels..][..channels],
                            to,
                        );
                    }
                }
            });
    };
    // SAFETY: the images are all there is, and each is written whole.
    unsafe { written(len, sum) }
}

/// `dw[c][tap] = sum over n and positions of dy[n][position][c] * x[n][source][c]`.
pub(super) fn weight_gradient(isa: Isa, c: &Conv2d, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; c.weights_len()];
    if x.is_empty() || dy.is_empty() {
        return sums;
    }
    let taps = Taps::forward(c);
    let channels = c.in_channels;
    let (input, output) = (x.len() / c.images, dy.len() / c.images);
    // Images whose sum is one f32 accumulation; fixed, so that the result does not depend on the threads.
    const GROUP: usize = 4;
    let groups: Vec<_> = parts(c.images, c.images.div_ceil(GROUP)).collect();
    let partial: Vec<Vec<f32>> = groups
        .into_par_iter()
        .map(|images| {
            let mut sums = vec![0.0; c.weights_len()];
            for n in images {
                let (x, dy) = (&x[n * input..][..input], &dy[n * output..][..output]);
                for (dy, reached) in dy.chunks_exact(channels).zip(taps.positions()) {
                    for &(tap, source) in reached {
                        let sums = &mut sums[tap * channels..][..channels];
                        add_products(isa, &x[source * channels..][..channels], dy, sums);
                    }
                }
            }
            sums
        })
        .collect();
    for partial in partial {
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial;
        }
    }
    transpose(&sums, c.taps())
}

/// `[columns][rows]` of `[rows][columns]`.
fn transpose(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..matrix.len())
        .map(|i| matrix[i % rows * columns + i / rows])
        .collect()
}

portable! {
    fn add_products(a: &[f32], b: &[f32], sums: &mut [f32]) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
}
