//! Depthwise convolutions: each channel alone, in f32, sixteen and more channels at a time.
//!
//! They do so little with each value that memory sets their speed, whatever the precision.

use super::gather::{Taps, parts};
use super::shape::Conv2d;
use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;

/// `to[n][position][c] = sum over taps of from[n][source][c] * w[c][tap]`: forward, or input gradient, as the taps say.
pub(super) fn gather(isa: Isa, taps: &Taps, images: usize, from: &[f32], w: &[f32], channels: usize, to: &mut [f32]) {
    if to.is_empty() {
        return;
    }
    if from.is_empty() {
        to.fill(0.0);
        return;
    }
    // Channels side by side, as in the maps.
    let by_tap = transpose(w, channels);
    to.par_chunks_exact_mut(to.len() / images)
        .zip(from.par_chunks_exact(from.len() / images))
        .for_each(|(to, from)| {
            to.fill(0.0);
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
}

/// `dw[c][tap] = sum over n and positions of dy[n][position][c] * x[n][source][c]`.
pub(super) fn weight_gradient(isa: Isa, c: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if x.is_empty() || dy.is_empty() {
        dw.fill(0.0);
        return;
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
            let mut sums = vec![0.0; dw.len()];
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
    let mut sums = vec![0.0; dw.len()];
    for partial in partial {
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial;
        }
    }
    dw.copy_from_slice(&transpose(&sums, c.taps()));
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
