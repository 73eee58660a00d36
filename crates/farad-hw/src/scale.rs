//! From product counts to volts to LSB: what one conversion's charge means to the ADC.
//!
//! A conversion sees `S = sum over rows of x * w` in units of the LSB column. Charge conservation on a plate of N unit capacitors and a
//! parasitic `C_p = rho N C_u` gives a column of M ones `V = alpha V_DD M / N`, `alpha = 1 / (1 + rho)`; sharing columns by their
//! weights averages them: `V = alpha V_DD S / (N A X)` with A the total weight of the merged columns and X the largest input level.
//! The ADC's step is `lsb_counts` of S. A calibrated reference is `alpha V_DD`, so that full charge is full scale; without calibration it
//! is `V_DD`, and `1 - alpha` of the range is lost.

use crate::adc::{Range, optimal_limit, whole_counts};
use crate::encoding::columns;
use crate::noise::{TemporalNoise, sigma_units};
use crate::peers;
use crate::spec::{InputCombine, MacroSpec, NoiseDraws, SignedScheme, Topology, UnusedRows, WeightCombine};

/// Boltzmann constant, J/K.
pub const BOLTZMANN: f64 = 1.380_649e-23;

/// What a calibration set says about the charges of a layer, of a tile or of a network, in units of S.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChargeStats {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sigma: f64,
    /// The end of the range that [`Range::Calibrated`] and [`Range::Mse`] ask for, of |S|.
    pub limit: f64,
}

/// Volts, steps and noise of one tile's conversions; the same for every chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Rows whose capacitors load the column.
    pub rows_connected: usize,
    /// Parasitic of the plate over the connected cells' capacitance (rho).
    pub parasitic_ratio: f64,
    /// S spans both signs and zero sits at mid-scale.
    pub signed: bool,
    /// One LSB in units of S.
    pub lsb_counts: f64,
    /// One LSB in volts at the column.
    pub lsb_v: f64,
    /// LSBs between the lowest code and mid-scale that zero charge must be moved down by (0 if signed).
    pub middle_lsb: f64,
    /// Gain that is the same for all columns and is not calibrated out.
    pub nominal_gain: f64,
    /// Voltage-dependent parasitic: LSB per S.
    pub linear_lsb: f64,
    /// Voltage-dependent parasitic: LSB per S^2.
    pub quadratic_lsb: f64,
    /// Temporal noise of a conversion that nobody measured.
    pub noise: TemporalNoise,
    offset_lsb: f64,
    droop_lsb_per_conversion: f64,
}

/// Largest input level of one conversion.
#[must_use]
pub fn input_levels(spec: &MacroSpec) -> f64 {
    match spec.input.combine {
        InputCombine::BitSerial => 1.0,
        InputCombine::Dac { bits, .. } => f64::from((1u32 << bits) - 1),
        // Successive halving: the sum of the plane weights is one LSB short of full scale.
        InputCombine::SerialShare { .. } => f64::from(1u32 << spec.input.bits),
    }
}

/// Total weight of the columns that share one conversion (one bank of a pair).
fn merged_weight(spec: &MacroSpec) -> f64 {
    let bank: f64 = columns(spec).iter().filter(|c| !c.bank).map(|c| c.weight).sum();
    match spec.weight.combine {
        WeightCombine::Digital => 1.0,
        WeightCombine::BinaryCap { .. } => bank,
        // The ladder's terminating capacitor takes the share of one more LSB.
        WeightCombine::C2c { .. } => bank + 1.0,
    }
}

/// Whether a conversion's charge can be negative.
#[must_use]
pub fn is_signed(spec: &MacroSpec) -> bool {
    spec.weight.combine != WeightCombine::Digital
        && matches!(
            spec.weight.signed,
            SignedScheme::MsbPolarity | SignedScheme::Differential
        )
}

/// Largest |S| of a conversion over `rows` rows.
fn largest_charge(spec: &MacroSpec, rows: usize) -> f64 {
    let largest_weight = match (spec.weight.combine, spec.weight.signed) {
        (WeightCombine::Digital, _) => 1.0,
        (_, SignedScheme::MsbPolarity) => f64::from(1u32 << (spec.weight.bits - 1)),
        _ => columns(spec).iter().filter(|c| !c.bank).map(|c| c.weight).sum(),
    };
    let largest_input = match spec.input.combine {
        InputCombine::SerialShare { .. } => input_levels(spec) - 1.0,
        _ => input_levels(spec),
    };
    rows as f64 * largest_weight * largest_input
}

impl Scale {
    /// The scale of a tile with `rows` wordlines in use; `stats` decide the step where the range asks for them.
    #[must_use]
    pub fn new(spec: &MacroSpec, rows: usize, stats: Option<&ChargeStats>) -> Self {
        let rows_connected = match spec.array.unused_rows {
            UnusedRows::Connected => spec.array.rows,
            UnusedRows::Gated => rows,
        };
        let signed = is_signed(spec);
        let is_pair = signed && spec.weight.signed == SignedScheme::Differential;
        let lsb_counts = step(spec, signed, largest_charge(spec, rows_connected), stats);
        let n = rows_connected as f64;
        let cells_f = n * spec.array.unit_cap_ff * 1e-15;
        let parasitic_ratio = spec.array.parasitic_ratio + spec.array.parasitic_fixed_ff * 1e-15 / cells_f;
        let alpha = 1.0 / (1.0 + parasitic_ratio);
        let vdd = spec.technology.vdd_v;
        let full = n * merged_weight(spec) * input_levels(spec);
        let calibrated = spec.noise.calibrated;
        let reference_v = if calibrated { alpha * vdd } else { vdd };
        let lsb_v = reference_v * lsb_counts / full;

        // C_p(V) = C_p0 (1 + beta V): V (1 + rho (1 + beta V)) = m V_DD has V = alpha V_DD m - bow m^2 to second order, with
        // bow = rho alpha^3 beta V_DD^2 and the plate at m = S / full, or at 1/2 + S / full around mid-scale. Calibration draws the line
        // through both ends, which leaves bow m (1 - m). A pair of plates has no even order to first order in beta.
        let bow_lsb = parasitic_ratio * alpha.powi(3) * spec.array.parasitic_nonlinearity_per_v * vdd * vdd / lsb_v;
        let ends = if calibrated { 1.0 } else { 0.0 };
        let (linear_lsb, quadratic_lsb) = if is_pair {
            (0.0, 0.0)
        } else {
            let from_line = if signed { ends - 1.0 } else { ends };
            (from_line * bow_lsb / full, -bow_lsb / (full * full))
        };

        // The plate that is sampled: all merged segments of one bank (column splitting), or one column.
        let plate_f = cells_f * (1.0 + parasitic_ratio) * plate_columns(spec);
        let noise = &spec.noise;
        let kt = BOLTZMANN * spec.technology.temperature_k;
        // A pair of plates has the noise of both, and sheds what both have in common.
        let (plates, common_mode) = if is_pair { (2.0, 0.0) } else { (1.0, 1.0) };
        // Reset of the plate; sharing adds the noise that each cell's capacitor sampled on its own, `sum of C_u^2 kT / C_u`.
        let plate_events = match spec.array.topology {
            Topology::Share => 1.0 + alpha,
            Topology::Couple => 1.0,
        };
        // Successive halving keeps a quarter of the variance of each plane and of the half before it, and adds kT / 2C per step.
        let events = match spec.input.combine {
            InputCombine::SerialShare { .. } => (plate_events / 4.0 + 0.5) * halvings(spec.input.bits),
            _ => plate_events,
        };
        let sampled_v2 = spec
            .adc
            .model()
            .sampling_cap_ff(&spec.adc)
            .map_or(0.0, |cap_ff| kt / (cap_ff * 1e-15));
        let ktc_v2 = if noise.ktc {
            plates * (kt / plate_f * events + sampled_v2)
        } else {
            0.0
        };
        let injection_v = noise.injection_sigma_mv * 1e-3;
        let analog_lsb2 = (ktc_v2 + injection_v * injection_v) / (lsb_v * lsb_v);
        let per_decision = noise.draws == NoiseDraws::PerDecision;
        let comparator_lsb = libm::hypot(noise.comparator_lsb, noise.comparator_mv * 1e-3 / lsb_v);
        let sampled_comparator_lsb = if per_decision { 0.0 } else { comparator_lsb };
        let half_range = (spec.adc.codes() / 2) as f64;
        let sigma = std::array::from_fn(|bin| {
            // Bins count from mid-scale in two's complement, as the kernels index them.
            let centre = (f64::from(bin as i32 ^ 16) - 16.0 + 0.5) / 16.0;
            let level = if signed { centre.abs() } else { 0.5 * (centre + 1.0) };
            let reference = noise.reference_lsb * level;
            sigma_units(
                spec,
                (analog_lsb2 + sampled_comparator_lsb.powi(2) + reference * reference).sqrt(),
            )
        });
        let peer = peers::noise(spec, lsb_counts, n, &sigma);

        let clock_s = 1e-6 / spec.timing.clock_mhz;
        let conversion_s = (spec.timing.sample + spec.adc.model().cycles(&spec.adc)) as f64 * clock_s;
        let droop_v_per_s = common_mode * noise.leakage_pa * 1e-12 * n * plate_columns(spec) / plate_f;
        let settled = if noise.settling_tau > 0.0 {
            1.0 - libm::exp(-noise.settling_tau)
        } else {
            1.0
        };
        let (nominal_gain, offset_lsb) = if calibrated {
            (1.0, 0.0)
        } else {
            let injected_v = common_mode * noise.injection_mv * 1e-3 - droop_v_per_s * conversion_s;
            (
                alpha * settled * (1.0 + noise.injection_pct / 100.0),
                injected_v / lsb_v,
            )
        };
        Self {
            rows_connected,
            parasitic_ratio,
            signed,
            lsb_counts,
            lsb_v,
            middle_lsb: if signed { 0.0 } else { half_range },
            nominal_gain,
            linear_lsb,
            quadratic_lsb,
            noise: TemporalNoise {
                sigma,
                decision_sigma: if per_decision {
                    sigma_units(spec, comparator_lsb)
                } else {
                    0
                },
                peer,
            },
            offset_lsb,
            droop_lsb_per_conversion: -droop_v_per_s * conversion_s / lsb_v,
        }
    }

    /// Static offset common to all columns, LSB, of the `order`-th conversion that shares an ADC: what calibration leaves, and the droop
    /// of a column that waits.
    #[must_use]
    pub fn nominal_offset_lsb(&self, order: u64) -> f64 {
        self.offset_lsb + order as f64 * self.droop_lsb_per_conversion
    }
}

/// `sum of 4^-n` over the steps of a successive redistribution of `bits` planes.
fn halvings(bits: u32) -> f64 {
    (0..bits).map(|n| libm::exp2(-2.0 * f64::from(n))).sum()
}

/// Columns' worth of capacitance on the sampled plate: with column splitting, column k leaves the fraction `2^(k + 1 - bits)` connected.
fn plate_columns(spec: &MacroSpec) -> f64 {
    match spec.weight.combine {
        WeightCombine::BinaryCap { .. } => {
            let bank: Vec<f64> = columns(spec).iter().filter(|c| !c.bank).map(|c| c.weight).collect();
            bank.iter().sum::<f64>() / bank.iter().copied().fold(1.0, f64::max)
        }
        _ => 1.0,
    }
}

/// The ADC's step in units of S.
fn step(spec: &MacroSpec, signed: bool, largest: f64, stats: Option<&ChargeStats>) -> f64 {
    if spec.adc.range == Range::NeuroSim15Clip {
        return 1.0;
    }
    let codes = spec.adc.codes() as f64;
    let top = if signed { codes / 2.0 } else { codes - 1.0 };
    let full = largest / top;
    let step = match (spec.adc.range, stats) {
        (Range::Clip { sigmas }, Some(s)) if signed => sigmas * s.sigma.hypot(s.mean) / top,
        (Range::Clip { sigmas }, Some(s)) => (s.mean + sigmas * s.sigma) / top,
        (Range::Calibrated { .. } | Range::Mse, Some(s)) => s.limit / top,
        (Range::Optimal, Some(s)) => optimal_limit(spec.adc.bits, signed, s.mean, s.sigma) / top,
        _ => full,
    };
    // A silent layer has no spread to calibrate on.
    let step = if step > 0.0 { step.min(full) } else { full };
    whole_counts(step)
}
