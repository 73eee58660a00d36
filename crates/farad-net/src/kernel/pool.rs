//! Pooling windows.

use crate::requant::{Multiplier, Quantiser};

/// Windows over a picture, stored NHWC. `out_h` and `out_w` say how far padding reaches at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) in_h: usize,
    pub(crate) in_w: usize,
    pub(crate) channels: usize,
    pub(crate) out_h: usize,
    pub(crate) out_w: usize,
    pub(crate) kernel_h: usize,
    pub(crate) kernel_w: usize,
    pub(crate) stride_h: usize,
    pub(crate) stride_w: usize,
    pub(crate) pad_top: usize,
    pub(crate) pad_left: usize,
}

impl Window {
    /// One window over the whole picture.
    pub(crate) fn global(in_h: usize, in_w: usize, channels: usize) -> Self {
        Self {
            in_h,
            in_w,
            channels,
            out_h: 1,
            out_w: 1,
            kernel_h: in_h,
            kernel_w: in_w,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }
}

/// What a window is reduced to.
#[derive(Debug, Clone)]
pub(crate) enum Reduce {
    /// The largest byte, clamped.
    Max { low: u8, high: u8 },
    /// TFLite's AVERAGE_POOL_2D: the mean of the raw integers, halves away from zero; `origin` is what a stored byte
    /// exceeds its raw integer by.
    MeanRaw { origin: i32, low: u8, high: u8 },
    /// TFLite's MEAN: the sum, rescaled by a factor that includes the division, in fixed point.
    MeanFixed {
        factor: Multiplier,
        in_zero: i32,
        out_zero: i32,
    },
    /// onnxruntime's QLinearAveragePool: dequantised, summed and divided in f32. `count` is the divisor where padding
    /// counts.
    MeanFloat {
        input: Quantiser,
        count: Option<usize>,
        output: Quantiser,
        low: u8,
        high: u8,
    },
    /// onnxruntime's QLinearGlobalAveragePool: an integer sum times one float factor.
    MeanScaled {
        factor: f32,
        in_zero: i32,
        out_zero: i32,
        low: u8,
        high: u8,
    },
}

/// A pooling layer.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) window: Window,
    pub(crate) reduce: Reduce,
}

impl Pool {
    /// Pools a batch.
    pub(crate) fn run(&self, x: &[u8], out: &mut [u8]) {
        let w = &self.window;
        let images = x.chunks_exact(w.in_h * w.in_w * w.channels);
        for (x, out) in images.zip(out.chunks_exact_mut(w.out_h * w.out_w * w.channels)) {
            for (position, out) in out.chunks_exact_mut(w.channels).enumerate() {
                let rows = span(position / w.out_w, w.stride_h, w.pad_top, w.kernel_h, w.in_h);
                let columns = span(position % w.out_w, w.stride_w, w.pad_left, w.kernel_w, w.in_w);
                let taps = || {
                    let columns = columns.clone();
                    rows.clone()
                        .flat_map(move |y| columns.clone().map(move |x| (y * w.in_w + x) * w.channels))
                };
                for (c, out) in out.iter_mut().enumerate() {
                    *out = self.reduce.one(taps().map(|at| x[at + c]), rows.len() * columns.len());
                }
            }
        }
    }
}

/// The part of window `index` that lies inside the picture.
fn span(index: usize, stride: usize, pad: usize, kernel: usize, len: usize) -> std::ops::Range<usize> {
    let start = index * stride;
    start.saturating_sub(pad).min(len)..(start + kernel).saturating_sub(pad).min(len)
}

impl Reduce {
    fn one(&self, taps: impl Iterator<Item = u8>, valid: usize) -> u8 {
        match *self {
            Self::Max { low, high } => taps.max().unwrap_or(low).clamp(low, high),
            Self::MeanRaw { origin, low, high } => {
                let n = valid.max(1) as i32;
                let sum: i32 = taps.map(|x| i32::from(x) - origin).sum();
                let half = if sum > 0 { n / 2 } else { -(n / 2) };
                ((sum + half) / n + origin).clamp(i32::from(low), i32::from(high)) as u8
            }
            Self::MeanFixed {
                factor,
                in_zero,
                out_zero,
            } => {
                let sum: i32 = taps.map(|x| i32::from(x) - in_zero).sum();
                factor.apply(sum).saturating_add(out_zero).clamp(0, 255) as u8
            }
            Self::MeanFloat {
                input,
                count,
                output,
                low,
                high,
            } => {
                let sum = taps.fold(0f32, |sum, x| sum + input.real(x));
                let mean = sum / count.unwrap_or(valid) as f32;
                // Unlike QuantizeLinear this kernel adds the zero point before it rounds.
                let y = (mean / output.scale + f32::from(output.zero)).round_ties_even();
                (y as i32).clamp(i32::from(low), i32::from(high)) as u8
            }
            Self::MeanScaled {
                factor,
                in_zero,
                out_zero,
                low,
                high,
            } => {
                let sum: i32 = taps.map(|x| i32::from(x) - in_zero).sum();
                let y = (sum as f32 * factor).round_ties_even() as i32;
                y.saturating_add(out_zero).clamp(i32::from(low), i32::from(high)) as u8
            }
        }
    }
}
