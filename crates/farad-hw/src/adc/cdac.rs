//! Capacitive DACs as rows of capacitors, in units, each with its own error.

/// The capacitors of one converter's DAC.
#[derive(Debug, Clone, PartialEq)]
pub enum Cdac {
    /// One binary-weighted array.
    Binary {
        /// LSB first.
        capacitors: Vec<f64>,
        /// Terminating capacitor.
        dummy: f64,
    },
    /// Two binary-weighted arrays joined by a bridge.
    Split {
        /// LSB array, LSB first.
        low: Vec<f64>,
        /// MSB array, LSB first.
        high: Vec<f64>,
        /// Terminating capacitor of the LSB array.
        dummy: f64,
        /// Between the arrays' plates.
        bridge: f64,
    },
}

impl Cdac {
    /// A binary-weighted DAC of units with relative error `sigma`; `normal` yields standard normal draws.
    pub(super) fn binary(bits: u32, sigma: f64, normal: &mut dyn FnMut() -> f64) -> Self {
        let capacitors = draw(bits, sigma, normal);
        Self::Binary {
            capacitors,
            dummy: 1.0 + sigma * normal(),
        }
    }

    /// A split DAC, half of its bits on either side of a bridge of `2^L / (2^L - 1)` units.
    pub(super) fn split(bits: u32, sigma: f64, normal: &mut dyn FnMut() -> f64) -> Self {
        let low_bits = bits / 2;
        // A 1-bit converter has no LSB array and no bridge.
        if low_bits == 0 {
            return Self::binary(bits, sigma, normal);
        }
        let low = draw(low_bits, sigma, normal);
        let high = draw(bits - low_bits, sigma, normal);
        let units = libm::exp2(f64::from(low_bits));
        let nominal = units / (units - 1.0);
        let bridge = nominal + sigma * nominal.sqrt() * normal();
        Self::Split {
            low,
            high,
            dummy: 1.0 + sigma * normal(),
            bridge,
        }
    }

    /// Output as a fraction of the reference, for each trial code from 1.
    #[must_use]
    pub fn levels(&self) -> Vec<f64> {
        match self {
            Self::Binary { capacitors, dummy } => binary_levels(capacitors, *dummy),
            Self::Split {
                low,
                high,
                dummy,
                bridge,
            } => split_levels(low, high, *dummy, 0.0, *bridge),
        }
    }
}

/// Binary-weighted capacitors, LSB first; each of `2^k` units has `sigma / sqrt(2^k)` relative error.
fn draw(bits: u32, sigma: f64, normal: &mut dyn FnMut() -> f64) -> Vec<f64> {
    (0..bits)
        .map(|k| libm::exp2(f64::from(k)))
        .map(|w| w + sigma * w.sqrt() * normal())
        .collect()
}

/// Output of a binary-weighted CDAC as a fraction of the reference, for each trial code from 1.
#[must_use]
pub fn binary_levels(capacitors: &[f64], dummy: f64) -> Vec<f64> {
    let total: f64 = capacitors.iter().sum::<f64>() + dummy;
    (1..1usize << capacitors.len())
        .map(|trial| sum_of(trial, capacitors) / total)
        .collect()
}

/// Output of a split CDAC as a fraction of the reference: `low` and `high` arrays (LSB first), a terminating `dummy` with
/// any `parasitic` on the LSB array's plate, and the `bridge`. Solves charge conservation on the two plates.
#[must_use]
pub fn split_levels(low: &[f64], high: &[f64], dummy: f64, parasitic: f64, bridge: f64) -> Vec<f64> {
    let on_low = low.iter().sum::<f64>() + dummy + parasitic + bridge;
    let on_high = high.iter().sum::<f64>() + bridge;
    let determinant = on_low * on_high - bridge * bridge;
    (1..1usize << (low.len() + high.len()))
        .map(|trial| {
            let (l, h) = (sum_of(trial, low), sum_of(trial >> low.len(), high));
            (l * bridge + h * on_low) / determinant
        })
        .collect()
}

/// Sum of the capacitors that `trial` switches.
pub(super) fn sum_of(trial: usize, capacitors: &[f64]) -> f64 {
    capacitors
        .iter()
        .enumerate()
        .filter(|(k, _)| trial >> k & 1 == 1)
        .map(|(_, c)| c)
        .sum()
}
