//! From int32 accumulators to stored bytes, as the source tools do it.

/// A positive real factor as gemmlowp writes it: `mantissa * 2^(shift - 31)`, mantissa in `[2^30, 2^31)`.
///
/// TFLite: `QuantizeMultiplier` in `tensorflow/lite/kernels/internal/quantization_util.cc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Multiplier {
    pub(crate) mantissa: i32,
    pub(crate) shift: i32,
}

impl Multiplier {
    /// Nearest multiplier of `real`; zero where the factor is too small for any int32 to matter.
    pub(crate) fn new(real: f64) -> Self {
        if !(real.is_finite() && real > 0.0) {
            return Self { mantissa: 0, shift: 0 };
        }
        let (fraction, mut shift) = libm::frexp(real);
        let mut mantissa = (fraction * f64::from(1u32 << 31)).round() as i64;
        if mantissa == 1 << 31 {
            mantissa >>= 1;
            shift += 1;
        }
        if shift < -31 {
            return Self { mantissa: 0, shift: 0 };
        }
        Self {
            mantissa: mantissa as i32,
            shift,
        }
    }

    /// `x` times the factor with gemmlowp's two roundings. A left shift that leaves int32 saturates.
    pub(crate) fn apply(self, x: i32) -> i32 {
        let left = self.shift.clamp(0, 31);
        let shifted = (i64::from(x) << left).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        rounding_divide_by_pot(doubling_high_mul(shifted, self.mantissa), (-self.shift).max(0))
    }
}

/// `round(a * b / 2^31)`, halves away from zero on the positive side as gemmlowp's
/// `SaturatingRoundingDoublingHighMul` does.
pub(crate) fn doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)) as i32
}

/// `round(x / 2^exponent)`, halves away from zero (gemmlowp's `RoundingDivideByPOT`).
pub(crate) fn rounding_divide_by_pot(x: i32, exponent: i32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from((x & mask) > threshold)
}

/// How the accumulators of a MAC layer become stored bytes. `zero`, `low` and `high` are in stored terms.
#[derive(Debug, Clone)]
pub(crate) enum Requant {
    /// TFLite: integer bias, fixed-point factor per channel.
    Fixed {
        bias: Vec<i32>,
        factor: Vec<Multiplier>,
        zero: i32,
        low: i32,
        high: i32,
    },
    /// TFLite's reference fully connected layer (LiteRT 2): integer bias, double factor per channel, halves away from
    /// zero.
    Double {
        bias: Vec<i32>,
        factor: Vec<f64>,
        zero: i32,
        low: i32,
        high: i32,
    },
    /// onnxruntime's integer kernels: integer bias, float factor per channel, halves to even.
    Float {
        bias: Vec<i32>,
        factor: Vec<f32>,
        zero: i32,
        low: i32,
        high: i32,
    },
    /// onnxruntime's float kernels between a DequantizeLinear and a QuantizeLinear.
    Real {
        affine: Affine,
        post: Vec<Unary>,
        quantiser: Quantiser,
    },
}

impl Requant {
    /// Requantises `acc` (`[position][channel]`) into `out`.
    ///
    /// A float-to-integer cast saturates, so only the stored byte needs a clamp.
    pub(crate) fn apply(&self, acc: &[i32], out: &mut [u8]) {
        match self {
            Self::Fixed {
                bias,
                factor,
                zero,
                low,
                high,
            } => each(acc, out, bias, factor, |acc, bias, factor| {
                let steps = factor.apply(acc.wrapping_add(bias));
                steps.saturating_add(*zero).clamp(*low, *high) as u8
            }),
            Self::Double {
                bias,
                factor,
                zero,
                low,
                high,
            } => each(acc, out, bias, factor, |acc, bias, factor| {
                let steps = (f64::from(acc.wrapping_add(bias)) * factor).round() as i32;
                steps.saturating_add(*zero).clamp(*low, *high) as u8
            }),
            Self::Float {
                bias,
                factor,
                zero,
                low,
                high,
            } => {
                let (zero, least, most) = (*zero, (low - zero) as f32, (high - zero) as f32);
                each(acc, out, bias, factor, |acc, bias, factor| {
                    (half_even_within(acc.wrapping_add(bias) as f32 * factor, least, most) + zero) as u8
                });
            }
            Self::Real {
                affine,
                post,
                quantiser,
            } => each(acc, out, &affine.bias, &affine.scale, |acc, bias, scale| {
                quantiser.quantise(Unary::all(post, real(acc, scale, bias)))
            }),
        }
    }
}

/// `out[i] = f(acc[i], bias[c], factor[c])`, channels innermost. Zipped, so that the compiler can vectorise a row.
fn each<B: Copy, F: Copy>(acc: &[i32], out: &mut [u8], bias: &[B], factor: &[F], f: impl Fn(i32, B, F) -> u8) {
    let rows = acc.chunks_exact(bias.len()).zip(out.chunks_exact_mut(bias.len()));
    for (acc, out) in rows {
        for (((out, &acc), &bias), &factor) in out.iter_mut().zip(acc).zip(bias).zip(factor) {
            *out = f(acc, bias, factor);
        }
    }
}

/// `x` rounded half to even, limited to `low..=high`: whole numbers of magnitude at most 2^22. NaN gives `low`.
///
/// Adding `1.5 * 2^23` leaves no bits below one, so the addition itself rounds as IEEE 754 does. Unlike
/// `f32::round_ties_even` this needs no library call on x86-64 without SSE4.1. Whole limits commute with rounding.
fn half_even_within(x: f32, low: f32, high: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (x.max(low).min(high) + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i32
}

/// `acc * scale + bias` in f32.
fn real(acc: i32, scale: f32, bias: f32) -> f32 {
    acc as f32 * scale + bias
}

/// Real value of an accumulator: `acc * scale[c] + bias[c]` in f32.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Affine {
    pub(crate) fn real(&self, channel: usize, acc: i32) -> f32 {
        real(acc, self.scale[channel], self.bias[channel])
    }
}

/// A float function of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unary {
    /// `min(max(x, low), high)`; Relu is `Clip(0, inf)`.
    Clip(f32, f32),
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(alpha x + beta, 0), 1)`.
    HardSigmoid(f32, f32),
    /// `x * HardSigmoid(1/6, 1/2)(x)`.
    HardSwish,
    /// `x` for positive `x`, `alpha x` else.
    LeakyRelu(f32),
    /// `x * factor`.
    Scale(f32),
    /// `x + offset`.
    Offset(f32),
}

impl Unary {
    pub(crate) fn eval(self, x: f32) -> f32 {
        match self {
            Self::Clip(low, high) => x.max(low).min(high),
            Self::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::LeakyRelu(alpha) => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Self::Scale(factor) => x * factor,
            Self::Offset(offset) => x + offset,
        }
    }

    pub(crate) fn all(post: &[Self], x: f32) -> f32 {
        post.iter().fold(x, |x, f| f.eval(x))
    }

    /// Whether a larger argument never gives a smaller value.
    pub(crate) fn is_monotone(self) -> bool {
        match self {
            Self::HardSwish => false,
            Self::LeakyRelu(a) | Self::Scale(a) | Self::HardSigmoid(a, _) => a >= 0.0,
            Self::Clip(..) | Self::Sigmoid | Self::Offset(_) => true,
        }
    }
}

/// Where a float lies halfway between two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ties {
    /// ONNX.
    Even,
    /// TFLite.
    AwayFromZero,
}

/// From real values to stored bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantiser {
    pub(crate) scale: f32,
    /// In stored terms.
    pub(crate) zero: u8,
    /// Stored bytes are below `2^bits`.
    pub(crate) bits: u32,
    pub(crate) ties: Ties,
}

impl Quantiser {
    pub(crate) fn quantise(self, x: f32) -> u8 {
        let (steps, zero, most) = (x / self.scale, i32::from(self.zero), i32::from(self.most()));
        let steps = match self.ties {
            Ties::Even => half_even_within(steps, -zero as f32, (most - zero) as f32),
            Ties::AwayFromZero => steps.round() as i32,
        };
        steps.saturating_add(zero).clamp(0, most) as u8
    }

    /// The largest stored byte.
    pub(crate) fn most(self) -> u8 {
        u8::MAX >> (8 - self.bits)
    }

    /// What a stored byte exceeds the source's number by, where that is signed or not.
    pub(crate) fn origin(self, signed: bool) -> u8 {
        if signed { 1 << (self.bits - 1) } else { 0 }
    }

    pub(crate) fn real(self, stored: u8) -> f32 {
        (i32::from(stored) - i32::from(self.zero)) as f32 * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `round(x * mantissa / 2^31)` and then `round(. / 2^right)` in arithmetic that cannot overflow.
    fn two_roundings(x: i32, m: Multiplier) -> i128 {
        let left = m.shift.max(0);
        let x = (i128::from(x) << left).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
        let product = x * i128::from(m.mantissa);
        // Halves up; for a negative product gemmlowp's truncating division after its nudge does the same.
        let high = (product + (1 << 30)).div_euclid(1 << 31);
        let right = (-m.shift).max(0);
        if right == 0 {
            return high;
        }
        let (magnitude, half) = (high.abs(), 1i128 << (right - 1));
        high.signum() * ((magnitude + half) >> right)
    }

    proptest! {
        #[test]
        fn multiplier_is_two_exact_roundings(x in any::<i32>(), log2 in -30.0f64..4.0) {
            let m = Multiplier::new(log2.exp2());
            prop_assert_eq!(i128::from(m.apply(x)), two_roundings(x, m));
        }

        #[test]
        fn multiplier_is_the_factor(x in -(1i32 << 24)..(1 << 24), log2 in -20.0f64..2.0) {
            let real = log2.exp2();
            let y = f64::from(Multiplier::new(real).apply(x));
            prop_assert!((y - f64::from(x) * real).abs() <= 1.0 + f64::from(x).abs() * real * 2f64.powi(-30));
        }

        #[test]
        fn float_requant_is_the_nearest_integer(acc in any::<i32>(), factor in 1e-9f32..1.0) {
            let requant = Requant::Float { bias: vec![0], factor: vec![factor], zero: 7, low: 0, high: 255 };
            let mut out = [0];
            requant.apply(&[acc], &mut out);
            let exact = f64::from(acc) * f64::from(factor) + 7.0;
            // Two f32 roundings, of the accumulator and of the product.
            let slack = f64::from(acc).abs() * f64::from(factor) * 2f64.powi(-22);
            let (low, high) = ((exact - 0.5 - slack).clamp(0.0, 255.0), (exact + 0.5 + slack).clamp(0.0, 255.0));
            prop_assert!(f64::from(out[0]) >= low.floor() && f64::from(out[0]) <= high.ceil());
        }

        #[test]
        fn quantise_inverts_real(stored in any::<u8>(), zero in any::<u8>(), scale in 1e-4f32..10.0) {
            for (ties, bits) in [(Ties::Even, 8), (Ties::Even, 4), (Ties::AwayFromZero, 8)] {
                let q = Quantiser { scale, zero: zero >> (8 - bits), bits, ties };
                prop_assert_eq!(q.quantise(q.real(stored)), stored.min(q.most()));
            }
        }
    }

    #[test]
    fn half_even_is_round_ties_even() {
        let (low, high) = (-4_194_304.0, 4_194_304.0);
        let check = |x: f32| {
            let expected = (x.round_ties_even() as i32).clamp(-4_194_304, 4_194_304);
            assert_eq!(half_even_within(x, low, high), expected, "{x}");
        };
        // Every 1,021st float there is, and all quarters around the stored bytes.
        (0..=u32::MAX)
            .step_by(1021)
            .map(f32::from_bits)
            .filter(|x| !x.is_nan())
            .for_each(check);
        (-4096..=4096).map(|quarters| quarters as f32 * 0.25).for_each(check);
        assert_eq!(half_even_within(f32::NAN, -3.0, 5.0), -3);
    }

    #[test]
    fn a_negative_half_rounds_as_gemmlowp_does() {
        // -2^30 * 1 / 2^31 = -1/2: nudge 1 - 2^30 and truncation give 0; +1/2 gives 1.
        assert_eq!(doubling_high_mul(-(1 << 30), 1), 0);
        assert_eq!(doubling_high_mul(1 << 30, 1), 1);
        assert_eq!(rounding_divide_by_pot(-3, 1), -2);
        assert_eq!(rounding_divide_by_pot(3, 1), 2);
    }
}
