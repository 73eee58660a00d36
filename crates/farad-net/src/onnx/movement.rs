//! Operators of ONNX that only move data, and MaxPool, which commutes with quantisation as they do.

use super::Importer;
use super::proto::Node;
use super::value::{NHWC, Placement, Stored};
use crate::error::NetError;
use crate::graph::{self, Padding, Tensor, checked_len};
use crate::kernel::Kernel;
use crate::kernel::pool::{Pool, Reduce, Window};
use crate::tflite::slice_range;
use crate::view::View;

/// A movement, as the file asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) node: String,
    /// Name of its float output.
    pub(crate) output: String,
    pub(crate) kind: MoveKind,
}

#[derive(Debug, Clone)]
pub(crate) enum MoveKind {
    /// Dimension `i` of the result, counted after the batch, is dimension `axes[i]`.
    Transpose { axes: Vec<usize> },
    /// One slice per entry: axis, start, end, step as ONNX means them (axes with the batch).
    Slice { cuts: Vec<(i64, i64, i64, i64)> },
    /// Pads before and after each dimension (with the batch), and their real value.
    Pad {
        pads: Vec<i64>,
        axes: Option<Vec<i64>>,
        value: f32,
    },
    /// The target shape, batch included.
    Reshape { shape: Vec<i64>, zero_copies: bool },
    /// Everything after the batch in one dimension.
    Flatten,
    /// Dimensions of one removed; all of them when no axes are given.
    Squeeze { axes: Option<Vec<i64>> },
    /// Dimensions of one inserted.
    Unsqueeze { axes: Vec<i64> },
    /// Largest value of each window.
    MaxPool(WindowSpec),
}

/// A window as attributes describe it.
#[derive(Debug, Clone)]
pub(crate) struct WindowSpec {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) padding: [Padding; 2],
}

impl WindowSpec {
    /// Reads `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode` of a two-dimensional operator.
    pub(crate) fn read(node: &Node, kernel: Option<[usize; 2]>) -> Result<Self, NetError> {
        let pair = |name: &str| -> Result<Option<[usize; 2]>, NetError> {
            let Some(values) = node.ints(name) else {
                return Ok(None);
            };
            let values: Option<Vec<usize>> = values
                .iter()
                .map(|&v| usize::try_from(v).ok().filter(|&v| v > 0 && v < 1 << 16))
                .collect();
            let pair = values.and_then(|v| <[usize; 2]>::try_from(v).ok());
            let what = || NetError::form(node.label(), format!("`{name}` must be two positive numbers"));
            pair.map(Some).ok_or_else(what)
        };
        let kernel = pair("kernel_shape")?.or(kernel);
        let kernel = kernel.ok_or_else(|| NetError::form(node.label(), "`kernel_shape` is missing"))?;
        let ceil = node.int("ceil_mode", 0) != 0;
        let padding = match node.string("auto_pad").unwrap_or(b"NOTSET") {
            b"SAME_UPPER" => [Padding::SameUpper; 2],
            b"SAME_LOWER" => [Padding::SameLower; 2],
            b"VALID" => {
                [Padding::Explicit {
                    before: 0,
                    after: 0,
                    ceil,
                }; 2]
            }
            _ => {
                let pads = node.ints("pads").unwrap_or(&[0; 4]);
                let pads: Option<Vec<usize>> = pads
                    .iter()
                    .map(|&p| usize::try_from(p).ok().filter(|&p| p < 1 << 16))
                    .collect();
                let pads: Option<[usize; 4]> = pads.and_then(|p| p.try_into().ok());
                let what = || NetError::form(node.label(), "`pads` must be four small numbers, none negative");
                let [top, left, bottom, right] = pads.ok_or_else(what)?;
                [
                    Padding::Explicit {
                        before: top,
                        after: bottom,
                        ceil,
                    },
                    Padding::Explicit {
                        before: left,
                        after: right,
                        ceil,
                    },
                ]
            }
        };
        Ok(Self {
            kernel,
            stride: pair("strides")?.unwrap_or([1; 2]),
            dilation: pair("dilations")?.unwrap_or([1; 2]),
            padding,
        })
    }

    /// `([out_h, out_w], [pad_top, pad_left])` on a picture of `h` by `w`.
    pub(crate) fn resolve(&self, h: usize, w: usize, node: &str) -> Result<([usize; 2], [usize; 2]), NetError> {
        let axis = |i: usize, len: usize| {
            let resolved = self.padding[i].resolve(len, self.kernel[i], self.stride[i], self.dilation[i]);
            resolved.ok_or_else(|| NetError::form(node, format!("its window does not fit an input of {h}x{w}")))
        };
        let ((out_h, top), (out_w, left)) = (axis(0, h)?, axis(1, w)?);
        Ok(([out_h, out_w], [top, left]))
    }

    /// A pooling window over a picture `[c, h, w]`.
    pub(crate) fn pooling(&self, dims: &[usize], node: &str) -> Result<Window, NetError> {
        let &[channels, in_h, in_w] = dims else {
            return Err(NetError::form(
                node,
                format!("{} dimensions; 4 expected", dims.len() + 1),
            ));
        };
        if self.dilation != [1, 1] {
            return Err(NetError::form(node, "dilated pooling is not supported"));
        }
        let ([out_h, out_w], [pad_top, pad_left]) = self.resolve(in_h, in_w, node)?;
        let ([kernel_h, kernel_w], [stride_h, stride_w]) = (self.kernel, self.stride);
        Ok(Window {
            in_h,
            in_w,
            channels,
            out_h,
            out_w,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
        })
    }
}

impl Importer<'_> {
    /// Applies a movement to an activation; `byte` finds the stored byte of a real padding value.
    pub(crate) fn apply_move(
        &mut self,
        stored: Stored,
        movement: &Move,
        byte: impl Fn(f32) -> Option<u8>,
    ) -> Result<Stored, NetError> {
        let node = movement.node.as_str();
        match &movement.kind {
            MoveKind::Transpose { axes } => {
                let place = &stored.place;
                if axes.len() != place.dims.len() {
                    return Err(NetError::form(node, "its permutation does not fit its input"));
                }
                let renamed = |old: usize| axes.iter().position(|&a| a == old).unwrap_or_default();
                let dims = axes.iter().map(|&a| place.dims[a]).collect();
                let order = place.order.iter().map(|&old| renamed(old)).collect();
                Ok(Stored {
                    place: Placement { dims, order },
                    ..stored
                })
            }
            MoveKind::MaxPool(spec) => {
                let stored = self.in_order(stored, &NHWC, node)?;
                let window = spec.pooling(&stored.place.dims, node)?;
                let place = Placement::picture(window.channels, window.out_h, window.out_w);
                let kernel = Kernel::Pool(Pool {
                    window,
                    reduce: Reduce::Max { low: 0, high: 255 },
                });
                self.emit_move(&stored, movement, "max_pool", place, kernel)
            }
            MoveKind::Slice { cuts } => {
                let mut view = self.view(&stored, node)?;
                for &(axis, start, end, step) in cuts {
                    let axis = self.image_axis(axis, view.dims.len(), node)?;
                    let range = slice_range(view.dims[axis], Some(start), Some(end), step);
                    let (start, len) = range.ok_or_else(|| NetError::form(node, "an empty slice"))?;
                    view = view.slice(axis, start, step as isize, len);
                }
                self.gather(&stored, movement, "slice", &view, 0)
            }
            MoveKind::Pad { pads, axes, value } => {
                let view = self.view(&stored, node)?;
                let (before, after) = pads_by_axis(pads, axes.as_deref(), view.dims.len(), node)?;
                let dims: Vec<usize> = (0..view.dims.len())
                    .map(|a| before[a] + view.dims[a] + after[a])
                    .collect();
                self.builder.charge(node, 4 * checked_len(node, &dims)?)?;
                let pad = byte(*value);
                let pad = pad.ok_or_else(|| {
                    NetError::form(
                        node,
                        format!("it pads with {value}, which is not a step of its input's scale"),
                    )
                })?;
                self.gather(&stored, movement, "pad", &view.pad(&before, &after), pad)
            }
            MoveKind::Reshape { shape, zero_copies } => {
                let dims = reshaped(&stored.place.dims, self.batch, shape, *zero_copies);
                let dims = dims.ok_or_else(|| {
                    let what = format!(
                        "it reshapes an image of {:?} to {shape:?}; the batch must stay",
                        stored.place.dims
                    );
                    NetError::form(node, what)
                })?;
                self.reshape(&stored, movement, dims)
            }
            MoveKind::Flatten => {
                let dims = vec![stored.place.len()];
                self.reshape(&stored, movement, dims)
            }
            MoveKind::Squeeze { axes } => {
                let rank = stored.place.dims.len();
                let gone = match axes {
                    Some(axes) => axes
                        .iter()
                        .map(|&a| self.image_axis(a, rank, node))
                        .collect::<Result<Vec<_>, _>>()?,
                    None => (0..rank).filter(|&a| stored.place.dims[a] == 1).collect(),
                };
                if gone.iter().any(|&a| stored.place.dims[a] != 1) {
                    return Err(NetError::form(node, "it squeezes a dimension that is not one"));
                }
                let dims = (0..rank)
                    .filter(|a| !gone.contains(a))
                    .map(|a| stored.place.dims[a])
                    .collect();
                self.reshape(&stored, movement, dims)
            }
            MoveKind::Unsqueeze { axes } => {
                let mut dims = stored.place.dims.clone();
                let rank = dims.len() + axes.len();
                let mut axes = axes
                    .iter()
                    .map(|&a| self.image_axis(a, rank, node))
                    .collect::<Result<Vec<_>, _>>()?;
                axes.sort_unstable();
                for axis in axes {
                    if axis > dims.len() {
                        return Err(NetError::form(node, "its axes do not fit its input"));
                    }
                    dims.insert(axis, 1);
                }
                self.reshape(&stored, movement, dims)
            }
        }
    }

    /// Axis of one image for an axis that counts the batch.
    pub(crate) fn image_axis(&self, axis: i64, image_rank: usize, node: &str) -> Result<usize, NetError> {
        let from_front = if axis < 0 {
            axis.saturating_add(image_rank as i64 + 1)
        } else {
            axis
        };
        match usize::try_from(from_front) {
            Ok(0) => Err(NetError::form(node, "it works along the batch; that is not supported")),
            Ok(axis) if axis <= image_rank => Ok(axis - 1),
            _ => Err(NetError::form(
                node,
                format!("axis {axis} of {} dimensions", image_rank + 1),
            )),
        }
    }

    /// The same activation with its axes stored in `order`.
    pub(crate) fn in_order(&mut self, stored: Stored, order: &[usize], node: &str) -> Result<Stored, NetError> {
        if stored.place.order == order {
            return Ok(stored);
        }
        if order.len() != stored.place.dims.len() {
            let what = format!(
                "{} dimensions where {} are needed",
                stored.place.dims.len() + 1,
                order.len() + 1
            );
            return Err(NetError::form(node, what));
        }
        let view = self.view(&stored, node)?.permute(order);
        let place = Placement {
            dims: stored.place.dims.clone(),
            order: order.to_vec(),
        };
        if view.is_identity(stored.place.len()) {
            return Ok(Stored { place, ..stored });
        }
        let name = format!("{}_stored", self.builder.tensors[stored.tensor].name);
        let movement = Move {
            node: node.to_owned(),
            output: name,
            kind: MoveKind::Flatten,
        };
        self.emit_move(
            &stored,
            &movement,
            "transpose",
            place,
            Kernel::Gather { map: view.at, pad: 0 },
        )
    }

    /// The same values, row-major under other dimensions.
    fn reshape(&mut self, stored: &Stored, movement: &Move, dims: Vec<usize>) -> Result<Stored, NetError> {
        let view = self.view(stored, &movement.node)?.reshape(dims);
        let place = Placement::row_major(view.dims.clone());
        let kernel = match view.is_identity(stored.place.len()) {
            true => Kernel::Reshape,
            false => Kernel::Gather { map: view.at, pad: 0 },
        };
        self.emit_move(stored, movement, "reshape", place, kernel)
    }

    /// Emits a movement whose result is stored as its input is: pictures stay NHWC.
    fn gather(
        &mut self,
        stored: &Stored,
        movement: &Move,
        op: &'static str,
        view: &View,
        pad: u8,
    ) -> Result<Stored, NetError> {
        let place = Placement {
            dims: view.dims.clone(),
            order: stored.place.order.clone(),
        };
        let map = view.permute(&place.order).at;
        self.emit_move(stored, movement, op, place, Kernel::Gather { map, pad })
    }

    fn view(&mut self, stored: &Stored, node: &str) -> Result<View, NetError> {
        self.builder.charge(node, 12 * stored.place.len())?;
        Ok(View::of_stored(&stored.place.dims, &stored.place.order))
    }

    fn emit_move(
        &mut self,
        stored: &Stored,
        movement: &Move,
        op: &'static str,
        place: Placement,
        kernel: Kernel,
    ) -> Result<Stored, NetError> {
        let Tensor { scale, zero, .. } = self.builder.tensors[stored.tensor];
        let dims = place.stored_dims();
        let output = self.builder.tensor(Tensor {
            name: movement.output.clone(),
            dims,
            scale,
            zero,
            data: None,
        })?;
        let (name, inputs) = (movement.node.clone(), vec![stored.tensor]);
        self.builder.node(graph::Node {
            name,
            op,
            inputs,
            output,
            kernel,
        })?;
        Ok(Stored {
            tensor: output,
            place,
            ..stored.clone()
        })
    }
}

/// Pads of each axis of an image.
fn pads_by_axis(
    pads: &[i64],
    axes: Option<&[i64]>,
    image_rank: usize,
    node: &str,
) -> Result<(Vec<usize>, Vec<usize>), NetError> {
    let rank = image_rank as i64 + 1;
    let all: Vec<i64> = (0..rank).collect();
    let axes = axes.unwrap_or(&all);
    let mut by_axis = [vec![0; image_rank + 1], vec![0; image_rank + 1]];
    let bad = || NetError::form(node, format!("pads {pads:?} do not fit its input, or pad the batch"));
    if pads.len() != 2 * axes.len() {
        return Err(bad());
    }
    for (i, &axis) in axes.iter().enumerate() {
        let axis = usize::try_from(if axis < 0 { axis.saturating_add(rank) } else { axis }).map_err(|_| bad())?;
        for (end, by_axis) in by_axis.iter_mut().enumerate() {
            let pad = usize::try_from(pads[i + end * axes.len()])
                .ok()
                .filter(|&p| p < 1 << 16)
                .ok_or_else(bad)?;
            *by_axis.get_mut(axis).ok_or_else(bad)? = pad;
        }
    }
    let [before, after] = by_axis;
    if before[0] != 0 || after[0] != 0 {
        return Err(bad());
    }
    Ok((before[1..].to_vec(), after[1..].to_vec()))
}

/// Dimensions of an image after an ONNX Reshape to `shape`, batch included; `None` unless the batch stays in front.
fn reshaped(image: &[usize], batch: usize, shape: &[i64], zero_copies: bool) -> Option<Vec<usize>> {
    let whole: Vec<usize> = [&[batch], image].concat();
    let total = whole.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    let mut dims = Vec::with_capacity(shape.len());
    let mut inferred = None;
    for (i, &d) in shape.iter().enumerate() {
        dims.push(match d {
            0 if zero_copies => *whole.get(i)?,
            -1 if inferred.replace(i).is_none() => 1,
            d => usize::try_from(d).ok()?,
        });
    }
    let known = dims
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n > 0)?;
    if let Some(i) = inferred {
        dims[i] = total / known;
    }
    let fits = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) == Some(total) && dims.first() == Some(&batch);
    fits.then(|| dims[1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::reshaped;

    #[test]
    fn reshapes_keep_the_batch() {
        assert_eq!(reshaped(&[64, 2, 2], 1, &[1, -1], true), Some(vec![256]));
        assert_eq!(reshaped(&[64, 2, 2], 4, &[-1, 256], true), Some(vec![256]));
        assert_eq!(reshaped(&[64, 2, 2], 4, &[0, 0, 4], true), Some(vec![64, 4]));
        assert_eq!(reshaped(&[64, 2, 2], 4, &[-1], true), None);
        assert_eq!(reshaped(&[64], 1, &[-1, -1], true), None);
    }
}
