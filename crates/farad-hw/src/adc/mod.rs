//! Analog-to-digital converters: one object answers for transfer, noise, energy, cycles and area.
//!
//! # How to add a kind
//! Write one file with a type that implements [`AdcKind`] and add it to [`kinds`]; the schema, `farad list adc` and
//! both engines then know it.

pub mod cdac;
pub mod crosssim;
mod flash;
mod ideal;
pub mod linearity;
mod ramp;
mod range;
pub mod readout;
pub mod sar;

pub(crate) use range::whole_counts;
pub use range::{Range, RangePer, least_error_limit, optimal_limit};

/// `[adc]`
#[derive(Debug, Clone, PartialEq)]
pub struct AdcSpec {
    /// Registered name of the kind, e.g. `sar_monotonic`.
    pub kind: &'static str,
    /// Resolution, 1 to 12 bits.
    pub bits: u32,
    /// Input range.
    pub range: Range,
    /// What has a range of its own, where it follows charges.
    pub range_per: RangePer,
    /// Conversions (physical columns, or merged outputs) that share one ADC.
    pub columns_per_adc: usize,
    /// MSB decisions that a low input skips (SAR).
    pub skip_bits: u32,
    /// Unit capacitor of the CDAC, or what one step of a delay line switches, fF.
    pub unit_cap_ff: f64,
    /// Pelgrom coefficient of the CDAC: sigma(dC/C) in percent at 1 fF.
    pub mismatch_pct: f64,
    /// Energy of one comparator decision with its logic, fJ, at the macro's supply.
    pub decision_fj: f64,
    /// Area per ADC that does not depend on bits, um^2.
    pub area_fixed_um2: f64,
    /// Area per CDAC unit capacitor (or comparator, for a flash), um^2.
    pub area_per_unit_um2: f64,
    /// `false` only where [`crate::effects`] asks what it costs: inputs are told apart without steps, see [`readout`].
    pub quantises: bool,
    /// `false` only there, too: the range has no end, see [`readout`].
    pub clips: bool,
}

/// What a conversion ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// Code, from 0.
    pub code: usize,
    /// The skip path was taken.
    pub skipped: bool,
}

/// One kind of ADC: its transfer, energy, cycles and area, all from the same [`AdcSpec`].
///
/// Inputs are counted from mid-scale, so that an ideal converter's code `k` begins at `(k - 1/2 - 2^(bits-1))` LSB (mid-tread: zero has a
/// code). A kind gives its levels in LSB; what it is asked to compare are steps of [`farad_core::axis`].
pub trait AdcKind: Send + Sync {
    /// Name in `macro.toml`.
    fn name(&self) -> &'static str;
    /// One line for `farad list adc`.
    fn description(&self) -> &'static str;
    /// Comparator levels of one physical ADC, LSB: `levels[k - 1]` decides for code `k` against `k - 1`.
    /// Mismatch may make them non-monotone. `normal` yields standard normal draws that belong to this ADC.
    fn levels(&self, spec: &AdcSpec, normal: &mut dyn FnMut() -> f64) -> Vec<f64>;
    /// The decision procedure. `at_least(level)` asks the comparator whether the input is at least `level`;
    /// noise per decision lives in it. `signed` inputs straddle mid-scale.
    fn convert(
        &self,
        spec: &AdcSpec,
        signed: bool,
        levels: &[i32],
        at_least: &mut dyn FnMut(i32) -> bool,
    ) -> Conversion;
    /// Clocks of one conversion after sampling.
    fn cycles(&self, spec: &AdcSpec) -> u64;
    /// Energy of one conversion, J, with a reference of `vref_v`.
    fn energy_j(&self, spec: &AdcSpec, vref_v: f64, conversion: Conversion) -> f64;
    /// Area of one ADC, um^2.
    fn area_um2(&self, spec: &AdcSpec) -> f64;
    /// Capacitor on which the converter takes a sample of its own (with its own kT/C noise), fF; `None` if it looks at the column itself.
    fn sampling_cap_ff(&self, _: &AdcSpec) -> Option<f64> {
        None
    }
    /// The capacitors behind [`levels`](Self::levels), from the same draws; `None` if the kind has no CDAC.
    fn cdac(&self, _: &AdcSpec, _normal: &mut dyn FnMut() -> f64) -> Option<cdac::Cdac> {
        None
    }
    /// The comparator makes several decisions one after another, so noise per decision is meaningful.
    fn is_successive(&self) -> bool {
        false
    }
}

impl AdcSpec {
    /// The registered kind.
    ///
    /// # Panics
    /// If `kind` is not registered, which the schema excludes.
    #[must_use]
    pub fn model(&self) -> &'static dyn AdcKind {
        find(self.kind).expect("a checked AdcSpec names a registered kind")
    }

    /// Number of codes, `2^bits`.
    #[must_use]
    pub fn codes(&self) -> usize {
        1 << self.bits
    }

    /// sigma of one CDAC unit capacitor, relative.
    #[must_use]
    pub fn unit_sigma(&self) -> f64 {
        self.mismatch_pct / 100.0 / self.unit_cap_ff.sqrt()
    }
}

/// All kinds.
#[must_use]
pub fn kinds() -> &'static [&'static dyn AdcKind] {
    &[
        &ideal::Ideal,
        &sar::CONVENTIONAL,
        &sar::MONOTONIC,
        &sar::SPLIT,
        &flash::Flash,
        &ramp::RAMP,
        &ramp::TIME,
        &crosssim::WHOLE,
        &crosssim::SPLIT,
    ]
}

/// The kind called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn AdcKind> {
    kinds().iter().copied().find(|k| k.name() == name)
}

/// Comparator level of an ideal ADC for code `k`, LSB.
pub(crate) fn ideal_level(spec: &AdcSpec, k: usize) -> f64 {
    k as f64 - 0.5 - spec.codes() as f64 / 2.0
}

/// The transfer of a noise-free converter as a staircase: `staircase[k - 1]` is the lowest input whose code is at
/// least `k`, so the code is the number of entries not above the input. Ascending; equal entries are missing codes. With it come the inputs
/// that take the skip path.
///
/// Holds for every decision procedure whose code never falls as the input rises: between two levels nothing changes,
/// so the levels themselves are the only candidates.
#[must_use]
pub fn staircase(spec: &AdcSpec, signed: bool, levels: &[i32]) -> (Vec<i32>, std::ops::Range<i32>) {
    let kind = spec.model();
    let convert = |v: i32| kind.convert(spec, signed, levels, &mut |level| v >= level);
    let mut candidates = levels.to_vec();
    candidates.sort_unstable();
    candidates.dedup();
    let mut stairs = Vec::with_capacity(levels.len());
    let mut skips = 0..0;
    if convert(i32::MIN).skipped {
        skips = i32::MIN..i32::MAX;
    }
    for v in candidates {
        let conversion = convert(v);
        match (skips.is_empty(), conversion.skipped) {
            (true, true) => skips = v..i32::MAX,
            (false, false) if skips.end == i32::MAX => skips.end = v,
            _ => {}
        }
        while stairs.len() < conversion.code {
            stairs.push(v);
        }
    }
    stairs.resize(levels.len(), i32::MAX);
    (stairs, skips)
}
