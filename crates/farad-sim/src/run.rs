//! A workload on a macro: the whole run.

use crate::SimError;
use crate::calibrate::charge_statistics;
use crate::digital::DigitalNetwork;
use crate::outcome::{ChipOutcome, LayerOutcome, RunOutcome, Verdict};
use crate::simulator::{Chip, EngineKind, Probes, Session, Simulator};
use crate::workload::{Workload, ranks};
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_map::Mapping;
use farad_net::{Activations, MacEngine, MacLayer};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Images whose layers are compared with exact arithmetic: the first ones of the data set.
pub const COMPARED_IMAGES: u32 = 32;

/// Images that set ADC ranges which follow the data, unless a calibration did: the first ones of the data set.
pub const CALIBRATION_IMAGES: usize = 32;

/// Images that one thread runs together.
const BATCH: usize = 32;

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// Engine.
    pub engine: EngineKind,
    /// Pictures, the first ones of the workload; no more than it has.
    pub images: usize,
    /// Chips, seeds 0 to `chips - 1`.
    pub chips: u32,
    /// Seed of the temporal noise.
    pub seed: u64,
    /// Threads; 0 for all cores.
    pub threads: usize,
}

/// Runs a workload digitally and on `config.chips` chips of the macro.
///
/// `progress(done, total)` counts pictures times chips. Setting `stop` ends the run after the batches in hand; the outcome says how many
/// pictures it covers, and every chip covers the same ones.
///
/// # Errors
/// [`SimError`] if there are no pictures or the network does not fit the noise keys.
pub fn run(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &RunConfig,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<RunOutcome, SimError> {
    run_until(workload, spec, mapping, config, &Looks::default(), progress, stop)
}

/// Numbers of pictures after which a run asks whether they are enough.
#[derive(Clone, Copy)]
pub struct Looks<'a> {
    /// Ascending; the last look is at the run's end, and is not asked about.
    pub at: &'a [usize],
    /// Asked with the pictures so far.
    pub enough: &'a (dyn Fn(&[Verdict]) -> bool + Sync),
}

impl Default for Looks<'_> {
    /// Never.
    fn default() -> Self {
        Self {
            at: &[],
            enough: &|_| false,
        }
    }
}

/// As [`run`], but it may end at a look: then its outcome is that of a run over the pictures up to there.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &RunConfig,
    looks: &Looks<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<RunOutcome, SimError> {
    check_trims(spec, config.chips)?;
    in_pool(mapping, config, || {
        Run::new(workload, spec, mapping, config)?.go(looks, progress, stop)
    })
}

/// `work` on the threads of `config`, if what it is to do makes sense.
pub(crate) fn in_pool<T: Send>(
    mapping: &Mapping,
    config: &RunConfig,
    work: impl FnOnce() -> Result<T, SimError> + Send,
) -> Result<T, SimError> {
    check(mapping)?;
    if config.images == 0 {
        return Err(SimError::NoImages);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(work)
}

/// That the network fits the noise keys.
pub(crate) fn check(mapping: &Mapping) -> Result<(), SimError> {
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

/// What a calibration, or else the run's first images, say about the charges of each layer.
pub(crate) fn statistics(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &RunConfig,
) -> Result<Vec<Vec<ChargeStats>>, SimError> {
    if let Some(calibration) = &spec.calibration {
        return Ok(calibration.charges.clone());
    }
    let count = CALIBRATION_IMAGES.min(config.images).min(workload.len());
    let (input, ids) = workload.batch(&(0..count))?;
    charge_statistics(spec, workload.network, mapping, &input, &ids)
}

/// That a calibration that trims chips trims all that are run.
fn check_trims(spec: &MacroSpec, chips: u32) -> Result<(), SimError> {
    let trims = spec.calibration.iter().flat_map(|calibration| calibration.trims.keys());
    match trims.map(|(chip, _)| chip + 1).max() {
        Some(trimmed) if trimmed < chips => Err(SimError::Untrimmed { trimmed, chips }),
        _ => Ok(()),
    }
}

pub(crate) struct Run<'a> {
    pub(crate) workload: &'a Workload<'a>,
    config: &'a RunConfig,
    /// Pictures to run.
    count: usize,
    pub(crate) simulator: Simulator<'a>,
}

/// What one batch adds to the outcome of one chip.
struct Tally {
    images: u64,
    top1: u64,
    top5: u64,
    /// Of each picture: whether its label leads.
    right: Vec<bool>,
    probes: Probes,
    /// Sums of squares of exact accumulators and of errors, as integers: they must not depend on the order of batches.
    squares: Vec<(i128, i128)>,
}

/// What was run between two looks.
struct Stage {
    /// Batches that all chips ran.
    batches: Vec<Range<usize>>,
    /// What each chip counted on each of them.
    tallies: Vec<Vec<Tally>>,
}

impl<'a> Run<'a> {
    /// Plans and calibrates.
    pub(crate) fn new(
        workload: &'a Workload<'a>,
        spec: &'a MacroSpec,
        mapping: &'a Mapping,
        config: &'a RunConfig,
    ) -> Result<Self, SimError> {
        let stats = statistics(workload, spec, mapping, config)?;
        Ok(Self::calibrated(workload, spec, mapping, config, &stats))
    }

    /// Plans with what [`statistics`] says of this macro, or of one that differs in nothing but its errors.
    pub(crate) fn calibrated(
        workload: &'a Workload<'a>,
        spec: &'a MacroSpec,
        mapping: &'a Mapping,
        config: &'a RunConfig,
        stats: &[Vec<ChargeStats>],
    ) -> Self {
        let layers = workload.network.mac_layers();
        Self {
            workload,
            config,
            count: config.images.min(workload.len()),
            simulator: Simulator::new(spec, layers, mapping, stats, config.seed),
        }
    }

    /// Look by look: all chips run the pictures up to the next look, then `looks` is asked.
    pub(crate) fn go(
        &self,
        looks: &Looks<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<RunOutcome, SimError> {
        let total = self.count as u64 * u64::from(self.config.chips);
        let before = AtomicU64::new(0);
        let progress = |images| progress(before.fetch_add(images, Ordering::Relaxed) + images, total);
        let mut batches: Vec<Range<usize>> = Vec::new();
        let mut chips: Vec<Vec<Tally>> = Vec::new();
        let mut verdicts = Vec::new();
        let mut count = 0;
        let ends = looks.at.iter().copied().filter(|end| *end < self.count);
        for end in ends.chain([self.count]) {
            let Stage { batches: ran, tallies } = self.stage(count..end, &progress, stop)?;
            let whole =
                ran.iter().map(Range::len).sum::<usize>() == end - count && tallies.len() == self.config.chips as usize;
            if count > 0 && !whole {
                // Stopped: the run ends at the look before.
                break;
            }
            verdicts.extend(self.verdicts(&ran, &tallies)?);
            batches.extend(ran);
            chips.resize_with(chips.len().max(tallies.len()), Vec::new);
            for (chip, tallies) in chips.iter_mut().zip(tallies) {
                chip.extend(tallies);
            }
            count = end;
            if !whole || (looks.enough)(&verdicts) {
                break;
            }
        }
        let (digital_top1, digital_top5) = self.workload.digital_accuracy(&batches)?;
        let chips = chips.iter().enumerate();
        Ok(RunOutcome {
            images: batches.iter().map(|range| range.len() as u64).sum(),
            images_requested: count as u64,
            digital_top1,
            digital_top5,
            chips: chips
                .map(|(number, tallies)| self.chip_outcome(number as u32, tallies))
                .collect(),
            verdicts,
            threads: rayon::current_num_threads(),
            isa: self.config.engine.isa().name(),
        })
    }

    /// Runs `range` on all chips.
    fn stage(
        &self,
        range: Range<usize>,
        progress: &(dyn Fn(u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<Stage, SimError> {
        // Small enough that every thread has work; results do not depend on it.
        let size = range.len().div_ceil(rayon::current_num_threads()).clamp(1, BATCH);
        let mut batches: Vec<Range<usize>> = range
            .clone()
            .step_by(size)
            .map(|start| start..(start + size).min(range.end))
            .collect();
        let mut chips = Vec::new();
        for number in 0..self.config.chips {
            let chip = self.simulator.chip(self.config.engine, number);
            let run_batch = |range: &Range<usize>| {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let tally = self.batch(&chip, range)?;
                progress(range.len() as u64);
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
            chips.push(tallies.into_iter().flatten().collect());
            if !complete {
                break;
            }
        }
        Ok(Stage {
            batches,
            tallies: chips,
        })
    }

    /// One per picture of `batches`, in their order.
    fn verdicts(&self, batches: &[Range<usize>], chips: &[Vec<Tally>]) -> Result<Vec<Verdict>, SimError> {
        let digital = self.workload.digital_top1(batches)?;
        let mut verdicts: Vec<Verdict> = digital
            .into_iter()
            .map(|digital| Verdict { digital, chips: 0 })
            .collect();
        for tallies in chips {
            let right = tallies.iter().flat_map(|tally| &tally.right);
            for (verdict, right) in verdicts.iter_mut().zip(right) {
                verdict.chips += u32::from(*right);
            }
        }
        Ok(verdicts)
    }

    fn batch(&self, chip: &Chip<'_>, range: &Range<usize>) -> Result<Tally, SimError> {
        let (input, ids) = self.workload.batch(range)?;
        let layers = self.workload.network.mac_layers().len();
        let mut engine = Compared {
            session: chip.session(),
            digital: &self.workload.digital,
            squares: vec![(0, 0); layers],
        };
        let logits = self.workload.network.run(&input, &ids, &mut engine)?;
        let ranks: Vec<usize> = ranks(&logits, &self.workload.images.labels[range.clone()]).collect();
        let before = |rank| ranks.iter().filter(|r| **r < rank).count() as u64;
        Ok(Tally {
            images: range.len() as u64,
            top1: before(1),
            top5: before(5),
            right: ranks.iter().map(|rank| *rank == 0).collect(),
            probes: engine.session.into_probes(),
            squares: engine.squares,
        })
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
