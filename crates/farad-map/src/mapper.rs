//! Ways to cut a row vector into parts that fit on the wordlines.
//!
//! # How to add one
//! Add a variant to [`farad_hw::spec::Mapper`], a type that implements [`Mapper`], and its line in [`mapper`].

use farad_core::MacShape;
use farad_hw::spec;
use std::ops::Range;

/// Cuts one group's row vector `(ky, kx, c)`.
pub trait Mapper: Send + Sync {
    /// The parts in order, without gaps or overlaps, each of 1 to `rows` entries; `rows` is at least 1.
    fn cut(&self, shape: &MacShape, rows: usize) -> Vec<Range<usize>>;
}

/// The mapper that the macro's description names.
#[must_use]
pub fn mapper(kind: spec::Mapper) -> &'static dyn Mapper {
    match kind {
        spec::Mapper::Im2col => &Im2col,
        spec::Mapper::TapSplit => &TapSplit,
    }
}

/// The whole row vector is cut every `rows` entries: fewest parts, and a part may begin inside a tap.
#[derive(Debug)]
pub struct Im2col;

impl Mapper for Im2col {
    fn cut(&self, shape: &MacShape, rows: usize) -> Vec<Range<usize>> {
        runs(0..shape.rows_per_group(), rows).collect()
    }
}

/// Each kernel tap is cut by itself, so a part reads one input pixel; taps are never merged.
#[derive(Debug)]
pub struct TapSplit;

impl Mapper for TapSplit {
    fn cut(&self, shape: &MacShape, rows: usize) -> Vec<Range<usize>> {
        let channels = shape.in_c_per_group();
        (0..shape.kernel_h * shape.kernel_w)
            .flat_map(|tap| runs(tap * channels..(tap + 1) * channels, rows))
            .collect()
    }
}

/// `whole` in consecutive runs of `len`, the last one shorter where it does not divide.
pub(crate) fn runs(whole: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = whole.end;
    whole.step_by(len).map(move |start| start..end.min(start + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(kernel: usize, in_c: usize) -> MacShape {
        MacShape {
            kernel_h: kernel,
            kernel_w: kernel,
            ..MacShape::dense(in_c, 1)
        }
    }

    #[test]
    fn im2col_cuts_through_taps() {
        // 3x3 taps of 44 channels: 396 entries on 128 wordlines.
        assert_eq!(Im2col.cut(&conv(3, 44), 128), [0..128, 128..256, 256..384, 384..396]);
    }

    #[test]
    fn tap_split_never_spans_two_taps() {
        assert_eq!(TapSplit.cut(&conv(2, 44), 128), [0..44, 44..88, 88..132, 132..176]);
        assert_eq!(TapSplit.cut(&conv(1, 300), 128), [0..128, 128..256, 256..300]);
    }
}
