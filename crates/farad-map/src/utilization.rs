//! How full the arrays are, and where the rest went.

use crate::tile::Tile;
use farad_hw::MacroSpec;
use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::AddAssign;

/// Cells of the arrays that tiles occupy, one whole array (one weight set) for each tile.
///
/// The parts are disjoint and add up to [`total`](Self::total): columns are accounted for first, then the
/// unused rows of the columns in use, then the zeros on the rows in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// Hold a weight bit.
    pub used: u64,
    /// Where the others went.
    pub lost: UtilizationLoss,
}

/// Cells that hold no weight, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtilizationLoss {
    /// Wordlines that the tile's row vector does not reach.
    pub rows_unused: u64,
    /// Columns left free because the layer has no more outputs for this tile.
    pub columns_unused: u64,
    /// Last columns of the array, too few for a whole output.
    pub columns_leftover: u64,
    /// Zeros between the blocks of groups that share a tile.
    pub block_diagonal_zero: u64,
}

impl Cells {
    /// Cells of the array that `tile` occupies.
    #[must_use]
    pub fn of(spec: &MacroSpec, tile: &Tile) -> Self {
        let rows = spec.array.rows as u64;
        let (used_rows, used_columns) = (tile.rows() as u64, tile.columns(spec) as u64);
        let usable_columns = (spec.outputs() * spec.columns_per_output()) as u64;
        // Each output has weights on its own group's rows; groups of a tile have equally many of both.
        let used = used_rows * used_columns / tile.segments.len().max(1) as u64;
        Self {
            used,
            lost: UtilizationLoss {
                rows_unused: (rows - used_rows) * used_columns,
                columns_unused: rows * (usable_columns - used_columns),
                columns_leftover: rows * (spec.array.columns as u64 - usable_columns),
                block_diagonal_zero: used_rows * used_columns - used,
            },
        }
    }

    /// All cells of the occupied arrays.
    #[must_use]
    pub fn total(&self) -> u64 {
        let lost = &self.lost;
        self.used + lost.rows_unused + lost.columns_unused + lost.columns_leftover + lost.block_diagonal_zero
    }

    /// Used cells over all cells; 0 where no array is occupied.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.total() == 0 {
            0.0
        } else {
            self.used as f64 / self.total() as f64
        }
    }
}

impl AddAssign for Cells {
    fn add_assign(&mut self, o: Self) {
        self.used += o.used;
        self.lost.rows_unused += o.lost.rows_unused;
        self.lost.columns_unused += o.lost.columns_unused;
        self.lost.columns_leftover += o.lost.columns_leftover;
        self.lost.block_diagonal_zero += o.lost.block_diagonal_zero;
    }
}

impl Sum for Cells {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut all, cells| {
            all += cells;
            all
        })
    }
}
