//! Clocks and use of the macros, layer by layer, in closed form.

use crate::counts::static_events;
use crate::tile::{LayerMapping, Mapping};
use crate::trace::TileClocks;
use crate::utilization::Cells;
use farad_hw::MacroSpec;
use farad_net::MacLayer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one layer takes for one image.
///
/// Instances work side by side, the tiles of one instance one after another. Weights that are not resident are written
/// once per image, just before their tile, while the instance waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSchedule {
    /// Index among the network's MAC layers.
    pub layer: usize,
    /// Tiles, copies included.
    pub tiles: usize,
    /// Macro instances that take part.
    pub instances: usize,
    /// Wordlines in use, summed over tiles.
    pub rows_used: u64,
    /// Physical columns in use, summed over tiles.
    pub columns_used: u64,
    /// Cells of the occupied arrays.
    pub cells: Cells,
    /// Used cells over cells of the occupied arrays.
    pub utilization: f64,
    /// Analog-to-digital conversions.
    pub conversions: u64,
    /// Evaluations of a tile: one input plane, or one merged input, at one position.
    pub evaluations: u64,
    /// Macro clocks until the last instance is done.
    pub cycles: u64,
    /// Those of `cycles` in which the last instance writes weights.
    pub reload_cycles: u64,
    /// `cycles` in seconds.
    pub latency_s: f64,
    /// Time that instances are busy, summed over them, s.
    pub busy_s: f64,
}

/// A network for one image, its layers one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Tiles, copies included.
    pub tiles: usize,
    /// Macro instances in use.
    pub instances: usize,
    /// Cells of the occupied arrays, one array for each tile.
    pub cells: Cells,
    /// Used cells over cells of the occupied arrays.
    pub utilization: f64,
    /// Analog-to-digital conversions.
    pub conversions: u64,
    /// Evaluations of a tile.
    pub evaluations: u64,
    /// Macro clocks.
    pub cycles: u64,
    /// Those in which the last instance of a layer writes weights.
    pub reload_cycles: u64,
    /// `cycles` in seconds.
    pub latency_s: f64,
    /// Time that instances are busy, summed over them, s.
    pub busy_s: f64,
}

/// The schedule of each layer, in the order of `mapping`; `layers` are those that were mapped.
#[must_use]
pub fn schedule(spec: &MacroSpec, layers: &[MacLayer], mapping: &Mapping) -> Vec<LayerSchedule> {
    layers
        .iter()
        .zip(&mapping.layers)
        .map(|(layer, mapping)| layer_schedule(spec, layer, mapping))
        .collect()
}

fn layer_schedule(spec: &MacroSpec, layer: &MacLayer, mapping: &LayerMapping) -> LayerSchedule {
    let tiles = &mapping.tiles;
    // Clocks of each instance, in all and for writing weights.
    let mut instances: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for tile in tiles {
        let (clocks, reload) = instances.entry(tile.instance).or_default();
        let of_tile = TileClocks::of(spec, tile);
        *reload += of_tile.write;
        *clocks += of_tile.total();
    }
    let (cycles, reload_cycles) = instances.values().copied().max().unwrap_or_default();
    let busy: u64 = instances.values().map(|(clocks, _)| clocks).sum();
    let clock_hz = spec.timing.clock_mhz * 1e6;
    let cells: Cells = tiles.iter().map(|tile| Cells::of(spec, tile)).sum();
    LayerSchedule {
        layer: mapping.layer,
        tiles: tiles.len(),
        instances: instances.len(),
        rows_used: tiles.iter().map(|t| t.rows() as u64).sum(),
        columns_used: tiles.iter().map(|t| t.columns(spec) as u64).sum(),
        cells,
        utilization: cells.utilization(),
        conversions: static_events(spec, layer, mapping).conversions,
        evaluations: tiles
            .iter()
            .map(|t| (t.positions.len() * spec.evaluations()) as u64)
            .sum(),
        cycles,
        reload_cycles,
        latency_s: cycles as f64 / clock_hz,
        busy_s: busy as f64 / clock_hz,
    }
}

/// Sums over the layers of a network.
#[must_use]
pub fn totals(mapping: &Mapping, layers: &[LayerSchedule]) -> Totals {
    let cells: Cells = layers.iter().map(|l| l.cells).sum();
    Totals {
        tiles: layers.iter().map(|l| l.tiles).sum(),
        instances: mapping.instances,
        cells,
        utilization: cells.utilization(),
        conversions: layers.iter().map(|l| l.conversions).sum(),
        evaluations: layers.iter().map(|l| l.evaluations).sum(),
        cycles: layers.iter().map(|l| l.cycles).sum(),
        reload_cycles: layers.iter().map(|l| l.reload_cycles).sum(),
        latency_s: layers.iter().map(|l| l.latency_s).sum(),
        busy_s: layers.iter().map(|l| l.busy_s).sum(),
    }
}
