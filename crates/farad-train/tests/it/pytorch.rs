//! Three steps of training, against what PyTorch computes for them: `scripts/make_training_known_answers.py`.

use candle_core::{Device, Tensor, Var};
use farad_train::optimizer::{Optimizer, Rule};
use farad_train::{Architecture, Graph, Model, Pass, Precision, Statistics, cross_entropy};
use std::collections::BTreeMap;
use std::path::Path;

const ANSWERS: &str = include_str!("../known_answers/pytorch.txt");

const NETWORK: &str = r#"
name = "every-operator"
input = [8, 8, 3]
layers = [
    { conv = 16 },
    { conv = 18 },
    { residual = [{ conv = 8, stride = 2 }, { conv = 8, activation = "none" }] },
    { residual = [
        { expand = 2, kernel = 1, activation = "relu6" },
        { depthwise = true, activation = "relu6" },
        { conv = 8, kernel = 1, activation = "none" },
    ], activation = "none" },
    { pool = "max" },
    { conv = 5 },
    { pool = "average" },
    { dense = 4 },
]
"#;

/// Largest difference, as a part of the largest value: f32 against f64, through ten layers and three steps.
const TOLERANCE: f32 = 1e-4;

/// Numbers by kind and name.
struct Answers(BTreeMap<(&'static str, &'static str), Vec<f32>>);

impl Answers {
    fn read() -> Self {
        let lines = ANSWERS.lines().map(|line| {
            let mut parts = line.splitn(3, ' ');
            let [kind, name, values] = [(); 3].map(|()| parts.next().unwrap());
            let values = if kind == "labels" {
                values.split(' ').map(|label| label.parse().unwrap()).collect()
            } else {
                let word = |i: usize| u32::from_str_radix(&values[8 * i..8 * i + 8], 16).unwrap();
                (0..values.len() / 8)
                    .map(|i| f32::from_bits(word(i).swap_bytes()))
                    .collect()
            };
            ((kind, name), values)
        });
        Self(lines.collect())
    }

    fn get(&self, kind: &'static str, name: &'static str) -> &[f32] {
        &self.0[&(kind, name)]
    }

    /// All of a kind, by name.
    fn all(&self, kind: &'static str) -> impl Iterator<Item = (&'static str, &[f32])> {
        let of_kind = self.0.iter().filter(move |((k, _), _)| *k == kind);
        of_kind.map(|(&(_, name), values)| (name, &values[..]))
    }
}

fn check(what: &str, actual: &Tensor, expected: &[f32]) {
    let actual = actual.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (actual - expected).abs() <= TOLERANCE * largest,
            "{what}: value {i} is {actual}, and not {expected}"
        );
    }
}

#[test]
fn three_steps_are_those_of_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.toml");
    std::fs::write(&file, NETWORK).unwrap();
    let graph = Graph::new(&Architecture::load(Path::new(&file).to_str().unwrap()).unwrap()).unwrap();
    let group = graph.nodes.iter().find(|node| node.name == "conv1").unwrap().group;
    let mut model = Model::new(graph, 0, &Device::Cpu).unwrap();

    let answers = Answers::read();
    let values =
        |kind, name, shape: &[usize]| Tensor::from_slice(answers.get(kind, name), shape, &Device::Cpu).unwrap();
    let images = values("images", "-", &[4, 8, 8, 3]);
    let labels = answers.get("labels", "-").iter().map(|&label| label as u32);
    let labels = Tensor::from_vec(labels.collect(), 4, &Device::Cpu).unwrap();
    let mask = Var::from_tensor(&values("parameter", "mask", &[4, 16])).unwrap();
    let mut parameters = BTreeMap::from([("mask".to_owned(), mask.clone())]);
    parameters.extend(model.parameters().iter().map(|(name, p)| (name.clone(), p.clone())));
    assert_eq!(
        parameters.keys().map(String::as_str).collect::<Vec<_>>(),
        answers.all("parameter").map(|(name, _)| name).collect::<Vec<_>>()
    );
    for (name, start) in answers.all("parameter") {
        let parameter = &parameters[name];
        parameter
            .set(&Tensor::from_slice(start, parameter.dims(), &Device::Cpu).unwrap())
            .unwrap();
    }

    let mut masks = vec![None; group];
    masks.push(Some(mask.as_tensor().clone()));
    let pass = Pass {
        statistics: Statistics::Batch { momentum: 0.1 },
        masks: &masks,
        precision: Precision::F32,
    };
    let mut optimizer = Optimizer::default();
    for step in 0..3 {
        let logits = model.forward(&images, pass).unwrap();
        let loss = cross_entropy(&logits, &labels, 0.1).unwrap();
        let gradients = loss.backward().unwrap();
        if step == 0 {
            check("logits", &logits, answers.get("logits", "-"));
            check("loss", &loss, answers.get("loss", "-"));
        }
        for (name, parameter) in &parameters {
            let gradient = gradients.get(parameter).unwrap();
            if step == 0 {
                let (_, expected) = answers.all("gradient").find(|(n, _)| n == name).unwrap();
                check(&format!("gradient of {name}"), gradient, expected);
            }
            let decay = if name.ends_with(".weight") { 0.01 } else { 0.0 };
            let (rule, rate) = match name.as_str() {
                "mask" => {
                    let betas = [0.9, 0.999];
                    (Rule::Adam { betas, decay: 0.1 }, 0.02)
                }
                _ => (Rule::Nesterov { momentum: 0.9, decay }, 0.05),
            };
            optimizer.step(name, parameter, gradient, rule, rate).unwrap();
        }
    }
    for (name, expected) in answers.all("after") {
        check(&format!("{name} after three steps"), &parameters[name], expected);
    }
    let evaluated = model.forward(&images, Pass::evaluation(Precision::F32)).unwrap();
    check("logits with running moments", &evaluated, answers.get("evaluated", "-"));
}
