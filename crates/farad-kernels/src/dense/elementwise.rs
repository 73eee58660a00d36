//! Activations, alone and after an addition.

use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;

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
pub fn add_act_forward(a: &[f32], b: &[f32], activation: Activation, y: &mut [f32]) {
    assert!(
        a.len() == y.len() && b.len() == y.len(),
        "an addition is of equal lengths"
    );
    let isa = Isa::detect();
    (y.par_chunks_mut(CHUNK), a.par_chunks(CHUNK), b.par_chunks(CHUNK))
        .into_par_iter()
        .for_each(|(y, a, b)| add_chunk(isa, a, b, activation.bounds(), y));
}

portable! {
    fn add_chunk(a: &[f32], b: &[f32], bounds: (f32, f32), y: &mut [f32]) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = limit(a + b, bounds);
        }
    }
}

/// `dx`, the gradient before an activation, from its output `y` and the gradient `dy` after it.
///
/// # Panics
/// If the lengths differ.
pub fn act_backward(y: &[f32], dy: &[f32], activation: Activation, dx: &mut [f32]) {
    assert!(
        y.len() == dx.len() && dy.len() == dx.len(),
        "an activation keeps its length"
    );
    let isa = Isa::detect();
    (dx.par_chunks_mut(CHUNK), y.par_chunks(CHUNK), dy.par_chunks(CHUNK))
        .into_par_iter()
        .for_each(|(dx, y, dy)| backward_chunk(isa, y, dy, activation.bounds(), dx));
}

portable! {
    fn backward_chunk(y: &[f32], dy: &[f32], bounds: (f32, f32), dx: &mut [f32]) {
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = pass(dy, y, bounds);
        }
    }
}
