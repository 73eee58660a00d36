//! Temporal noise of one conversion, in the integers that both engines add.

use crate::peers::PeerNoise;
use crate::spec::MacroSpec;
use farad_core::axis::{SIGMA_BINS, add_noise, add_noise_beyond, lsb_steps, sigma_bin};

/// Units of a noise sigma: 1/8 of an axis step.
const SIGMA_PER_QUANTUM: f64 = 8.0;

/// Noise of one conversion; the same for every chip, unless it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct TemporalNoise {
    /// sigma of the noise that one draw per conversion carries, by bin of the ADC's range, in 1/8 axis steps.
    pub sigma: [i16; SIGMA_BINS],
    /// sigma of each comparator decision (noise per decision), in 1/8 axis steps; 0 if drawn per conversion.
    pub decision_sigma: i16,
    /// Noise and clipping of another simulator that `sigma` cannot express; see [`crate::peers`].
    pub peer: Option<PeerNoise>,
}

impl TemporalNoise {
    /// Noise of `lsb` at the ADC's input, whatever the input, in one draw per conversion.
    #[must_use]
    pub fn constant(spec: &MacroSpec, lsb: f64) -> Self {
        Self {
            sigma: [sigma_units(spec, lsb); SIGMA_BINS],
            decision_sigma: 0,
            peer: None,
        }
    }

    /// No temporal noise at all.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.decision_sigma == 0 && self.peer.is_none() && self.sigma.iter().all(|&s| s == 0)
    }

    /// The ADC's input for the noise-free input `clean` of a converter with `bits`; `draw` yields the conversion's uniform.
    #[must_use]
    pub fn noisy(&self, clean: i16, bits: u32, draw: impl FnOnce() -> u16) -> i16 {
        match &self.peer {
            _ if self.is_silent() => clean,
            Some(peer) => peer.noisy(clean, bits, draw()),
            None => add_noise(clean, self.sigma_at(clean, bits), draw()),
        }
    }

    /// [`noisy`](Self::noisy) for inputs that may lie beyond the axis, see [`crate::adc::readout`].
    #[must_use]
    pub fn noisy_beyond(&self, clean: i32, bits: u32, draw: impl FnOnce() -> u16) -> i32 {
        match &self.peer {
            _ if self.is_silent() => clean,
            Some(peer) => peer.noisy_beyond(clean, bits, draw()),
            None => add_noise_beyond(clean, |v| self.sigma_at(v, bits), draw()),
        }
    }

    /// sigma of the noise that one draw carries at the noise-free input `clean` of a converter with `bits`, in 1/8 axis steps.
    #[must_use]
    pub fn sigma_at(&self, clean: i16, bits: u32) -> i16 {
        match &self.peer {
            Some(peer) => peer.sigma_at(clean, bits),
            None => self.sigma[sigma_bin(clean, bits)],
        }
    }
}

/// A sigma in LSB as the axis keeps it.
pub(crate) fn sigma_units(spec: &MacroSpec, lsb: f64) -> i16 {
    libm::rint(lsb * f64::from(lsb_steps(spec.adc.bits)) * SIGMA_PER_QUANTUM).min(f64::from(i16::MAX)) as i16
}
