//! A network as tensors and nodes, and the builder both importers write to.

use crate::error::NetError;
use crate::kernel::Kernel;
use crate::layer::MacLayer;

/// Elements of one tensor of one image that Farad will hold.
const MAX_ELEMENTS: usize = 1 << 26;

/// Dimensions of one tensor.
const MAX_RANK: usize = 8;

/// A tensor of bytes: one image's, or a constant.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// As stored, without batch: `[h, w, c]` or `[features]`.
    pub(crate) dims: Vec<usize>,
    pub(crate) scale: f32,
    /// In stored terms.
    pub(crate) zero: u8,
    /// Bytes of a constant.
    pub(crate) data: Option<Vec<u8>>,
}

impl Tensor {
    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

/// One step of the network.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: &'static str,
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
    pub(crate) kernel: Kernel,
}

/// Tensors, nodes in execution order, and their MAC layers.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) layers: Vec<MacLayer>,
    budget_bytes: usize,
}

impl Builder {
    /// A builder for a file of `file_len` bytes. What the import allocates is bounded by that length: no honest network
    /// needs more than each weight once and small tables.
    pub(crate) fn new(file_len: usize) -> Self {
        let budget_bytes = file_len.saturating_mul(16).saturating_add(64 << 20);
        Self {
            tensors: Vec::new(),
            nodes: Vec::new(),
            layers: Vec::new(),
            budget_bytes,
        }
    }

    /// Takes `bytes` from what the import may allocate.
    pub(crate) fn charge(&mut self, place: &str, bytes: usize) -> Result<(), NetError> {
        self.budget_bytes = self.budget_bytes.checked_sub(bytes).ok_or_else(|| NetError::TooLarge {
            place: place.to_owned(),
            what: format!("{bytes} more bytes exceed what a file of this size can need"),
        })?;
        Ok(())
    }

    /// Adds a tensor.
    pub(crate) fn tensor(&mut self, tensor: Tensor) -> Result<usize, NetError> {
        checked_len(&tensor.name, &tensor.dims)?;
        if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
            return Err(NetError::tensor(
                &tensor.name,
                format!("scale {} is not a positive number", tensor.scale),
            ));
        }
        self.charge(
            &tensor.name,
            size_of::<Tensor>() + tensor.name.len() + tensor.data.as_ref().map_or(0, Vec::len),
        )?;
        self.tensors.push(tensor);
        Ok(self.tensors.len() - 1)
    }

    /// Adds a MAC layer, checking that its fields agree.
    pub(crate) fn layer(&mut self, layer: MacLayer) -> Result<usize, NetError> {
        let s = &layer.shape;
        let name = &layer.name;
        for (what, zero) in [
            ("an empty kernel", s.kernel_h == 0 || s.kernel_w == 0),
            ("a stride of zero", s.stride_h == 0 || s.stride_w == 0),
            ("a dilation of zero", s.dilation_h == 0 || s.dilation_w == 0),
            ("no outputs", s.out_h == 0 || s.out_w == 0 || s.out_c == 0),
            ("no inputs", s.in_h == 0 || s.in_w == 0 || s.in_c == 0),
        ] {
            if zero {
                return Err(NetError::form(name, what));
            }
        }
        if s.groups == 0 || !s.in_c.is_multiple_of(s.groups) || !s.out_c.is_multiple_of(s.groups) {
            let what = format!(
                "{} groups do not divide {} inputs and {} outputs",
                s.groups, s.in_c, s.out_c
            );
            return Err(NetError::form(name, what));
        }
        if layer.weights.len() as u64 != s.params() {
            let what = format!("{} weights where its shape needs {}", layer.weights.len(), s.params());
            return Err(NetError::form(name, what));
        }
        self.layers.push(layer);
        Ok(self.layers.len() - 1)
    }

    /// Adds a node. Only sums, products and concatenations may read a constant.
    pub(crate) fn node(&mut self, node: Node) -> Result<(), NetError> {
        let reads_constant = node.inputs.iter().any(|&t| self.tensors[t].data.is_some());
        if reads_constant && !matches!(node.kernel, Kernel::Binary(_) | Kernel::Concat(_)) {
            return Err(NetError::form(
                &node.name,
                "its input is a constant; fold it before exporting",
            ));
        }
        self.charge(&node.name, size_of::<Node>() + node.name.len())?;
        self.nodes.push(node);
        Ok(())
    }
}

/// Number of elements, refused where absurd.
pub(crate) fn checked_len(name: &str, dims: &[usize]) -> Result<usize, NetError> {
    if dims.len() > MAX_RANK {
        return Err(NetError::tensor(
            name,
            format!("{} dimensions; at most {MAX_RANK} are supported", dims.len()),
        ));
    }
    let len = dims
        .iter()
        .try_fold(1usize, |len, &d| len.checked_mul(d))
        .filter(|&len| len <= MAX_ELEMENTS);
    match len {
        Some(0) => Err(NetError::tensor(name, format!("empty shape {dims:?}"))),
        Some(len) => Ok(len),
        None => Err(NetError::TooLarge {
            place: name.to_owned(),
            what: format!("shape {dims:?} has more than {MAX_ELEMENTS} elements"),
        }),
    }
}

/// Where one axis of a convolution or pooling window starts and how many outputs there are.
///
/// TFLite and ONNX agree: with SAME, `ceil(len / stride)` outputs and the odd pad at the end (`SAME_LOWER`: at the
/// start); else `floor((len + pads - span) / stride) + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many outputs as strides fit; the odd pad at the end.
    SameUpper,
    /// The same with the odd pad at the start.
    SameLower,
    /// Pads before and after; `ceil` counts a last partial window.
    Explicit { before: usize, after: usize, ceil: bool },
}

impl Padding {
    /// `(outputs, pad before)` for windows of `kernel` taps `dilation` apart; `None` when no window fits.
    pub(crate) fn resolve(self, len: usize, kernel: usize, stride: usize, dilation: usize) -> Option<(usize, usize)> {
        let span = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        if stride == 0 || len == 0 {
            return None;
        }
        match self {
            Self::SameUpper | Self::SameLower => {
                let out = len.div_ceil(stride);
                let total = ((out - 1) * stride).checked_add(span)?.saturating_sub(len);
                Some((
                    out,
                    if self == Self::SameLower {
                        total.div_ceil(2)
                    } else {
                        total / 2
                    },
                ))
            }
            Self::Explicit { before, after, ceil } => {
                let room = len.checked_add(before)?.checked_add(after)?.checked_sub(span)?;
                let mut out = room / stride + 1;
                // A last window that would start in the padding after the picture is not counted (ONNX, PyTorch).
                if ceil && !room.is_multiple_of(stride) && out * stride < len + before {
                    out += 1;
                }
                Some((out, before))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The definition: windows at 0, stride, 2 stride, ... that fit the padded length.
        #[test]
        fn explicit_padding_counts_windows(
            len in 1usize..40, kernel in 1usize..8, stride in 1usize..5, dilation in 1usize..4,
            before in 0usize..4, after in 0usize..4,
        ) {
            let span = (kernel - 1) * dilation + 1;
            let fitting = (0..len + before + after).step_by(stride).filter(|s| s + span <= len + before + after).count();
            let resolved = Padding::Explicit { before, after, ceil: false }.resolve(len, kernel, stride, dilation);
            prop_assert_eq!(resolved, (fitting > 0).then_some((fitting, before)));
        }

        /// SAME: the last window reaches the last pixel, and pads differ by at most one.
        #[test]
        fn same_padding_covers_the_picture(
            len in 1usize..40, kernel in 1usize..8, stride in 1usize..5, dilation in 1usize..4,
        ) {
            let span = (kernel - 1) * dilation + 1;
            let (out, before) = Padding::SameUpper.resolve(len, kernel, stride, dilation).unwrap();
            prop_assert_eq!(out, len.div_ceil(stride));
            let after = ((out - 1) * stride + span).saturating_sub(len + before);
            prop_assert!(after == before || after == before + 1 || (before == 0 && after == 0));
            let (_, lower) = Padding::SameLower.resolve(len, kernel, stride, dilation).unwrap();
            prop_assert_eq!(lower, after.max(before));
        }
    }
}
