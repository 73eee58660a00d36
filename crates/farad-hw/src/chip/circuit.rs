//! The capacitors of one conversion in farads, before [`Site::lower`] makes integers of them: what a circuit simulator needs.

use super::{Lowering, Site};
use crate::adc::cdac::Cdac;
use crate::encoding::columns;
use crate::scale::Scale;
use crate::spec::{MacroSpec, SignedScheme, WeightCombine};
use farad_core::draw::Domain;

/// One conversion of one output channel as a circuit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Circuit {
    /// The columns that the conversion merges.
    pub(crate) columns: Vec<CircuitColumn>,
    /// Gain of each row's driver.
    pub(crate) row_gains: Vec<f64>,
    /// Parasitic of one column's plate, F.
    pub(crate) parasitic_f: f64,
    /// Charge of a plate at `v` volts is `C_p v (1 + linear + quadratic v)`.
    pub(crate) parasitic_linear: f64,
    /// See `parasitic_linear`; 1/V.
    pub(crate) parasitic_quadratic_per_v: f64,
    /// Voltage of the merged plate to voltage at the ADC's levels: gain.
    pub(crate) gain: f64,
    /// The same: offset, V.
    pub(crate) offset_v: f64,
    /// Reference of the ADC, V: its codes' range.
    pub(crate) reference_v: f64,
    /// The ADC's CDAC, in units, if it has one.
    pub(crate) cdac: Option<Cdac>,
}

/// One physical column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CircuitColumn {
    /// Capacitors of the connected cells, F, by row.
    pub(crate) cells_f: Vec<f64>,
    /// Capacitor with which the column joins the merged plate, F; `None` if it is converted alone.
    pub(crate) segment_f: Option<f64>,
    /// Its charge counts negative.
    pub(crate) negative: bool,
    /// Belongs to the negative bank of a pair, which has a plate of its own.
    pub(crate) bank: bool,
}

impl CircuitColumn {
    /// It joins the plate of the others with opposite polarity.
    pub(crate) fn is_switched(&self) -> bool {
        self.negative && !self.bank
    }
}

impl Site {
    /// Conversion `slot` of the first output channel here, on `chip`. All wordlines of the site are in use.
    pub(crate) fn circuit(&self, spec: &MacroSpec, chip: u32, scale: &Scale, slot: usize) -> Circuit {
        let layout = columns(spec);
        let lowering = Lowering::new(spec, chip, self, scale, &layout);
        let merged = spec.weight.combine != WeightCombine::Digital;
        let used = if merged { 0..layout.len() } else { slot..slot + 1 };
        let unit_f = spec.array.unit_cap_ff * 1e-15;
        let column_f = scale.rows_connected as f64 * unit_f;
        let parasitic_f = scale.parasitic_ratio * column_f;
        // Column k leaves 2^k of the heaviest column's share connected.
        let heaviest = layout.iter().map(|c| c.weight).fold(1.0, f64::max);
        let segments = lowering.segments(self.first_column);
        let first_output = self.first_column as usize / layout.len();
        let slot_number = first_output * spec.conversions_per_output() + slot;
        let adc = slot_number / spec.adc.columns_per_adc;
        let (lumped_gain, offset_lsb) = lowering.lumped(slot_number, adc);
        let mut draws = lowering.normals(Domain::Adc, adc as u32, 0);
        let (linear, quadratic_per_v) = parasitic_curve(spec, scale);
        Circuit {
            columns: used
                .map(|k| CircuitColumn {
                    cells_f: lowering
                        .cell_errors(self.first_column + k as u32)
                        .iter()
                        .map(|error| unit_f * (1.0 + error))
                        .collect(),
                    segment_f: segments.get(k).map(|s| s * (column_f + parasitic_f) / heaviest),
                    negative: layout[k].negative_charge,
                    bank: layout[k].bank,
                })
                .collect(),
            row_gains: lowering.row_gains(),
            parasitic_f,
            parasitic_linear: linear,
            parasitic_quadratic_per_v: quadratic_per_v,
            gain: lumped_gain * calibration(spec, scale),
            offset_v: offset_lsb * scale.lsb_v,
            reference_v: scale.lsb_v * spec.adc.codes() as f64,
            cdac: spec.adc.model().cdac(&spec.adc, &mut || draws.next_sigmas()),
        }
    }
}

/// Charge of the parasitic, `C_p v (1 + linear + quadratic v)`. Of one sign, `C_p(V) = C_p (1 + beta V)`. With both signs v counts from
/// mid-scale, where the plate is at `alpha V_DD / 2`: the slope there is part of the gain that calibration takes out.
fn parasitic_curve(spec: &MacroSpec, scale: &Scale) -> (f64, f64) {
    let beta = spec.array.parasitic_nonlinearity_per_v;
    let is_pair = spec.weight.signed == SignedScheme::Differential;
    let linear = if scale.signed && !is_pair && !spec.noise.calibrated {
        beta * spec.technology.vdd_v / (1.0 + scale.parasitic_ratio)
    } else {
        0.0
    };
    (linear, beta)
}

/// What the ADC's reference makes of the plate's voltage. Calibrated: full charge is full scale, whatever the parasitic's curvature.
/// Otherwise what is left of it after settling and injection.
fn calibration(spec: &MacroSpec, scale: &Scale) -> f64 {
    let (rho, vdd_v) = (scale.parasitic_ratio, spec.technology.vdd_v);
    let alpha = 1.0 / (1.0 + rho);
    if !spec.noise.calibrated {
        return scale.nominal_gain / alpha;
    }
    let bend = rho * spec.array.parasitic_nonlinearity_per_v;
    if scale.signed || bend == 0.0 {
        return 1.0;
    }
    // V (1 + rho (1 + beta V)) = V_DD.
    let full_v = ((1.0 + rho) * (1.0 + rho) + 4.0 * bend * vdd_v).sqrt() - (1.0 + rho);
    alpha * vdd_v * 2.0 * bend / full_v
}
