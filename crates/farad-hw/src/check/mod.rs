//! Published numbers of the bundled macros against the model, in three columns.
//!
//! - *first principles*: the macro's geometry, supply, clock and capacitors, with every energy and area constant taken from
//!   [`crate::technology`]: one parameter set for all macros, no knowledge of the chip;
//! - *globally scaled*: the same, with one factor for all energies and one for all areas: the geometric mean over the
//!   macros of published over first principles;
//! - *fitted*: the macro's own `macro.toml`.
//!
//! Only the fitted column is asserted. A check of kind `calibrated` asserts that the constants still add up to the number they
//! were chosen for, and says nothing about prediction. The distance of the first column is the honest error of the model on
//! a chip that nobody measured.

mod quantity;

use crate::diagnostic::Diagnostics;
use crate::models::{self, Model};
use crate::spec::MacroSpec;
use crate::technology;
use quantity::{Dimension, Point, Quantity};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a published number is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Published, and no constant was chosen to meet it.
    Published,
    /// A constant of the macro was chosen to meet it.
    Calibrated,
    /// Computed from other published numbers.
    Derived,
}

/// One `[[check]]` of `checks.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    quantity: String,
    condition: String,
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
    #[serde(default = "half")]
    input_density: f64,
    #[serde(default = "half")]
    weight_density: f64,
    value: f64,
    unit: String,
    tolerance_pct: f64,
    kind: Kind,
    source: String,
    not_asserted: Option<String>,
}

fn half() -> f64 {
    0.5
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChecksFile {
    check: Vec<Check>,
}

/// A published number and what the model says.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Macro.
    pub model: &'static str,
    /// Quantity, its unit in the name.
    pub quantity: &'static str,
    /// Operating point, in words.
    pub condition: String,
    /// Unit of the four values.
    pub unit: &'static str,
    /// What the number is to the model.
    pub kind: Kind,
    /// Where it was published.
    pub source: String,
    /// The number.
    pub published: f64,
    /// One parameter set for all macros.
    pub first_principles: f64,
    /// The same with one common factor.
    pub globally_scaled: f64,
    /// The macro's own constants.
    pub fitted: f64,
    /// Tolerance of the fitted value, percent.
    pub tolerance_pct: f64,
    /// Why the fitted value is shown but not asserted.
    pub not_asserted: Option<String>,
    /// The fitted value is within tolerance, or not asserted.
    pub ok: bool,
}

/// A `checks.toml` that does not make sense.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not TOML, or not of this form.
    #[error("hw-models/{model}/checks.toml: {source}")]
    Form {
        /// Macro.
        model: &'static str,
        /// What the parser says.
        source: Box<toml::de::Error>,
    },
    /// A quantity that is not known, or known in another unit.
    #[error("hw-models/{model}/checks.toml: no quantity `{quantity}` in {unit}")]
    Quantity {
        /// Macro.
        model: &'static str,
        /// Its name there.
        quantity: String,
        /// Its unit there.
        unit: String,
    },
    /// The macro does not take the condition's `set`.
    #[error("hw-models/{model}/checks.toml: {source}")]
    Set {
        /// Macro.
        model: &'static str,
        /// What is wrong with it.
        source: Box<Diagnostics>,
    },
}

/// Evaluates every check of every bundled macro, in the order of the files.
///
/// # Errors
/// A `checks.toml` that cannot be read or names what does not exist.
pub fn run_checks() -> Result<Vec<CheckResult>, CheckError> {
    let mut results = Vec::new();
    let mut dimensions = Vec::new();
    for model in models::list() {
        let file: ChecksFile = toml::from_str(model.checks).map_err(|e| CheckError::Form {
            model: model.name,
            source: Box::new(e),
        })?;
        for check in &file.check {
            let quantity = quantity::find(&check.quantity)
                .filter(|q| q.unit == check.unit)
                .ok_or_else(|| CheckError::Quantity {
                    model: model.name,
                    quantity: check.quantity.clone(),
                    unit: check.unit.clone(),
                })?;
            results.push(evaluate(model, check, quantity)?);
            dimensions.push(quantity.dimension);
        }
    }
    let energy = common_factor(&results, &dimensions, Dimension::Energy, Dimension::PerEnergy);
    let area = common_factor(&results, &dimensions, Dimension::Area, Dimension::PerArea);
    for (result, dimension) in results.iter_mut().zip(dimensions) {
        result.globally_scaled = result.first_principles
            * match dimension {
                Dimension::Energy => energy,
                Dimension::PerEnergy => 1.0 / energy,
                Dimension::Area => area,
                Dimension::PerArea => 1.0 / area,
                Dimension::Neither => 1.0,
            };
    }
    Ok(results)
}

fn evaluate(model: &Model, check: &Check, quantity: &'static Quantity) -> Result<CheckResult, CheckError> {
    let set: Vec<(String, String)> = check
        .set
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect();
    let spec = model.spec(&set).map_err(|e| CheckError::Set {
        model: model.name,
        source: Box::new(e),
    })?;
    let measure = |spec| (quantity.measure)(&Point::new(spec, check.input_density, check.weight_density));
    let first_principles = measure(without_fit(&spec));
    let fitted = measure(spec);
    let within = (fitted / check.value - 1.0).abs() * 100.0 <= check.tolerance_pct;
    Ok(CheckResult {
        model: model.name,
        quantity: quantity.name,
        condition: check.condition.clone(),
        unit: quantity.unit,
        kind: check.kind,
        source: check.source.clone(),
        published: check.value,
        first_principles,
        globally_scaled: first_principles,
        fitted,
        tolerance_pct: check.tolerance_pct,
        ok: within || check.not_asserted.is_some(),
        not_asserted: check.not_asserted.clone(),
    })
}

/// The macro with every cost constant replaced by its node's.
fn without_fit(spec: &MacroSpec) -> MacroSpec {
    let technology = &spec.technology;
    let mut spec = MacroSpec {
        energy: technology::energy(technology, spec.input.combine, spec.array.topology),
        area: technology::area(technology, spec.array.unit_cap_ff),
        ..spec.clone()
    };
    spec.adc.decision_fj = technology::decision_fj(technology, spec.adc.kind, spec.adc.bits);
    (spec.adc.area_fixed_um2, spec.adc.area_per_unit_um2) =
        technology::adc_area_um2(technology, spec.adc.kind, spec.adc.unit_cap_ff);
    spec
}

/// Geometric mean of published over first principles: of each macro's checks, then of the macros, so that a macro with many
/// checks counts once. A quantity that the node model sets to zero has no ratio.
fn common_factor(results: &[CheckResult], dimensions: &[Dimension], direct: Dimension, inverse: Dimension) -> f64 {
    let mut per_model: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (result, dimension) in results.iter().zip(dimensions) {
        let log_ratio = libm::log(result.published / result.first_principles);
        let sign = if *dimension == direct { 1.0 } else { -1.0 };
        if (*dimension == direct || *dimension == inverse) && log_ratio.is_finite() {
            per_model.entry(result.model).or_default().push(sign * log_ratio);
        }
    }
    let mean = |logs: &[f64]| logs.iter().sum::<f64>() / logs.len() as f64;
    let means: Vec<f64> = per_model.values().map(|logs| mean(logs)).collect();
    if means.is_empty() { 1.0 } else { libm::exp(mean(&means)) }
}
