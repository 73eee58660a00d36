//! Moving data: slices, paddings, transpositions and reshapes as one list of source offsets.

/// Marks an element that reads padding instead of the source.
pub(crate) const PAD: u32 = u32::MAX;

/// A logical tensor whose element `i` (row-major over `dims`) lies at offset `at[i]` of the stored one.
///
/// Batch is not part of it: every image moves alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) dims: Vec<usize>,
    pub(crate) at: Vec<u32>,
}

impl View {
    /// The logical tensor `dims` stored with its axes in `order` (`order[i]` is the logical axis that is stored `i`-th).
    pub(crate) fn of_stored(dims: &[usize], order: &[usize]) -> Self {
        let mut strides = vec![0; dims.len()];
        let mut stride = 1;
        for &axis in order.iter().rev() {
            strides[axis] = stride;
            stride *= dims[axis];
        }
        Self::tabulate(dims.to_vec(), |index| {
            index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>() as u32
        })
    }

    /// Elements in the order of `axes`: dimension `i` of the result is dimension `axes[i]` of this one.
    pub(crate) fn permute(&self, axes: &[usize]) -> Self {
        let strides = self.strides();
        let dims = axes.iter().map(|&a| self.dims[a]).collect();
        Self::tabulate(dims, |index| {
            self.at[index.iter().zip(axes).map(|(i, &a)| i * strides[a]).sum::<usize>()]
        })
    }

    /// `len` elements along `axis` from `start`, every `step`-th (negative steps run backwards).
    pub(crate) fn slice(&self, axis: usize, start: usize, step: isize, len: usize) -> Self {
        let strides = self.strides();
        let mut dims = self.dims.clone();
        dims[axis] = len;
        Self::tabulate(dims, |index| {
            let source = index.iter().enumerate().map(|(a, &i)| {
                let i = if a == axis {
                    start.wrapping_add_signed(step.wrapping_mul(i as isize))
                } else {
                    i
                };
                i * strides[a]
            });
            self.at[source.sum::<usize>()]
        })
    }

    /// Padding before and after along every axis.
    pub(crate) fn pad(&self, before: &[usize], after: &[usize]) -> Self {
        let strides = self.strides();
        let dims: Vec<usize> = (0..self.dims.len())
            .map(|a| before[a] + self.dims[a] + after[a])
            .collect();
        Self::tabulate(dims, |index| {
            let mut offset = 0;
            for (a, &i) in index.iter().enumerate() {
                let i = i.wrapping_sub(before[a]);
                if i >= self.dims[a] {
                    return PAD;
                }
                offset += i * strides[a];
            }
            self.at[offset]
        })
    }

    /// The same elements under other dimensions.
    pub(crate) fn reshape(&self, dims: Vec<usize>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), self.at.len());
        Self {
            dims,
            at: self.at.clone(),
        }
    }

    /// Whether this is a source of `len` elements, unmoved.
    pub(crate) fn is_identity(&self, len: usize) -> bool {
        self.at.len() == len && self.at.iter().enumerate().all(|(i, &a)| a == i as u32)
    }

    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.dims.len()];
        for a in (0..self.dims.len().saturating_sub(1)).rev() {
            strides[a] = strides[a + 1] * self.dims[a + 1];
        }
        strides
    }

    fn tabulate(dims: Vec<usize>, f: impl Fn(&[usize]) -> u32) -> Self {
        let len = dims.iter().product();
        let mut at = Vec::with_capacity(len);
        let mut index = vec![0; dims.len()];
        for _ in 0..len {
            at.push(f(&index));
            for a in (0..dims.len()).rev() {
                index[a] += 1;
                if index[a] < dims[a] {
                    break;
                }
                index[a] = 0;
            }
        }
        Self { dims, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row_major(dims: &[usize]) -> View {
        let order: Vec<usize> = (0..dims.len()).collect();
        View::of_stored(dims, &order)
    }

    #[test]
    fn nchw_stored_as_nhwc() {
        // C = 2, H = 1, W = 3: element (c, 0, w) lies at w * 2 + c.
        let view = View::of_stored(&[2, 1, 3], &[1, 2, 0]);
        assert_eq!(view.at, [0, 2, 4, 1, 3, 5]);
        assert_eq!(view.permute(&[1, 2, 0]).at, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn slices_run_backwards() {
        assert_eq!(row_major(&[5]).slice(0, 4, -2, 3).at, [4, 2, 0]);
    }

    proptest! {
        #[test]
        fn permuting_there_and_back_is_nothing(a in 1usize..5, b in 1usize..5, c in 1usize..5) {
            let view = row_major(&[a, b, c]);
            prop_assert_eq!(view.permute(&[2, 0, 1]).permute(&[1, 2, 0]), view);
        }

        #[test]
        fn slicing_a_padding_away_is_nothing(a in 1usize..5, b in 1usize..5, before in 0usize..3, after in 0usize..3) {
            let view = row_major(&[a, b]);
            let padded = view.pad(&[0, before], &[0, after]);
            prop_assert_eq!(padded.at.iter().filter(|&&x| x == PAD).count(), a * (before + after));
            prop_assert_eq!(padded.slice(1, before, 1, b), view);
        }
    }
}
