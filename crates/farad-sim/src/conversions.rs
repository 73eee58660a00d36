//! Single conversions of a run, decision by decision: what a chosen column of chosen tiles did.
//!
//! The network runs as in [`crate::run()`], on chip 0 and with the same noise; where a chosen tile works on a chosen position, the readable
//! engine repeats its conversions and writes down every question to the comparator.

use crate::SimError;
use crate::plan::{LayerPlan, TilePlan};
use crate::reference::Drive;
use crate::run::{Run, RunConfig, in_pool};
use crate::simulator::Session;
use crate::workload::Workload;
use farad_core::axis::lsb_steps;
use farad_hw::MacroSpec;
use farad_map::Mapping;
use farad_net::{Activations, MacEngine, MacLayer};

/// Which conversions to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Indices among the network's MAC layers.
    pub layers: Vec<usize>,
    /// Indices among the tiles of each of these layers.
    pub tiles: Vec<usize>,
    /// Dataset indices.
    pub images: Vec<usize>,
    /// The first so many positions of each tile.
    pub positions: usize,
    /// Physical column of the tile, from its first one; merged columns share one conversion.
    pub column: usize,
}

/// One conversion of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedConversion {
    /// Dataset index.
    pub image: usize,
    /// Index among the network's MAC layers.
    pub layer: usize,
    /// Index among the layer's tiles.
    pub tile: usize,
    /// Output position.
    pub position: usize,
    /// Evaluation of the position's input vector.
    pub evaluation: usize,
    /// Which of the conversions that share an ADC.
    pub order: usize,
    /// Output channel of the layer.
    pub channel: usize,
    /// What it ended in.
    pub code: usize,
    /// The skip path was taken.
    pub skipped: bool,
    /// Questions to the comparator, in order.
    pub decisions: Vec<WatchedDecision>,
}

/// One question to the comparator, LSB from mid-scale: the answer is whether the input is at least the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchedDecision {
    /// Input with its noise.
    pub input_lsb: f64,
    /// Level.
    pub level_lsb: f64,
}

impl WatchedDecision {
    /// The answer.
    #[must_use]
    pub fn is_above(&self) -> bool {
        self.input_lsb >= self.level_lsb
    }
}

/// The chosen conversions of chip 0, by image, layer, tile, position and evaluation. A tile without the chosen column has none.
///
/// # Errors
/// As [`crate::run()`].
pub fn watch(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &RunConfig,
    selection: &Selection,
) -> Result<Vec<WatchedConversion>, SimError> {
    in_pool(mapping, config, || {
        let run = Run::new(workload, spec, mapping, config)?;
        let chip = run.simulator.chip(config.engine, 0);
        let mut watcher = Watcher {
            session: chip.session(),
            spec,
            layers: &run.simulator.plans,
            selection,
            found: Vec::new(),
        };
        for &image in &selection.images {
            let (input, ids) = workload.batch(&(image..image + 1))?;
            workload.network().run(&input, &ids, &mut watcher)?;
        }
        Ok(watcher.found)
    })
}

/// The engine of the run, and the readable one beside it.
struct Watcher<'a> {
    session: Session<'a>,
    spec: &'a MacroSpec,
    layers: &'a [LayerPlan],
    selection: &'a Selection,
    found: Vec<WatchedConversion>,
}

impl MacEngine for Watcher<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.session.accumulate(index, layer, x, out);
        if !self.selection.layers.contains(&index) {
            return;
        }
        let plan = &self.layers[index];
        for (copy, tile) in plan.copies.iter().flat_map(|c| c.tiles.iter().map(move |t| (c, t))) {
            if self.selection.tiles.contains(&tile.index) {
                let positions = copy.positions.clone().take(self.selection.positions);
                for position in positions {
                    self.position(index, tile, x, position);
                }
            }
        }
    }
}

impl Watcher<'_> {
    /// Conversions of the chosen column of one tile at one position of one image.
    fn position(&mut self, layer: usize, tile: &TilePlan, x: Activations<'_>, position: usize) {
        let slots = self.spec.conversions_per_output();
        let (j, k) = (
            self.selection.column / self.spec.columns_per_output(),
            self.selection.column % self.spec.columns_per_output(),
        );
        if j >= tile.outputs.len() {
            return;
        }
        let s = if slots == 1 { 0 } else { k };
        let mut full = vec![0; self.layers[layer].geometry.full_rows()];
        self.layers[layer].geometry.gather(x.data, position, &mut full);
        let mut rows = vec![0; tile.rows];
        tile.gather(&full, &mut rows);
        let model = tile.site.lower(self.spec, 0, &tile.scale);
        let drive = Drive {
            spec: self.spec,
            tile,
            model: &model,
            x: &rows,
            position: position as u32,
            image: x.images[0],
        };
        let per_lsb = f64::from(lsb_steps(self.spec.adc.bits));
        let first = tile.site.first_column as usize / self.spec.columns_per_output();
        for evaluation in 0..self.spec.evaluations() {
            let mut decisions = Vec::new();
            let (seen, _) = drive.convert(j, s, evaluation, &mut |decision| {
                decisions.push(WatchedDecision {
                    input_lsb: f64::from(decision.input) / per_lsb,
                    level_lsb: f64::from(decision.level) / per_lsb,
                });
            });
            self.found.push(WatchedConversion {
                image: x.images[0] as usize,
                layer,
                tile: tile.index,
                position,
                evaluation,
                order: ((first + j) * slots + s) % self.spec.adc.columns_per_adc,
                channel: tile.outputs.start + j,
                code: seen.conversion.code,
                skipped: seen.conversion.skipped,
                decisions,
            });
        }
    }
}
