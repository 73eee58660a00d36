//! Activations, alone and after an addition.

use super::memory::written;
use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// What follows a batch norm or an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Bounds of the output. Between them the derivative is 1; at and beyond a finite bound it is 0.
    pub(super) fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// Limits `x` to the bounds. NaN stays, so that a diverged training shows.
#[inline(always)]
pub(super) fn limit(x: f32, (low, high): (f32, f32)) -> f32 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// `gradient` where `x` is strictly between the bounds, 0 elsewhere. Without a branch, behind which the compiler would load the
/// gradient only when the comparison is done.
#[inline(always)]
pub(super) fn pass(gradient: f32, x: f32, (low, high): (f32, f32)) -> f32 {
    let inside = u32::from((x > low) & (x < high)).wrapping_neg();
    f32::from_bits(gradient.to_bits() & inside)
}

/// Values that a task works on: long enough to be worth a task.
const CHUNK: usize = 1 << 16;

/// `y = activation(a + b)`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn add_act_forward(a: &[f32], b: &[f32], activation: Activation) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "an addition is of equal lengths");
    let isa = Isa::detect();
    let chunks = |y: &mut [MaybeUninit<f32>]| {
        (y.par_chunks_mut(CHUNK), a.par_chunks(CHUNK), b.par_chunks(CHUNK))
            .into_par_iter()
            .for_each(|(y, a, b)| add_chunk(isa, a, b, activation.bounds(), y));
    };
    // SAFETY: the chunks are all there is.
    unsafe { written(a.len(), chunks) }
}

portable! {
    fn add_chunk(a: &[f32], b: &[f32], bounds: (f32, f32), y: &mut [MaybeUninit<f32>]) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            y.write(limit(a + b, bounds));
        }
    }
}

/// `dx`, the gradient before an activation, from its output `y` and the gradient `dy` after it.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn act_backward(y: &[f32], dy: &[f32], activation: Activation) -> Vec<f32> {
    assert_eq!(y.len(), dy.len(), "an activation keeps its length");
    let isa = Isa::detect();
    let chunks = |dx: &mut [MaybeUninit<f32>]| {
        (dx.par_chunks_mut(CHUNK), y.par_chunks(CHUNK), dy.par_chunks(CHUNK))
            .into_par_iter()
            .for_each(|(dx, y, dy)| backward_chunk(isa, y, dy, activation.bounds(), dx));
    };
    // SAFETY: the chunks are all there is.
    unsafe { written(y.len(), chunks) }
}

portable! {
    fn backward_chunk(y: &[f32], dy: &[f32], bounds: (f32, f32), dx: &mut [MaybeUninit<f32>]) {
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            dx.write(pass(dy, y, bounds));
        }
    }
}
