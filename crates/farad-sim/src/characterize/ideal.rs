//! The macro under test without its errors, and the textbook macros that it is held against.

use farad_hw::MacroSpec;
use farad_hw::adc::Range;
use farad_hw::calibration::TrimStep;
use farad_hw::spec::{Cell, InputCombine, Mapper, NoiseDraws, NoiseSpec, SignedScheme, WeightCombine};
use serde::Serialize;

/// The same geometry, bits and range, and nothing else: what is left is quantisation.
#[must_use]
pub(super) fn without_errors(spec: &MacroSpec) -> MacroSpec {
    let mut spec = spec.clone();
    spec.array.mismatch_pct = 0.0;
    spec.array.parasitic_nonlinearity_per_v = 0.0;
    match &mut spec.input.combine {
        InputCombine::SerialShare { mismatch_pct } | InputCombine::Dac { mismatch_pct, .. } => *mismatch_pct = 0.0,
        InputCombine::BitSerial => {}
    }
    match &mut spec.weight.combine {
        WeightCombine::BinaryCap {
            mismatch_pct,
            switch_parasitic: parasitic,
        }
        | WeightCombine::C2c {
            mismatch_pct,
            node_parasitic: parasitic,
        } => (*mismatch_pct, *parasitic) = (0.0, 0.0),
        WeightCombine::Digital => {}
    }
    spec.adc.kind = "ideal";
    spec.adc.skip_bits = 0;
    spec.adc.mismatch_pct = 0.0;
    spec.noise = NoiseSpec {
        ktc: false,
        comparator_lsb: 0.0,
        comparator_mv: 0.0,
        reference_lsb: 0.0,
        offset_mv: 0.0,
        offset_trim: TrimStep::default(),
        gain_trim: TrimStep::default(),
        injection_mv: 0.0,
        injection_pct: 0.0,
        injection_sigma_mv: 0.0,
        leakage_pa: 0.0,
        settling_tau: 0.0,
        column_gain_pct: 0.0,
        column_offset_lsb: 0.0,
        asim_random_pct: 0.0,
        asim_nonlinear_pct: 0.0,
        calibrated: true,
        draws: NoiseDraws::PerConversion,
    };
    (spec.profile, spec.calibration) = (None, None);
    spec
}

/// A quantisation error is uniform where a step is at least some counts; below two it is known not to be.
pub(super) const LEAST_STEP: f64 = 2.0;

/// Where the bits of an output are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Input and weight bits digitally: a conversion for each pair.
    AllDigital,
    /// Weight bits on capacitors, input bits digitally.
    WeightsMerged,
    /// Both on capacitors: one conversion per output.
    OneConversion,
}

impl Scheme {
    /// All three, most conversions first.
    pub const ALL: [Self; 3] = [Self::AllDigital, Self::WeightsMerged, Self::OneConversion];

    /// An error-free macro of this scheme with the rows and bits of `spec`, `outputs` channels wide and `adc_bits` fine over the full range.
    #[must_use]
    pub(super) fn of(self, spec: &MacroSpec, outputs: usize, adc_bits: u32) -> MacroSpec {
        let mut spec = without_errors(spec);
        spec.array.cell = Cell::And;
        spec.array.columns = outputs * spec.weight.bits as usize;
        spec.adc.bits = adc_bits;
        spec.adc.range = Range::Full;
        spec.adc.columns_per_adc = 1;
        (spec.system.mapper, spec.system.duplicate) = (Mapper::Im2col, 1);
        let merged = WeightCombine::BinaryCap {
            mismatch_pct: 0.0,
            switch_parasitic: 0.0,
        };
        let serial_share = InputCombine::SerialShare { mismatch_pct: 0.0 };
        (spec.weight.combine, spec.weight.signed, spec.input.combine) = match self {
            Self::AllDigital => (
                WeightCombine::Digital,
                SignedScheme::TwosComplement,
                InputCombine::BitSerial,
            ),
            Self::WeightsMerged => (merged, SignedScheme::MsbPolarity, InputCombine::BitSerial),
            Self::OneConversion => (merged, SignedScheme::MsbPolarity, serial_share),
        };
        spec
    }

    /// Variance of an output's quantisation error in closed form, for `N` rows, `B_x` by `B_w` bits and a full-range ADC of `B` bits; none where
    /// a step is less than two counts, where it is not uniform. Each conversion's error is uniform over its step and independent of the others':
    ///
    /// - all digital: `(N / (2^B - 1))^2 / 12 * (4^B_x - 1) (4^B_w - 1) / 9`;
    /// - weights merged: `(N 2^B_w / 2^B)^2 / 12 * (4^B_x - 1) / 3`;
    /// - one conversion: `(2 N (2^B_x - 1) 2^(B_w - 1) / 2^B)^2 / 12`.
    ///
    /// The steps are those of [`farad_hw::scale::Scale`]; a merge costs 4.77 dB and saves a factor of B conversions.
    #[must_use]
    pub fn error_variance(self, rows: f64, input_bits: u32, weight_bits: u32, adc_bits: u32) -> Option<f64> {
        let power = |base: f64, exponent: u32| libm::pow(base, f64::from(exponent));
        let codes = power(2.0, adc_bits);
        let (step, gain) = match self {
            Self::AllDigital => (
                rows / (codes - 1.0),
                (power(4.0, input_bits) - 1.0) * (power(4.0, weight_bits) - 1.0) / 9.0,
            ),
            Self::WeightsMerged => (
                rows * power(2.0, weight_bits) / codes,
                (power(4.0, input_bits) - 1.0) / 3.0,
            ),
            Self::OneConversion => (
                rows * (power(2.0, input_bits) - 1.0) * power(2.0, weight_bits) / codes,
                1.0,
            ),
        };
        (step >= LEAST_STEP).then(|| step * step / 12.0 * gain)
    }
}
