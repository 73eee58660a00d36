use super::{ROUNDOFF, on_one_and_two_threads, values};
use crate::dense::convolution::{forward, input_gradient, weight_gradient};
use crate::dense::tile::Engine;
use crate::dense::{Conv2d, Precision};
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
fn check(actual: &[f32], exact: &[Exact]) -> Result<(), TestCaseError> {
    for (i, (&actual, exact)) in actual.iter().zip(exact).enumerate() {
        let error = (f64::from(actual) - exact.sum).abs();
        let bound = 2.0 * f64::from(exact.terms) * ROUNDOFF * exact.magnitude;
        prop_assert!(
            error <= bound,
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
        for engine in Engine::available() {
            // Outputs are replaced, whatever they held.
            let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(|len| vec![f32::NAN; len]);
            forward(engine, c, precision, &x, &w, &mut y);
            input_gradient(engine, c, precision, &dy, &w, &mut dx);
            weight_gradient(engine, c, precision, &x, &dy, &mut dw);
            check(&y, &expected[0])?;
            check(&dx, &expected[1])?;
            check(&dw, &expected[2])?;
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

/// More images and channels than a chunk or a block holds.
#[test]
fn large_batches_are_the_sum_of_their_parts() {
    let c = Conv2d {
        images: 0,
        height: 12,
        width: 11,
        in_channels: 70,
        out_channels: 99,
        kernel: 3,
        stride: 1,
        padding: 1,
        depthwise: false,
    };
    check_shape(&c, 37).expect("within the bound");
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
        let [mut y, mut same] = [(); 2].map(|()| vec![0.0; c.output_len()]);
        forward(engine, &c, Precision::Bf16, &x, &w, &mut y);
        forward(engine, &c, Precision::Bf16, &rounded(&x), &rounded(&w), &mut same);
        assert_eq!(y, same);

        let [mut dw, mut same] = [(); 2].map(|()| vec![0.0; c.weights_len()]);
        weight_gradient(engine, &c, Precision::Bf16, &x, &y, &mut dw);
        weight_gradient(engine, &c, Precision::Bf16, &rounded(&x), &rounded(&y), &mut same);
        assert_eq!(dw, same);
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
            let mut y = [0.0];
            let x = [1.0, f32::from_bits(bits), 1.0];
            forward(engine, &c, Precision::Bf16, &x, &[1.0; 3], &mut y);
            assert!(y[0].is_nan());
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for (images, side, channels, depthwise) in [(37, 9, 40, false), (5, 4, 130, false), (9, 6, 12, true)] {
        let c = Conv2d {
            images,
            height: side,
            width: side,
            in_channels: channels,
            out_channels: channels,
            kernel: 3,
            stride: 1,
            padding: 1,
            depthwise,
        };
        let (x, w, dy) = (
            values(c.input_len(), 1),
            values(c.weights_len(), 2),
            values(c.output_len(), 3),
        );
        for precision in [Precision::F32, Precision::Bf16] {
            let [one, two] = on_one_and_two_threads(|| {
                let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(|len| vec![0.0; len]);
                let engine = Engine::detect();
                forward(engine, &c, precision, &x, &w, &mut y);
                input_gradient(engine, &c, precision, &dy, &w, &mut dx);
                weight_gradient(engine, &c, precision, &x, &dy, &mut dw);
                [y, dx, dw]
            });
            assert_eq!(one, two);
        }
    }
}
