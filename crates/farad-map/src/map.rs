//! Cuts layers into tiles and deals the tiles to macro instances.

use crate::error::MapError;
use crate::mapper::{mapper, runs};
use crate::tile::{LayerMapping, Mapping, Segment, Tile};
use farad_core::MacShape;
use farad_hw::MacroSpec;
use farad_hw::encoding::weight_range;
use farad_net::MacLayer;
use std::ops::Range;

/// Tiles of one mapping; more would not fit in memory, and mean that the array is absurdly small.
pub const MAX_TILES: usize = 1 << 22;

/// Maps a network's MAC layers to a system of macros.
///
/// *Rows*: the macro's mapper cuts a group's row vector. *Outputs*: [`MacroSpec::outputs`] channels side by side.
/// *Groups*: as many whole groups as fit, by rows and by outputs, share a tile block-diagonally; a group too large is
/// cut like a dense layer. *Copies*: `system.duplicate` copies split the output positions into contiguous ranges.
/// Two copies in one array would share its wordlines and so could not work on two positions at once; copies therefore
/// take instances of their own, and none is made that would have to wait for another (or has no position).
///
/// *Instances*: tiles are dealt in order, instance by instance and then weight set by weight set. With
/// `system.instances = 0` there are as many instances as it takes to hold all tiles in their `depth` sets and to run all
/// tiles of the widest layer at once. Otherwise tiles beyond `instances * depth` go round again and time-share.
///
/// # Errors
/// [`MapError`] if a layer cannot be put on this macro.
pub fn map(spec: &MacroSpec, layers: &[MacLayer]) -> Result<Mapping, MapError> {
    check_macro(spec)?;
    let mut mapping = Mapping {
        layers: Vec::with_capacity(layers.len()),
        instances: 0,
    };
    let (mut total, mut widest) = (0, 0);
    for (index, layer) in layers.iter().enumerate() {
        check_layer(spec, layer)?;
        let too_many = || MapError::TooManyTiles {
            layer: layer.name.clone(),
            limit: MAX_TILES,
        };
        let pieces = Pieces::new(spec, &layer.shape);
        let (copies, count) = pieces
            .copies_and_tiles(spec)
            .filter(|&(_, n)| n <= MAX_TILES - total)
            .ok_or_else(too_many)?;
        let tiles = ranges(layer.shape.positions(), copies)
            .flat_map(|positions| pieces.tiles(positions))
            .collect();
        mapping.layers.push(LayerMapping { layer: index, tiles });
        total += count;
        widest = widest.max(count);
    }
    let instances = match spec.system.instances {
        0 => widest.max(total.div_ceil(spec.system.depth)),
        n => n,
    };
    deal(&mut mapping, total, instances, spec.system.depth);
    mapping.instances = instances.min(total);
    Ok(mapping)
}

/// What a layer of this shape takes of the macros for one image: the tiles of [`map`] and the conversions of
/// [`schedule`](crate::schedule()), without a tile being made. None for more than [`MAX_TILES`].
///
/// The macro and the shape are such that [`map`] takes them.
#[must_use]
pub fn demand(spec: &MacroSpec, shape: &MacShape) -> Option<Demand> {
    let pieces = Pieces::new(spec, shape);
    let (_, tiles) = pieces.copies_and_tiles(spec).filter(|&(_, n)| n <= MAX_TILES)?;
    // At every position, each output is converted once for each part of its row vector.
    let per_position = shape.out_c * pieces.cuts.len() * spec.evaluations() * spec.conversions_per_output();
    Some(Demand {
        tiles,
        conversions: shape.positions() as u64 * per_position as u64,
    })
}

/// What a layer takes of the macros for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Tiles, copies included.
    pub tiles: usize,
    /// Analog-to-digital conversions.
    pub conversions: u64,
}

/// How one copy of a layer is cut.
struct Pieces {
    shape: MacShape,
    /// Parts of a group's row vector.
    cuts: Vec<Range<usize>>,
    /// Whole groups that share a tile.
    groups_per_tile: usize,
    /// Output channels of one group that share a tile.
    outputs_per_tile: usize,
}

impl Pieces {
    fn new(spec: &MacroSpec, shape: &MacShape) -> Self {
        let cuts = mapper(spec.system.mapper).cut(shape, spec.array.rows);
        let longest = cuts.iter().map(Range::len).max().unwrap_or(1);
        let fit = (spec.array.rows / longest).min(spec.outputs() / shape.out_c_per_group());
        Self {
            shape: *shape,
            cuts,
            groups_per_tile: fit.max(1),
            outputs_per_tile: spec.outputs(),
        }
    }

    /// Tiles of one copy, unless they overflow.
    fn count(&self) -> Option<usize> {
        let per_bundle = self.shape.out_c_per_group().div_ceil(self.outputs_per_tile);
        let stacks = self
            .shape
            .groups
            .div_ceil(self.groups_per_tile)
            .checked_mul(per_bundle)?;
        stacks.checked_mul(self.cuts.len())
    }

    /// Copies of the layer, and the tiles of all of them, unless they overflow.
    fn copies_and_tiles(&self, spec: &MacroSpec) -> Option<(usize, usize)> {
        let per_copy = self.count()?;
        let copies = copies(spec, self.shape.positions(), per_copy);
        Some((copies, per_copy.checked_mul(copies)?))
    }

    /// One copy's tiles for `positions`, not yet placed.
    fn tiles(&self, positions: Range<usize>) -> impl Iterator<Item = Tile> {
        let per_group = self.shape.out_c_per_group();
        runs(0..self.shape.groups, self.groups_per_tile)
            .flat_map(move |groups| {
                // Several groups fit with all their outputs; one that does not is cut by outputs.
                let outputs = groups.start * per_group..groups.end * per_group;
                runs(outputs, self.outputs_per_tile).map(move |outputs| (groups.clone(), outputs))
            })
            .flat_map(move |(groups, outputs)| {
                let positions = positions.clone();
                self.cuts.iter().enumerate().map(move |(part, cut)| Tile {
                    segments: groups
                        .clone()
                        .map(|group| Segment {
                            group,
                            start: cut.start,
                            len: cut.len(),
                        })
                        .collect(),
                    outputs: outputs.clone(),
                    positions: positions.clone(),
                    part,
                    instance: 0,
                    set: 0,
                    first_column: 0,
                    resident: false,
                })
            })
    }
}

/// Copies that can work at once.
fn copies(spec: &MacroSpec, positions: usize, tiles_per_copy: usize) -> usize {
    let room = match spec.system.instances {
        0 => usize::MAX,
        n => (n / tiles_per_copy).max(1),
    };
    spec.system.duplicate.min(positions).min(room)
}

/// `positions` in `copies` contiguous ranges whose lengths differ by at most one.
fn ranges(positions: usize, copies: usize) -> impl Iterator<Item = Range<usize>> {
    let (len, longer) = (positions / copies, positions % copies);
    let start = move |copy: usize| copy * len + copy.min(longer);
    (0..copies).map(move |copy| start(copy)..start(copy + 1))
}

/// Deals the tiles round-robin over `instances`, then over the weight sets of each.
fn deal(mapping: &mut Mapping, total: usize, instances: usize, depth: usize) {
    let slots = instances.saturating_mul(depth);
    for (index, tile) in mapping.layers.iter_mut().flat_map(|l| &mut l.tiles).enumerate() {
        let slot = index % slots;
        tile.instance = slot % instances;
        tile.set = slot / instances;
        // Alone in its slot: nothing came before it and nothing comes round to it.
        tile.resident = index < slots && total - index <= slots;
    }
}

fn check_macro(spec: &MacroSpec) -> Result<(), MapError> {
    for (size, what) in [
        (spec.array.rows, "rows"),
        (spec.columns_per_output(), "columns per output"),
        (spec.system.depth, "weight sets"),
        (spec.system.duplicate, "copies"),
    ] {
        if size == 0 {
            return Err(MapError::EmptyMacro(what));
        }
    }
    Ok(())
}

fn check_layer(spec: &MacroSpec, layer: &MacLayer) -> Result<(), MapError> {
    let shape = &layer.shape;
    let name = || layer.name.clone();
    if shape.groups == 0 || !shape.in_c.is_multiple_of(shape.groups) || !shape.out_c.is_multiple_of(shape.groups) {
        return Err(MapError::Shape {
            layer: name(),
            reason: "its groups do not divide its channels",
        });
    }
    if shape.positions() == 0 || shape.out_c == 0 || shape.rows_per_group() == 0 {
        return Err(MapError::Shape {
            layer: name(),
            reason: "its shape is empty",
        });
    }
    if spec.outputs() == 0 {
        let (needed, columns) = (spec.columns_per_output(), spec.array.columns);
        return Err(MapError::NarrowMacro {
            layer: name(),
            needed,
            columns,
        });
    }
    for (what, needed, available) in [
        ("weights", layer.weight_bits, spec.weight.bits),
        ("activations", layer.input_bits, spec.input.bits),
    ] {
        if needed > available {
            return Err(MapError::Bits {
                layer: name(),
                what,
                needed,
                available,
            });
        }
    }
    let range = weight_range(spec);
    if let Some(&weight) = layer.weights.iter().find(|&&w| !range.contains(&i32::from(w))) {
        return Err(MapError::Weight {
            layer: name(),
            weight,
            least: *range.start(),
            greatest: *range.end(),
        });
    }
    Ok(())
}
