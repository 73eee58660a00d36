//! Where each weight of a network sits.

use farad_hw::MacroSpec;
use std::ops::Range;

/// A run of one group's row vector on consecutive wordlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Group of the layer (0 unless grouped or depthwise).
    pub group: usize,
    /// First entry of the group's row vector, order `(ky, kx, c)`.
    pub start: usize,
    /// Entries.
    pub len: usize,
}

/// One piece of a layer on one macro instance: some rows for some outputs at some positions.
///
/// Wordline 0 holds the first row of `segments[0]`, and so on without gaps. Local output `j` (channel
/// `outputs.start + j`) occupies the physical columns from `first_column + j * columns_per_output`. With several segments
/// (block-diagonal groups) an output has weights only on its own group's rows; the other cells hold zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub segments: Vec<Segment>,
    /// Output channels.
    pub outputs: Range<usize>,
    /// Output positions (`oy * out_w + ox`) that this tile computes.
    pub positions: Range<usize>,
    /// Which tile of the layer's sum this is: tiles with the same outputs and positions but different `part` add up.
    pub part: usize,
    /// Macro instance.
    pub instance: usize,
    /// Weight set inside the instance (time-shared with the others).
    pub set: usize,
    /// First physical column.
    pub first_column: usize,
    /// The weights stay in the array from image to image; otherwise other tiles use the same weight set and this one
    /// is written again for every image.
    pub resident: bool,
}

impl Tile {
    /// Wordlines in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.segments.iter().map(|s| s.len).sum()
    }

    /// Physical columns in use.
    #[must_use]
    pub fn columns(&self, spec: &MacroSpec) -> usize {
        self.outputs.len() * spec.columns_per_output()
    }
}

/// All tiles of one MAC layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMapping {
    /// Index among the network's MAC layers.
    pub layer: usize,
    /// The tiles, ordered by (positions, outputs, part).
    pub tiles: Vec<Tile>,
}

/// A network on a system of macros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// One entry per MAC layer.
    pub layers: Vec<LayerMapping>,
    /// Macro instances in use.
    pub instances: usize,
}
