use super::{ROUNDOFF, on_one_and_two_threads, values};
use crate::dense::{Activation, Norm, channel_moments, norm_backward, norm_forward};
use proptest::prelude::*;

/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// Sizes, parameters and tensors of one batch norm.
#[derive(Debug, Clone)]
struct Case {
    images: usize,
    positions: usize,
    channels: usize,
    activation: Activation,
    masked: bool,
    u: Vec<f32>,
    dy: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    mask: Vec<f32>,
}

/// One of the inputs.
type Part = fn(&mut Reference) -> &mut Vec<f64>;

/// What [`norm_backward`] gives.
#[derive(Debug, PartialEq)]
struct Gradients {
    du: Vec<f32>,
    dgamma: Vec<f32>,
    dbeta: Vec<f32>,
    gate: Vec<f32>,
}

impl Case {
    fn new(images: usize, positions: usize, channels: usize, activation: Activation, masked: bool, seed: u64) -> Self {
        let len = images * positions * channels;
        let scaled = |v: Vec<f32>, scale: f32, offset: f32| v.into_iter().map(|x| x * scale + offset).collect();
        Self {
            images,
            positions,
            channels,
            activation,
            masked,
            u: scaled(values(len, seed), 3.0, 1.0),
            dy: values(len, seed + 1),
            gamma: scaled(values(channels, seed + 2), 0.5, 2.0),
            beta: scaled(values(channels, seed + 3), 1.0, 1.0),
            mask: scaled(values(images * channels, seed + 4), 0.5, 1.0),
        }
    }

    fn norm(&self) -> Norm<'_> {
        Norm {
            images: self.images,
            positions: self.positions,
            channels: self.channels,
            gamma: &self.gamma,
            beta: &self.beta,
            mask: self.masked.then_some(&self.mask[..]),
            activation: self.activation,
        }
    }

    fn moments(&self) -> (Vec<f32>, Vec<f32>) {
        let [mut mean, mut var] = [(); 2].map(|()| vec![f32::NAN; self.channels]);
        channel_moments(
            self.images * self.positions,
            self.channels,
            &self.u,
            &mut mean,
            &mut var,
        );
        let inv_std = var
            .iter()
            .map(|&v| (1.0 / (f64::from(v) + EPSILON).sqrt()) as f32)
            .collect();
        (mean, inv_std)
    }

    fn forward(&self) -> Vec<f32> {
        let (mean, inv_std) = self.moments();
        norm_forward(&self.norm(), &self.u, &mean, &inv_std)
    }

    fn backward(&self) -> Gradients {
        let (mean, inv_std) = self.moments();
        let mut du = self.u.clone();
        let [mut dgamma, mut dbeta] = [(); 2].map(|()| vec![f32::NAN; self.channels]);
        let mut gate = vec![f32::NAN; self.mask.len()];
        let (dgamma_out, dbeta_out) = (&mut dgamma, &mut dbeta);
        norm_backward(
            &self.norm(),
            &mut du,
            &mean,
            &inv_std,
            &self.dy,
            dgamma_out,
            dbeta_out,
            Some(&mut gate),
        );
        Gradients {
            du,
            dgamma,
            dbeta,
            gate,
        }
    }
}

/// The same in f64, from the definition, with any of the inputs changed.
struct Reference {
    u: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    mask: Vec<f64>,
}

impl Reference {
    fn new(case: &Case) -> Self {
        let wide = |v: &[f32]| v.iter().copied().map(f64::from).collect::<Vec<_>>();
        Self {
            u: wide(&case.u),
            gamma: wide(&case.gamma),
            beta: wide(&case.beta),
            mask: if case.masked {
                wide(&case.mask)
            } else {
                vec![1.0; case.mask.len()]
            },
        }
    }

    /// Inputs of the activation.
    fn preactivation(&self, case: &Case) -> Vec<f64> {
        let channels = case.channels;
        let rows = (self.u.len() / channels) as f64;
        let mut z = vec![0.0; self.u.len()];
        for c in 0..channels {
            let column = || self.u.iter().skip(c).step_by(channels);
            let mean = column().sum::<f64>() / rows;
            let var = column().map(|u| (u - mean).powi(2)).sum::<f64>() / rows;
            for i in (c..z.len()).step_by(channels) {
                let image = i / channels / case.positions;
                let xhat = (self.u[i] - mean) / (var + EPSILON).sqrt();
                z[i] = self.mask[image * channels + c] * (self.gamma[c] * xhat + self.beta[c]);
            }
        }
        z
    }

    fn forward(&self, case: &Case) -> Vec<f64> {
        let limit = |z: f64| match case.activation {
            Activation::None => z,
            Activation::Relu => z.max(0.0),
            Activation::Relu6 => z.clamp(0.0, 6.0),
        };
        self.preactivation(case).into_iter().map(limit).collect()
    }

    /// `sum of dy * y`, whose gradients those of the norm are.
    fn loss(&self, case: &Case) -> f64 {
        self.forward(case)
            .iter()
            .zip(&case.dy)
            .map(|(y, &dy)| y * f64::from(dy))
            .sum()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let activations = prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6)];
    (
        1usize..5,
        2usize..6,
        1usize..6,
        activations,
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(n, p, c, activation, masked, seed)| Case::new(n, p, c, activation, masked, seed.into()))
        // Finite differences need that no value is at a kink.
        .prop_filter("a value within a step of a kink", |case| {
            let z = Reference::new(case).preactivation(case);
            z.iter().all(|z| z.abs() > 1e-3 && (z - 6.0).abs() > 1e-3)
        })
}

proptest! {
    #[test]
    fn forward_is_the_definition(case in cases()) {
        for (y, expected) in case.forward().iter().zip(Reference::new(&case).forward(&case)) {
            // Deviations of at most 7 over a standard deviation, and a dozen roundings of values below 100.
            prop_assert!((f64::from(*y) - expected).abs() < 1e-4, "{y} for {expected}");
        }
    }

    #[test]
    fn gradients_are_finite_differences(case in cases()) {
        const STEP: f64 = 1e-5;
        let actual = case.backward();
        let slope = |part: Part, i: usize| {
            let at = |step: f64| {
                let mut reference = Reference::new(&case);
                part(&mut reference)[i] += step;
                reference.loss(&case)
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        };
        let checks: [(&[f32], Part); 4] = [
            (&actual.du, |r| &mut r.u),
            (&actual.dgamma, |r| &mut r.gamma),
            (&actual.dbeta, |r| &mut r.beta),
            (&actual.gate, |r| &mut r.mask),
        ];
        for (k, (gradient, part)) in checks.into_iter().enumerate() {
            for (i, &actual) in gradient.iter().enumerate() {
                let expected = slope(part, i);
                let tolerance = 2e-3 * (1.0 + expected.abs());
                prop_assert!((f64::from(actual) - expected).abs() < tolerance, "{k}, {i}: {actual} for {expected}");
            }
        }
    }
}

/// The variance of values about a large mean, where the difference of large sums would keep no digit.
#[test]
fn moments_survive_a_large_mean() {
    let (rows, channels) = (20_000, 3);
    let u: Vec<f32> = values(rows * channels, 1).iter().map(|x| x + 4096.0).collect();
    let (mut mean, mut var) = (vec![0.0; channels], vec![0.0; channels]);
    channel_moments(rows, channels, &u, &mut mean, &mut var);
    for c in 0..channels {
        let column = || u.iter().skip(c).step_by(channels).copied().map(f64::from);
        let expected_mean = column().sum::<f64>() / rows as f64;
        let expected_var = column().map(|u| (u - expected_mean).powi(2)).sum::<f64>() / rows as f64;
        assert!((f64::from(mean[c]) - expected_mean).abs() <= 4096.0 * ROUNDOFF);
        assert!(
            (f64::from(var[c]) / expected_var - 1.0).abs() < 1e-3,
            "{} for {expected_var}",
            var[c]
        );
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case::new(13, 300, 37, Activation::Relu, true, 3);
    let [one, two] = on_one_and_two_threads(|| (case.moments(), case.forward(), case.backward()));
    assert_eq!(one, two);
}
