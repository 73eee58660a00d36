use super::values;
use crate::dense::{
    Activation, act_backward, add_act_forward, average_pool_backward, average_pool_forward, max_pool2_backward,
    max_pool2_forward,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_pool_takes_the_first_maximum_and_sends_the_gradient_back_there(
        images in 0usize..4, height in 0usize..8, width in 0usize..8, channels in 1usize..20, seed in any::<u64>(),
    ) {
        // Few values, so that some are equal.
        let x: Vec<f32> = values(images * height * width * channels, seed).iter().map(|x| (x * 3.0).round()).collect();
        let (oh, ow) = (height / 2, width / 2);
        let len = images * oh * ow * channels;
        let dy = values(len, seed + 1);
        let (y, argmax) = max_pool2_forward(images, height, width, channels, &x);
        let dx = max_pool2_backward(images, height, width, channels, &argmax, &dy);
        prop_assert_eq!((y.len(), argmax.len()), (len, len));
        let mut expected = vec![0.0; x.len()];
        for o in 0..len {
            let (c, ox, oy, n) = (o % channels, o / channels % ow, o / channels / ow % oh, o / channels / ow / oh);
            let inputs = [0, 1, 2, 3].map(|i| ((n * height + 2 * oy + i / 2) * width + 2 * ox + i % 2) * channels + c);
            let best = inputs.iter().map(|&i| x[i]).fold(f32::NEG_INFINITY, f32::max);
            let place = inputs.iter().position(|&i| x[i] == best).expect("one of them");
            prop_assert_eq!(y[o], best);
            prop_assert_eq!(usize::from(argmax[o]), place);
            expected[inputs[place]] = dy[o];
        }
        prop_assert_eq!(dx, expected);
    }

    #[test]
    fn the_average_of_equal_values_is_one_of_them(images in 0usize..4, positions in 1usize..20, channels in 1usize..20) {
        // Small integers: sums are exact, and the quotient is the nearest f32.
        let x: Vec<f32> = values(images * positions * channels, 7).iter().map(|x| (x * 100.0).round()).collect();
        let y = average_pool_forward(images, positions, channels, &x);
        prop_assert_eq!(y.len(), images * channels);
        for (o, &y) in y.iter().enumerate() {
            let (n, c) = (o / channels, o % channels);
            let sum: f64 = (0..positions).map(|p| f64::from(x[(n * positions + p) * channels + c])).sum();
            let expected = sum / positions as f64;
            // Rounded twice: the reciprocal and the product.
            prop_assert!((f64::from(y) - expected).abs() <= 2.0 * super::ROUNDOFF * expected.abs());
        }
        let dx = average_pool_backward(images, positions, channels, &y);
        prop_assert_eq!(dx.len(), x.len());
        for (i, &dx) in dx.iter().enumerate() {
            let dy = y[i / (positions * channels) * channels + i % channels];
            prop_assert_eq!(dx, dy * (1.0 / positions as f32));
        }
    }
}

#[test]
fn activations_limit_and_pass_the_gradient_strictly_between_their_limits() {
    let a = [-2.0, -1.0, 0.0, 1.0, 3.0, 3.0, f32::NAN];
    let b = [1.0, 1.0, 0.0, 1.0, 3.0, 4.0, 0.0];
    let dy = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let cases = [
        (Activation::None, [-1.0, 0.0, 0.0, 2.0, 6.0, 7.0], dy),
        (
            Activation::Relu,
            [0.0, 0.0, 0.0, 2.0, 6.0, 7.0],
            [0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 0.0],
        ),
        (
            Activation::Relu6,
            [0.0, 0.0, 0.0, 2.0, 6.0, 6.0],
            [0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0],
        ),
    ];
    for (activation, expected, gradient) in cases {
        let y = add_act_forward(&a, &b, activation);
        assert_eq!(y[..6], expected);
        assert!(y[6].is_nan());
        let dx = act_backward(&y, &dy, activation);
        assert_eq!(dx[..6], gradient[..6], "{activation:?}");
    }
}
