//! The transformations, for a register of neighbouring channels at a time.

use super::super::lanes::{self, Sums};
use super::super::tile::Engine;
use super::POINTS;
use crate::array::from_fn;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A matrix `M` that is multiplied from both sides, `M d M'`.
trait Transform<const FROM: usize, const TO: usize> {
    /// `M d`.
    ///
    /// # Safety
    /// Needs the instruction set of `S`.
    unsafe fn across<S: Sums>(d: [S; FROM]) -> [S; TO];
}

/// `B'`, of a patch of inputs.
struct Patch;

impl Transform<4, 4> for Patch {
    #[inline(always)]
    unsafe fn across<S: Sums>([a, b, c, d]: [S; 4]) -> [S; 4] {
        // SAFETY: the caller's contract.
        unsafe { [a.subtract(c), b.add(c), c.subtract(b), b.subtract(d)] }
    }
}

/// `A`, of a tile of output gradients.
struct Gradient;

impl Transform<2, 4> for Gradient {
    #[inline(always)]
    unsafe fn across<S: Sums>([a, b]: [S; 2]) -> [S; 4] {
        // SAFETY: the caller's contract.
        unsafe { [a, a.add(b), a.subtract(b), S::zero().subtract(b)] }
    }
}

/// `G`, of weights.
struct Weights;

impl Transform<3, 4> for Weights {
    #[inline(always)]
    unsafe fn across<S: Sums>([a, b, c]: [S; 3]) -> [S; 4] {
        // SAFETY: the caller's contract.
        unsafe {
            let (even, odd) = (a.add(c).halve(), b.halve());
            [a, even.add(odd), even.subtract(odd), c]
        }
    }
}

/// `A'`, of sums that become a tile of outputs.
struct Back;

impl Transform<4, 2> for Back {
    #[inline(always)]
    unsafe fn across<S: Sums>([a, b, c, d]: [S; 4]) -> [S; 2] {
        // SAFETY: the caller's contract.
        unsafe { [a.add(b).add(c), b.subtract(c).subtract(d)] }
    }
}

/// `G'`, of sums that become a gradient of weights.
struct WeightsBack;

impl Transform<4, 3> for WeightsBack {
    #[inline(always)]
    unsafe fn across<S: Sums>([a, b, c, d]: [S; 4]) -> [S; 3] {
        // SAFETY: the caller's contract.
        unsafe {
            let (sum, difference) = (b.add(c).halve(), b.subtract(c).halve());
            [a.add(sum), difference, sum.add(d)]
        }
    }
}

/// Points of the channels `own` of a patch, whole registers of them; `distance` words from a point to the next.
///
/// # Panics
/// If a row, or the words, are too short.
pub(super) fn patch(engine: Engine, patch: &[[&[f32]; 4]; 4], own: Range<usize>, distance: usize, to: &mut [u32]) {
    points::<Patch, 4>(engine, patch, own, distance, to);
}

/// Points of a tile of output gradients, as [`patch`].
pub(super) fn gradient(engine: Engine, tile: &[[&[f32]; 2]; 2], own: Range<usize>, distance: usize, to: &mut [u32]) {
    points::<Gradient, 2>(engine, tile, own, distance, to);
}

/// Points of weights, as [`patch`].
pub(super) fn weights(engine: Engine, taps: &[[&[f32]; 3]; 3], own: Range<usize>, distance: usize, to: &mut [u32]) {
    points::<Weights, 3>(engine, taps, own, distance, to);
}

fn points<T: Transform<SIDE, 4>, const SIDE: usize>(
    engine: Engine,
    from: &[[&[f32]; SIDE]; SIDE],
    own: Range<usize>,
    distance: usize,
    to: &mut [u32],
) {
    assert!((POINTS - 1) * distance + own.len() <= to.len(), "room for all points");
    let from = from_fn(|y| from_fn(|x| from[y][x][own.clone()].as_ptr()));
    let base = to.as_mut_ptr().cast::<f32>();
    let to = from_fn(|y| from_fn(|x| base.wrapping_add((4 * y + x) * distance)));
    // SAFETY: the lengths were compared; an engine exists if the CPU has it.
    unsafe { transform::<T, SIDE, 4>(engine, own.len(), &from, &to) }
}

/// From sums of a tile, `distance` words from a point to the next, its outputs, to where each of the four begins, if it is on the map.
///
/// # Panics
/// If the sums, or `to`, are too short.
pub(super) fn back(
    engine: Engine,
    sums: &[u32],
    distance: usize,
    columns: usize,
    places: [[Option<usize>; 2]; 2],
    to: &mut [MaybeUninit<f32>],
) {
    assert!((POINTS - 1) * distance + columns <= sums.len(), "sums of all points");
    let from = from_fn(|y| from_fn(|x| sums[(4 * y + x) * distance..].as_ptr().cast()));
    let (base, len) = (to.as_mut_ptr().cast::<f32>(), to.len());
    let to = from_fn(|y| {
        from_fn(|x| match places[y][x] {
            Some(place) => {
                assert!(place + columns <= len, "room for all outputs");
                base.wrapping_add(place)
            }
            None => std::ptr::null_mut(),
        })
    });
    // SAFETY: the lengths were compared; an engine exists if the CPU has it.
    unsafe { transform::<Back, 4, 2>(engine, columns, &from, &to) }
}

/// From the points of an output's weights, `[point][width]`, the weights `[tap][channel]`.
///
/// # Panics
/// If the lengths do not fit.
pub(super) fn weights_back(engine: Engine, points: &[f32], w: &mut [f32]) {
    let (channels, width) = (w.len() / 9, points.len() / POINTS);
    assert!(channels <= width, "points of all channels");
    let from = from_fn(|y| from_fn(|x| points[(4 * y + x) * width..].as_ptr()));
    let base = w.as_mut_ptr();
    let to = from_fn(|y| from_fn(|x| base.wrapping_add((3 * y + x) * channels)));
    // SAFETY: the lengths were compared; an engine exists if the CPU has it.
    unsafe { transform::<WeightsBack, 4, 3>(engine, channels, &from, &to) }
}

/// `M d M'` of `len` neighbouring channels. Results without a place are dropped.
///
/// # Safety
/// The CPU has the engine; pointers are valid for `len` values.
unsafe fn transform<T: Transform<FROM, TO>, const FROM: usize, const TO: usize>(
    engine: Engine,
    len: usize,
    from: &[[*const f32; FROM]; FROM],
    to: &[[*mut f32; TO]; TO],
) {
    // SAFETY: the caller's contract.
    unsafe {
        match engine {
            Engine::Portable => registers::<lanes::Portable, T, FROM, TO>(len, from, to),
            #[cfg(target_arch = "x86_64")]
            Engine::Fma => x86_64::fma::<T, FROM, TO>(len, from, to),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512 | Engine::Avx512Bf16 => x86_64::avx512::<T, FROM, TO>(len, from, to),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("an engine of another architecture"),
        }
    }
}

/// # Safety
/// As [`transform`], on the instruction set of `S`.
#[inline(always)]
unsafe fn registers<S: Sums, T: Transform<FROM, TO>, const FROM: usize, const TO: usize>(
    len: usize,
    from: &[[*const f32; FROM]; FROM],
    to: &[[*mut f32; TO]; TO],
) {
    let mut at = 0;
    while at < len {
        let count = (len - at).min(S::LANES);
        // SAFETY: the caller's contract.
        unsafe {
            let mut columns = [[S::zero(); TO]; FROM];
            for x in 0..FROM {
                let mut column = [S::zero(); FROM];
                for y in 0..FROM {
                    column[y] = S::load(from[y][x].add(at), count);
                }
                columns[x] = T::across(column);
            }
            for y in 0..TO {
                let mut row = [S::zero(); FROM];
                for x in 0..FROM {
                    row[x] = columns[x][y];
                }
                let row = T::across(row);
                for x in 0..TO {
                    if !to[y][x].is_null() {
                        row[x].store(to[y][x].add(at), count);
                    }
                }
            }
        }
        at += S::LANES;
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::super::super::lanes::x86::{Avx512, Fma};
    use super::{Transform, registers};

    /// # Safety
    /// As [`transform`](super::transform).
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn fma<T: Transform<FROM, TO>, const FROM: usize, const TO: usize>(
        len: usize,
        from: &[[*const f32; FROM]; FROM],
        to: &[[*mut f32; TO]; TO],
    ) {
        // SAFETY: the caller's contract.
        unsafe { registers::<Fma, T, FROM, TO>(len, from, to) }
    }

    /// # Safety
    /// As [`transform`](super::transform).
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512<T: Transform<FROM, TO>, const FROM: usize, const TO: usize>(
        len: usize,
        from: &[[*const f32; FROM]; FROM],
        to: &[[*mut f32; TO]; TO],
    ) {
        // SAFETY: the caller's contract.
        unsafe { registers::<Avx512, T, FROM, TO>(len, from, to) }
    }
}
