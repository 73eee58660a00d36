//! Emission: what a float expression becomes when a QuantizeLinear fixes its scale.

use super::Importer;
use super::quantise::Target;
use super::value::{Bias, BinaryOp, Expr, Mac, NHWC, Operand, Placement, Source, Stored};
use crate::error::NetError;
use crate::graph::{self, Tensor};
use crate::kernel::binary::TABLE_BYTES;
use crate::kernel::pool::{Pool, Reduce};
use crate::kernel::{Binary, Concat, Kernel, Softmax, table};
use crate::requant::{Affine, Quantiser, Requant, Unary};

impl Importer<'_> {
    /// Emits the nodes of an expression that is quantised to `target`.
    pub(super) fn emit(&mut self, expr: &Expr, target: &Target<'_>) -> Result<Stored, NetError> {
        // The movements come after, so the source keeps its own name if there are any.
        let own = if expr.moves.is_empty() {
            target.tensor
        } else {
            &expr.name
        };
        let mut stored = self.emit_source(expr, &Target { tensor: own, ..*target })?;
        for movement in &expr.moves {
            stored = self.apply_move(stored, movement, |x| Some(target.quantiser.quantise(x)))?;
        }
        if !expr.moves.is_empty() {
            target.tensor.clone_into(&mut self.builder.tensors[stored.tensor].name);
        }
        Ok(stored)
    }

    fn emit_source(&mut self, expr: &Expr, target: &Target<'_>) -> Result<Stored, NetError> {
        let (quantiser, post) = (target.quantiser, expr.post.as_slice());
        match &expr.source {
            Source::Stored(stored) => {
                if post.is_empty() && stored.quantiser == quantiser && stored.signed == target.signed {
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
                self.node(target, mac.layer.op, vec![mac.input.tensor], mac.place.clone(), kernel)
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
                    Source::Stored(stored) if inner.post.is_empty() && inner.moves.is_empty() => stored,
                    _ => {
                        return Err(NetError::form(
                            target.node,
                            "the input of a quantised softmax must be quantised",
                        ));
                    }
                };
                let &[depth] = stored.place.dims.as_slice() else {
                    return Err(NetError::form(target.node, "a softmax over pictures is not supported"));
                };
                if !post.is_empty() {
                    return Err(after_fused(target));
                }
                let kernel = Kernel::Softmax(Softmax::float(depth, stored.quantiser.scale, quantiser));
                self.node(target, "softmax", vec![stored.tensor], stored.place.clone(), kernel)
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
        let fused =
            a.post.is_empty() && b.post.is_empty() && left.signed == target.signed && right.signed == target.signed;
        let clamp = clips(post, quantiser).filter(|_| fused);
        let f: Box<dyn Fn(u8, u8) -> u8> = match (op, clamp) {
            (BinaryOp::Add, Some(clamp)) => Box::new(fused_add(&left, &right, target, clamp)),
            (BinaryOp::Mul, Some(clamp)) => Box::new(fused_mul(&left, &right, quantiser, clamp)),
            (op, None) => Box::new(move |p, q| {
                let (x, y) = (a.real(p), b.real(q));
                quantiser.quantise(Unary::all(post, if op == BinaryOp::Add { x + y } else { x * y }))
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
    fn aligned(&mut self, a: &Stored, b: &Stored, node: &str) -> Result<(Stored, Stored), NetError> {
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
        let view = crate::view::View::of_stored(&dims, &(0..dims.len()).collect::<Vec<_>>()).permute(order);
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
            let same = stored.quantiser == target.quantiser && input.post.is_empty() && post.is_empty();
            let rescale = |b: u8| target.quantiser.quantise(Unary::all(post, input.real(b)));
            tables.push((!same).then(|| table(rescale)));
        }
        let stored_axis = order.iter().position(|&a| a == axis);
        let shape = stored_axis.and_then(|axis| Concat::shape(&all, axis));
        let (stored_dims, runs) =
            shape.ok_or_else(|| NetError::form(target.node, format!("shapes {all:?} do not concatenate")))?;
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
    post.iter().try_fold((0, quantiser.most()), |(low, high), f| match f {
        Unary::Clip(from, to) => {
            let (from, to) = (quantiser.quantise(*from), quantiser.quantise(*to));
            Some((low.clamp(from, to), high.clamp(from, to)))
        }
        _ => None,
    })
}

/// `MlasQLinearAdd` with AVX2: two fused multiply-adds on the file's integers.
fn fused_add(a: &Stored, b: &Stored, target: &Target<'_>, (low, high): (u8, u8)) -> impl Fn(u8, u8) -> u8 + use<> {
    let scale = target.quantiser.scale;
    let (ratio_a, ratio_b) = (a.quantiser.scale / scale, b.quantiser.scale / scale);
    let origin = f32::from(target.quantiser.origin(target.signed));
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
fn fused_mul(a: &Stored, b: &Stored, to: Quantiser, (low, high): (u8, u8)) -> impl Fn(u8, u8) -> u8 + use<> {
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
