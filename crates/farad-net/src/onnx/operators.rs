//! What each float operator makes of its inputs.

use std::rc::Rc;

use super::Importer;
use super::constant::Constant;
use super::movement::{Move, MoveKind, WindowSpec};
use super::proto::Node;
use super::value::{Bias, BinaryOp, Expr, Mac, Operand, Placement, Source, Stored, Value};
use crate::error::NetError;
use crate::kernel::pool::Window;
use crate::requant::Unary;

impl Importer<'_> {
    /// What a node's first output stands for.
    pub(super) fn evaluate(&mut self, node: &Node) -> Result<Value, NetError> {
        let name = node.label();
        if !matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft") {
            return Err(unsupported(node, "only standard operators are supported"));
        }
        match node.op_type.as_str() {
            "Constant" => Ok(Value::Constant(Rc::new(Constant::of_node(node)?))),
            "QuantizeLinear" => self.quantize_linear(node),
            "DequantizeLinear" => self.dequantize_linear(node),
            "Identity" | "Dropout" => Ok(self.value(node, 0)?.clone()),
            "Conv" => self.conv(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "Add" => self.binary(node, BinaryOp::Add),
            "Mul" => self.binary(node, BinaryOp::Mul),
            "Concat" => self.concat(node),
            "BatchNormalization" => self.batch_normalization(node),
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" => self.mean(node),
            "Softmax" => self.softmax(node),
            "Relu" => self.unary(node, Unary::Clip(0.0, f32::INFINITY)),
            "Clip" => {
                let bound = |which: usize, attribute: &str, none: f32| {
                    let constant = self.optional_constant(node, which)?;
                    Ok::<_, NetError>(constant.map_or_else(
                        || node.float(attribute, none),
                        |c| c.floats().and_then(|v| v.first().copied()).unwrap_or(none),
                    ))
                };
                let (low, high) = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
                if low.is_nan() || high.is_nan() || low > high {
                    return Err(NetError::form(name, format!("it clips to {low}..{high}")));
                }
                self.unary(node, Unary::Clip(low, high))
            }
            "Sigmoid" => self.unary(node, Unary::Sigmoid),
            "HardSigmoid" => self.unary(
                node,
                Unary::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5)),
            ),
            "HardSwish" => self.unary(node, Unary::HardSwish),
            "LeakyRelu" => self.unary(node, Unary::LeakyRelu(node.float("alpha", 0.01))),
            "MaxPool" => {
                if node.output.get(1).is_some_and(|o| !o.is_empty()) {
                    return Err(NetError::form(name, "the indices of a MaxPool are not supported"));
                }
                let spec = WindowSpec::read(node, None)?;
                self.movement(node, MoveKind::MaxPool(spec))
            }
            "Transpose" => self.transpose(node),
            "Slice" => self.slice(node),
            "Pad" => self.pad(node),
            "Reshape" => {
                let shape = self
                    .integers(node, 1, "shape")?
                    .ok_or_else(|| NetError::form(name, "no shape"))?;
                self.movement(
                    node,
                    MoveKind::Reshape {
                        shape,
                        zero_copies: node.int("allowzero", 0) == 0,
                    },
                )
            }
            "Flatten" => match node.int("axis", 1) {
                1 => self.movement(node, MoveKind::Flatten),
                axis => Err(NetError::form(
                    name,
                    format!("it flattens from axis {axis}; 1 is supported"),
                )),
            },
            "Squeeze" => {
                let axes = self.integers(node, 1, "axes")?;
                self.movement(node, MoveKind::Squeeze { axes })
            }
            "Unsqueeze" => {
                let axes = self
                    .integers(node, 1, "axes")?
                    .ok_or_else(|| NetError::form(name, "no axes"))?;
                self.movement(node, MoveKind::Unsqueeze { axes })
            }
            op if op.starts_with("QLinear") || op.ends_with("Integer") || op == "QGemm" => Err(unsupported(
                node,
                "export in QDQ format (QuantizeLinear and DequantizeLinear around float operators)",
            )),
            "Shape" | "Gather" | "Cast" | "ConstantOfShape" | "Size" | "Range" => Err(unsupported(
                node,
                "shapes must be constants: fold them first (a fixed input shape, onnxsim)",
            )),
            _ => Err(unsupported(
                node,
                "replace it before exporting, or run that part of the network elsewhere",
            )),
        }
    }

    /// The first input as an expression.
    fn expr(&self, node: &Node, which: usize) -> Result<Rc<Expr>, NetError> {
        match self.value(node, which)? {
            Value::Float(expr) => Ok(Rc::clone(expr)),
            Value::Stored(stored) => Ok(Rc::new(self.dequantised(stored, node.label()))),
            Value::Input(_) | Value::Constant(_) | Value::Dequantised(_) => Err(NetError::NotQuantised {
                tensor: node.input.get(which).cloned().unwrap_or_default(),
                what: "float32".to_owned(),
            }),
        }
    }

    /// An activation as a float expression.
    pub(super) fn dequantised(&self, stored: &Stored, node: &str) -> Expr {
        Expr {
            name: String::new(),
            node: node.to_owned(),
            source: Source::Stored(stored.clone()),
            post: Vec::new(),
            moves: Vec::new(),
        }
    }

    fn unary(&mut self, node: &Node, f: Unary) -> Result<Value, NetError> {
        let mut expr = Rc::unwrap_or_clone(self.expr(node, 0)?);
        for movement in &mut expr.moves {
            match &mut movement.kind {
                MoveKind::Pad { value, .. } => *value = f.eval(*value),
                MoveKind::MaxPool(_) if !f.is_monotone() => return Err(max_of_a_fold(node)),
                _ => {}
            }
        }
        expr.post.push(f);
        node.label().clone_into(&mut expr.node);
        Ok(Value::Float(Rc::new(expr)))
    }

    fn movement(&mut self, node: &Node, kind: MoveKind) -> Result<Value, NetError> {
        let output = node.output.first().cloned().unwrap_or_default();
        let movement = Move {
            node: node.label().to_owned(),
            output,
            kind,
        };
        // Numbers that are already integers move as they are.
        if let Value::Stored(stored) = self.value(node, 0)? {
            let stored = stored.clone();
            let quantiser = stored.quantiser;
            return Ok(Value::Stored(
                self.apply_move(stored, &movement, |x| Some(quantiser.quantise(x)))?,
            ));
        }
        if let (Value::Input(place), MoveKind::Transpose { axes }) = (self.value(node, 0)?, &movement.kind) {
            if axes.len() != place.dims.len() {
                return Err(NetError::form(node.label(), "its permutation does not fit its input"));
            }
            let dims = axes.iter().map(|&a| place.dims[a]).collect();
            let renamed = |old: usize| axes.iter().position(|&a| a == old).unwrap_or_default();
            let order = place.order.iter().map(|&old| renamed(old)).collect();
            return Ok(Value::Input(Placement { dims, order }));
        }
        let mut expr = Rc::unwrap_or_clone(self.expr(node, 0)?);
        if matches!(movement.kind, MoveKind::MaxPool(_)) && !expr.post.iter().all(|f| f.is_monotone()) {
            return Err(max_of_a_fold(node));
        }
        if let (Source::Stored(stored), true) = (&expr.source, expr.moves.is_empty()) {
            let operand = Operand {
                stored: stored.clone(),
                post: expr.post.clone(),
            };
            let byte = |x: f32| (0..=255).find(|&b| operand.real(b) == x);
            expr.source = Source::Stored(self.apply_move(operand.stored.clone(), &movement, byte)?);
            expr.name.clone_from(&movement.output);
        } else {
            expr.moves.push(movement);
        }
        node.label().clone_into(&mut expr.node);
        Ok(Value::Float(Rc::new(expr)))
    }

    fn transpose(&mut self, node: &Node) -> Result<Value, NetError> {
        let perm = node.ints("perm").unwrap_or_default();
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if perm.first() != Some(&0) || !sorted.iter().copied().eq(0..perm.len() as i64) {
            return Err(NetError::form(
                node.label(),
                format!("a transposition by {perm:?}; the batch must stay in front"),
            ));
        }
        let axes = perm[1..].iter().map(|&a| a as usize - 1).collect();
        self.movement(node, MoveKind::Transpose { axes })
    }

    fn slice(&mut self, node: &Node) -> Result<Value, NetError> {
        let missing = || NetError::form(node.label(), "its starts or ends are missing");
        let starts = self.integers(node, 1, "starts")?.ok_or_else(missing)?;
        let ends = self.integers(node, 2, "ends")?.ok_or_else(missing)?;
        let axes = self
            .integers(node, 3, "axes")?
            .unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self
            .integers(node, 4, "steps")?
            .unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(NetError::form(
                node.label(),
                "starts, ends, axes and steps differ in number",
            ));
        }
        let cuts = (0..starts.len()).map(|i| (axes[i], starts[i], ends[i], steps[i]));
        // Slicing all of the batch is nothing.
        let whole = |&(axis, start, end, step): &(i64, i64, i64, i64)| {
            axis == 0 && start == 0 && end >= i64::from(i32::MAX) && step == 1
        };
        let cuts = cuts.filter(|cut| !whole(cut)).collect();
        self.movement(node, MoveKind::Slice { cuts })
    }

    fn pad(&mut self, node: &Node) -> Result<Value, NetError> {
        if node.string("mode").unwrap_or(b"constant") != b"constant" {
            return Err(NetError::form(node.label(), "only constant padding is supported"));
        }
        let pads = self
            .integers(node, 1, "pads")?
            .ok_or_else(|| NetError::form(node.label(), "no pads"))?;
        let axes = self.integers(node, 3, "axes")?;
        let value = match node.optional(2).map(|_| self.value(node, 2)).transpose()? {
            None => Some(node.float("value", 0.0)),
            Some(Value::Constant(value)) => value.floats().and_then(|v| v.first().copied()),
            Some(Value::Dequantised(value)) => value.reals().and_then(|v| v.first().copied()),
            Some(_) => None,
        };
        let value = value.ok_or_else(|| NetError::form(node.label(), "its padding value must be a constant"))?;
        self.movement(node, MoveKind::Pad { pads, axes, value })
    }

    fn binary(&mut self, node: &Node, op: BinaryOp) -> Result<Value, NetError> {
        for (constant, other) in [(1, 0), (0, 1)] {
            if let Value::Constant(values) = self.value(node, constant)? {
                let values = values.floats().map(<[f32]>::to_vec);
                let values = values.ok_or_else(|| NetError::form(node.label(), "a constant operand must be float"))?;
                return self.with_constant(node, other, op, &values);
            }
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        Ok(made(node, Source::Binary { op, a, b }))
    }

    /// A sum or product with float constants: one for all values, or one per channel of a layer.
    fn with_constant(&mut self, node: &Node, which: usize, op: BinaryOp, values: &[f32]) -> Result<Value, NetError> {
        if let &[value] = values {
            let f = if op == BinaryOp::Add {
                Unary::Offset(value)
            } else {
                Unary::Scale(value)
            };
            let mut only = node.clone();
            only.input = vec![node.input[which].clone()];
            return self.unary(&only, f);
        }
        let expr = self.expr(node, which)?;
        let unit = vec![1.0; values.len()];
        let zero = vec![0.0; values.len()];
        match op {
            BinaryOp::Add => self.affine(node, &expr, &unit, values),
            BinaryOp::Mul => self.affine(node, &expr, values, &zero),
        }
    }

    /// `gain[c] * x + offset[c]` after a layer, folded into its scale and bias.
    fn affine(&mut self, node: &Node, expr: &Expr, gain: &[f32], offset: &[f32]) -> Result<Value, NetError> {
        let mac = match &expr.source {
            Source::Mac(mac) if expr.post.is_empty() && expr.moves.is_empty() => mac,
            _ => {
                return Err(NetError::form(
                    node.label(),
                    "it works per channel but does not follow a layer directly; fold or quantise it before exporting",
                ));
            }
        };
        if gain.len() != mac.scale.len() || offset.len() != gain.len() {
            let what = format!("{} channel values for {} channels", gain.len(), mac.scale.len());
            return Err(NetError::form(node.label(), what));
        }
        let bias = mac
            .real_bias()
            .iter()
            .zip(gain.iter().zip(offset))
            .map(|(b, (g, o))| b * g + o)
            .collect();
        let scale = mac.scale.iter().zip(gain).map(|(s, g)| s * g).collect();
        let mac = Mac {
            scale,
            bias: Bias::Real(bias),
            ..Mac::clone(mac)
        };
        Ok(made(node, Source::Mac(Rc::new(mac))))
    }

    /// BatchNormalization right after a layer: per channel `gain (x - mean) / sqrt(var + epsilon) + bias`.
    fn batch_normalization(&mut self, node: &Node) -> Result<Value, NetError> {
        let expr = self.expr(node, 0)?;
        let floats = |which: usize| {
            let values = self.constant(node, which)?.floats().map(<[f32]>::to_vec);
            values.ok_or_else(|| NetError::form(node.label(), "its parameters must be float constants"))
        };
        let [gain, bias, mean, variance] = [floats(1)?, floats(2)?, floats(3)?, floats(4)?];
        if [bias.len(), mean.len(), variance.len()] != [gain.len(); 3] {
            return Err(NetError::form(node.label(), "its parameters differ in number"));
        }
        let epsilon = node.float("epsilon", 1e-5);
        let gain: Vec<f32> = gain
            .iter()
            .zip(&variance)
            .map(|(g, v)| g / (v + epsilon).sqrt())
            .collect();
        let offset: Vec<f32> = (0..gain.len()).map(|c| bias[c] - mean[c] * gain[c]).collect();
        self.affine(node, &expr, &gain, &offset)
    }

    /// An operand of a sum, product or concatenation: a quantised activation, perhaps through functions of one value.
    fn operand(&mut self, node: &Node, which: usize) -> Result<Operand, NetError> {
        let not_quantised = |what: String| NetError::NotQuantised {
            tensor: node.input[which].clone(),
            what,
        };
        match self.value(node, which)?.clone() {
            Value::Dequantised(constant) => {
                let stored = self.stored_constant(&node.input[which], &constant)?;
                Ok(Operand {
                    stored,
                    post: Vec::new(),
                })
            }
            Value::Float(expr) => match &expr.source {
                Source::Stored(stored) if expr.moves.is_empty() => Ok(Operand {
                    stored: stored.clone(),
                    post: expr.post.clone(),
                }),
                _ => Err(not_quantised(format!("float32 from `{}`", expr.node))),
            },
            Value::Stored(_) => Err(NetError::form(
                node.label(),
                "it reads integers without a DequantizeLinear",
            )),
            Value::Input(_) | Value::Constant(_) => Err(not_quantised("float32".to_owned())),
        }
    }

    fn concat(&mut self, node: &Node) -> Result<Value, NetError> {
        let inputs = (0..node.input.len())
            .map(|i| self.operand(node, i))
            .collect::<Result<Vec<_>, _>>()?;
        let rank = inputs.first().map_or(0, |i| i.stored.place.dims.len());
        let axis = self.image_axis(node.int("axis", 1), rank, node.label())?;
        Ok(made(node, Source::Concat { inputs, axis }))
    }

    fn mean(&mut self, node: &Node) -> Result<Value, NetError> {
        let name = node.label();
        let input = self.plain_input(node)?;
        let &[channels, h, w] = input.place.dims.as_slice() else {
            return Err(NetError::form(name, "only means over pictures are supported"));
        };
        let global = Window::global(h, w, channels);
        if node.op_type == "AveragePool" {
            let window = WindowSpec::read(node, None)?.pooling(&input.place.dims, name)?;
            let count_pads = node.int("count_include_pad", 0) != 0;
            // onnxruntime hands a window over the whole picture to its global kernel.
            let (stride_h, stride_w) = (window.stride_h, window.stride_w);
            let global = window
                == Window {
                    stride_h,
                    stride_w,
                    ..global
                };
            return Ok(made(
                node,
                Source::Mean {
                    input,
                    window,
                    count_pads,
                    global,
                },
            ));
        }
        if node.op_type == "GlobalAveragePool" {
            return Ok(made(
                node,
                Source::Mean {
                    input,
                    window: global,
                    count_pads: false,
                    global: true,
                },
            ));
        }
        let axes = self.integers(node, 1, "axes")?.unwrap_or_default();
        let mut axes = axes
            .iter()
            .map(|&a| self.image_axis(a, 3, name))
            .collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        if axes != [1, 2] {
            return Err(NetError::form(
                name,
                "a mean over anything but height and width is not supported",
            ));
        }
        let Value::Float(expr) = made(
            node,
            Source::Mean {
                input,
                window: global,
                count_pads: false,
                global: false,
            },
        ) else {
            unreachable!("`made` makes float values");
        };
        let mut expr = Rc::unwrap_or_clone(expr);
        if node.int("keepdims", 1) == 0 {
            let output = node.output.first().cloned().unwrap_or_default();
            expr.moves.push(Move {
                node: name.to_owned(),
                output,
                kind: MoveKind::Flatten,
            });
        }
        Ok(Value::Float(Rc::new(expr)))
    }

    fn softmax(&mut self, node: &Node) -> Result<Value, NetError> {
        let expr = self.expr(node, 0)?;
        let axis = node.int("axis", if self.opset < 13 { 1 } else { -1 });
        // Over vectors only, where every reading of the axis is the same.
        if axis != -1 && axis != 1 {
            return Err(NetError::form(
                node.label(),
                format!("a softmax over axis {axis}; the last is supported"),
            ));
        }
        Ok(made(node, Source::Softmax(expr)))
    }
}

/// A float value that this node makes.
fn made(node: &Node, source: Source) -> Value {
    let name = node.output.first().cloned().unwrap_or_default();
    Value::Float(Rc::new(Expr {
        name,
        node: node.label().to_owned(),
        source,
        post: Vec::new(),
        moves: Vec::new(),
    }))
}

fn unsupported(node: &Node, advice: &'static str) -> NetError {
    let op = match node.domain.as_str() {
        "" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    };
    NetError::UnsupportedOperator {
        node: node.label().to_owned(),
        op,
        advice,
    }
}

fn max_of_a_fold(node: &Node) -> NetError {
    NetError::form(
        node.label(),
        "a MaxPool and a function that is not monotone, with no quantisation between them",
    )
}
