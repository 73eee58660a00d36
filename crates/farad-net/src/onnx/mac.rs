//! Conv, Gemm and MatMul.

use std::rc::Rc;

use farad_core::MacShape;

use super::Importer;
use super::constant::Data;
use super::movement::WindowSpec;
use super::proto::Node;
use super::value::{Bias, Expr, Mac, NHWC, Placement, Source, Stored, Value};
use crate::error::NetError;
use crate::layer::{MacLayer, convolution_op};

/// Quantised weights as `[out_c][...]` rows.
struct Weights {
    values: Vec<i8>,
    offset: i32,
    bits: u32,
    /// Per output channel.
    scale: Vec<f32>,
}

impl Importer<'_> {
    /// Conv over pictures.
    pub(super) fn conv(&mut self, node: &Node) -> Result<Value, NetError> {
        let name = node.label();
        let input = self.plain_input(node)?;
        let input = self.in_order(input, &NHWC, name)?;
        let &[in_c, in_h, in_w] = input.place.dims.as_slice() else {
            return Err(NetError::form(name, "only two-dimensional convolutions are supported"));
        };
        let filter = self.filter(node)?;
        let &[out_c, group_c, kernel_h, kernel_w] = filter.constant.dims.as_slice() else {
            return Err(NetError::form(name, "its filter must have 4 dimensions"));
        };
        let groups = usize::try_from(node.int("group", 1))
            .ok()
            .filter(|&g| g > 0 && group_c.checked_mul(g) == Some(in_c));
        let groups = groups.ok_or_else(|| {
            NetError::form(
                name,
                format!(
                    "{} groups of {group_c} channels for an input of {in_c}",
                    node.int("group", 1)
                ),
            )
        })?;
        let spec = WindowSpec::read(node, Some([kernel_h, kernel_w]))?;
        if spec.kernel != [kernel_h, kernel_w] {
            return Err(NetError::form(name, "`kernel_shape` differs from its filter"));
        }
        let ([out_h, out_w], [pad_top, pad_left]) = spec.resolve(in_h, in_w, name)?;
        let taps = kernel_h * kernel_w;
        // [o][c][tap] to [o][tap][c].
        let source = (0..out_c)
            .flat_map(|o| (0..taps).flat_map(move |t| (0..group_c).map(move |c| (o * group_c + c) * taps + t)));
        let weights = self.weights(node, 0, out_c, source)?;
        let [stride_h, stride_w] = spec.stride;
        let [dilation_h, dilation_w] = spec.dilation;
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
        let place = Placement::picture(out_c, out_h, out_w);
        self.mac(node, op, shape, input, weights, place, 1.0)
    }

    /// Gemm with a constant second operand.
    pub(super) fn gemm(&mut self, node: &Node) -> Result<Value, NetError> {
        let name = node.label();
        if node.int("transA", 0) != 0 {
            return Err(NetError::form(name, "transA is not supported"));
        }
        let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
        if !(alpha.is_finite() && alpha > 0.0) || beta != 1.0 {
            return Err(NetError::form(
                name,
                format!("alpha {alpha}, beta {beta}; alpha > 0 and beta 1 are supported"),
            ));
        }
        self.dense(node, node.int("transB", 0) != 0, alpha)
    }

    /// MatMul of vectors with a constant matrix.
    pub(super) fn matmul(&mut self, node: &Node) -> Result<Value, NetError> {
        self.dense(node, false, 1.0)
    }

    fn dense(&mut self, node: &Node, rows_are_outputs: bool, alpha: f32) -> Result<Value, NetError> {
        let name = node.label();
        let input = self.plain_input(node)?;
        let filter = self.filter(node)?;
        let &[rows, columns] = filter.constant.dims.as_slice() else {
            return Err(NetError::form(name, "its second operand must be a matrix"));
        };
        let (outputs, inputs) = if rows_are_outputs {
            (rows, columns)
        } else {
            (columns, rows)
        };
        if input.place.dims != [inputs] {
            let what = format!(
                "{inputs} inputs for images of shape {:?}; flatten them first",
                input.place.dims
            );
            return Err(NetError::form(name, what));
        }
        let at = move |o: usize, i: usize| {
            if rows_are_outputs {
                o * inputs + i
            } else {
                i * outputs + o
            }
        };
        let source = (0..outputs).flat_map(|o| (0..inputs).map(move |i| at(o, i)));
        let weights = self.weights(node, usize::from(!rows_are_outputs), outputs, source)?;
        let place = Placement::row_major(vec![outputs]);
        self.mac(
            node,
            "dense",
            MacShape::dense(inputs, outputs),
            input,
            weights,
            place,
            alpha,
        )
    }

    /// The first input: an activation that was dequantised and nothing else.
    pub(super) fn plain_input(&self, node: &Node) -> Result<Stored, NetError> {
        let tensor = node.input.first().cloned().unwrap_or_default();
        match self.value(node, 0)? {
            Value::Float(expr) => match &expr.source {
                Source::Stored(stored) if expr.post.is_empty() && expr.moves.is_empty() => Ok(stored.clone()),
                _ => Err(NetError::NotQuantised {
                    tensor,
                    what: format!("float32 from `{}`", expr.node),
                }),
            },
            Value::Input(_) | Value::Constant(_) | Value::Dequantised(_) => Err(NetError::NotQuantised {
                tensor,
                what: "float32".to_owned(),
            }),
            Value::Stored(_) => Err(NetError::form(
                node.label(),
                "it reads integers without a DequantizeLinear",
            )),
        }
    }

    fn filter(&self, node: &Node) -> Result<Rc<super::constant::Dequantised>, NetError> {
        match self.value(node, 1)? {
            Value::Dequantised(filter) => Ok(Rc::clone(filter)),
            Value::Constant(_) => Err(NetError::NotQuantised {
                tensor: node.input[1].clone(),
                what: "float32 weights".to_owned(),
            }),
            _ => Err(NetError::form(node.label(), "its weights must be constants")),
        }
    }

    /// Weights in the order of `source`, channels along `axis` of the file's tensor.
    fn weights(
        &mut self,
        node: &Node,
        axis: usize,
        out_c: usize,
        source: impl Iterator<Item = usize>,
    ) -> Result<Weights, NetError> {
        let filter = self.filter(node)?;
        let name = &node.input[1];
        self.builder.charge(name, filter.constant.len())?;
        if filter.scale.len() > 1 && (filter.axis != axis || filter.scale.len() != out_c) {
            return Err(NetError::tensor(name, "its scales must run over the output channels"));
        }
        let zero = filter.zero[0];
        if filter.zero.iter().any(|&z| z != zero) {
            return Err(NetError::tensor(
                name,
                "channels with different zero points; quantise the weights symmetrically",
            ));
        }
        let (values, offset, bits) = match &filter.constant.data {
            Data::I8(values) => (source.map(|i| values[i]).collect(), -zero, 8),
            Data::I4(values) => (source.map(|i| values[i]).collect(), -zero, 4),
            // Stored minus half the range, so that the offset restores it.
            Data::U8(values) => (source.map(|i| (values[i] ^ 0x80) as i8).collect(), 128 - zero, 8),
            Data::U4(values) => (source.map(|i| values[i] as i8 - 8).collect(), 8 - zero, 4),
            _ => return Err(NetError::tensor(name, "weights must have 8 or 4 bits")),
        };
        let scale = if filter.scale.len() == 1 {
            vec![filter.scale[0]; out_c]
        } else {
            filter.scale.clone()
        };
        Ok(Weights {
            values,
            offset,
            bits,
            scale,
        })
    }

    fn mac(
        &mut self,
        node: &Node,
        op: &'static str,
        shape: MacShape,
        input: Stored,
        weights: Weights,
        place: Placement,
        alpha: f32,
    ) -> Result<Value, NetError> {
        let name = node.label();
        let output = node.output.first().map_or("", String::as_str);
        if self.uses.get(output).copied().unwrap_or(0) > 1 {
            return Err(NetError::form(
                name,
                "several nodes read its float output; quantise it once, right after it",
            ));
        }
        let scale: Vec<f32> = weights
            .scale
            .iter()
            .map(|w| alpha * input.quantiser.scale * w)
            .collect();
        let bias = match node.optional(2) {
            Some(_) => self.bias(node, &scale)?,
            None => Bias::Steps(vec![0; shape.out_c]),
        };
        let layer = MacLayer {
            name: name.to_owned(),
            op,
            shape,
            weights: weights.values,
            weight_offset: weights.offset,
            x_zero: input.quantiser.zero,
            input_bits: input.quantiser.bits,
            weight_bits: weights.bits,
        };
        let mac = Mac {
            layer,
            input,
            scale,
            bias,
            place,
        };
        Ok(Value::Float(Rc::new(Expr {
            name: output.to_owned(),
            node: name.to_owned(),
            source: Source::Mac(Rc::new(mac)),
            post: Vec::new(),
            moves: Vec::new(),
        })))
    }

    /// The bias: accumulator steps where the file quantised it to them, as onnxruntime's integer kernels assume.
    fn bias(&self, node: &Node, scale: &[f32]) -> Result<Bias, NetError> {
        let name = &node.input[2];
        let real = match self.value(node, 2)? {
            Value::Dequantised(bias) => {
                let steps = match &bias.constant.data {
                    Data::I32(steps) if steps.len() == scale.len() => steps,
                    _ => {
                        return Err(NetError::tensor(
                            name,
                            format!("a bias of {} int32 values is needed", scale.len()),
                        ));
                    }
                };
                let same = |(i, &s): (usize, &f32)| {
                    let given = bias.scale[i % bias.scale.len()];
                    (given - s).abs() <= 1e-4 * s
                };
                if bias.zero.iter().all(|&z| z == 0) && scale.iter().enumerate().all(same) {
                    return Ok(Bias::Steps(steps.clone()));
                }
                bias.reals()
            }
            Value::Constant(bias) => bias.floats().map(<[f32]>::to_vec),
            _ => None,
        };
        let real = real.ok_or_else(|| NetError::tensor(name, "a bias must be a constant"))?;
        match real.len() {
            1 => Ok(Bias::Real(vec![real[0]; scale.len()])),
            n if n == scale.len() => Ok(Bias::Real(real)),
            n => Err(NetError::tensor(
                name,
                format!("{n} biases for {} channels", scale.len()),
            )),
        }
    }
}
