//! Physical limits to hold results against.

use crate::scale::BOLTZMANN;

/// Least energy of erasing one bit, `kT ln 2` (Landauer), J.
#[must_use]
pub fn landauer_j(temperature_k: f64) -> f64 {
    BOLTZMANN * temperature_k * std::f64::consts::LN_2
}

/// Least energy of a conversion limited by thermal noise, `8 kT SNR` with the quantisation SNR `1.5 * 4^bits`, J.
#[must_use]
pub fn thermal_adc_j(bits: u32, temperature_k: f64) -> f64 {
    8.0 * BOLTZMANN * temperature_k * 1.5 * libm::exp2(2.0 * f64::from(bits))
}

/// rms kT/C noise of a capacitor, V.
#[must_use]
pub fn ktc_v(capacitor_ff: f64, temperature_k: f64) -> f64 {
    (BOLTZMANN * temperature_k / (capacitor_ff * 1e-15)).sqrt()
}
