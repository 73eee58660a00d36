//! Macros from a few lines of TOML, layers from a seed.

use farad_core::MacShape;
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_net::{Activations, ExactEngine, MacEngine, MacLayer};
use farad_sim::{EngineKind, Simulator};

/// A stream of random bytes for test data.
pub(crate) struct Bytes(pub u64);

impl Bytes {
    pub(crate) fn next(&mut self) -> u8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }
}

/// The macro that `toml` describes.
pub(crate) fn spec(toml: &str) -> MacroSpec {
    farad_hw::schema::parse("test.toml", toml, &[]).unwrap_or_else(|e| panic!("{e}\n{toml}"))
}

/// A square `k x k` convolution with "same" padding, random weights within +-127 and `x_zero`.
pub(crate) fn layer(in_c: usize, out_c: usize, k: usize, side: usize, groups: usize, seed: u64) -> MacLayer {
    let shape = MacShape {
        in_h: side,
        in_w: side,
        in_c,
        out_h: side,
        out_w: side,
        out_c,
        kernel_h: k,
        kernel_w: k,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: k / 2,
        pad_left: k / 2,
        groups,
    };
    let mut bytes = Bytes(seed);
    let weights = (0..shape.params()).map(|_| (bytes.next() as i8).max(-127)).collect();
    MacLayer {
        name: "layer".into(),
        op: "conv2d",
        shape,
        weights,
        weight_offset: 0,
        x_zero: bytes.next() & 15,
        input_bits: 8,
        weight_bits: 8,
    }
}

/// Activations for `images` pictures: sparse, as after a ReLU.
pub(crate) fn activations(layer: &MacLayer, images: usize, seed: u64) -> Vec<u8> {
    let shape = &layer.shape;
    let mut bytes = Bytes(seed);
    (0..images * shape.in_h * shape.in_w * shape.in_c)
        .map(|_| if bytes.next() < 128 { 0 } else { bytes.next() })
        .collect()
}

/// Accumulators and events of `layer` on chip `chip`, images in batches of `batch`.
pub(crate) fn run(
    spec: &MacroSpec,
    layer: &MacLayer,
    stats: Option<ChargeStats>,
    engine: EngineKind,
    chip: u32,
    x: &[u8],
    batch: usize,
) -> (Vec<i32>, farad_core::EventCounts) {
    let layers = std::slice::from_ref(layer);
    let mapping = farad_map::map(spec, layers).unwrap_or_else(|e| panic!("{e}"));
    let simulator = Simulator::new(spec, layers, &mapping, &[stats.into_iter().collect()], 42);
    let chip = simulator.chip(engine, chip);
    let shape = &layer.shape;
    let image_len = shape.in_h * shape.in_w * shape.in_c;
    let images = x.len() / image_len;
    let mut out = vec![0; images * shape.positions() * shape.out_c];
    let out_len = out.len() / images;
    let mut probes = Vec::new();
    for start in (0..images).step_by(batch) {
        let end = (start + batch).min(images);
        // Dataset indices need not start at zero.
        let ids: Vec<u32> = (start..end).map(|i| 1000 + i as u32).collect();
        let activations = Activations {
            data: &x[start * image_len..end * image_len],
            images: &ids,
        };
        let mut session = chip.session();
        session.accumulate(0, layer, activations, &mut out[start * out_len..end * out_len]);
        probes.push(session.into_probes());
    }
    let events = simulator.events(probes.iter(), images as u64).remove(0);
    (out, events)
}

/// Exact accumulators.
pub(crate) fn exact(layer: &MacLayer, x: &[u8]) -> Vec<i32> {
    let shape = &layer.shape;
    let images = x.len() / (shape.in_h * shape.in_w * shape.in_c);
    let ids: Vec<u32> = (0..images as u32).collect();
    let mut out = vec![0; images * shape.positions() * shape.out_c];
    ExactEngine.accumulate(0, layer, Activations { data: x, images: &ids }, &mut out);
    out
}
