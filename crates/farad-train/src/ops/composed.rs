//! The operators as candle composes them: for devices other than the CPU, and to check the CPU's against.

use super::conv_norm::{EPSILON, Moments, Normalize};
use candle_core::{Result, Tensor};
use farad_kernels::dense::{Activation, Conv2d};

pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(x.clone()),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.relu()?.minimum(6.0),
    }
}

pub(super) fn conv_norm(
    x: &Tensor,
    w: &Tensor,
    affine: &Tensor,
    shape: Conv2d,
    activation: Activation,
    normalize: &Normalize,
) -> Result<(Tensor, Moments)> {
    let channels = shape.out_channels;
    let w = if shape.depthwise {
        w.reshape((channels, shape.kernel, shape.kernel, 1))?
    } else {
        w.clone()
    };
    let groups = if shape.depthwise { channels } else { 1 };
    let to_nchw = |t: &Tensor| t.permute((0, 3, 1, 2))?.contiguous();
    let u = to_nchw(x)?
        .conv2d(&to_nchw(&w)?, shape.padding, shape.stride, 1, groups)?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    let (mean, var) = match normalize {
        Normalize::Batch => {
            let flat = u.reshape(((), channels))?;
            let mean = flat.mean_keepdim(0)?;
            let var = flat.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?;
            (mean, var)
        }
        Normalize::With(moments) => (
            Tensor::from_slice(&moments.mean, (1, channels), x.device())?,
            Tensor::from_slice(&moments.var, (1, channels), x.device())?,
        ),
    };
    let row = |t: &Tensor| t.reshape((1, 1, 1, channels));
    let normal = u
        .broadcast_sub(&row(&mean)?)?
        .broadcast_div(&row(&(&var + f64::from(EPSILON))?.sqrt()?)?)?;
    let mut y = normal
        .broadcast_mul(&row(&affine.narrow(0, 0, 1)?)?)?
        .broadcast_add(&row(&affine.narrow(0, 1, 1)?)?)?;
    let masks = affine.dim(0)? - 2;
    if masks > 0 {
        y = y.broadcast_mul(&affine.narrow(0, 2, masks)?.reshape((masks, 1, 1, channels))?)?;
    }
    let moments = Moments {
        mean: mean.flatten_all()?.to_vec1()?,
        var: var.flatten_all()?.to_vec1()?,
    };
    Ok((activate(&y, activation)?, moments))
}

/// Not candle's own pooling: its gradient is a quarter of what it should be (version 0.11).
pub(super) fn max_pool(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (h, w) = (h / 2, w / 2);
    x.narrow(1, 0, 2 * h)?
        .narrow(2, 0, 2 * w)?
        .reshape(&[n, h, 2, w, 2, c][..])?
        .max(4)?
        .max(2)
}

#[cfg(test)]
mod tests {
    use crate::ops;
    use crate::rng::{Purpose, Rng};
    use candle_core::{Device, Result, Tensor, Var};
    use farad_kernels::dense::{Activation, Conv2d, Precision};

    fn random(shape: &[usize], number: u32) -> Tensor {
        let mut rng = Rng::new(5, Purpose::Init, number, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Largest difference, as a part of the largest value.
    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (a, b) = (flat(a), flat(b));
        let scale = a.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
        a.iter().zip(&b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / scale
    }

    /// Sums of at most 3,000 products in another order: relative differences around sqrt(3000) * 2^-24, bounded by 1e-4.
    const TOLERANCE: f32 = 1e-4;

    /// Runs `f` on variables of these values, and returns its result and the gradients of a fixed projection of it.
    fn gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Tensor> {
        let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&tensors).unwrap();
        let projection = random(y.dims(), 99);
        let grads = (&y * projection).unwrap().sum_all().unwrap().backward().unwrap();
        let mut all = vec![y];
        all.extend(vars.iter().map(|v| grads.get(v).unwrap().clone()));
        all
    }

    fn check(depthwise: bool, stride: usize, kernel: usize, masked: bool, activation: Activation) {
        let (images, channels) = (3, if depthwise { 5 } else { 7 });
        let shape = Conv2d {
            images,
            height: 6,
            width: 6,
            in_channels: 5,
            out_channels: channels,
            kernel,
            stride,
            padding: kernel / 2,
            depthwise,
        };
        let w = if depthwise {
            vec![5, kernel, kernel]
        } else {
            vec![7, kernel, kernel, 5]
        };
        let rows = if masked { 2 + images } else { 2 };
        let inputs = [
            random(&[images, 6, 6, 5], 1),
            random(&w, 2),
            random(&[rows, channels], 3),
        ];
        let normalize = ops::Normalize::Batch;
        let own = gradients(&inputs, |t| {
            Ok(ops::conv_norm(&t[0], &t[1], &t[2], shape, Precision::F32, activation, &normalize)?.0)
        });
        let candle = gradients(&inputs, |t| {
            Ok(super::conv_norm(&t[0], &t[1], &t[2], shape, activation, &normalize)?.0)
        });
        for (i, (own, candle)) in own.iter().zip(&candle).enumerate() {
            let d = distance(candle, own);
            assert!(d < TOLERANCE, "{i}: {d} {shape:?} {masked} {activation:?}");
        }
    }

    #[test]
    fn convolution_equals_candle() {
        check(false, 1, 3, false, Activation::Relu);
        check(false, 1, 3, true, Activation::Relu);
        check(false, 2, 3, true, Activation::None);
        check(false, 2, 1, false, Activation::Relu6);
        check(true, 1, 3, true, Activation::Relu6);
        check(true, 2, 3, false, Activation::Relu);
    }

    #[test]
    fn pools_and_sums_equal_candle() {
        let inputs = [random(&[2, 6, 6, 5], 1), random(&[2, 6, 6, 5], 2)];
        let pairs = [
            (
                gradients(&inputs[..1], |t| ops::max_pool(&t[0])),
                gradients(&inputs[..1], |t| super::max_pool(&t[0])),
            ),
            (
                gradients(&inputs[..1], |t| ops::average_pool(&t[0])),
                gradients(&inputs[..1], |t| t[0].mean_keepdim((1, 2))),
            ),
            (
                gradients(&inputs, |t| ops::add(&t[0], &t[1], Activation::Relu)),
                gradients(&inputs, |t| (&t[0] + &t[1])?.relu()),
            ),
        ];
        for (k, (own, candle)) in pairs.iter().enumerate() {
            for (i, (own, candle)) in own.iter().zip(candle).enumerate() {
                let d = distance(candle, own);
                assert!(d < TOLERANCE, "{k} {i}: {d}");
            }
        }
    }
}
