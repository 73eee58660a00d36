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

/// Neighbouring taps of a position that reach neighbouring values: one copy.
struct Copy {
    to: usize,
    from: usize,
    len: usize,
}

/// Copies that unfold one image.
fn copies(c: &Conv2d) -> Vec<Copy> {
    let channels = c.in_channels;
    let mut copies: Vec<Copy> = Vec::new();
    for (position, reached) in Taps::forward(c).positions().enumerate() {
        for &(tap, source) in reached {
            let to = (position * c.taps() + tap) * channels;
            let from = source * channels;
            match copies.last_mut() {
                Some(last) if last.to + last.len == to && last.from + last.len == from => last.len += channels,
                _ => copies.push(Copy {
                    to,
                    from,
                    len: channels,
                }),
            }
        }
    }
    copies
}

/// `[n][output position][tap][channel]`, with zeros where a tap is outside the map.
pub(super) fn unfold(c: &Conv2d, x: &[f32]) -> Vec<f32> {
    let image = c.out_height() * c.out_width() * c.taps() * c.in_channels;
    let mut unfolded = vec![0.0; c.images * image];
    if unfolded.is_empty() || x.is_empty() {
        return unfolded;
    }
    let copies = copies(c);
    unfolded
        .par_chunks_exact_mut(image)
        .zip(x.par_chunks_exact(x.len() / c.images))
        .for_each(|(unfolded, x)| {
            for &Copy { to, from, len } in &copies {
                for (to, from) in unfolded[to..][..len].iter_mut().zip(&x[from..][..len]) {
                    *to = *from;
                }
            }
        });
    unfolded
}
