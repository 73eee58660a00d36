//! Analog-to-digital converters: one object answers for transfer, noise, energy, cycles and area.
//!
//! # How to add a kind
//! Write one file with a type that implements [`AdcKind`] and add it to [`KINDS`]; the schema, `farad list adc` and
//! both engines then know it.

use std::fmt;

/// `[adc]`
#[derive(Debug, Clone, PartialEq)]
pub struct AdcSpec {
    /// Registered name of the kind, e.g. `sar_monotonic`.
    pub kind: &'static str,
    /// Resolution, 1 to 12 bits.
    pub bits: u32,
    /// Input range.
    pub range: Range,
    /// Conversions (physical columns, or merged outputs) that share one ADC.
    pub columns_per_adc: usize,
    /// MSB decisions that a low input skips (SAR).
    pub skip_bits: u32,
    /// Unit capacitor of the CDAC, fF.
    pub unit_cap_ff: f64,
    /// Pelgrom coefficient of the CDAC: sigma(dC/C) in percent at 1 fF.
    pub mismatch_pct: f64,
    /// Energy of one comparator decision with its logic, fJ, at the macro's supply.
    pub decision_fj: f64,
    /// Area per ADC that does not depend on bits, um^2.
    pub area_fixed_um2: f64,
    /// Area per CDAC unit capacitor (or comparator, for a flash), um^2.
    pub area_per_unit_um2: f64,
}

/// Which part of the charge axis the codes cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// The largest possible charge of the connected cells.
    Full,
    /// `sigmas` standard deviations of the layer's charges either side of zero (signed) or of their mean.
    Clip {
        /// Half width in standard deviations.
        sigmas: f64,
    },
    /// The given percentile of the layer's charges over a calibration set, and its mirror.
    Calibrated {
        /// Percentile, 50 to 100.
        percentile: f64,
    },
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Full => f.write_str("full"),
            Range::Clip { sigmas } => write!(f, "clip at {sigmas} sigma"),
            Range::Calibrated { percentile } => write!(f, "calibrated to {percentile} %"),
        }
    }
}

/// One kind of ADC: its transfer, energy, cycles and area, all from the same [`AdcSpec`].
pub trait AdcKind: Send + Sync {
    /// Name in `macro.toml`.
    fn name(&self) -> &'static str;
    /// One line for `farad list adc`.
    fn description(&self) -> &'static str;
    /// Thresholds in quanta ([`QUANTA_PER_LSB`] to the LSB), ascending by code: the input at which code `k` (from 1)
    /// begins is `thresholds[k - 1]`; nominally `(k - 1/2)` LSB, counted from the middle of the range.
    /// `normal` yields standard normal draws that belong to this ADC; an ideal draw is 0.
    fn thresholds(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<i32>;
    /// Clocks of one conversion after sampling.
    fn cycles(&self, spec: &AdcSpec) -> u64;
    /// Comparator decisions for a conversion; `skipped` if it took the skip path.
    fn decisions(&self, spec: &AdcSpec, skipped: bool) -> u64;
    /// Energy of one conversion that ended in `code`, J.
    fn energy_j(&self, spec: &AdcSpec, vref_v: f64, code: usize, skipped: bool) -> f64;
    /// Area of one ADC, um^2.
    fn area_um2(&self, spec: &AdcSpec) -> f64;
}

/// Steps of the ADC input axis in one LSB.
pub const QUANTA_PER_LSB: i32 = 64;
