//! The forward pass: the integer network on exact integers or on a chip, remembered for the backward pass.

use super::integer::IntegerLayer;
use super::surrogate::{LayerErrors, SurrogateEngine};
use crate::TrainError;
use crate::graph::Graph;
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_net::{Activations, MacEngine, MacLayer, Network, Quantisation};
use farad_sim::{Chip, DigitalEngine, DigitalNetwork, EngineKind, Isa, Simulator};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Images that one thread runs together.
const CHUNK: usize = 8;

/// Where accumulators come from.
#[derive(Debug, Clone, Copy)]
pub enum Forward<'a> {
    /// Exact integers.
    Exact,
    /// A chip of a macro.
    Macro {
        /// The macro.
        spec: &'a MacroSpec,
        /// By layer, where its ADC range follows the data: [`QatModel::charges`](super::QatModel::charges).
        charges: &'a [Vec<ChargeStats>],
        /// Number of the chip: whose static errors. Training takes another one every few steps.
        chip: u32,
        /// Of the temporal noise. Noise belongs to seed, place and image, so training takes another one every step.
        seed: u64,
    },
    /// A chip by its moments: exact integers with the errors that were found on it.
    Surrogate {
        /// By MAC layer: [`QatModel::errors`](super::QatModel::errors).
        errors: &'a [LayerErrors],
        /// Of what is drawn; another one every step.
        seed: u64,
    },
}

/// The bundled macro `name`, or else the file, with `set` laid over it (`key = value`, as [`farad_hw::schema::parse`] takes it).
///
/// # Errors
/// If there is none, or something is wrong with it.
pub fn target_macro(name: &str, set: &[(String, String)]) -> Result<MacroSpec, TrainError> {
    let spec = match farad_hw::models::find(name) {
        Some(model) => model.spec(set),
        None => {
            let text = std::fs::read_to_string(name).map_err(|e| {
                let known: Vec<&str> = farad_hw::models::list().iter().map(|m| m.name).collect();
                macro_error(
                    name,
                    format!("cannot be read ({e}), and is none of {}", known.join(", ")),
                )
            })?;
            farad_hw::schema::parse(name, &text, set)
        }
    };
    spec.map_err(|diagnostics| {
        let told = diagnostics.list.iter().map(|d| match &d.help {
            Some(help) => format!("{} ({help})", d.message),
            None => d.message.clone(),
        });
        macro_error(name, told.collect::<Vec<_>>().join("; "))
    })
}

pub(crate) fn macro_error(name: &str, problem: impl ToString) -> TrainError {
    TrainError::Macro {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

/// The integer network of the weights at one moment.
#[derive(Debug)]
pub(super) struct Integers {
    pub(super) network: Network,
    /// By node.
    pub(super) layers: Vec<Option<IntegerLayer>>,
    /// How the output of each node is stored.
    pub(super) ranges: Vec<Quantisation>,
    /// The node of each MAC layer.
    pub(super) nodes: Vec<usize>,
}

/// What a forward pass computed, image by image.
#[derive(Debug)]
pub(super) struct Trace {
    /// The output of each node, as stored.
    pub(super) codes: Vec<Vec<u8>>,
    /// Of nodes with weights: outputs in steps, before they were rounded and clipped.
    pub(super) steps: Vec<Vec<f32>>,
    /// `[image][class]`.
    pub(super) logits: Vec<f32>,
}

impl Integers {
    /// `network` was made of `layers` and `ranges` for `graph`.
    pub(super) fn new(
        graph: &Graph,
        network: Network,
        layers: Vec<Option<IntegerLayer>>,
        ranges: Vec<Quantisation>,
    ) -> Result<Self, TrainError> {
        let node = |layer: &MacLayer| graph.nodes.iter().position(|n| n.name == layer.name);
        let nodes: Option<Vec<usize>> = network.mac_layers().iter().map(node).collect();
        match nodes {
            Some(nodes) if nodes.len() == layers.iter().flatten().count() => Ok(Self {
                network,
                layers,
                ranges,
                nodes,
            }),
            _ => Err(network_error(&graph.name, "the imported network has other layers")),
        }
    }

    /// Runs `input` (stored bytes of whole images) for images of these numbers.
    pub(super) fn run(
        &self,
        graph: &Graph,
        input: Vec<u8>,
        images: &[u32],
        forward: Forward<'_>,
    ) -> Result<Trace, TrainError> {
        let by_name: BTreeMap<&str, usize> = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (n.name.as_str(), i))
            .collect();
        let parts = with_engines(&self.network, forward, |engines| {
            let len = input.len() / images.len().max(1);
            let chunks = input.par_chunks((len * CHUNK).max(1)).zip(images.par_chunks(CHUNK));
            let run = |(input, images): (&[u8], &[u32])| {
                let mut engine = engines.engine();
                let mut watch = Watch {
                    engine: engine.as_mut(),
                    integers: self,
                    steps: vec![Vec::new(); graph.nodes.len()],
                };
                let mut codes = vec![Vec::new(); graph.nodes.len()];
                let logits = self.network.run_with(input, images, &mut watch, &mut |_, view| {
                    if let Some(&i) = by_name.get(view.name) {
                        codes[i] = view.data.to_vec();
                    }
                });
                let steps = watch.steps;
                logits.map(|logits| Trace { codes, steps, logits })
            };
            let parts = chunks.map(run).collect::<Result<Vec<_>, _>>();
            parts.map_err(|e| network_error(&graph.name, e))
        })??;
        let mut trace = joined(parts, graph.nodes.len());
        trace.codes[0] = input;
        Ok(trace)
    }
}

/// Logits `[image][class]` of `network` in exact integers, for stored bytes of images.
pub(super) fn exact_logits(network: &Network, input: &[u8], images: &[u32]) -> Result<Vec<f32>, TrainError> {
    let digital = DigitalNetwork::new(network.mac_layers());
    let len = input.len() / images.len().max(1);
    let chunks = input.par_chunks((len * CHUNK).max(1)).zip(images.par_chunks(CHUNK));
    let run = |(input, images)| network.run(input, images, &mut DigitalEngine(&digital));
    let logits = chunks.map(run).collect::<Result<Vec<_>, _>>();
    Ok(logits.map_err(|e| network_error(network.name(), e))?.concat())
}

pub(crate) fn network_error(name: &str, problem: impl ToString) -> TrainError {
    TrainError::Data {
        name: name.to_owned(),
        problem: format!("its int8 network: {}", problem.to_string()),
    }
}

fn joined(parts: Vec<Trace>, nodes: usize) -> Trace {
    let mut whole = Trace {
        codes: vec![Vec::new(); nodes],
        steps: vec![Vec::new(); nodes],
        logits: Vec::new(),
    };
    for part in parts {
        for (whole, part) in whole.codes.iter_mut().zip(part.codes) {
            whole.extend(part);
        }
        for (whole, part) in whole.steps.iter_mut().zip(part.steps) {
            whole.extend(part);
        }
        whole.logits.extend(part.logits);
    }
    whole
}

/// What makes an engine for every thread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Engines<'a> {
    Exact(&'a DigitalNetwork),
    Chip(&'a Chip<'a>),
    Surrogate(&'a DigitalNetwork, &'a [LayerErrors], u64),
}

impl Engines<'_> {
    pub(crate) fn engine(&self) -> Box<dyn MacEngine + '_> {
        match self {
            Self::Exact(network) => Box::new(DigitalEngine(network)),
            Self::Chip(chip) => Box::new(chip.session()),
            Self::Surrogate(network, errors, seed) => Box::new(SurrogateEngine::new(network, errors, *seed)),
        }
    }
}

/// Calls `f` with the engines of `forward`: weights change between steps, so chips are lowered anew for each.
///
/// # Errors
/// If the network cannot be put on the macro.
pub(crate) fn with_engines<T>(
    network: &Network,
    forward: Forward<'_>,
    f: impl FnOnce(Engines<'_>) -> T,
) -> Result<T, TrainError> {
    let layers = network.mac_layers();
    match forward {
        Forward::Exact => Ok(f(Engines::Exact(&DigitalNetwork::new(layers)))),
        Forward::Surrogate { errors, seed } => Ok(f(Engines::Surrogate(&DigitalNetwork::new(layers), errors, seed))),
        Forward::Macro {
            spec,
            charges,
            chip,
            seed,
        } => with_chips(layers, spec, charges, (chip..chip + 1, seed), |chips| {
            f(Engines::Chip(&chips[0]))
        }),
    }
}

/// Calls `f` with chips of a macro, of these numbers and this seed of the temporal noise.
///
/// # Errors
/// If the layers cannot be put on the macro.
pub(super) fn with_chips<T>(
    layers: &[MacLayer],
    spec: &MacroSpec,
    charges: &[Vec<ChargeStats>],
    (chips, seed): (Range<u32>, u64),
    f: impl FnOnce(&[Chip<'_>]) -> T,
) -> Result<T, TrainError> {
    let mapping = farad_map::map(spec, layers).map_err(|e| macro_error(&spec.name, e))?;
    let simulator = Simulator::new(spec, layers, &mapping, charges, seed);
    let chips: Vec<Chip<'_>> = chips
        .map(|chip| simulator.chip(EngineKind::Fast(Isa::detect()), chip))
        .collect();
    Ok(f(&chips))
}

/// An engine that also notes what accumulators are before they are rounded.
struct Watch<'a> {
    engine: &'a mut dyn MacEngine,
    integers: &'a Integers,
    steps: Vec<Vec<f32>>,
}

impl MacEngine for Watch<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.engine.accumulate(index, layer, x, out);
        let node = self.integers.nodes[index];
        let Some(integer) = &self.integers.layers[node] else {
            return;
        };
        let step = integer.input_scale / self.integers.ranges[node].scale;
        let factors: Vec<f32> = integer.scales.iter().map(|s| s * step).collect();
        let steps = &mut self.steps[node];
        steps.resize(out.len(), 0.0);
        let rows = out
            .chunks_exact(factors.len())
            .zip(steps.chunks_exact_mut(factors.len()));
        for (acc, steps) in rows {
            for (((acc, steps), factor), bias) in acc.iter().zip(steps).zip(&factors).zip(&integer.bias) {
                *steps = acc.wrapping_add(*bias) as f32 * factor;
            }
        }
    }
}

/// Whether a value of so many steps is within the range, without clipping.
pub(super) fn is_inside(steps: f32, range: Quantisation) -> bool {
    let zero = f32::from(range.zero);
    (-zero..=f32::from(range.most()) - zero).contains(&steps)
}
