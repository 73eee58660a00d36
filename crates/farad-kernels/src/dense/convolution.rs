//! The three products of a convolution.

use super::gather::{Columns, Gather, Taps};
use super::pack::Weights;
use super::shape::{Conv2d, Precision};
use super::tile::Engine;
use super::unfold::{unfold, unfolded};
use super::{depthwise, weight_gradient, winograd};

/// `y[n][oy][ox][co]`, the convolution of `x` with `w[co][ky][kx][ci]`, or `w[c][ky][kx]` if depthwise; that is always computed in
/// f32.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn conv_forward(c: &Conv2d, precision: Precision, x: &[f32], w: &[f32]) -> Vec<f32> {
    forward(Engine::detect(), c, precision, x, w)
}

/// `dx`, the gradient with respect to the input, from `dy`, that with respect to the output.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn conv_input_gradient(c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32]) -> Vec<f32> {
    input_gradient(Engine::detect(), c, precision, dy, w)
}

/// `dw`, the gradient with respect to the weights, summed over the batch.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn conv_weight_gradient(c: &Conv2d, precision: Precision, x: &[f32], dy: &[f32]) -> Vec<f32> {
    weight_gradient(Engine::detect(), c, precision, x, dy)
}

fn gather<'a>(
    engine: Engine,
    c: &Conv2d,
    precision: Precision,
    taps: &'a Taps,
    w: &'a [f32],
    side: Columns,
) -> Gather<'a> {
    let weights = Weights {
        values: w,
        taps: c.taps(),
        outputs: c.out_channels,
        inputs: c.in_channels,
    };
    Gather {
        engine,
        precision,
        taps,
        images: c.images,
        weights,
        side,
    }
}

pub(super) fn forward(engine: Engine, c: &Conv2d, precision: Precision, x: &[f32], w: &[f32]) -> Vec<f32> {
    c.check(Some(x.len()), Some(w.len()), None);
    if let Some(wide) = unfolded(c) {
        return forward(engine, &wide, precision, &unfold(c, x), w);
    }
    let precision = engine.precision(precision);
    if precision == Precision::F32 && winograd::suits(c) {
        return winograd::forward(engine, c, x, w);
    }
    let taps = Taps::forward(c);
    if c.depthwise {
        depthwise::gather(engine.isa(), &taps, c.images, x, w, c.in_channels)
    } else {
        gather(engine, c, precision, &taps, w, Columns::Outputs).run(x)
    }
}

pub(super) fn input_gradient(engine: Engine, c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32]) -> Vec<f32> {
    c.check(None, Some(w.len()), Some(dy.len()));
    let precision = engine.precision(precision);
    if precision == Precision::F32 && winograd::suits(c) {
        return winograd::input_gradient(engine, c, dy, w);
    }
    let taps = Taps::input_gradient(c);
    if c.depthwise {
        depthwise::gather(engine.isa(), &taps, c.images, dy, w, c.in_channels)
    } else {
        gather(engine, c, precision, &taps, w, Columns::Inputs).run(dy)
    }
}

pub(super) fn weight_gradient(engine: Engine, c: &Conv2d, precision: Precision, x: &[f32], dy: &[f32]) -> Vec<f32> {
    c.check(Some(x.len()), None, Some(dy.len()));
    if let Some(wide) = unfolded(c) {
        return weight_gradient(engine, &wide, precision, &unfold(c, x), dy);
    }
    let precision = engine.precision(precision);
    if precision == Precision::F32 && winograd::suits_weight_gradient(c) {
        return winograd::weight_gradient(engine, c, x, dy);
    }
    if c.depthwise {
        depthwise::weight_gradient(engine.isa(), c, x, dy)
    } else {
        weight_gradient::weight_gradient(engine, precision, c, x, dy)
    }
}
