use super::{ROUNDOFF, on_one_and_two_threads, values};
use crate::dense::convolution::{forward, input_gradient, weight_gradient};
use crate::dense::tile::Engine;
use crate::dense::{Conv2d, Precision, winograd};
use proptest::prelude::*;

/// A sum of products, the sum of their magnitudes, and how many they are.
#[derive(Clone, Copy, Default)]
struct Exact {
    sum: f64,
    magnitude: f64,
    terms: u32,
}

/// Sums, for each of `len` outputs, the products that `index` picks for it from those of the whole convolution.
/// A product is `(input, weight, output)`; two of the three are multiplied.
fn exact(c: &Conv2d, len: usize, mut product: impl FnMut(usize, usize, usize) -> (usize, f32, f32)) -> Vec<Exact> {
    let mut sums = vec![Exact::default(); len];
    let (oh, ow) = (c.out_height(), c.out_width());
    let inside = |o: usize, k: usize, extent: usize| (o * c.stride + k).checked_sub(c.padding).filter(|&i| i < extent);
    let per_output = if c.depthwise { 1 } else { c.in_channels };
    for position in 0..c.images * oh * ow {
        let (n, oy, ox) = (position / (oh * ow), position / ow % oh, position % ow);
        for tap in 0..c.kernel * c.kernel {
            let (y, x) = (
                inside(oy, tap / c.kernel, c.height),
                inside(ox, tap % c.kernel, c.width),
            );
            let (Some(y), Some(x)) = (y, x) else { continue };
            for co in 0..c.out_channels {
                for ci in 0..per_output {
                    let channel = if c.depthwise { co } else { ci };
                    let input = ((n * c.height + y) * c.width + x) * c.in_channels + channel;
                    let weight = (co * c.kernel * c.kernel + tap) * per_output + ci;
                    let (to, a, b) = product(input, weight, position * c.out_channels + co);
                    let value = f64::from(a) * f64::from(b);
                    sums[to].sum += value;
                    sums[to].magnitude += value.abs();
                    sums[to].terms += 1;
                }
            }
        }
    }
    sums
}

/// Summation in any order errs by at most a roundoff for each addition and product, of the sum of magnitudes (Higham,
/// Accuracy and Stability of Numerical Algorithms, 4.2).
fn bounds(exact: &[Exact]) -> Vec<f64> {
    let bound = |e: &Exact| 2.0 * f64::from(e.terms) * ROUNDOFF * e.magnitude;
    exact.iter().map(bound).collect()
}

/// Sums of magnitudes over the squares of `side` by `side` positions that begin every second one, `[tile][channel]`.
fn squares(c: &Conv2d, values: &[f32], channels: usize, side: usize) -> Vec<f64> {
    let (rows, columns) = (c.height.div_ceil(2), c.width.div_ceil(2));
    let mut sums = vec![0.0; c.images * rows * columns * channels];
    // A patch begins one position before its tile.
    let before = usize::from(side == 4);
    for (i, value) in values.iter().enumerate() {
        let (channel, x, y) = (i % channels, i / channels % c.width, i / channels / c.width % c.height);
        let image = i / channels / c.width / c.height;
        let reached =
            |at: usize, most: usize| (0..most).filter(move |t| (2 * t..2 * t + side).contains(&(at + before)));
        for row in reached(y, rows) {
            for column in reached(x, columns) {
                let tile = (image * rows + row) * columns + column;
                sums[tile * channels + channel] += f64::from(value.abs());
            }
        }
    }
    sums
}

/// The same for Winograd's products. A point of a patch or of weights is at most the sum of their magnitudes; of the points of
/// weights an output takes nine, which together are at most four times that sum, and a weight takes as many of the points' sums.
/// There are two roundings in the points of a patch, four in those of the weights, and at most four in what comes back, each to a
/// number no larger; for a sum of products there is one for each.
fn winograd_bounds(c: &Conv2d, x: &[f32], w: &[f32], dy: &[f32]) -> [Vec<f64>; 3] {
    let (inputs, outputs) = (c.in_channels, c.out_channels);
    let (patches, patches_of_dy, tiles_of_dy) = (
        squares(c, x, inputs, 4),
        squares(c, dy, outputs, 4),
        squares(c, dy, outputs, 2),
    );
    let weights = |output: usize, input: usize| -> f64 {
        let tap = |tap: usize| f64::from(w[(output * 9 + tap) * inputs + input].abs());
        (0..9).map(tap).sum()
    };
    let bound = |terms: usize, sum: f64| 4.0 * (terms + 11) as f64 * ROUNDOFF * sum;
    let tile = |position: usize| {
        let (x, y, image) = (
            position % c.width,
            position / c.width % c.height,
            position / c.width / c.height,
        );
        (image * c.height.div_ceil(2) + y / 2) * c.width.div_ceil(2) + x / 2
    };
    let of_y = |i: usize| {
        let patch = &patches[tile(i / outputs) * inputs..];
        bound(inputs, (0..inputs).map(|k| patch[k] * weights(i % outputs, k)).sum())
    };
    let of_dx = |i: usize| {
        let patch = &patches_of_dy[tile(i / inputs) * outputs..];
        bound(outputs, (0..outputs).map(|k| patch[k] * weights(k, i % inputs)).sum())
    };
    let of_dw = |i: usize| {
        let (output, input) = (i / (9 * inputs), i % inputs);
        let both = patches.chunks(inputs).zip(tiles_of_dy.chunks(outputs));
        let products = both.map(|(x, dy)| x[input] * dy[output]);
        bound(patches.len() / inputs, products.sum())
    };
    [
        (0..dy.len()).map(of_y).collect(),
        (0..x.len()).map(of_dx).collect(),
        (0..w.len()).map(of_dw).collect(),
    ]
}

fn check(actual: &[f32], exact: &[Exact], bounds: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(actual.len(), exact.len());
    for (i, (&actual, exact)) in actual.iter().zip(exact).enumerate() {
        let error = (f64::from(actual) - exact.sum).abs();
        prop_assert!(
            error <= bounds[i],
            "value {i}: {actual} for {}, which errs by {error:e}",
            exact.sum
        );
    }
    Ok(())
}

/// The nearest bf16, from its spacing: eight significant bits.
fn nearest_bf16(x: f32) -> f32 {
    let spacing = f64::from(x.abs()).log2().floor().exp2() / 128.0;
    if x == 0.0 {
        x
    } else {
        ((f64::from(x) / spacing).round_ties_even() * spacing) as f32
    }
}

fn shapes() -> impl Strategy<Value = Conv2d> {
    let channels = prop_oneof![1usize..6, 15usize..20, Just(35), Just(51), Just(67)];
    let kernels = prop_oneof![Just(1usize), Just(3), Just(5)];
    (
        1usize..=5,
        1usize..9,
        1usize..9,
        channels.clone(),
        channels,
        kernels,
        1usize..=2,
        0usize..=2,
        any::<bool>(),
    )
        .prop_map(
            |(images, height, width, ci, co, kernel, stride, padding, depthwise)| Conv2d {
                images,
                height,
                width,
                in_channels: ci,
                out_channels: if depthwise { ci } else { co },
                kernel,
                stride,
                padding,
                depthwise,
            },
        )
}

/// All three products of a convolution on every engine and in both precisions.
fn check_shape(c: &Conv2d, images: usize) -> Result<(), TestCaseError> {
    let c = &Conv2d { images, ..*c };
    for precision in [Precision::F32, Precision::Bf16] {
        let operands = |len: usize, seed: u64| -> Vec<f32> {
            let rounded = |x: f32| {
                if precision == Precision::Bf16 {
                    nearest_bf16(x)
                } else {
                    x
                }
            };
            values(len, seed).into_iter().map(rounded).collect()
        };
        let (x, w, dy) = (
            operands(c.input_len(), 1),
            operands(c.weights_len(), 2),
            operands(c.output_len(), 3),
        );
        let expected = [
            exact(c, dy.len(), |i, k, o| (o, x[i], w[k])),
            exact(c, x.len(), |i, k, o| (i, dy[o], w[k])),
            exact(c, w.len(), |i, k, o| (k, dy[o], x[i])),
        ];
        let direct = [0, 1, 2].map(|k| bounds(&expected[k]));
        let fewer = winograd::suits(c).then(|| winograd_bounds(c, &x, &w, &dy));
        for engine in Engine::available() {
            let is_f32 = engine.precision(precision) == Precision::F32;
            let all = fewer.as_ref().filter(|_| is_f32).unwrap_or(&direct);
            let of_weights = if winograd::suits_weight_gradient(c) {
                all
            } else {
                &direct
            };
            check(&forward(engine, c, precision, &x, &w), &expected[0], &all[0])?;
            check(&input_gradient(engine, c, precision, &dy, &w), &expected[1], &all[1])?;
            check(
                &weight_gradient(engine, c, precision, &x, &dy),
                &expected[2],
                &of_weights[2],
            )?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn products_are_those_of_the_definition(c in shapes()) {
        check_shape(&c, c.images)?;
    }
}

/// A convolution of 3 by 3 with padding 1.
fn plain(images: usize, [height, width]: [usize; 2], in_channels: usize, out_channels: usize) -> Conv2d {
    Conv2d {
        images,
        height,
        width,
        in_channels,
        out_channels,
        kernel: 3,
        stride: 1,
        padding: 1,
        depthwise: false,
    }
}

/// Maps of even and odd sides in fewer products, with ragged channels.
#[test]
fn fewer_products_give_the_same() {
    for c in [
        plain(3, [8, 8], 33, 37),
        plain(2, [11, 14], 35, 32),
        plain(5, [16, 13], 40, 67),
    ] {
        assert!(winograd::suits_weight_gradient(&c));
        check_shape(&c, c.images).expect("within the bound");
    }
}

/// Small integers: halves and quarters of their sums have no rounding, so that nothing may be lost, and no tile be taken twice.
#[test]
fn fewer_products_of_integers_are_exact() {
    for c in [plain(37, [12, 11], 70, 99), plain(70, [16, 16], 40, 35)] {
        assert!(winograd::suits_weight_gradient(&c));
        let operands =
            |len: usize, seed: u64| -> Vec<f32> { values(len, seed).iter().map(|v| (v * 3.0).round()).collect() };
        let (x, w, dy) = (
            operands(c.input_len(), 1),
            operands(c.weights_len(), 2),
            operands(c.output_len(), 3),
        );
        let rounded = |exact: Vec<Exact>| -> Vec<f32> { exact.iter().map(|e| e.sum as f32).collect() };
        let y = rounded(exact(&c, dy.len(), |i, k, o| (o, x[i], w[k])));
        let dx = rounded(exact(&c, x.len(), |i, k, o| (i, dy[o], w[k])));
        let dw = rounded(exact(&c, w.len(), |i, k, o| (k, dy[o], x[i])));
        for engine in Engine::available() {
            assert!(forward(engine, &c, Precision::F32, &x, &w) == y, "{engine:?}");
            assert!(input_gradient(engine, &c, Precision::F32, &dy, &w) == dx, "{engine:?}");
            assert!(weight_gradient(engine, &c, Precision::F32, &x, &dy) == dw, "{engine:?}");
        }
    }
}

/// More images and channels than a chunk or a block holds, in fewer products and directly.
#[test]
fn large_batches_are_the_sum_of_their_parts() {
    let c = plain(37, [12, 11], 70, 99);
    check_shape(&c, c.images).expect("within the bound");
    let direct = Conv2d { padding: 0, ..c };
    assert!(winograd::suits(&c) && !winograd::suits(&direct));
    check_shape(&direct, c.images).expect("within the bound");
}

#[test]
fn operands_are_rounded_to_the_nearest_bf16() {
    let c = Conv2d {
        images: 3,
        height: 3,
        width: 3,
        in_channels: 21,
        out_channels: 18,
        kernel: 1,
        stride: 1,
        padding: 0,
        depthwise: false,
    };
    let (mut x, w) = (values(c.input_len(), 5), values(c.weights_len(), 6));
    // Halfway between two bf16: to the even one, down and up.
    x[0] = f32::from_bits(0x3f80_8000);
    x[1] = f32::from_bits(0x3f81_8000);
    let rounded = |x: &[f32]| -> Vec<f32> { x.iter().copied().map(nearest_bf16).collect() };
    let rounding = |engine: &Engine| engine.precision(Precision::Bf16) == Precision::Bf16;
    for engine in Engine::available().into_iter().filter(rounding) {
        let y = forward(engine, &c, Precision::Bf16, &x, &w);
        assert_eq!(y, forward(engine, &c, Precision::Bf16, &rounded(&x), &rounded(&w)));
        let dw = weight_gradient(engine, &c, Precision::Bf16, &x, &y);
        assert_eq!(
            dw,
            weight_gradient(engine, &c, Precision::Bf16, &rounded(&x), &rounded(&y))
        );
    }
}

#[test]
fn a_nan_is_not_lost_in_rounding() {
    let c = Conv2d {
        images: 1,
        height: 1,
        width: 1,
        in_channels: 3,
        out_channels: 1,
        kernel: 1,
        stride: 1,
        padding: 0,
        depthwise: false,
    };
    for engine in Engine::available() {
        for bits in [0x7fff_ffff, 0x7f80_0001, 0xffff_ffff] {
            let x = [1.0, f32::from_bits(bits), 1.0];
            assert!(forward(engine, &c, Precision::Bf16, &x, &[1.0; 3])[0].is_nan());
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let tiled = plain(37, [12, 12], 40, 40);
    assert!(winograd::suits_weight_gradient(&tiled));
    let depthwise = Conv2d {
        depthwise: true,
        ..plain(9, [6, 6], 12, 12)
    };
    for c in [tiled, plain(37, [9, 9], 40, 40), plain(5, [4, 4], 130, 130), depthwise] {
        let (x, w, dy) = (
            values(c.input_len(), 1),
            values(c.weights_len(), 2),
            values(c.output_len(), 3),
        );
        for precision in [Precision::F32, Precision::Bf16] {
            let [one, two] = on_one_and_two_threads(|| {
                let engine = Engine::detect();
                [
                    forward(engine, &c, precision, &x, &w),
                    input_gradient(engine, &c, precision, &dy, &w),
                    weight_gradient(engine, &c, precision, &x, &dy),
                ]
            });
            assert_eq!(one, two);
        }
    }
}
