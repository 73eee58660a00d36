//! Inputs of few channels, such as colours: a position's whole receptive field becomes its channels.
//!
//! A tap of three channels would leave most of a register empty. Side by side, the taps fill it; what it costs, a copy of
//! the input for each tap, is little because the channels are few. The layout of the weights stays as it is.

use super::gather::Taps;
use super::shape::Conv2d;
use rayon::prelude::*;

/// Channels up to which it pays to unfold.
const FEW: usize = 4;

/// The same convolution with a kernel of 1 by 1 over the unfolded input, if that is faster.
pub(super) fn unfolded(c: &Conv2d) -> Option<Conv2d> {
    (c.in_channels <= FEW && c.kernel > 1 && !c.depthwise).then(|| Conv2d {
        height: c.out_height(),
        width: c.out_width(),
        in_channels: c.taps() * c.in_channels,
        kernel: 1,
        stride: 1,
        padding: 0,
        ..*c
    })
}

/// `[n][output position][tap][channel]`, with zeros where a tap is outside the map.
pub(super) fn unfold(c: &Conv2d, x: &[f32]) -> Vec<f32> {
    let taps = Taps::forward(c);
    let channels = c.in_channels;
    let row = c.taps() * channels;
    let image = c.out_height() * c.out_width() * row;
    let mut unfolded = vec![0.0; c.images * image];
    if unfolded.is_empty() || x.is_empty() {
        return unfolded;
    }
    unfolded
        .par_chunks_exact_mut(image)
        .zip(x.par_chunks_exact(x.len() / c.images))
        .for_each(|(unfolded, x)| {
            for (row, reached) in unfolded.chunks_exact_mut(row).zip(taps.positions()) {
                for &(tap, source) in reached {
                    for i in 0..channels {
                        row[tap * channels + i] = x[source * channels + i];
                    }
                }
            }
        });
    unfolded
}
