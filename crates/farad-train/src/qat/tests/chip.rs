//! Training on chips, and chips by their moments.

use super::super::surrogate::{LayerErrors, SurrogateEngine};
use super::super::{Forward, Observer, QatModel, Through, target_macro};
use super::{batch, exact, flat, numbers, objective, quantised};
use crate::TrainError;
use farad_hw::MacroSpec;
use farad_net::{Activations, MacEngine, MacLayer};
use farad_sim::{DigitalEngine, DigitalNetwork, EngineKind, Isa, Session, Simulator};

#[test]
fn an_ideal_macro_is_exact_and_a_real_one_is_a_chip() {
    let qat = quantised(Observer::Mse);
    let logits = |spec: &str, chip, seed| {
        let spec = target_macro(spec, &[]).unwrap();
        let charges = qat.charges(&batch(1).0, &spec).unwrap();
        let forward = Forward::Macro {
            spec: &spec,
            charges: &charges,
            chip,
            seed,
        };
        flat(&qat.logits(&batch(1).0, &numbers(), forward).unwrap())
    };
    assert_eq!(logits("ideal", 0, 0), exact(&qat).1.logits);
    let first = logits("pessimistic", 0, 0);
    assert_eq!(first, logits("pessimistic", 0, 0));
    assert_ne!(first, logits("pessimistic", 1, 0));
    assert_ne!(first, logits("pessimistic", 0, 1));
    // Its ADC range follows the charges.
    let target = logits("ncku-charge-redistribution", 0, 0);
    assert!(target != logits("ncku-charge-redistribution", 1, 0));
    assert!(matches!(target_macro("none", &[]), Err(TrainError::Macro { .. })));
}

#[test]
fn training_lowers_the_loss_on_integers_and_on_chips() {
    let spec = target_macro("ncku-charge-redistribution", &[]).unwrap();
    for through in [Through::Digital, Through::Surrogate, Through::Macro] {
        let qat = quantised(Observer::Mse);
        let charges = qat.charges(&batch(1).0, &spec).unwrap();
        let mut errors = Vec::new();
        let mut losses = Vec::new();
        for step in 0..12u32 {
            let (chip, seed) = (step / 3, u64::from(step));
            if step % 3 == 0 {
                errors = qat.errors(&batch(1).0, &spec, &charges, chip, 1).unwrap();
            }
            let forward = match through {
                Through::Macro => Forward::Macro {
                    spec: &spec,
                    charges: &charges,
                    chip,
                    seed,
                },
                Through::Surrogate => Forward::Surrogate { errors: &errors, seed },
                Through::Digital => Forward::Exact,
            };
            let step = qat.gradients(&batch(1), &numbers(), forward, objective(0.0)).unwrap();
            losses.push(step.loss);
            for (name, gradient) in &step.of {
                let variable = &qat.parameters()[name];
                variable
                    .set(&(variable.as_tensor() - (gradient * 0.05).unwrap()).unwrap())
                    .unwrap();
            }
        }
        assert!(losses[11] < 0.5 * losses[0], "{through:?}: {losses:?}");
    }
}

/// Squared error of the logits against `truth`, over images and chips.
fn error(qat: &QatModel, spec: &MacroSpec, truth: &[f32]) -> f32 {
    let charges = qat.charges(&batch(1).0, spec).unwrap();
    let of_chip = |chip| {
        let forward = Forward::Macro {
            spec,
            charges: &charges,
            chip,
            seed: 5,
        };
        let seen = flat(&qat.logits(&batch(1).0, &numbers(), forward).unwrap());
        seen.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
    };
    (0..4).map(of_chip).sum()
}

#[test]
fn recalibration_brings_chips_closer_to_exact_arithmetic() {
    let spec = target_macro("pessimistic", &[]).unwrap();
    let mut qat = quantised(Observer::Mse);
    let truth = exact(&qat).1.logits;
    let before = error(&qat, &spec, &truth);
    qat.recalibrate(&batch(1).0, &spec, 0..4, 7).unwrap();
    let after = error(&qat, &spec, &truth);
    assert!(after < before, "{before} {after}");
}

/// Where nothing is noisy, the widest range is best. A noisy macro asks for narrower ones, where only layers read.
#[test]
fn ranges_are_cut_to_what_the_noise_asks_for() {
    for (name, noisy) in [("ideal", false), ("pessimistic", true)] {
        let spec = target_macro(name, &[]).unwrap();
        let mut qat = quantised(Observer::MinMax { decay: 0.0 });
        let (truth, before) = (exact(&qat).1.logits, qat.ranges().to_vec());
        let error_before = error(&qat, &spec, &truth);
        qat.fit_ranges(&batch(1).0, &spec, 50..52, 7).unwrap();
        for (i, node) in qat.graph().nodes.iter().enumerate() {
            let part = qat.ranges()[i].scale / before[i].scale;
            // Read by a layer, and neither added nor averaged.
            let free = matches!(node.name.as_str(), "conv2" | "add1" | "conv4" | "pool2");
            assert!(
                part == 1.0 || (noisy && free && part < 1.0),
                "{name} {} {part}",
                node.name
            );
        }
        let cut = qat.ranges() != before;
        assert_eq!(cut, noisy);
        assert!(!cut || error(&qat, &spec, &truth) < error_before, "{name}");
    }
}

/// Sums of errors and of their powers.
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    powers: [f64; 4],
}

impl Moments {
    fn add(&mut self, error: i32) {
        self.n += 1.0;
        let error = f64::from(error);
        let mut power = 1.0;
        for sum in &mut self.powers {
            power *= error;
            *sum += power;
        }
    }

    /// Mean of the `k`-th power, and the variance of that mean.
    fn mean(&self, k: usize) -> (f64, f64) {
        let [mean, square] = [self.powers[k - 1] / self.n, self.powers[2 * k - 1] / self.n];
        (mean, (square - mean * mean) / self.n)
    }
}

/// Runs a chip and its surrogate on the same inputs, layer by layer, and goes on with what the surrogate gives.
struct Both<'a> {
    chip: Session<'a>,
    surrogate: SurrogateEngine<'a>,
    exact: DigitalEngine<'a>,
    /// By layer: of the chip, of the surrogate.
    moments: Vec<[Moments; 2]>,
}

impl MacEngine for Both<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        let (mut exact, mut seen) = (vec![0; out.len()], vec![0; out.len()]);
        self.exact.accumulate(index, layer, x, &mut exact);
        self.chip.accumulate(index, layer, x, &mut seen);
        self.surrogate.accumulate(index, layer, x, out);
        let mut moments = [Moments::default(); 2];
        for (of, values) in moments.iter_mut().zip([&*seen, &*out]) {
            values
                .iter()
                .zip(&exact)
                .for_each(|(value, exact)| of.add(value - exact));
        }
        self.moments.push(moments);
    }
}

/// The errors of the real engine, of another draw of its temporal noise, and those of the surrogate have the same mean and mean
/// square in every layer, within five standard errors. Three samples err: the chip's, the surrogate's, and that from
/// which its moments were found.
#[test]
fn the_surrogate_has_the_moments_of_the_real_engine() {
    let qat = quantised(Observer::Mse);
    let x = &batch(1).0;
    for name in ["pessimistic", "ncku-charge-redistribution", "jia-jssc-2020"] {
        let spec = target_macro(name, &[]).unwrap();
        let charges = qat.charges(x, &spec).unwrap();
        let network = qat.network().unwrap();
        let layers = network.mac_layers();
        let mapping = farad_map::map(&spec, layers).unwrap();
        let simulator = Simulator::new(&spec, layers, &mapping, &charges, 77);
        let digital = DigitalNetwork::new(layers);
        for chip in [2, 3] {
            let errors = qat.errors(x, &spec, &charges, chip, 1).unwrap();
            let chip = simulator.chip(EngineKind::Fast(Isa::detect()), chip);
            let mut both = Both {
                chip: chip.session(),
                surrogate: SurrogateEngine::new(&digital, &errors, 5),
                exact: DigitalEngine(&digital),
                moments: Vec::new(),
            };
            network.run(&qat.input(x).unwrap(), &numbers(), &mut both).unwrap();
            for ([real, drawn], layer) in both.moments.iter().zip(layers) {
                for k in [1, 2] {
                    let ((a, of_a), (b, of_b)) = (real.mean(k), drawn.mean(k));
                    let tolerance = 5.0 * (2.0 * of_a + of_b).sqrt() + 0.5;
                    assert!(
                        (a - b).abs() <= tolerance,
                        "{name}, {}: moment {k} is {a} and {b}",
                        layer.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_lossless_macro_has_a_surrogate_without_errors() {
    let qat = quantised(Observer::Mse);
    let (x, spec) = (batch(1).0, target_macro("ideal", &[]).unwrap());
    let charges = qat.charges(&x, &spec).unwrap();
    let errors = qat.errors(&x, &spec, &charges, 0, 1).unwrap();
    let forward = Forward::Surrogate {
        errors: &errors,
        seed: 3,
    };
    assert_eq!(
        flat(&qat.logits(&x, &numbers(), forward).unwrap()),
        exact(&qat).1.logits
    );
    for errors in &errors {
        assert_eq!(LayerErrors::from_slice(&errors.to_vec()).as_ref(), Some(errors));
    }
    assert_eq!(LayerErrors::from_slice(&[1.0; 4]), None);
}
