//! What was set on chips after they were made, with a network's own images: ADC ranges, and trims of offset and gain.

use crate::scale::ChargeStats;
use std::collections::BTreeMap;

/// A calibration of a macro for a network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calibration {
    /// Charges that the ADC ranges follow, by layer: none where they do not, one for all of a layer, or one for each of its tiles.
    pub charges: Vec<Vec<ChargeStats>>,
    /// By chip and macro instance: the trim of each ADC.
    pub trims: BTreeMap<(u32, u32), Vec<Trim>>,
}

/// Steps that an ADC was moved by. What a step is worth says the macro: `noise.offset_trim_lsb` and `noise.gain_trim_pct`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trim {
    /// Added to the offset.
    pub offset: i32,
    /// Added to the gain.
    pub gain: i32,
}

impl Calibration {
    /// The trim of ADC `adc` of a macro instance; `None` if the chip was not trimmed.
    #[must_use]
    pub fn trim(&self, chip: u32, instance: u32, adc: usize) -> Option<Trim> {
        self.trims.get(&(chip, instance))?.get(adc).copied()
    }
}

/// The step of a trim with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrimStep {
    /// Size of a step; 0: there is no trim.
    pub size: f64,
    /// Steps either way; 0: as many as needed.
    pub most: u32,
}

impl TrimStep {
    /// The steps that take `error` out as well as they can.
    #[must_use]
    pub fn against(self, error: f64) -> i32 {
        if self.size == 0.0 {
            return 0;
        }
        let most = if self.most == 0 {
            f64::from(i32::MAX)
        } else {
            f64::from(self.most)
        };
        -libm::rint(error / self.size).clamp(-most, most) as i32
    }

    /// What so many steps add.
    #[must_use]
    pub fn of(self, steps: i32) -> f64 {
        f64::from(steps) * self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trim_has_steps_and_an_end() {
        let step = TrimStep { size: 0.5, most: 3 };
        assert_eq!(
            [1.3, -0.2, 0.26, 9.0, -9.0].map(|e| step.against(e)),
            [-3, 0, -1, -3, 3]
        );
        assert_eq!(TrimStep { size: 0.5, most: 0 }.against(9.0), -18);
        assert_eq!(TrimStep::default().against(9.0), 0);
        assert_eq!(step.of(-3), -1.5);
    }
}
