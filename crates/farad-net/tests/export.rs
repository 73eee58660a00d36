//! Exported networks: the file means what was put in, computed here once more in plain loops.

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use std::collections::BTreeMap;

use farad_net::{
    ExactEngine, ExportError, Network, Preprocess, QdqGraph, QdqTensor, Quantisation, QuantisedWeights, StoredGraph,
    Window,
};
use proptest::prelude::*;

/// A picture in NHWC, or a vector, and how it is stored.
#[derive(Debug, Clone)]
struct Picture {
    shape: [usize; 3],
    bytes: Vec<u8>,
    stored: Quantisation,
}

impl Picture {
    /// `byte - zero`, 0 outside.
    fn steps(&self, y: i64, x: i64, c: usize) -> i32 {
        let [h, w, channels] = self.shape;
        if y < 0 || x < 0 || y >= h as i64 || x >= w as i64 {
            return 0;
        }
        let byte = self.bytes[(y as usize * w + x as usize) * channels + c];
        i32::from(byte) - i32::from(self.stored.zero)
    }
}

/// Weights and biases that a generator keeps.
#[derive(Debug, Clone)]
struct Weights {
    values: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
    bits: u32,
}

impl Weights {
    fn borrow(&self) -> QuantisedWeights<'_> {
        QuantisedWeights {
            values: &self.values,
            scales: &self.scales,
            bias: &self.bias,
            bits: self.bits,
        }
    }
}

fn byte(steps: f32, zero: u8, out: Quantisation) -> u8 {
    (steps.round_ties_even() + f32::from(zero)).clamp(0.0, f32::from(out.most())) as u8
}

/// QLinearConv: an int32 accumulator with its bias, times `sx * sw / sy` in float, halves to even.
fn conv(x: &Picture, window: Window, groups: usize, weights: &Weights, out: Quantisation) -> Picture {
    let out_c = weights.scales.len();
    let (in_group, out_group) = (x.shape[2] / groups, out_c / groups);
    let [kernel_h, kernel_w] = window.kernel;
    let len = |axis: usize| (x.shape[axis] + 2 * window.padding[axis] - window.kernel[axis]) / window.stride[axis] + 1;
    let mut bytes = Vec::new();
    for oy in 0..len(0) {
        for ox in 0..len(1) {
            for o in 0..out_c {
                let mut acc = weights.bias[o];
                for ky in 0..kernel_h {
                    for kx in 0..kernel_w {
                        for c in 0..in_group {
                            let y = (oy * window.stride[0] + ky) as i64 - window.padding[0] as i64;
                            let x_at = (ox * window.stride[1] + kx) as i64 - window.padding[1] as i64;
                            let weight = weights.values[((o * kernel_h + ky) * kernel_w + kx) * in_group + c];
                            acc += i32::from(weight) * x.steps(y, x_at, o / out_group * in_group + c);
                        }
                    }
                }
                bytes.push(byte(
                    acc as f32 * (x.stored.scale * weights.scales[o] / out.scale),
                    out.zero,
                    out,
                ));
            }
        }
    }
    Picture {
        shape: [len(0), len(1), out_c],
        bytes,
        stored: out,
    }
}

/// QGemm over all of the input, height, width and channels in this order.
fn dense(x: &Picture, weights: &Weights, out: Quantisation) -> Picture {
    let [h, w, c] = x.shape;
    let flat = Picture {
        shape: [1, 1, h * w * c],
        ..x.clone()
    };
    conv(&flat, Window::square(1, 1, 0), 1, weights, out)
}

/// QLinearAdd: two fused multiply-adds, `a ra + (b rb + (z - (za ra + zb rb)))`.
fn add(a: &Picture, b: &Picture, out: Quantisation) -> Picture {
    let (ratio_a, ratio_b) = (a.stored.scale / out.scale, b.stored.scale / out.scale);
    let fixed = f32::from(a.stored.zero).mul_add(ratio_a, ratio_b * f32::from(b.stored.zero));
    let fixed = f32::from(out.zero) - fixed;
    let sum = |(&p, &q): (&u8, &u8)| f32::from(p).mul_add(ratio_a, f32::from(q).mul_add(ratio_b, fixed));
    let bytes = a
        .bytes
        .iter()
        .zip(&b.bytes)
        .map(|pair| byte(sum(pair), 0, out))
        .collect();
    Picture {
        shape: a.shape,
        bytes,
        stored: out,
    }
}

/// QLinearGlobalAveragePool: an integer sum times `sx / (sy n)` in float, halves to even.
fn mean(x: &Picture, out: Quantisation) -> Picture {
    let [h, w, channels] = x.shape;
    let factor = x.stored.scale / (out.scale * (h * w) as f32);
    let sum = |c: usize| {
        (0..h * w)
            .map(|i| x.steps((i / w) as i64, (i % w) as i64, c))
            .sum::<i32>()
    };
    let bytes = (0..channels)
        .map(|c| byte(sum(c) as f32 * factor, out.zero, out))
        .collect();
    Picture {
        shape: [1, 1, channels],
        bytes,
        stored: out,
    }
}

/// Largest byte of each window without padding; a ragged edge is dropped.
fn max(x: &Picture, window: Window) -> Picture {
    let [h, w, channels] = x.shape;
    let ([kernel_h, kernel_w], [stride_h, stride_w]) = (window.kernel, window.stride);
    let (out_h, out_w) = ((h - kernel_h) / stride_h + 1, (w - kernel_w) / stride_w + 1);
    let mut bytes = Vec::new();
    for (oy, ox) in (0..out_h).flat_map(|oy| (0..out_w).map(move |ox| (oy, ox))) {
        for c in 0..channels {
            let taps = (0..kernel_h).flat_map(|ky| (0..kernel_w).map(move |kx| (ky, kx)));
            let tap = |(ky, kx)| x.bytes[((oy * stride_h + ky) * w + ox * stride_w + kx) * channels + c];
            bytes.push(taps.map(tap).max().unwrap());
        }
    }
    Picture {
        shape: [out_h, out_w, channels],
        bytes,
        stored: x.stored,
    }
}

fn quantisation() -> impl Strategy<Value = Quantisation> {
    let zero = prop_oneof![Just(0u8), any::<u8>()];
    (0.002f32..0.1, zero, bits()).prop_map(|(scale, zero, bits)| Quantisation {
        scale: scale * f32::from(1u8 << (8 - bits)),
        zero: zero >> (8 - bits),
        bits,
    })
}

fn bits() -> impl Strategy<Value = u32> {
    prop_oneof![Just(4), Just(8)]
}

fn weights(out_c: usize, inputs: usize) -> impl Strategy<Value = Weights> {
    (
        prop::collection::vec(-127i8..=127, out_c * inputs),
        prop::collection::vec(1e-4f32..0.02, out_c),
        prop::collection::vec(-20_000i32..20_000, out_c),
        bits(),
    )
        .prop_map(|(values, scales, bias, bits)| Weights {
            values: values.into_iter().map(|v| v >> (8 - bits)).collect(),
            scales,
            bias,
            bits,
        })
}

/// A stem, a depthwise residual block, pools and a classifier: every operator, in the shapes of a case.
#[derive(Debug, Clone)]
struct Case {
    pixels: Vec<u8>,
    shape: [usize; 3],
    window: Window,
    stem: Weights,
    grouped: Weights,
    groups: usize,
    pool: Window,
    ends_in_mean: bool,
    classifier: Weights,
    stored: Vec<Quantisation>,
}

prop_compose! {
    fn sizes()(
        (h, w, in_c, groups, per_group) in (4usize..9, 4usize..9, 1usize..4, 1usize..4, 1usize..4),
        kernel in (1usize..4, 1usize..4),
        (stride, padding) in ((1usize..3, 1usize..3), (0usize..2, 0usize..2)),
        pool in 1usize..3,
        ends_in_mean in any::<bool>(),
    ) -> ([usize; 3], usize, usize, Window, Window, bool) {
        let window = Window { kernel: kernel.into(), stride: stride.into(), padding: padding.into() };
        ([h, w, in_c], groups, groups * per_group, window, Window::square(pool, pool, 0), ends_in_mean)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    sizes()
        .prop_filter_map("the pool fits", |sizes| {
            let ([h, w, in_c], groups, width, window, pool, ends_in_mean) = sizes;
            let len = |len: usize, axis: usize| {
                (len + 2 * window.padding[axis] - window.kernel[axis]) / window.stride[axis] + 1
            };
            let (out_h, out_w) = (len(h, 0), len(w, 1));
            let fits = out_h >= pool.kernel[0] && out_w >= pool.kernel[1];
            let pooled = (out_h / pool.kernel[0]) * (out_w / pool.kernel[1]);
            let inputs = width * if ends_in_mean { 1 } else { pooled };
            fits.then(|| {
                let stem = weights(width, window.kernel.iter().product::<usize>() * in_c);
                let grouped = weights(width, 9 * (width / groups));
                let pixels = prop::collection::vec(any::<u8>(), 2 * h * w * in_c);
                let stored = prop::collection::vec(quantisation(), 6);
                (pixels, stem, grouped, weights(3, inputs), stored).prop_map(
                    move |(pixels, stem, grouped, classifier, stored)| Case {
                        pixels,
                        shape: [h, w, in_c],
                        window,
                        stem,
                        grouped,
                        groups,
                        pool,
                        ends_in_mean,
                        classifier,
                        stored,
                    },
                )
            })
        })
        .prop_flat_map(|case| case)
}

/// Pixels are the stored bytes themselves.
fn identity(stored: Quantisation, channels: usize) -> Preprocess {
    Preprocess {
        pixel_max: 255.0 * stored.scale,
        mean: vec![f32::from(stored.zero) * stored.scale; channels],
        std: vec![1.0; channels],
    }
}

impl Case {
    fn export(&self) -> Result<Vec<u8>, ExportError> {
        let stored = &self.stored;
        let (mut graph, image) = QdqGraph::new("case", self.shape, stored[0], &identity(stored[0], self.shape[2]))?;
        graph.describe("farad.dataset", "noise");
        let stem = graph.conv("stem", &image, self.window, 1, &self.stem.borrow(), stored[1])?;
        let window = Window::square(3, 1, 1);
        let grouped = graph.conv("grouped", &stem, window, self.groups, &self.grouped.borrow(), stored[2])?;
        let sum = graph.add("sum", &stem, &grouped, stored[3])?;
        let mut x = graph.max_pool("pool", &sum, self.pool)?;
        if self.ends_in_mean {
            x = graph.global_average_pool("mean", &x, stored[4])?;
        }
        let logits = graph.dense("classifier", &x, &self.classifier.borrow(), stored[5])?;
        assert_eq!(
            (logits.name(), logits.shape(), logits.quantisation()),
            ("classifier", [1, 1, 3], stored[5])
        );
        graph.encode(&logits)
    }

    /// Bytes of each tensor for one image.
    fn compute(&self, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let stored = &self.stored;
        let image = Picture {
            shape: self.shape,
            bytes: bytes.to_vec(),
            stored: stored[0],
        };
        let stem = conv(&image, self.window, 1, &self.stem, stored[1]);
        let grouped = conv(&stem, Window::square(3, 1, 1), self.groups, &self.grouped, stored[2]);
        let sum = add(&stem, &grouped, stored[3]);
        let pool = max(&sum, self.pool);
        let mut found = vec![("stem", stem.bytes), ("grouped", grouped.bytes), ("sum", sum.bytes)];
        let last = if self.ends_in_mean {
            mean(&pool, stored[4])
        } else {
            pool.clone()
        };
        let logits = dense(&last, &self.classifier, stored[5]);
        found.push(("pool", pool.bytes));
        if self.ends_in_mean {
            found.push(("mean", last.bytes));
        }
        found.push(("classifier", logits.bytes));
        found
    }
}

proptest! {
    /// Every tensor of an exported network, image by image, and its logits.
    #[test]
    fn an_exported_network_computes_what_was_meant(case in cases()) {
        let network = Network::parse("case", &case.export().unwrap()).unwrap();
        let input = network.quantize_input(&case.pixels).unwrap();
        let mut found = BTreeMap::new();
        let logits = network.run_with(&input, &[0, 1], &mut ExactEngine, &mut |_, tensor| {
            found.insert(tensor.name.to_owned(), tensor.data.to_vec());
        }).unwrap();
        let image_len = input.len() / 2;
        let [first, second] = [0, 1].map(|i| case.compute(&input[i * image_len..][..image_len]));
        for ((name, a), (_, b)) in first.iter().zip(&second) {
            prop_assert_eq!(found.get(*name), Some(&[a.as_slice(), b].concat()), "{}", name);
        }
        let Quantisation { scale, zero, .. } = case.stored[5];
        let real = |&byte: &u8| (i32::from(byte) - i32::from(zero)) as f32 * scale;
        prop_assert_eq!(logits, found["classifier"].iter().map(real).collect::<Vec<_>>());
    }

    /// The importer reads the very integers that were put in.
    #[test]
    fn weights_and_metadata_come_back(case in cases()) {
        let network = Network::parse("case", &case.export().unwrap()).unwrap();
        let layers = network.mac_layers();
        let names: Vec<_> = layers.iter().map(|l| l.name.as_str()).collect();
        prop_assert_eq!(names, ["stem", "grouped", "classifier"]);
        prop_assert_eq!(&layers[0].weights, &case.stem.values);
        prop_assert_eq!(&layers[1].weights, &case.grouped.values);
        let zeros: Vec<_> = layers[..2].iter().map(|l| (l.weight_offset, l.x_zero)).collect();
        prop_assert_eq!(zeros, [(0, case.stored[0].zero), (0, case.stored[1].zero)]);
        let bits: Vec<_> = layers[..2].iter().map(|l| (l.weight_bits, l.input_bits)).collect();
        let expected = [(case.stem.bits, case.stored[0].bits), (case.grouped.bits, case.stored[1].bits)];
        prop_assert_eq!(bits, expected);
        prop_assert_eq!(network.input_shape(), case.shape);
        prop_assert_eq!(network.classes(), 3);
        prop_assert_eq!(network.preprocess(), Some(&identity(case.stored[0], case.shape[2])));
        prop_assert_eq!(network.dataset(), Some("noise"));
    }

    /// So does the reader of exports, with scales and biases.
    #[test]
    fn what_went_into_a_file_comes_out(case in cases()) {
        let stored = StoredGraph::parse(&case.export().unwrap()).unwrap();
        prop_assert_eq!(stored.name(), "case");
        prop_assert_eq!(stored.preprocess(), Some(&identity(case.stored[0], case.shape[2])));
        prop_assert_eq!(stored.input(), Some(case.stored[0]));
        prop_assert_eq!(stored.quantisation("sum"), Some(case.stored[3]));
        prop_assert_eq!(stored.quantisation("pool"), None);
        for (name, weights) in [("stem", &case.stem), ("grouped", &case.grouped)] {
            let read = stored.weights(name).unwrap();
            prop_assert_eq!(read.weights(), weights.borrow());
        }
        prop_assert!(stored.weights("sum").is_none() && stored.weights("absent").is_none());
    }
}

/// A graph of 4x4 images of two channels.
fn begun() -> (QdqGraph, QdqTensor) {
    let stored = Quantisation {
        scale: 0.5,
        zero: 0,
        bits: 8,
    };
    QdqGraph::new("begun", [4, 4, 2], stored, &identity(stored, 2)).unwrap()
}

#[test]
fn what_does_not_fit_is_named() {
    let out = Quantisation {
        scale: 1.0,
        zero: 0,
        bits: 8,
    };
    let weights = QuantisedWeights {
        values: &[1; 18],
        scales: &[1.0],
        bias: &[0],
        bits: 8,
    };
    let refused = |window, groups, weights: &QuantisedWeights<'_>, out| {
        let (mut graph, x) = begun();
        let refusal = graph.conv("odd", &x, window, groups, weights, out).unwrap_err();
        refusal.to_string()
    };
    let window = Window::square(3, 1, 0);
    for (message, expected) in [
        (
            refused(Window::square(5, 1, 0), 1, &weights, out),
            "does not fit an input of 4x4",
        ),
        (
            refused(Window::square(3, 0, 0), 1, &weights, out),
            "does not fit an input of 4x4",
        ),
        (
            refused(window, 2, &weights, out),
            "2 groups do not divide 2 inputs and 1 outputs",
        ),
        (
            refused(Window::square(1, 1, 0), 1, &weights, out),
            "18 weights and 1 biases for 1 channels of 2 inputs",
        ),
        (
            refused(window, 1, &QuantisedWeights { bias: &[], ..weights }, out),
            "18 weights and 0 biases",
        ),
        (
            refused(
                window,
                1,
                &QuantisedWeights {
                    scales: &[0.0],
                    ..weights
                },
                out,
            ),
            "scale 0 is not a positive number",
        ),
        (
            refused(window, 1, &weights, Quantisation { scale: f32::NAN, ..out }),
            "scale NaN",
        ),
        (
            refused(window, 1, &weights, Quantisation { bits: 3, ..out }),
            "activations do not fit 3 bits",
        ),
        (
            refused(
                window,
                1,
                &weights,
                Quantisation {
                    bits: 4,
                    zero: 16,
                    ..out
                },
            ),
            "activations do not fit 4 bits",
        ),
        (
            refused(
                window,
                1,
                &QuantisedWeights {
                    values: &[8; 18],
                    bits: 4,
                    ..weights
                },
                out,
            ),
            "weights do not fit 4 bits",
        ),
    ] {
        assert!(message.contains("`odd`") && message.contains(expected), "{message}");
    }
}

#[test]
fn names_are_given_once() {
    let out = Quantisation {
        scale: 1.0,
        zero: 0,
        bits: 8,
    };
    let window = Window::square(2, 2, 0);
    for (name, taken) in [
        ("", ""),
        ("image", "image"),
        ("logits", "logits"),
        ("pool", "pool.real"),
        ("pool.real", "pool.real"),
    ] {
        let (mut graph, x) = begun();
        graph.max_pool("pool", &x, window).unwrap();
        assert_eq!(graph.add(name, &x, &x, out), Err(ExportError::Name(taken.to_owned())));
    }
}

#[test]
fn logits_are_a_vector() {
    let (graph, x) = begun();
    assert!(matches!(graph.encode(&x), Err(ExportError::Shape { .. })));
}
