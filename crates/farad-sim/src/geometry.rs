//! What a layer is before any macro: its row vectors, and the integer terms that no array computes.

use farad_core::MacShape;
use farad_net::MacLayer;

/// Geometry and zero points of one MAC layer.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    /// Shape.
    pub(crate) shape: MacShape,
    /// Zero point of the input: what a padding tap reads.
    pub(crate) x_zero: u8,
    /// Added to each stored weight by the digital side.
    weight_offset: i64,
    /// `-x_zero * sum over rows of (w + weight_offset)` for each output.
    zero_point_term: Vec<i64>,
}

impl Geometry {
    /// Of a layer.
    #[must_use]
    pub(crate) fn new(layer: &MacLayer) -> Self {
        let weight_offset = i64::from(layer.weight_offset);
        let rows = layer.weights.chunks_exact(layer.shape.rows_per_group());
        let zero_point_term = rows
            .map(|w| -i64::from(layer.x_zero) * w.iter().map(|&w| i64::from(w) + weight_offset).sum::<i64>())
            .collect();
        Self {
            shape: layer.shape,
            x_zero: layer.x_zero,
            weight_offset,
            zero_point_term,
        }
    }

    /// Length of a full row vector: all groups, one after the other.
    #[must_use]
    pub(crate) fn full_rows(&self) -> usize {
        self.shape.rows_per_group() * self.shape.groups
    }

    /// Writes the full row vector of `position` of one NHWC image.
    pub(crate) fn gather(&self, image: &[u8], position: usize, full: &mut [u8]) {
        let per_group = self.shape.rows_per_group();
        let (oy, ox) = (position / self.shape.out_w, position % self.shape.out_w);
        for (group, rows) in full.chunks_exact_mut(per_group).enumerate().take(self.shape.groups) {
            self.shape.gather_rows(image, self.x_zero, oy, ox, group, rows);
        }
    }

    /// What has to be added to `sum over rows of w x` of output `o` at a position with full row vector `full`.
    #[must_use]
    pub(crate) fn integer_term(&self, o: usize, full: &[u8]) -> i64 {
        if self.weight_offset == 0 {
            return self.zero_point_term[o];
        }
        let per_group = self.shape.rows_per_group();
        let group = o / self.shape.out_c_per_group();
        let sum: i64 = full[group * per_group..(group + 1) * per_group]
            .iter()
            .map(|&x| i64::from(x))
            .sum();
        self.zero_point_term[o] + self.weight_offset * sum
    }
}
