//! The event-driven schedule of a layer: which instance does what, from which clock to which.
//!
//! An instance works through its tiles in order, and through the positions of a tile before the next tile, so that a
//! weight set is written at most once per image. One matrix-vector multiplication (one position through one tile)
//! is simulated from its resources: the array, the ADCs (in lockstep, each multiplexed over its columns) and, in
//! a pipelined macro, two hold capacitors per column. The next multiplication starts after the output phase.
//! [`crate::schedule()`] gives the same clocks in closed form.

use crate::tile::{LayerMapping, Tile};
use farad_hw::MacroSpec;
use farad_hw::timing::{mvm_clocks, planes_per_evaluation, share_steps};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

/// What an instance is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Weights are written row by row.
    WriteWeights,
    /// Precharge or reset of the columns.
    Precharge,
    /// Broadcast of the input plane.
    Broadcast,
    /// Cells charge to their products.
    Multiply,
    /// Charge is shared.
    Share,
    /// The ADCs sample.
    Sample,
    /// The ADCs convert.
    Convert,
    /// Codes are latched, shifted and added.
    Output,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::WriteWeights => "write weights",
            Phase::Precharge => "precharge",
            Phase::Broadcast => "broadcast",
            Phase::Multiply => "multiply",
            Phase::Share => "share",
            Phase::Sample => "sample",
            Phase::Convert => "convert",
            Phase::Output => "output",
        })
    }
}

/// One phase on one instance, over the clocks `start_clock..end_clock` from the layer's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// First clock.
    pub start_clock: u64,
    /// Clock after the last one.
    pub end_clock: u64,
    /// Macro instance.
    pub instance: usize,
    /// Index of the tile in the layer's mapping.
    pub tile: usize,
    /// What happens.
    pub phase: Phase,
    /// Output position that is worked on; the tile's first one while its weights are written.
    pub position: usize,
    /// Evaluation of the position's input vector; the last one in the output phase.
    pub evaluation: usize,
    /// Which of the conversions that share an ADC; 0 outside the ADCs' phases.
    pub order: usize,
}

/// All events of one layer for one image, by start clock; phases of no length are left out.
///
/// Lazy: memory grows with the tiles, not with the events.
pub fn events<'a>(spec: &'a MacroSpec, mapping: &'a LayerMapping) -> impl Iterator<Item = Event> + 'a {
    let mvm = Arc::new(Mvm::simulate(spec));
    let mut queues: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, tile) in mapping.tiles.iter().enumerate() {
        queues.entry(tile.instance).or_default().push(index);
    }
    let mut timelines: Vec<_> = queues
        .into_values()
        .map(|queue| timeline(spec, &mapping.tiles, queue, Arc::clone(&mvm)))
        .collect();
    let mut next = BinaryHeap::new();
    for (i, timeline) in timelines.iter_mut().enumerate() {
        next.extend(timeline.next().map(|event| Reverse((event, i))));
    }
    std::iter::from_fn(move || {
        let Reverse((event, i)) = next.pop()?;
        next.extend(timelines[i].next().map(|event| Reverse((event, i))));
        Some(event)
    })
}

/// One instance's events: the tiles of `queue` (indices into `tiles`), one after another.
fn timeline(spec: &MacroSpec, tiles: &[Tile], queue: Vec<usize>, mvm: Arc<Mvm>) -> impl Iterator<Item = Event> {
    let mut clock = 0;
    queue.into_iter().flat_map(move |index| {
        let tile = &tiles[index];
        let event = move |from: u64, span: Span, position: usize| Event {
            start_clock: from + span.start,
            end_clock: from + span.end,
            instance: tile.instance,
            tile: index,
            phase: span.phase,
            position,
            evaluation: span.evaluation,
            order: span.order,
        };
        let clocks = TileClocks::of(spec, tile);
        let write = Span {
            start: 0,
            end: clocks.write,
            phase: Phase::WriteWeights,
            evaluation: 0,
            order: 0,
        };
        let writing = (write.end > 0).then(|| event(clock, write, tile.positions.start));
        let first = clock + write.end;
        clock = first + clocks.multiply;
        let mvm = Arc::clone(&mvm);
        let multiplying = tile.positions.clone().zip(0u64..).flat_map(move |(position, turn)| {
            let (mvm, from) = (Arc::clone(&mvm), first + turn * mvm.clocks);
            (0..mvm.spans.len()).map(move |i| event(from, mvm.spans[i], position))
        });
        writing.into_iter().chain(multiplying)
    })
}

/// How long an instance is busy with one tile, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileClocks {
    /// Clocks to write its weights: none if they are resident.
    pub write: u64,
    /// Clocks of its matrix-vector multiplications.
    pub multiply: u64,
}

impl TileClocks {
    /// Of `tile`.
    #[must_use]
    pub fn of(spec: &MacroSpec, tile: &Tile) -> Self {
        Self {
            write: if tile.resident {
                0
            } else {
                tile.rows() as u64 * spec.timing.row_write
            },
            multiply: tile.positions.len() as u64 * mvm_clocks(spec),
        }
    }

    /// Both.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.write + self.multiply
    }
}

/// A phase, in clocks from the beginning of its multiplication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: u64,
    end: u64,
    phase: Phase,
    evaluation: usize,
    order: usize,
}

/// One matrix-vector multiplication, phase by phase.
struct Mvm {
    /// By start clock.
    spans: Vec<Span>,
    /// Clocks until the next one may start.
    clocks: u64,
}

impl Mvm {
    fn simulate(spec: &MacroSpec) -> Self {
        let timing = &spec.timing;
        let mut spans = Vec::new();
        // When the array is free, and when the codes of each evaluation so far are out.
        let (mut array_free, mut codes_out) = (0, Vec::new());
        for evaluation in 0..spec.evaluations() {
            let adc_free = codes_out.last().copied().unwrap_or(0);
            // A pipelined array runs ahead as long as one of the two hold capacitors is free.
            let may_start = match (timing.pipelined, evaluation) {
                (false, _) => adc_free,
                (true, 0 | 1) => 0,
                (true, e) => codes_out[e - 2],
            };
            let mut clock = array_free.max(may_start);
            let mut run =
                |clock: &mut u64, phase, clocks, order| run(&mut spans, clock, (phase, evaluation, order), clocks);
            for _ in 0..planes_per_evaluation(spec) {
                run(&mut clock, Phase::Precharge, timing.precharge, 0);
                run(&mut clock, Phase::Broadcast, timing.broadcast, 0);
                run(&mut clock, Phase::Multiply, timing.multiply, 0);
                for _ in 0..share_steps(spec) {
                    run(&mut clock, Phase::Share, timing.share, 0);
                }
            }
            array_free = clock;
            clock = clock.max(adc_free);
            for order in 0..spec.adc.columns_per_adc {
                run(&mut clock, Phase::Sample, timing.sample, order);
                run(&mut clock, Phase::Convert, spec.adc.model().cycles(&spec.adc), order);
            }
            codes_out.push(clock);
        }
        let mut clocks = codes_out.last().copied().unwrap_or(0);
        let last = spec.evaluations().saturating_sub(1);
        run(&mut spans, &mut clocks, (Phase::Output, last, 0), timing.output);
        spans.sort_unstable();
        Self { spans, clocks }
    }
}

/// Adds a phase that starts at `clock`, and moves `clock` to its end.
fn run(spans: &mut Vec<Span>, clock: &mut u64, (phase, evaluation, order): (Phase, usize, usize), clocks: u64) {
    let start = *clock;
    *clock += clocks;
    if clocks > 0 {
        spans.push(Span {
            start,
            end: *clock,
            phase,
            evaluation,
            order,
        });
    }
}
