//! A mapped network, ready for any chip: what each tile computes and how its codes become accumulators.

use crate::geometry::Geometry;
use farad_core::draw::NoiseKey;
use farad_hw::MacroSpec;
use farad_hw::chip::Site;
use farad_hw::encoding::Correction;
use farad_hw::scale::{ChargeStats, Scale};
use farad_map::{LayerMapping, Mapping, Tile};
use farad_net::MacLayer;
use std::ops::Range;

/// One tile.
#[derive(Debug, Clone)]
pub(crate) struct TilePlan {
    /// Place on the macros.
    pub(crate) site: Site,
    /// Output channels.
    pub(crate) outputs: Range<usize>,
    /// Where the tile's wordlines come from: runs of the position's full row vector (all groups, one after the other).
    pub(crate) runs: Vec<Range<usize>>,
    /// Wordlines.
    pub(crate) rows: usize,
    /// Weights `[output][row]`; 0 where an output's group has no row.
    pub(crate) weights: Vec<i8>,
    /// Steps, volts and noise.
    pub(crate) scale: Scale,
    /// What the digital side adds.
    pub(crate) correction: Correction,
    /// Where its noise belongs.
    pub(crate) noise: NoiseKey,
    /// Number of the tile in the sums of its outputs.
    pub(crate) part: usize,
    /// Index of the tile in the layer's mapping.
    pub(crate) index: usize,
}

impl TilePlan {
    /// Copies the tile's rows out of a full row vector.
    pub(crate) fn gather(&self, full: &[u8], rows: &mut [u8]) {
        let mut at = 0;
        for run in &self.runs {
            rows[at..at + run.len()].copy_from_slice(&full[run.clone()]);
            at += run.len();
        }
    }

    /// Weights of local output `j`.
    #[must_use]
    pub(crate) fn weights_of(&self, j: usize) -> &[i8] {
        &self.weights[j * self.rows..(j + 1) * self.rows]
    }
}

/// Tiles that work on the same output positions.
#[derive(Debug, Clone)]
pub(crate) struct CopyPlan {
    /// Positions.
    pub(crate) positions: Range<usize>,
    /// Tiles, in order of summation.
    pub(crate) tiles: Vec<TilePlan>,
}

/// One MAC layer.
#[derive(Debug, Clone)]
pub(crate) struct LayerPlan {
    /// What does not depend on the macro.
    pub(crate) geometry: Geometry,
    /// Copies of the weights, each with its own positions.
    pub(crate) copies: Vec<CopyPlan>,
}

/// Plans all layers; `stats[layer]` sets the ADC step where the macro's range asks for it: one for all tiles, or one for each.
#[must_use]
pub(crate) fn plan(
    spec: &MacroSpec,
    layers: &[MacLayer],
    mapping: &Mapping,
    stats: &[Vec<ChargeStats>],
    seed: u64,
) -> Vec<LayerPlan> {
    let per_layer = layers.iter().zip(&mapping.layers).enumerate();
    per_layer
        .map(|(index, (layer, mapped))| plan_layer(spec, index, layer, mapped, &stats[index], seed))
        .collect()
}

fn plan_layer(
    spec: &MacroSpec,
    index: usize,
    layer: &MacLayer,
    mapped: &LayerMapping,
    stats: &[ChargeStats],
    seed: u64,
) -> LayerPlan {
    let mut copies: Vec<CopyPlan> = Vec::new();
    for (number, tile) in mapped.tiles.iter().enumerate() {
        let stats = if stats.len() == 1 {
            stats.first()
        } else {
            stats.get(number)
        };
        let tile_plan = plan_tile(spec, index, layer, (number, tile), stats, seed);
        match copies.iter_mut().find(|copy| copy.positions == tile.positions) {
            Some(copy) => copy.tiles.push(tile_plan),
            None => copies.push(CopyPlan {
                positions: tile.positions.clone(),
                tiles: vec![tile_plan],
            }),
        }
    }
    // Tiles that read the same rows stand together, so that rows are packed once; the order of parts is the order of summation.
    for copy in &mut copies {
        copy.tiles.sort_by_key(|tile| (tile.part, tile.outputs.start));
    }
    LayerPlan {
        geometry: Geometry::new(layer),
        copies,
    }
}

fn plan_tile(
    spec: &MacroSpec,
    index: usize,
    layer: &MacLayer,
    (number, tile): (usize, &Tile),
    stats: Option<&ChargeStats>,
    seed: u64,
) -> TilePlan {
    let shape = layer.shape;
    let per_group = shape.rows_per_group();
    let rows = tile.rows();
    let runs = tile
        .segments
        .iter()
        .map(|s| s.group * per_group + s.start..s.group * per_group + s.start + s.len)
        .collect();
    let mut weights = vec![0i8; tile.outputs.len() * rows];
    for (j, o) in tile.outputs.clone().enumerate() {
        let group = o / shape.out_c_per_group();
        let mut at = j * rows;
        for s in &tile.segments {
            if s.group == group {
                weights[at..at + s.len].copy_from_slice(&layer.weights[o * per_group + s.start..][..s.len]);
            }
            at += s.len;
        }
    }
    TilePlan {
        site: Site {
            instance: tile.instance as u32,
            first_column: tile.first_column as u32,
            rows,
            outputs: tile.outputs.len(),
        },
        outputs: tile.outputs.clone(),
        runs,
        rows,
        weights,
        scale: Scale::new(spec, rows, stats),
        correction: Correction::new(spec, rows, spec.input.bits),
        noise: NoiseKey::new(seed, index, tile.part),
        part: tile.part,
        index: number,
    }
}
