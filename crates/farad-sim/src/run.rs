//! A network, a macro, images: the whole run.

use crate::SimError;
use crate::calibrate::charge_statistics;
use crate::digital::{DigitalEngine, DigitalNetwork};
use crate::outcome::{ChipOutcome, LayerOutcome, RunOutcome};
use crate::simulator::{Chip, EngineKind, Probes, Session, Simulator};
use farad_hw::MacroSpec;
use farad_kernels::Isa;
use farad_map::Mapping;
use farad_net::{Activations, MacEngine, MacLayer, Network};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Images whose layers are compared with exact arithmetic: the first ones of the data set.
pub const COMPARED_IMAGES: u32 = 32;

/// Images that one thread runs together.
const BATCH: usize = 32;

/// Labelled pictures.
#[derive(Debug, Clone, Copy)]
pub struct ImageSet<'a> {
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Unsigned bytes, NHWC.
    pub pixels: &'a [u8],
    /// Class of each picture.
    pub labels: &'a [u16],
}

impl ImageSet<'_> {
    /// Activations and dataset indices of some pictures.
    pub(crate) fn batch(&self, network: &Network, range: &Range<usize>) -> Result<(Vec<u8>, Vec<u32>), SimError> {
        let len = self.height * self.width * self.channels;
        let input = network.quantize_input(&self.pixels[range.start * len..range.end * len])?;
        Ok((input, range.clone().map(|i| i as u32).collect()))
    }
}

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// Engine.
    pub engine: EngineKind,
    /// Chips, seeds 0 to `chips - 1`.
    pub chips: u32,
    /// Seed of the temporal noise.
    pub seed: u64,
    /// Threads; 0 for all cores.
    pub threads: usize,
    /// Pictures (the first ones) that set ADC ranges which follow the data.
    pub calibration_images: usize,
}

/// Runs `network` on `images`, digitally and on `config.chips` chips of the macro.
///
/// `progress(done, total)` counts pictures times chips. Setting `stop` ends the run after the batches in hand; the outcome says how many
/// pictures it covers, and every chip covers the same ones.
///
/// # Errors
/// [`SimError`] if the pictures do not fit the network or the network does not fit the noise keys.
pub fn run(
    network: &Network,
    spec: &MacroSpec,
    mapping: &Mapping,
    images: &ImageSet<'_>,
    config: &RunConfig,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<RunOutcome, SimError> {
    check(network, mapping, images)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(|| Run::new(network, spec, mapping, images, config)?.go(progress, stop))
}

/// That the pictures fit the network and the network the noise keys.
pub(crate) fn check(network: &Network, mapping: &Mapping, images: &ImageSet<'_>) -> Result<(), SimError> {
    let shape = [images.height, images.width, images.channels];
    if shape != network.input_shape() {
        return Err(SimError::ImageShape {
            images: shape,
            network: network.input_shape(),
        });
    }
    if images.labels.is_empty() {
        return Err(SimError::NoImages);
    }
    let parts = mapping
        .layers
        .iter()
        .flat_map(|l| &l.tiles)
        .map(|t| t.part + 1)
        .max()
        .unwrap_or(0);
    for (what, found, limit) in [
        ("layers", mapping.layers.len(), 1 << 12),
        ("row tiles in a layer", parts, 1 << 16),
    ] {
        if found > limit {
            return Err(SimError::TooMany { what, found, limit });
        }
    }
    Ok(())
}

pub(crate) struct Run<'a> {
    pub(crate) network: &'a Network,
    pub(crate) images: &'a ImageSet<'a>,
    config: &'a RunConfig,
    digital: DigitalNetwork,
    pub(crate) simulator: Simulator<'a>,
}

/// What one batch adds to the outcome of one chip.
struct Tally {
    images: u64,
    top1: u64,
    top5: u64,
    probes: Probes,
    /// Sums of squares of exact accumulators and of errors, as integers: they must not depend on the order of batches.
    squares: Vec<(i128, i128)>,
}

impl<'a> Run<'a> {
    /// Packs, plans and calibrates.
    pub(crate) fn new(
        network: &'a Network,
        spec: &'a MacroSpec,
        mapping: &'a Mapping,
        images: &'a ImageSet<'a>,
        config: &'a RunConfig,
    ) -> Result<Self, SimError> {
        let layers = network.mac_layers();
        let digital = DigitalNetwork::new(layers);
        let count = config.calibration_images.clamp(1, images.labels.len());
        let (input, ids) = images.batch(network, &(0..count))?;
        let stats = charge_statistics(spec, network, mapping, &input, &ids)?;
        let simulator = Simulator::new(spec, layers, mapping, &stats, config.seed);
        Ok(Self {
            network,
            images,
            config,
            digital,
            simulator,
        })
    }

    fn go(&self, progress: &(dyn Fn(u64, u64) + Sync), stop: &AtomicBool) -> Result<RunOutcome, SimError> {
        let count = self.images.labels.len();
        // Small enough that every thread has work; results do not depend on it.
        let size = count.div_ceil(rayon::current_num_threads()).clamp(1, BATCH);
        let mut batches: Vec<Range<usize>> = (0..count)
            .step_by(size)
            .map(|start| start..(start + size).min(count))
            .collect();
        let total = count as u64 * u64::from(self.config.chips);
        let done = AtomicU64::new(0);
        let mut chips = Vec::new();
        for number in 0..self.config.chips {
            let chip = self.simulator.chip(self.config.engine, number);
            let run_batch = |range: &Range<usize>| {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let tally = self.batch(&chip, range)?;
                progress(done.fetch_add(tally.images, Ordering::Relaxed) + tally.images, total);
                Ok::<_, SimError>(Some(tally))
            };
            let tallies: Vec<Option<Tally>> = batches
                .par_iter()
                .with_max_len(1)
                .map(run_batch)
                .collect::<Result<_, _>>()?;
            let complete = tallies.iter().all(Option::is_some);
            if !complete && number > 0 {
                // Chips are compared on the same pictures: a later chip that was cut short is dropped.
                break;
            }
            batches = batches
                .into_iter()
                .zip(&tallies)
                .filter(|(_, tally)| tally.is_some())
                .map(|(range, _)| range)
                .collect();
            chips.push(self.chip_outcome(number, &tallies.into_iter().flatten().collect::<Vec<_>>()));
            if !complete {
                break;
            }
        }
        let (digital_top1, digital_top5) = self.digital_accuracy(&batches)?;
        Ok(RunOutcome {
            images: batches.iter().map(|range| range.len() as u64).sum(),
            images_requested: count as u64,
            digital_top1,
            digital_top5,
            chips,
            threads: rayon::current_num_threads(),
            isa: if let EngineKind::Fast(isa) = self.config.engine {
                isa
            } else {
                Isa::Scalar
            }
            .name(),
        })
    }

    fn batch(&self, chip: &Chip<'_>, range: &Range<usize>) -> Result<Tally, SimError> {
        let (input, ids) = self.images.batch(self.network, range)?;
        let layers = self.network.mac_layers().len();
        let mut engine = Compared {
            session: chip.session(),
            digital: &self.digital,
            squares: vec![(0, 0); layers],
        };
        let logits = self.network.run(&input, &ids, &mut engine)?;
        let (top1, top5) = accuracy(&logits, &self.images.labels[range.clone()]);
        Ok(Tally {
            images: range.len() as u64,
            top1,
            top5,
            probes: engine.session.into_probes(),
            squares: engine.squares,
        })
    }

    fn digital_accuracy(&self, batches: &[Range<usize>]) -> Result<(u64, u64), SimError> {
        let per_batch = batches.par_iter().with_max_len(1).map(|range| {
            let (input, ids) = self.images.batch(self.network, range)?;
            let logits = self.network.run(&input, &ids, &mut DigitalEngine(&self.digital))?;
            Ok::<_, SimError>(accuracy(&logits, &self.images.labels[range.clone()]))
        });
        per_batch.try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))
    }

    fn chip_outcome(&self, chip: u32, tallies: &[Tally]) -> ChipOutcome {
        let sum = |of: &dyn Fn(&Tally) -> u64| tallies.iter().map(of).sum();
        let images = sum(&|t| t.images);
        let events = self.simulator.events(tallies.iter().map(|t| &t.probes), images);
        let layers = events.into_iter().enumerate().map(|(index, events)| LayerOutcome {
            events,
            signal: tallies.iter().map(|t| t.squares[index].0).sum::<i128>() as f64,
            error: tallies.iter().map(|t| t.squares[index].1).sum::<i128>() as f64,
            lsb_counts: self.simulator.lsb_counts(index),
        });
        ChipOutcome {
            chip,
            images,
            top1: sum(&|t| t.top1),
            top5: sum(&|t| t.top5),
            layers: layers.collect(),
        }
    }
}

/// Pictures whose label leads the logits, and whose label is among the first five; equal logits rank by class.
#[must_use]
pub fn accuracy(logits: &[f32], labels: &[u16]) -> (u64, u64) {
    let classes = logits.len() / labels.len().max(1);
    let mut counts = (0, 0);
    for (logits, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        let label = usize::from(label);
        let Some(&own) = logits.get(label) else { continue };
        let ahead = logits
            .iter()
            .enumerate()
            .filter(|&(c, &l)| l > own || (l == own && c < label))
            .count();
        counts.0 += u64::from(ahead == 0);
        counts.1 += u64::from(ahead < 5);
    }
    counts
}

/// A session whose accumulators are compared with exact ones on the first pictures of the data set.
struct Compared<'a> {
    session: Session<'a>,
    digital: &'a DigitalNetwork,
    squares: Vec<(i128, i128)>,
}

impl MacEngine for Compared<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.session.accumulate(index, layer, x, out);
        let shape = layer.shape;
        let mut exact = vec![0; shape.positions() * shape.out_c];
        let images = x.data.chunks_exact(shape.in_h * shape.in_w * shape.in_c).zip(x.images);
        for ((image, _), out) in images
            .zip(out.chunks_exact(exact.len()))
            .filter(|((_, id), _)| **id < COMPARED_IMAGES)
        {
            self.digital.image(index, image, &mut exact);
            for (&exact, &got) in exact.iter().zip(out) {
                let (exact, error) = (i128::from(exact), i128::from(got) - i128::from(exact));
                self.squares[index].0 += exact * exact;
                self.squares[index].1 += error * error;
            }
        }
    }
}
