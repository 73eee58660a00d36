//! QuantizeLinear and DequantizeLinear: where float expressions become integer nodes.

use std::rc::Rc;

use super::Importer;
use super::constant::{Constant, Dequantised};
use super::proto::Node;
use super::value::{Bias, BinaryOp, Expr, Mac, NHWC, Operand, Placement, Source, Stored, Value};
use crate::error::NetError;
use crate::graph::{self, Tensor};
use crate::kernel::binary::TABLE_BYTES;
use crate::kernel::pool::{Pool, Reduce};
use crate::kernel::{Binary, Concat, Kernel, Softmax, table};
use crate::network::Input;
use crate::requant::{Affine, Quantiser, Requant, Ties, Unary};

/// Scale, zero point and type of a QuantizeLinear or DequantizeLinear.
struct Steps {
    scale: Vec<f32>,
    zero: Vec<i32>,
    signed: Option<bool>,
    axis: usize,
}

impl Steps {
    /// The quantiser of an activation: one scale, int8 or uint8.
    fn activation(&self, node: &Node) -> Result<(Quantiser, bool), NetError> {
        let (&[scale], &[zero], Some(signed)) =
            (self.scale.as_slice(), self.zero.as_slice(), self.signed)
        else {
            return Err(NetError::form(
                node.label(),
                "an activation needs one scale and an int8 or uint8 zero point",
            ));
        };
        let zero = zero + if signed { 128 } else { 0 };
        let zero = u8::try_from(zero)
            .map_err(|_| NetError::form(node.label(), "its zero point is out of range"))?;
        Ok((
            Quantiser {
                scale,
                zero,
                ties: Ties::Even,
            },
            signed,
        ))
    }
}

/// How a result is called, and the type it is quantised to.
struct Target<'n> {
    node: &'n str,
    tensor: &'n str,
    quantiser: Quantiser,
    signed: bool,
}

impl Importer<'_> {
    fn steps(&self, node: &Node, rank: usize) -> Result<Steps, NetError> {
        let scale = self.constant(node, 1)?;
        let scale = scale
            .floats()
            .map(<[f32]>::to_vec)
            .filter(|s| !s.is_empty() && s.iter().all(|&s| s > 0.0 && s.is_finite()));
        let scale = scale
            .ok_or_else(|| NetError::form(node.label(), "its scales must be positive floats"))?;
        if node.int("block_size", 0) != 0 {
            return Err(NetError::form(
                node.label(),
                "blockwise quantisation is not supported",
            ));
        }
        let zero = self.optional_constant(node, 2)?;
        let signed = zero.map_or(Some(false), |z| z.stored().map(|(_, signed)| signed));
        let zero = match zero {
            None => vec![0; scale.len()],
            Some(zero) => {
                let ints = zero.ints().unwrap_or_default();
                ints.iter()
                    .map(|&z| i32::try_from(z).unwrap_or_default())
                    .collect()
            }
        };
        if zero.len() != scale.len() {
            return Err(NetError::form(
                node.label(),
                "it needs as many zero points as scales",
            ));
        }
        let axis = node.int("axis", 1);
        let axis = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        Ok(Steps {
            scale,
            zero,
            signed,
            axis: usize::try_from(axis).unwrap_or_default(),
        })
    }

    pub(super) fn dequantize_linear(&mut self, node: &Node) -> Result<Value, NetError> {
        let fit = |steps: &Steps, constant: &Constant| {
            steps.scale.len() == 1 || constant.dims.get(steps.axis) == Some(&steps.scale.len())
        };
        match self.value(node, 0)?.clone() {
            Value::Constant(constant) => {
                let steps = self.steps(node, constant.dims.len())?;
                if !fit(&steps, &constant) || constant.floats().is_some() {
                    return Err(NetError::form(
                        node.label(),
                        "its scales do not fit its constant",
                    ));
                }
                let Steps {
                    scale, zero, axis, ..
                } = steps;
                let constant = Rc::unwrap_or_clone(constant);
                Ok(Value::Dequantised(Rc::new(Dequantised {
                    constant,
                    scale,
                    zero,
                    axis,
                })))
            }
            Value::Stored(stored) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                if quantiser != stored.quantiser || signed != stored.signed {
                    let what = "its scale or zero point differs from its input's QuantizeLinear";
                    return Err(NetError::form(node.label(), what));
                }
                Ok(Value::Float(Rc::new(
                    self.dequantised(&stored, node.label()),
                )))
            }
            // A network whose input is 8-bit already.
            Value::Input(place) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                let stored =
                    self.place_input(node, place, &node.input[0], quantiser, signed, false)?;
                Ok(Value::Float(Rc::new(
                    self.dequantised(&stored, node.label()),
                )))
            }
            Value::Dequantised(_) | Value::Float(_) => Err(NetError::form(
                node.label(),
                "it dequantises something that is float",
            )),
        }
    }

    pub(super) fn quantize_linear(&mut self, node: &Node) -> Result<Value, NetError> {
        let output = node.output.first().cloned().unwrap_or_default();
        match self.value(node, 0)?.clone() {
            Value::Constant(constant) => {
                let Steps {
                    scale,
                    zero,
                    signed,
                    axis,
                } = self.steps(node, constant.dims.len())?;
                let fits = scale.len() == 1 || constant.dims.get(axis) == Some(&scale.len());
                let quantised = signed
                    .filter(|_| fits)
                    .and_then(|s| constant.quantise(&scale, &zero, s, axis));
                let quantised = quantised
                    .ok_or_else(|| NetError::form(node.label(), "it does not fit its constant"))?;
                Ok(Value::Constant(Rc::new(quantised)))
            }
            Value::Input(place) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                Ok(Value::Stored(self.place_input(
                    node, place, &output, quantiser, signed, true,
                )?))
            }
            Value::Float(expr) => {
                let (quantiser, signed) = self.steps(node, 0)?.activation(node)?;
                let target = Target {
                    node: &expr.node,
                    tensor: &output,
                    quantiser,
                    signed,
                };
                Ok(Value::Stored(self.emit(&expr, &target)?))
            }
            Value::Dequantised(_) | Value::Stored(_) => Err(NetError::form(
                node.label(),
                "it quantises something that is quantised",
            )),
        }
    }

    fn place_input(
        &mut self,
        node: &Node,
        place: Placement,
        name: &str,
        quantiser: Quantiser,
        signed: bool,
        is_float: bool,
    ) -> Result<Stored, NetError> {
        if self.input.is_some() {
            return Err(NetError::form(
                node.label(),
                "the input is quantised twice; use one QuantizeLinear",
            ));
        }
        let stored = self.stored(name, place, quantiser, signed)?;
        let dims = self.builder.tensors[stored.tensor].dims.clone();
        let shape = <[usize; 3]>::try_from(dims).unwrap_or([1, 1, stored.place.len()]);
        self.input = Some(Input {
            tensor: stored.tensor,
            shape,
            quantiser,
            is_float,
        });
        Ok(stored)
    }

    fn stored(
        &mut self,
        name: &str,
        place: Placement,
        quantiser: Quantiser,
        signed: bool,
    ) -> Result<Stored, NetError> {
        let Quantiser { scale, zero, .. } = quantiser;
        let tensor = Tensor {
            name: name.to_owned(),
            dims: place.stored_dims(),
            scale,
            zero,
            data: None,
        };
        let tensor = self.builder.tensor(tensor)?;
        Ok(Stored {
            tensor,
            quantiser,
            signed,
            place,
        })
    }

    /// A constant operand, row-major.
    pub(super) fn stored_constant(
        &mut self,
        name: &str,
        constant: &Dequantised,
    ) -> Result<Stored, NetError> {
        let bytes = constant
            .constant
            .stored()
            .filter(|_| constant.scale.len() == 1);
        let (bytes, signed) = bytes.ok_or_else(|| NetError::NotQuantised {
            tensor: name.to_owned(),
            what: "a constant without one scale and 8 bits".to_owned(),
        })?;
        let zero =
            u8::try_from(constant.zero[0] + if signed { 128 } else { 0 }).unwrap_or_default();
        let quantiser = Quantiser {
            scale: constant.scale[0],
            zero,
            ties: Ties::Even,
        };
        // No batch, and a leading 1 broadcasts either way.
        let dims: Vec<usize> = constant
            .constant
            .dims
            .iter()
            .copied()
            .skip_while(|&d| d == 1)
            .collect();
        let place = Placement::row_major(dims.clone());
        let data = Some(bytes);
        let tensor = Tensor {
            name: name.to_owned(),
            dims,
            scale: quantiser.scale,
            zero,
            data,
        };
        Ok(Stored {
            tensor: self.builder.tensor(tensor)?,
            quantiser,
            signed,
            place,
        })
    }

    /// Emits the nodes of an expression that is quantised to `target`.
    fn emit(&mut self, expr: &Expr, target: &Target<'_>) -> Result<Stored, NetError> {
        // The movements come after, so the source keeps its own name if there are any.
        let own = if expr.moves.is_empty() {
            target.tensor
        } else {
            &expr.name
        };
        let mut stored = self.emit_source(
            expr,
            &Target {
                tensor: own,
                ..*target
            },
        )?;
        for movement in &expr.moves {
            stored = self.apply_move(stored, movement, |x| Some(target.quantiser.quantise(x)))?;
        }
        if !expr.moves.is_empty() {
            target
                .tensor
                .clone_into(&mut self.builder.tensors[stored.tensor].name);
        }
        Ok(stored)
    }

    fn emit_source(&mut self, expr: &Expr, target: &Target<'_>) -> Result<Stored, NetError> {
        let (quantiser, post) = (target.quantiser, expr.post.as_slice());
        match &expr.source {
            Source::Stored(stored) => {
                if post.is_empty()
                    && stored.quantiser == quantiser
                    && stored.signed == target.signed
                {
                    let name = &mut self.builder.tensors[stored.tensor].name;
                    if *name == expr.name {
                        target.tensor.clone_into(name);
                    }
                    return Ok(stored.clone());
                }
                let operand = Operand {
                    stored: stored.clone(),
                    post: post.to_vec(),
                };
                let kernel = Kernel::Table(table(|b| quantiser.quantise(operand.real(b))));
                self.node(
                    target,
                    function_name(post),
                    vec![stored.tensor],
                    stored.place.clone(),
                    kernel,
                )
            }
            Source::Mac(mac) => {
                self.builder.charge(target.node, 16 * mac.scale.len())?;
                let layer = self.builder.layer(mac.layer.clone())?;
                let kernel = Kernel::Mac {
                    layer,
                    requant: requant(mac, post, quantiser),
                };
                self.node(
                    target,
                    mac.layer.op,
                    vec![mac.input.tensor],
                    mac.place.clone(),
                    kernel,
                )
            }
            Source::Binary { op, a, b } => self.emit_binary(*op, a, b, post, target),
            Source::Mean {
                input,
                window,
                count_pads,
                global,
            } => {
                let input = self.in_order(input.clone(), &NHWC, target.node)?;
                let (low, high) = clips(post, quantiser).ok_or_else(|| after_fused(target))?;
                let from = input.quantiser;
                let count = window.kernel_h * window.kernel_w;
                let reduce = if *global {
                    let factor = from.scale / (quantiser.scale * count as f32);
                    let (in_zero, out_zero) = (i32::from(from.zero), i32::from(quantiser.zero));
                    Reduce::MeanScaled {
                        factor,
                        in_zero,
                        out_zero,
                        low,
                        high,
                    }
                } else {
                    let count = count_pads.then_some(count);
                    Reduce::MeanFloat {
                        input: from,
                        count,
                        output: quantiser,
                        low,
                        high,
                    }
                };
                let place = Placement::picture(window.channels, window.out_h, window.out_w);
                let kernel = Kernel::Pool(Pool {
                    window: window.clone(),
                    reduce,
                });
                self.node(target, "average_pool", vec![input.tensor], place, kernel)
            }
            Source::Concat { inputs, axis } => self.emit_concat(inputs, *axis, post, target),
            Source::Softmax(inner) => {
                let stored = match &inner.source {
                    Source::Stored(stored) if inner.post.is_empty() && inner.moves.is_empty() => {
                        stored
                    }
                    _ => {
                        return Err(NetError::form(
                            target.node,
                            "the input of a quantised softmax must be quantised",
                        ));
                    }
                };
                let &[depth] = stored.place.dims.as_slice() else {
                    return Err(NetError::form(
                        target.node,
                        "a softmax over pictures is not supported",
                    ));
                };
                if !post.is_empty() {
                    return Err(after_fused(target));
                }
                let kernel =
                    Kernel::Softmax(Softmax::float(depth, stored.quantiser.scale, quantiser));
                self.node(
                    target,
                    "softmax",
                    vec![stored.tensor],
                    stored.place.clone(),
                    kernel,
                )
            }
        }
    }

    fn emit_binary(
        &mut self,
        op: BinaryOp,
        a: &Operand,
        b: &Operand,
        post: &[Unary],
        target: &Target<'_>,
    ) -> Result<Stored, NetError> {
        let (left, right) = self.aligned(&a.stored, &b.stored, target.node)?;
        self.builder.charge(target.node, TABLE_BYTES)?;
        let quantiser = target.quantiser;
        let fused = a.post.is_empty()
            && b.post.is_empty()
            && left.signed == target.signed
            && right.signed == target.signed;
        let clamp = clips(post, quantiser).filter(|_| fused);
        let f: Box<dyn Fn(u8, u8) -> u8> = match (op, clamp) {
            (BinaryOp::Add, Some(clamp)) => Box::new(fused_add(&left, &right, target, clamp)),
            (BinaryOp::Mul, Some(clamp)) => Box::new(fused_mul(&left, &right, quantiser, clamp)),
            (op, None) => Box::new(move |p, q| {
                let (x, y) = (a.real(p), b.real(q));
                quantiser.quantise(Unary::all(
                    post,
                    if op == BinaryOp::Add { x + y } else { x * y },
                ))
            }),
        };
        let (dims_a, dims_b) = (left.place.stored_dims(), right.place.stored_dims());
        let kernel = Binary::new(&dims_a, &dims_b, f);
        let kernel = kernel.ok_or_else(|| {
            NetError::form(
                target.node,
                format!("shapes {dims_a:?} and {dims_b:?} do not broadcast"),
            )
        })?;
        // The longer rank names the axes.
        let order = if dims_a.len() >= dims_b.len() {
            left.place.order
        } else {
            right.place.order
        };
        let mut dims = vec![0; order.len()];
        for (&axis, &dim) in order.iter().zip(kernel.dims()) {
            dims[axis] = dim;
        }
        let op = if op == BinaryOp::Add { "add" } else { "mul" };
        let place = Placement { dims, order };
        self.node(
            target,
            op,
            vec![left.tensor, right.tensor],
            place,
            Kernel::Binary(kernel),
        )
    }

    /// Two operands with their axes stored alike.
    fn aligned(
        &mut self,
        a: &Stored,
        b: &Stored,
        node: &str,
    ) -> Result<(Stored, Stored), NetError> {
        let rank = a.place.dims.len().max(b.place.dims.len());
        let order = if a.place.dims.len() == rank {
            a.place.order.clone()
        } else {
            b.place.order.clone()
        };
        Ok((self.align(a, &order, node)?, self.align(b, &order, node)?))
    }

    /// An operand stored in `order`; a constant of lower rank is given leading ones, as numpy would.
    fn align(&mut self, stored: &Stored, order: &[usize], node: &str) -> Result<Stored, NetError> {
        let constant = self.builder.tensors[stored.tensor].data.as_ref();
        let Some(data) = constant else {
            return self.in_order(stored.clone(), order, node);
        };
        let missing = order.len().saturating_sub(stored.place.dims.len());
        let dims: Vec<usize> = std::iter::repeat_n(1, missing)
            .chain(stored.place.dims.iter().copied())
            .collect();
        if dims.len() != order.len() {
            return Err(NetError::form(
                node,
                "a constant operand has more dimensions than the activation",
            ));
        }
        let view = crate::view::View::of_stored(&dims, &(0..dims.len()).collect::<Vec<_>>())
            .permute(order);
        let data = Some(view.at.iter().map(|&i| data[i as usize]).collect());
        let place = Placement {
            dims,
            order: order.to_vec(),
        };
        let tensor = Tensor {
            dims: place.stored_dims(),
            data,
            ..self.builder.tensors[stored.tensor].clone()
        };
        Ok(Stored {
            tensor: self.builder.tensor(tensor)?,
            place,
            ..stored.clone()
        })
    }

    fn emit_concat(
        &mut self,
        inputs: &[Operand],
        axis: usize,
        post: &[Unary],
        target: &Target<'_>,
    ) -> Result<Stored, NetError> {
        let first = inputs
            .first()
            .ok_or_else(|| NetError::form(target.node, "nothing to concatenate"))?;
        let order = first.stored.place.order.clone();
        let (mut tensors, mut all, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            let stored = self.align(&input.stored, &order, target.node)?;
            all.push(stored.place.stored_dims());
            tensors.push(stored.tensor);
            let same =
                stored.quantiser == target.quantiser && input.post.is_empty() && post.is_empty();
            let rescale = |b: u8| target.quantiser.quantise(Unary::all(post, input.real(b)));
            tables.push((!same).then(|| table(rescale)));
        }
        let stored_axis = order.iter().position(|&a| a == axis);
        let shape = stored_axis.and_then(|axis| Concat::shape(&all, axis));
        let (stored_dims, runs) = shape.ok_or_else(|| {
            NetError::form(target.node, format!("shapes {all:?} do not concatenate"))
        })?;
        let mut dims = vec![0; order.len()];
        for (&axis, &dim) in order.iter().zip(&stored_dims) {
            dims[axis] = dim;
        }
        let kernel = Kernel::Concat(Concat { runs, tables });
        self.node(target, "concat", tensors, Placement { dims, order }, kernel)
    }

    fn node(
        &mut self,
        target: &Target<'_>,
        op: &'static str,
        inputs: Vec<usize>,
        place: Placement,
        kernel: Kernel,
    ) -> Result<Stored, NetError> {
        let stored = self.stored(target.tensor, place, target.quantiser, target.signed)?;
        let name = target.node.to_owned();
        self.builder.node(graph::Node {
            name,
            op,
            inputs,
            output: stored.tensor,
            kernel,
        })?;
        Ok(stored)
    }
}

/// How onnxruntime requantises a layer: in its integer kernels when only clamps follow, else in float.
fn requant(mac: &Mac, post: &[Unary], quantiser: Quantiser) -> Requant {
    match (&mac.bias, clips(post, quantiser)) {
        (Bias::Steps(bias), Some((low, high))) => Requant::Float {
            bias: bias.clone(),
            factor: mac.scale.iter().map(|s| s / quantiser.scale).collect(),
            zero: i32::from(quantiser.zero),
            low: i32::from(low),
            high: i32::from(high),
        },
        _ => {
            let affine = Affine {
                scale: mac.scale.clone(),
                bias: mac.real_bias(),
            };
            Requant::Real {
                affine,
                post: post.to_vec(),
                quantiser,
            }
        }
    }
}

/// Stored bytes that clamps limit a result to; `None` when something else follows. Rounding is monotone, so a clamp before
/// it is a clamp after it.
fn clips(post: &[Unary], quantiser: Quantiser) -> Option<(u8, u8)> {
    post.iter().try_fold((0, 255), |(low, high), f| match f {
        Unary::Clip(from, to) => {
            let (from, to) = (quantiser.quantise(*from), quantiser.quantise(*to));
            Some((low.clamp(from, to), high.clamp(from, to)))
        }
        _ => None,
    })
}

/// `MlasQLinearAdd` with AVX2: two fused multiply-adds on the file's integers.
fn fused_add(
    a: &Stored,
    b: &Stored,
    target: &Target<'_>,
    (low, high): (u8, u8),
) -> impl Fn(u8, u8) -> u8 + use<> {
    let scale = target.quantiser.scale;
    let (ratio_a, ratio_b) = (a.quantiser.scale / scale, b.quantiser.scale / scale);
    let origin = if target.signed { 128.0 } else { 0.0 };
    let zero = f32::from(target.quantiser.zero) - origin;
    let fixed = zero - libm::fmaf(ratio_a, a.file_zero(), ratio_b * b.file_zero());
    let (origin_a, origin_b) = (a.origin(), b.origin());
    move |p, q| {
        let sum = libm::fmaf(f32::from(q) - origin_b, ratio_b, fixed);
        let sum = libm::fmaf(f32::from(p) - origin_a, ratio_a, sum);
        // The file's integer plus the origin; both are exact.
        (sum.round_ties_even() + origin).clamp(f32::from(low), f32::from(high)) as u8
    }
}

/// `MlasQLinearMul` with SSE2: an integer product, scaled in float.
fn fused_mul(
    a: &Stored,
    b: &Stored,
    to: Quantiser,
    (low, high): (u8, u8),
) -> impl Fn(u8, u8) -> u8 + use<> {
    let ratio = a.quantiser.scale * b.quantiser.scale / to.scale;
    let (zero_a, zero_b) = (i32::from(a.quantiser.zero), i32::from(b.quantiser.zero));
    move |p, q| {
        let product = (i32::from(p) - zero_a) * (i32::from(q) - zero_b);
        let y = (product as f32 * ratio + f32::from(to.zero)).round_ties_even();
        (y as i32).clamp(i32::from(low), i32::from(high)) as u8
    }
}

fn function_name(post: &[Unary]) -> &'static str {
    match post.last() {
        None => "quantize",
        Some(Unary::Clip(..)) => "clip",
        Some(Unary::Sigmoid) => "sigmoid",
        Some(Unary::HardSigmoid(..)) => "hard_sigmoid",
        Some(Unary::HardSwish) => "hard_swish",
        Some(Unary::LeakyRelu(_)) => "leaky_relu",
        Some(Unary::Scale(_)) => "scale",
        Some(Unary::Offset(_)) => "offset",
    }
}

fn after_fused(target: &Target<'_>) -> NetError {
    NetError::form(
        target.node,
        "only clamps may follow it before it is quantised; quantise its output first",
    )
}
