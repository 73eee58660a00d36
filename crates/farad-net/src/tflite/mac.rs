//! Convolutions and fully connected layers of TFLite.

use farad_core::MacShape;

use super::activation::Clamp;
use super::flatbuffer::Table;
use super::schema::{RawOperator, RawTensor, kind};
use super::{Importer, Made, not_quantised};
use crate::error::NetError;
use crate::graph::Padding;
use crate::kernel::Kernel;
use crate::layer::{MacLayer, convolution_op};
use crate::requant::{Multiplier, Quantiser, Requant};

/// Where a window option sits in its options table.
struct ConvOptions<'a> {
    table: Table<'a>,
    activation: usize,
    dilation_w: usize,
    dilation_h: usize,
}

impl<'a> Importer<'a> {
    /// CONV_2D, also with groups.
    pub(super) fn conv(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let options = ConvOptions {
            table: options(operator, node)?,
            activation: 3,
            dilation_w: 4,
            dilation_h: 5,
        };
        let filter = self.constant(self.input_of(operator, 1, node)?, node)?;
        let [out_c, kernel_h, kernel_w, group_c] = filter_dims(filter)?;
        let weights = int8_weights(filter)?;
        let [_, _, in_c] = self.picture(self.input_of(operator, 0, node)?)?;
        if group_c == 0 || !in_c.is_multiple_of(group_c) {
            return Err(NetError::form(
                node,
                format!("a filter over {group_c} channels for an input of {in_c}"),
            ));
        }
        let groups = in_c / group_c;
        self.windowed(
            operator,
            output,
            node,
            &options,
            [out_c, kernel_h, kernel_w],
            groups,
            weights,
        )
    }

    /// DEPTHWISE_CONV_2D; its filter is `[1, ky, kx, out_c]`.
    pub(super) fn depthwise(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let options = ConvOptions {
            table: options(operator, node)?,
            activation: 4,
            dilation_w: 5,
            dilation_h: 6,
        };
        let filter = self.constant(self.input_of(operator, 1, node)?, node)?;
        let [one, kernel_h, kernel_w, out_c] = filter_dims(filter)?;
        if one != 1 {
            return Err(NetError::tensor(
                &filter.name,
                "a depthwise filter must have a leading 1",
            ));
        }
        let taps = kernel_h * kernel_w;
        let stored = int8_weights(filter)?;
        let weights = (0..out_c)
            .flat_map(|o| (0..taps).map(move |t| t * out_c + o))
            .map(|i| stored[i])
            .collect();
        let [_, _, in_c] = self.picture(self.input_of(operator, 0, node)?)?;
        self.windowed(
            operator,
            output,
            node,
            &options,
            [out_c, kernel_h, kernel_w],
            in_c,
            weights,
        )
    }

    fn windowed(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
        options: &ConvOptions<'a>,
        [out_c, kernel_h, kernel_w]: [usize; 3],
        groups: usize,
        weights: Vec<i8>,
    ) -> Result<Made, NetError> {
        let x = self.input_of(operator, 0, node)?;
        let [in_h, in_w, in_c] = self.picture(x)?;
        let stride_w = size(options.table.i32(1, 1)?, node)?;
        let stride_h = size(options.table.i32(2, 1)?, node)?;
        let dilation_w = size(options.table.i32(options.dilation_w, 1)?, node)?;
        let dilation_h = size(options.table.i32(options.dilation_h, 1)?, node)?;
        let padding = padding(&options.table)?;
        let no_window = || NetError::form(node, "its kernel is larger than its input");
        let (out_h, pad_top) = padding
            .resolve(in_h, kernel_h, stride_h, dilation_h)
            .ok_or_else(no_window)?;
        let (out_w, pad_left) = padding
            .resolve(in_w, kernel_w, stride_w, dilation_w)
            .ok_or_else(no_window)?;
        let shape = MacShape {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            groups,
        };
        let op = convolution_op(&shape);
        let clamp = Clamp::fused(options.table.i8(options.activation, 0)?, node)?;
        let kernel = self.mac(operator, output, node, op, shape, weights, clamp)?;
        Ok(Made {
            op,
            inputs: vec![x],
            dims: vec![out_h, out_w, out_c],
            kernel,
        })
    }

    /// FULLY_CONNECTED over all of an image's values, or over its last dimension at every position.
    pub(super) fn dense(&mut self, operator: &RawOperator<'a>, output: i32, node: &str) -> Result<Made, NetError> {
        let options = options(operator, node)?;
        if options.i8(1, 0)? != 0 {
            return Err(NetError::form(
                node,
                "shuffled weights are not supported; convert with default weights",
            ));
        }
        let x = self.input_of(operator, 0, node)?;
        let filter = self.constant(self.input_of(operator, 1, node)?, node)?;
        let &[outputs, inputs] = filter.dims.as_slice() else {
            return Err(NetError::tensor(
                &filter.name,
                "a fully connected filter must have 2 dimensions",
            ));
        };
        let (outputs, inputs) = (size(outputs, node)?, size(inputs, node)?);
        let weights = int8_weights(filter)?;
        let dims = self.dims(x)?;
        let positions = dims.iter().product::<usize>() / inputs;
        let (shape, dims) = if positions == 1 {
            (MacShape::dense(inputs, outputs), vec![outputs])
        } else if dims.last() == Some(&inputs) && options.bool(2)? {
            let dims = [&dims[..dims.len() - 1], &[outputs]].concat();
            (
                MacShape {
                    in_h: positions,
                    out_h: positions,
                    ..MacShape::dense(inputs, outputs)
                },
                dims,
            )
        } else {
            return Err(NetError::form(
                node,
                format!("{inputs} inputs do not fit an image of shape {dims:?}"),
            ));
        };
        let clamp = Clamp::fused(options.i8(0, 0)?, node)?;
        let kernel = self.mac(operator, output, node, "dense", shape, weights, clamp)?;
        // With keep_num_dims a picture of one position stays a picture.
        let file_dims = self.dims(output)?;
        let dims = if file_dims.iter().product::<usize>() == dims.iter().product() {
            file_dims
        } else {
            dims
        };
        Ok(Made {
            op: "dense",
            inputs: vec![x],
            dims,
            kernel,
        })
    }

    /// The layer and its requantisation.
    fn mac(
        &mut self,
        operator: &RawOperator<'a>,
        output: i32,
        node: &str,
        op: &'static str,
        shape: MacShape,
        weights: Vec<i8>,
        clamp: Clamp,
    ) -> Result<Kernel, NetError> {
        let (from, to) = (
            self.quantiser(self.input_of(operator, 0, node)?)?,
            self.quantiser(output)?,
        );
        let filter = self.constant(self.input_of(operator, 1, node)?, node)?;
        let zero = filter.zero.first().copied().unwrap_or(0);
        if filter.zero.iter().any(|&z| z != zero) || i8::try_from(zero).is_err() {
            return Err(NetError::tensor(
                &filter.name,
                "weight zero points must be one int8 value",
            ));
        }
        let factor = factors(filter, from, to, shape.out_c)?;
        let bias = match operator.inputs.get(2) {
            Some(&index) if index >= 0 => self.bias(index, shape.out_c, node)?,
            _ => vec![0; shape.out_c],
        };
        self.builder.charge(node, weights.len() + 16 * shape.out_c)?;
        let layer = self.builder.layer(MacLayer {
            name: node.to_owned(),
            op,
            shape,
            weights,
            weight_offset: -zero as i32,
            x_zero: from.zero,
            input_bits: 8,
            weight_bits: 8,
        })?;
        let (low, high) = clamp.range(to);
        let (zero, low, high) = (i32::from(to.zero), i32::from(low), i32::from(high));
        let requant = match op {
            "dense" => Requant::Double {
                bias,
                factor,
                zero,
                low,
                high,
            },
            _ => {
                let factor = factor.into_iter().map(Multiplier::new).collect();
                Requant::Fixed {
                    bias,
                    factor,
                    zero,
                    low,
                    high,
                }
            }
        };
        Ok(Kernel::Mac { layer, requant })
    }

    fn bias(&self, index: i32, out_c: usize, node: &str) -> Result<Vec<i32>, NetError> {
        let raw = self.constant(index, node)?;
        if raw.kind != kind::INT32 || raw.data.len() != 4 * out_c {
            return Err(NetError::tensor(
                &raw.name,
                format!("a bias of {out_c} int32 values is needed"),
            ));
        }
        Ok(raw.data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)).collect())
    }
}

/// Requantisation factor of each output channel, `x w / y` in doubles (`PopulateConvolutionQuantizationParams` in
/// `kernel_util.cc`).
fn factors(filter: &RawTensor<'_>, from: Quantiser, to: Quantiser, out_c: usize) -> Result<Vec<f64>, NetError> {
    if filter.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
        return Err(NetError::tensor(&filter.name, "its scales are not positive numbers"));
    }
    let factor = |w: f32| f64::from(from.scale) * f64::from(w) / f64::from(to.scale);
    match filter.scale.as_slice() {
        [] => Err(not_quantised(filter, "it has no scale")),
        &[w] => Ok(vec![factor(w); out_c]),
        _ if filter.dims.get(filter.axis as usize) != Some(&(out_c as i32)) => Err(NetError::tensor(
            &filter.name,
            "its scales must run over the output channels",
        )),
        scales if scales.len() == out_c => Ok(scales.iter().map(|&w| factor(w)).collect()),
        scales => Err(NetError::tensor(
            &filter.name,
            format!("{} scales for {out_c} channels", scales.len()),
        )),
    }
}

pub(super) fn options<'a>(operator: &RawOperator<'a>, node: &str) -> Result<Table<'a>, NetError> {
    operator
        .options
        .ok_or_else(|| NetError::form(node, "its options are missing"))
}

/// `Padding` of a windowed operator's options: always field 0.
pub(super) fn padding(options: &Table<'_>) -> Result<Padding, NetError> {
    Ok(match options.i8(0, 0)? {
        0 => Padding::SameUpper,
        _ => Padding::Explicit {
            before: 0,
            after: 0,
            ceil: false,
        },
    })
}

/// A count that must be positive.
pub(super) fn size(value: i32, node: &str) -> Result<usize, NetError> {
    let size = usize::try_from(value).ok().filter(|&s| s > 0);
    size.ok_or_else(|| NetError::form(node, format!("a size of {value}")))
}

fn filter_dims(filter: &RawTensor<'_>) -> Result<[usize; 4], NetError> {
    let dims: Result<Vec<usize>, _> = filter.dims.iter().map(|&d| usize::try_from(d)).collect();
    dims.ok()
        .and_then(|d| d.try_into().ok())
        .ok_or_else(|| NetError::tensor(&filter.name, "a filter must have 4 fixed dimensions"))
}

/// The filter's int8 values, as many as its dimensions say.
fn int8_weights(filter: &RawTensor<'_>) -> Result<Vec<i8>, NetError> {
    if filter.kind != kind::INT8 {
        return Err(not_quantised(filter, "weights that are not int8"));
    }
    let count = filter
        .dims
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    match count == Some(filter.data.len()) {
        true => Ok(filter.data.iter().map(|&b| b as i8).collect()),
        false => Err(NetError::tensor(
            &filter.name,
            format!("{} bytes for shape {:?}", filter.data.len(), filter.dims),
        )),
    }
}
