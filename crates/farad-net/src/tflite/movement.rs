//! Operators of TFLite that only move data.

use super::mac::options;
use super::schema::RawOperator;
use super::{Importer, Made, code};
use crate::error::NetError;
use crate::kernel::Kernel;
use crate::view::View;

impl<'a> Importer<'a> {
    /// RESHAPE, SQUEEZE and EXPAND_DIMS: the file says which shape results.
    pub(super) fn reshape(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        let (from, to) = (self.dims(x)?, self.dims(output)?);
        if from.iter().product::<usize>() != to.iter().product() {
            return Err(NetError::form(
                node,
                format!("it reshapes an image from {from:?} to {to:?}"),
            ));
        }
        Ok(Made {
            op: "reshape",
            inputs: vec![x],
            dims: to,
            kernel: Kernel::Reshape,
        })
    }

    /// PAD and PADV2; PAD pads with real zero.
    pub(super) fn pad(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let view = self.view(operator, node)?;
        let pads = self.integers(self.input_of(operator, 1, node)?, node)?;
        let pads: Option<Vec<usize>> = pads
            .iter()
            .map(|&p| usize::try_from(p).ok().filter(|&p| p < 1 << 16))
            .collect();
        let pads = pads.filter(|p| p.len() == 2 * (view.dims.len() + 1) && p[0] == 0 && p[1] == 0);
        let pads =
            pads.ok_or_else(|| NetError::form(node, "pads must be given for each dimension, none for the batch"))?;
        let before: Vec<usize> = pads[2..].iter().step_by(2).copied().collect();
        let after: Vec<usize> = pads[2..].iter().skip(1).step_by(2).copied().collect();
        let byte = match operator.code {
            code::PADV2 => {
                let value = self.constant(self.input_of(operator, 2, node)?, node)?;
                value.data.first().map_or(0, |&b| b ^ 0x80)
            }
            _ => self.quantiser(output)?.zero,
        };
        let dims: Vec<usize> = (0..before.len()).map(|a| before[a] + view.dims[a] + after[a]).collect();
        crate::graph::checked_len(node, &dims)?;
        self.moved(operator, output, node, "pad", view.pad(&before, &after), byte)
    }

    /// TRANSPOSE that leaves the batch in front.
    pub(super) fn transpose(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let view = self.view(operator, node)?;
        let axes = self.integers(self.input_of(operator, 1, node)?, node)?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        let whole = sorted.iter().copied().eq(0..=view.dims.len() as i64);
        if !whole || axes[0] != 0 {
            return Err(NetError::form(
                node,
                format!("a transposition by {axes:?}; the batch must stay in front"),
            ));
        }
        let axes: Vec<usize> = axes[1..].iter().map(|&a| a as usize - 1).collect();
        self.moved(operator, output, node, "transpose", view.permute(&axes), 0)
    }

    /// SLICE.
    pub(super) fn slice(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let mut view = self.view(operator, node)?;
        let begin = self.integers(self.input_of(operator, 1, node)?, node)?;
        let sizes = self.integers(self.input_of(operator, 2, node)?, node)?;
        if begin.len() != view.dims.len() + 1 || sizes.len() != begin.len() || begin[0] != 0 {
            return Err(NetError::form(
                node,
                "begin and size must name each dimension and keep the batch",
            ));
        }
        for axis in 0..view.dims.len() {
            let (begin, size) = (begin[axis + 1], sizes[axis + 1]);
            let len = view.dims[axis] as i64;
            let size = if size == -1 { len - begin } else { size };
            if begin < 0 || size <= 0 || begin.checked_add(size).is_none_or(|end| end > len) {
                return Err(NetError::form(
                    node,
                    format!("{size} elements from {begin} of a dimension of {len}"),
                ));
            }
            view = view.slice(axis, begin as usize, 1, size as usize);
        }
        self.moved(operator, output, node, "slice", view, 0)
    }

    /// STRIDED_SLICE without ellipsis, new or dropped axes.
    pub(super) fn strided_slice(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
    ) -> Result<Made, NetError> {
        let options = options(operator, node)?;
        let (begin_mask, end_mask) = (options.i32(0, 0)?, options.i32(1, 0)?);
        if options.i32(2, 0)? != 0 || options.i32(3, 0)? != 0 || options.i32(4, 0)? != 0 {
            return Err(NetError::form(
                node,
                "a strided slice with ellipsis, new or dropped axes is not supported",
            ));
        }
        let mut view = self.view(operator, node)?;
        let begin = self.integers(self.input_of(operator, 1, node)?, node)?;
        let end = self.integers(self.input_of(operator, 2, node)?, node)?;
        let steps = self.integers(self.input_of(operator, 3, node)?, node)?;
        if begin.len() > view.dims.len() + 1 || end.len() != begin.len() || steps.len() != begin.len() {
            return Err(NetError::form(node, "begin, end and strides do not fit its input"));
        }
        let keeps_batch = begin.is_empty() || (steps[0] == 1 && (begin_mask & 1 != 0 || begin[0] == 0));
        if !keeps_batch || (!end.is_empty() && end_mask & 1 == 0 && end[0] == 0) {
            return Err(NetError::form(node, "it slices the batch"));
        }
        for axis in 0..begin.len().saturating_sub(1) {
            let bit = 1 << (axis + 1);
            let masked = |mask: i32, value: i64| if mask & bit != 0 { None } else { Some(value) };
            let (start, end) = (masked(begin_mask, begin[axis + 1]), masked(end_mask, end[axis + 1]));
            let range = slice_range(view.dims[axis], start, end, steps[axis + 1]);
            let (start, len) =
                range.ok_or_else(|| NetError::form(node, format!("an empty slice of dimension {axis}")))?;
            view = view.slice(axis, start, steps[axis + 1] as isize, len);
        }
        self.moved(operator, output, node, "slice", view, 0)
    }

    /// The operator's first input, element by element.
    fn view(&mut self, operator: &RawOperator<'a>, node: &str) -> Result<View, NetError> {
        let dims = self.dims(self.input_of(operator, 0, node)?)?;
        self.builder.charge(node, 4 * dims.iter().product::<usize>())?;
        let order: Vec<usize> = (0..dims.len()).collect();
        Ok(View::of_stored(&dims, &order))
    }

    fn moved(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
        op: &'static str,
        view: View,
        pad: u8,
    ) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        if self.quantiser(x)? != self.quantiser(output)? {
            return Err(NetError::form(node, "input and output must share scale and zero point"));
        }
        self.builder.charge(node, 4 * view.at.len())?;
        Ok(Made {
            op,
            inputs: vec![x],
            dims: view.dims,
            kernel: Kernel::Gather { map: view.at, pad },
        })
    }
}

/// `(start, length)` of Python's `range(len)[start:end:step]`; `None` when it is empty.
pub(crate) fn slice_range(len: usize, start: Option<i64>, end: Option<i64>, step: i64) -> Option<(usize, usize)> {
    let len = len as i64;
    if step == 0 || step.unsigned_abs() > 1 << 32 {
        return None;
    }
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |value: i64| (if value < 0 { value.saturating_add(len) } else { value }).clamp(low, high);
    let start = start.map_or(if step > 0 { low } else { high }, place);
    let end = end.map_or(if step > 0 { high } else { low }, place);
    let span = if step > 0 { end - start } else { start - end };
    let count = (span + step.abs() - 1) / step.abs();
    (count > 0).then_some((start as usize, count as usize))
}

#[cfg(test)]
mod tests {
    use super::slice_range;

    /// Values of CPython's `slice(start, end, step).indices(len)`.
    #[test]
    fn slices_are_pythons() {
        assert_eq!(slice_range(5, None, None, 2), Some((0, 3)));
        assert_eq!(slice_range(5, None, None, -2), Some((4, 3)));
        assert_eq!(slice_range(5, Some(-2), Some(i64::MAX), 1), Some((3, 2)));
        assert_eq!(slice_range(5, Some(4), Some(-6), -1), Some((4, 5)));
        assert_eq!(slice_range(5, Some(3), Some(3), 1), None);
    }
}
