//! Converters and conversions of one chip: transitions, histograms, effective bits, offset and gain.

use crate::reference::quantise;
use farad_core::axis::{half_range, lsb_steps};
use farad_core::draw::NoiseKey;
use farad_hw::MacroSpec;
use farad_hw::adc::linearity::{Linearity, first_transition_lsb, missing_codes, transitions_lsb};
use farad_hw::chip::{AdcModel, OutputModel, SiteModel, SlotModel, quanta_per_unit};
use farad_hw::encoding::columns;
use farad_hw::noise::TemporalNoise;
use farad_hw::scale::Scale;
use serde::Serialize;

/// Conversions of one converter's ramp, all repetitions together.
const RAMP: usize = 1 << 16;
/// Most times that a ramp is repeated.
const REPEATS: usize = 64;
/// How far a ramp goes beyond the range, in sigmas of the noise, so that what noise carries in and out at the ends is seen.
const MARGIN_SIGMAS: f64 = 5.0;
/// A sigma of the tables is in 1/8 axis steps.
pub(super) const SIGMA_PER_STEP: f64 = 8.0;

/// One converter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdcMeasure {
    /// Number of the ADC on its macro.
    pub adc: usize,
    /// Largest |INL| of its transitions, LSB.
    pub inl_lsb: f64,
    /// Largest |DNL| of its codes, LSB.
    pub dnl_lsb: f64,
    /// The same from a histogram of noisy codes.
    pub histogram_inl_lsb: f64,
    /// The same from a histogram of noisy codes.
    pub histogram_dnl_lsb: f64,
    /// Codes that no input gives.
    pub missing_codes: usize,
    /// Effective bits over the ramp, `bits - log2(12 error^2) / 2` with the error against the best line, noise included.
    pub enob: f64,
}

/// One conversion: a column, or the columns that are merged, with the converter behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConversionMeasure {
    /// Its number on the macro: output times conversions per output, plus conversion.
    pub conversion: usize,
    /// Code at zero charge more than ideal, LSB.
    pub offset_lsb: f64,
    /// Codes per LSB of charge: 1 if ideal.
    pub gain: f64,
}

/// A converter with its curves.
pub(super) struct AdcCurves {
    pub(super) measure: AdcMeasure,
    /// From transitions.
    pub(super) linearity: Linearity,
}

/// Measures converter `adc` of a chip, with the noise of a conversion.
pub(super) fn adc(
    spec: &MacroSpec,
    signed: bool,
    noise: &TemporalNoise,
    model: &AdcModel,
    adc: usize,
    seed: u64,
) -> AdcCurves {
    let bits = spec.adc.bits;
    let transitions = transitions_lsb(&model.staircase, bits);
    let linearity = Linearity::of_transitions(&transitions, first_transition_lsb(bits));
    let ramp = Ramp::run(spec, signed, noise, model, adc, &linearity, seed);
    let histogram = Linearity::of_histogram(&ramp.hits, ramp.per_lsb);
    AdcCurves {
        measure: AdcMeasure {
            adc,
            inl_lsb: linearity.worst_inl_lsb(),
            dnl_lsb: linearity.worst_dnl_lsb(),
            histogram_inl_lsb: histogram.worst_inl_lsb(),
            histogram_dnl_lsb: histogram.worst_dnl_lsb(),
            missing_codes: missing_codes(&model.staircase),
            enob: f64::from(bits) - 0.5 * libm::log2(12.0 * ramp.error_lsb2),
        },
        linearity,
    }
}

/// Deviations of the transitions of conversion `slot` of `output` from an ideal chain of column and converter, in LSB of ideal charge, and what they
/// say together. The charge is that of all its cells at once, driven more or less.
pub(super) fn conversion(
    spec: &MacroSpec,
    scale: &Scale,
    model: &SiteModel,
    output: &OutputModel,
    slot: &SlotModel,
) -> (Vec<f64>, Linearity) {
    let lsb_quanta = scale.lsb_counts * f64::from(quanta_per_unit(spec)) * cell_gain(spec, model, output, slot);
    let charge_lsb = |input: f64| charge(slot, input) / lsb_quanta;
    let steps = f64::from(lsb_steps(spec.adc.bits));
    let transitions: Vec<f64> = transitions_lsb(&model.adcs[slot.adc].staircase, spec.adc.bits)
        .into_iter()
        .map(|t| charge_lsb(t * steps))
        .collect();
    let first = first_transition_lsb(spec.adc.bits) + scale.middle_lsb;
    let linearity = Linearity::of_transitions(&transitions, first);
    let deviations = transitions
        .iter()
        .enumerate()
        .map(|(k, t)| t - first - k as f64)
        .collect();
    (deviations, linearity)
}

/// Charge of all cells of a conversion's columns, without their signs, over what it ought to be.
fn cell_gain(spec: &MacroSpec, model: &SiteModel, output: &OutputModel, slot: &SlotModel) -> f64 {
    let layout = columns(spec);
    let merged = spec.conversions_per_output() == 1;
    let (mut real, mut ideal) = (0.0, 0.0);
    for k in slot.columns.clone() {
        let cells = &output.cells[k * model.rows..(k + 1) * model.rows];
        real += cells.iter().map(|&c| f64::from(c).abs()).sum::<f64>();
        ideal += if merged { layout[k].weight } else { 1.0 } * model.rows as f64;
    }
    let planes: f64 = slot.plane_weights.iter().map(|&w| f64::from(w)).sum();
    let full = libm::exp2(slot.plane_weights.len() as f64) - 1.0;
    real / (ideal * f64::from(quanta_per_unit(spec))) * planes / full
}

/// Charge, in quanta, that the transfer of `slot` puts at `input` steps: the root of its quadratic near its line.
fn charge(slot: &SlotModel, input: f64) -> f64 {
    let t = slot.transfer;
    let (a, b, c) = (f64::from(t.quadratic), f64::from(t.gain), f64::from(t.offset) - input);
    // Beyond the vertex nothing more arrives; the parabola's top stands for all of it.
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    -2.0 * c / (b + root)
}

/// A slow ramp over a converter's range, converted with its noise.
pub(super) struct Ramp {
    /// Conversions by code.
    pub(super) hits: Vec<u64>,
    /// Conversions in an ideal code.
    pub(super) per_lsb: f64,
    /// Mean square of code less input, gain and offset taken out, LSB^2.
    pub(super) error_lsb2: f64,
}

impl Ramp {
    /// One conversion at every step of the axis, repeated; `line` is the converter's own.
    pub(super) fn run(
        spec: &MacroSpec,
        signed: bool,
        noise: &TemporalNoise,
        model: &AdcModel,
        adc: usize,
        line: &Linearity,
        seed: u64,
    ) -> Self {
        let (steps, half) = (lsb_steps(spec.adc.bits), half_range(spec.adc.bits));
        let codes = spec.adc.codes();
        let repeats = if noise.is_silent() {
            1
        } else {
            (RAMP / (codes * steps as usize)).clamp(1, REPEATS)
        };
        let loudest = noise.sigma.iter().chain([&noise.decision_sigma]).max();
        let margin = MARGIN_SIGMAS * f64::from(*loudest.unwrap_or(&0)) / SIGMA_PER_STEP;
        // A level at the very end of the range lies within one LSB.
        let margin = libm::ceil(margin).min(f64::from(half)) as i32 + steps;
        let range = -half - steps / 2..half - steps / 2;
        let key = NoiseKey::new(seed, 0, 0);
        let (mut hits, mut square, mut n) = (vec![0u64; codes], 0.0, 0u64);
        for repeat in 0..repeats as u32 {
            let mut draws = [0; 8];
            for (i, v) in (range.start - margin..range.end + margin).enumerate() {
                let v = v.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                if i % 8 == 0 && !noise.is_silent() {
                    draws = key.draws(adc as u32, (i / 8) as u32, repeat, 0);
                }
                let input = noise.noisy(v, spec.adc.bits, || draws[i % 8]);
                let code = if noise.decision_sigma == 0 {
                    // The same procedure, looked up.
                    model.staircase.partition_point(|&level| level <= i32::from(input))
                } else {
                    let draw = |d: usize| key.draws(adc as u32, i as u32, repeat, 1 + (d / 8) as u32)[d % 8];
                    quantise(spec, signed, noise, model, input, draw, &mut |_| {}).code
                };
                hits[code] += 1;
                if range.contains(&i32::from(v)) {
                    // A step of the axis stands for the inputs around it.
                    let input_lsb = (f64::from(v) + 0.5) / f64::from(steps);
                    let ideal = line.gain * input_lsb + line.offset_lsb + codes as f64 / 2.0;
                    square += (code as f64 - ideal).powi(2);
                    n += 1;
                }
            }
        }
        // The spread of inputs within their step, which the ramp does not visit.
        let within = 1.0 / (12.0 * f64::from(steps).powi(2));
        Self {
            hits,
            per_lsb: f64::from(steps) * repeats as f64,
            error_lsb2: square / n.max(1) as f64 + within,
        }
    }
}
