//! What a macro was measured to be, in every form: text, JSON, SVG and one HTML page. All are functions of [`CharacterizeReport`].

mod html;
mod metrics;
mod plots;
mod text;

pub use metrics::{Limit, LimitResult, METRICS, Metric, Summary};

use crate::build::{component_energy, macro_area};
use crate::error::ReportError;
use crate::output::OutputDir;
use crate::report::{ComponentEnergy, MacroArea, MacroInfo, SEMANTICS};
use farad_hw::MacroSpec;
use farad_sim::characterize::{Band, Characterization, ChipMeasure, ColumnPoint, NoiseMeasure, ResolutionPoint};
use serde::Serialize;
use std::path::PathBuf;

/// Name and version of the shape of `characterize.json`.
pub const CHARACTERIZE_SCHEMA: &str = "farad.characterize/1";

/// One macro, measured. Everything is a function of the inputs and the seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CharacterizeReport {
    /// [`CHARACTERIZE_SCHEMA`].
    pub schema: &'static str,
    /// Version of Farad that wrote the report.
    pub farad_version: &'static str,
    /// [`SEMANTICS`].
    pub semantics: u32,
    /// Interrupted: fewer chips than asked for.
    pub partial: bool,
    /// What was measured.
    #[serde(rename = "macro")]
    pub hw: MacroInfo,
    /// Seed of noise and stimulus.
    pub seed: u64,
    /// Chips that were asked for.
    pub chips_requested: u32,
    /// The converters in words and numbers.
    pub adc: AdcInfo,
    /// Figures over the chips.
    pub summary: Vec<Summary>,
    /// Limits that were set.
    pub limits: Vec<LimitResult>,
    /// Share of chips within all limits, 0 to 1; null without limits.
    #[serde(rename = "yield")]
    pub share: Option<f64>,
    /// Energy, time, area.
    pub cost: CostReport,
    /// Temporal noise, the same on every chip.
    pub noise: NoiseMeasure,
    /// Conversions against rows and activity.
    pub columns: Vec<ColumnPoint>,
    /// Outputs against the ADC's bits.
    pub resolutions: Vec<ResolutionPoint>,
    /// Transitions of conversions less ideal, LSB of charge, at `k - 1` for code `k`; over chips and conversions.
    pub transfer_lsb: Band,
    /// INL, LSB, at `k - 1` for the transition to code `k`; over chips and converters.
    pub inl_lsb: Band,
    /// DNL, LSB, at `k - 1` for code `k`; over chips and converters.
    pub dnl_lsb: Band,
    /// Every chip.
    pub chips: Vec<ChipMeasure>,
}

/// The converters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdcInfo {
    /// Kind.
    pub kind: &'static str,
    /// Resolution.
    pub bits: u32,
    /// Range in words.
    pub range: String,
    /// Converters of the macro.
    pub count: usize,
    /// Converters that were measured on each chip.
    pub measured: usize,
    /// One LSB at the column, V.
    pub lsb_v: f64,
    /// One LSB in product counts of the LSB column.
    pub lsb_counts: f64,
    /// Zero charge is in the middle of the codes.
    pub signed: bool,
    /// Wordlines of the macro.
    pub rows: usize,
}

/// Energy, time and area of one macro. One input vector drives all rows and the outputs under test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// Energy of one conversion by code, J.
    pub conversion_j: Vec<f64>,
    /// Mean over the simulated conversions, J.
    pub mean_conversion_j: f64,
    /// Clocks of a conversion after sampling, whatever its code.
    pub conversion_clocks: u64,
    /// Conversions of one input vector.
    pub conversions: f64,
    /// Clocks of the array for one evaluation.
    pub array_clocks: u64,
    /// Clocks of the converters for one evaluation, sampling and multiplexing included.
    pub adc_clocks: u64,
    /// Clocks of one input vector.
    pub vector_clocks: u64,
    /// Time of one input vector, s.
    pub vector_s: f64,
    /// Energy of one input vector by component, J.
    pub vector_j: ComponentEnergy,
    /// Area by component, um^2.
    pub area_um2: MacroArea,
    /// 10^12 operations per second, fully used.
    pub peak_tops: f64,
    /// The same per watt, without buffers and weight load, densities of one half.
    pub peak_tops_per_watt: f64,
    /// Sampled conversions by code.
    pub code_histogram: Vec<u64>,
}

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// What was measured, overrides included.
    pub spec: &'a MacroSpec,
    /// Its file.
    pub hw: &'a MacroInfo,
    /// The measurement.
    pub result: &'a Characterization,
    /// Chips that were asked for.
    pub chips: u32,
    /// Seed.
    pub seed: u64,
    /// Limits.
    pub limits: &'a [Limit],
}

impl CharacterizeReport {
    /// The report of a measurement.
    #[must_use]
    pub fn build(measured: &Measured<'_>) -> Self {
        let Measured { spec, result, .. } = *measured;
        let (limits, share) = metrics::yields(&result.chips, measured.limits);
        let cost = &result.cost;
        Self {
            schema: CHARACTERIZE_SCHEMA,
            farad_version: env!("CARGO_PKG_VERSION"),
            semantics: SEMANTICS,
            partial: result.chips.len() < measured.chips as usize,
            hw: measured.hw.clone(),
            seed: measured.seed,
            chips_requested: measured.chips,
            adc: AdcInfo {
                kind: spec.adc.kind,
                bits: spec.adc.bits,
                range: spec.adc.range.to_string(),
                count: spec.adcs(),
                measured: result.chips.first().map_or(0, |chip| chip.adcs.len()),
                lsb_v: result.noise.lsb_v,
                lsb_counts: result.lsb_counts,
                signed: result.signed,
                rows: spec.array.rows,
            },
            summary: metrics::summaries(&result.chips),
            limits,
            share,
            cost: CostReport {
                conversion_j: cost.conversion_j.clone(),
                mean_conversion_j: cost.mean_conversion_j,
                conversion_clocks: cost.conversion_clocks,
                conversions: cost.conversions,
                array_clocks: cost.timing.array_clocks,
                adc_clocks: cost.timing.adc_clocks,
                vector_clocks: cost.timing.total_mvm_clocks,
                vector_s: cost.vector_s,
                vector_j: component_energy(&cost.vector),
                area_um2: macro_area(&cost.area),
                peak_tops: cost.peak.tops,
                peak_tops_per_watt: cost.peak.tops_per_watt,
                code_histogram: cost.code_histogram.clone(),
            },
            noise: result.noise.clone(),
            columns: result.columns.clone(),
            resolutions: result.resolutions.clone(),
            transfer_lsb: result.transfer_lsb.clone(),
            inl_lsb: result.inl_lsb.clone(),
            dnl_lsb: result.dnl_lsb.clone(),
            chips: result.chips.clone(),
        }
    }

    /// `characterize.json`: indented, with a newline at the end.
    ///
    /// # Errors
    /// [`ReportError::Json`], which no report built by Farad makes happen.
    pub fn json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes `characterize.json`, `characterize.html` and each plot as `NAME.svg`; returns their paths.
    ///
    /// # Errors
    /// What [`CharacterizeReport::plots`] returns, and [`ReportError::Write`].
    pub fn write(&self, out: &OutputDir) -> Result<Vec<PathBuf>, ReportError> {
        let plots = self.plots()?;
        let files = vec![
            ("characterize.json".to_owned(), self.json()?.into_bytes()),
            ("characterize.html".to_owned(), self.html(&plots).into_bytes()),
        ];
        out.write_all(files, plots)
    }

    /// How far it got, when it was interrupted.
    #[must_use]
    pub fn partial_warning(&self) -> Option<String> {
        self.partial
            .then(|| format!("stopped after {} of {} chips", self.chips.len(), self.chips_requested))
    }
}
