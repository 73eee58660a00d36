//! Published chips that nothing was fitted to, and how far the cost model is from them.
//!
//! `hw-models/silicon.toml` has what the papers print: node, supply, geometry, operands, time and efficiency. Everything else is a default of
//! `macro.toml`, the same for all chips: this is what the model says of a macro that nobody has measured. Three errors are shown: as it is,
//! with one factor on all energies (the geometric mean over all chips), and with that factor taken from the other chips only.
//! A chip's energy is its macro's: array, drivers, ADCs, shift-and-add and control, no buffers and no requantisation.

use crate::cost::{self, Energy};
use crate::diagnostic::Diagnostics;
use crate::schema;
use crate::spec::MacroSpec;
use crate::timing;
use serde::Deserialize;

const CHIPS: &str = include_str!("../../../hw-models/silicon.toml");

/// One `[[chip]]` of `silicon.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    name: String,
    title: String,
    domain: Domain,
    node_nm: f64,
    vdd_v: f64,
    rows: usize,
    conversions: usize,
    input_bits: u32,
    weight_bits: u32,
    combine: Option<String>,
    adc: String,
    adc_bits: u32,
    evaluation_ns: f64,
    tops: f64,
    tops_per_watt: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    chip: Vec<Published>,
}

/// How a chip computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Domain {
    /// With charge alone.
    #[serde(rename = "charge")]
    Charge,
    /// Cells discharge a line, charge is shared afterwards: the model knows only the second.
    #[serde(rename = "charge and current")]
    Mixed,
}

/// A published chip and what the model says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipResult {
    /// Short name.
    pub name: String,
    /// Authors, title, venue, year.
    pub title: String,
    /// How it computes.
    pub domain: Domain,
    /// Node, nm.
    pub node_nm: f64,
    /// Input, weight and ADC bits.
    pub bits: [u32; 3],
    /// Products per conversion.
    pub rows: usize,
    /// Published throughput, 10^12 operations of 1b x 1b per second.
    pub published_tops: f64,
    /// The model's, from geometry and time.
    pub tops: f64,
    /// Published energy of one output: `2 rows input_bits weight_bits` operations over the published efficiency, J.
    pub published_j: f64,
    /// The model's by component, one output.
    pub energy: Energy,
    /// Modelled over published energy, without any fit.
    pub unfitted: f64,
    /// The same with the factor of all chips.
    pub scaled: f64,
    /// The same with the factor of the other chips.
    pub left_out: f64,
}

/// All chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Silicon {
    /// In the order of the file.
    pub chips: Vec<ChipResult>,
    /// Factor on all energies that the chips ask for: geometric mean of published over modelled.
    pub factor: f64,
}

/// A `silicon.toml` that does not make sense.
#[derive(Debug, thiserror::Error)]
pub enum SiliconError {
    /// It is not TOML, or not of this form.
    #[error("hw-models/silicon.toml: {0}")]
    Form(Box<toml::de::Error>),
    /// A chip that no macro can be.
    #[error("hw-models/silicon.toml: {0}")]
    Macro(Box<Diagnostics>),
}

/// How far `ratio` is from one, as a factor of at least one.
#[must_use]
pub fn error_factor(ratio: f64) -> f64 {
    ratio.max(1.0 / ratio)
}

impl Silicon {
    /// Median of the error factors of `ratio`, over the chips of `domain` or all.
    #[must_use]
    pub fn median(&self, domain: Option<Domain>, ratio: fn(&ChipResult) -> f64) -> f64 {
        let mut factors: Vec<f64> = self
            .chips
            .iter()
            .filter(|c| domain.is_none_or(|d| c.domain == d))
            .map(|c| error_factor(ratio(c)))
            .collect();
        factors.sort_by(f64::total_cmp);
        let middle = factors.len() / 2;
        if factors.len() % 2 == 1 {
            factors[middle]
        } else {
            (factors[middle - 1] * factors[middle]).sqrt()
        }
    }
}

/// Evaluates every published chip.
///
/// # Errors
/// A `silicon.toml` that cannot be read or is no macro.
pub fn silicon() -> Result<Silicon, SiliconError> {
    let file: File = toml::from_str(CHIPS).map_err(|e| SiliconError::Form(Box::new(e)))?;
    let mut chips = file.chip.iter().map(evaluate).collect::<Result<Vec<_>, _>>()?;
    let logs: Vec<f64> = chips.iter().map(|c| libm::log(c.unfitted)).collect();
    let (n, sum) = (logs.len() as f64, logs.iter().sum::<f64>());
    let factor = libm::exp(-sum / n);
    for (chip, log) in chips.iter_mut().zip(&logs) {
        chip.scaled = chip.unfitted * factor;
        chip.left_out = chip.unfitted * libm::exp(-(sum - log) / (n - 1.0));
    }
    Ok(Silicon { chips, factor })
}

fn evaluate(chip: &Published) -> Result<ChipResult, SiliconError> {
    let spec = chip.spec().map_err(|e| SiliconError::Macro(Box::new(e)))?;
    let outputs = chip.conversions as f64;
    let energy = cost::energy(&spec, &cost::full_use(&spec, 0.5, 0.5), timing::mvm_s(&spec), 1);
    let energy = energy.times(1.0 / outputs);
    let operations = 2.0 * chip.rows as f64 * f64::from(chip.input_bits * chip.weight_bits);
    let published_j = operations / (chip.tops_per_watt * 1e12);
    let ratio = energy.total_j() / published_j;
    Ok(ChipResult {
        name: chip.name.clone(),
        title: chip.title.clone(),
        domain: chip.domain,
        node_nm: chip.node_nm,
        bits: [chip.input_bits, chip.weight_bits, chip.adc_bits],
        rows: chip.rows,
        published_tops: chip.tops,
        tops: operations * outputs / timing::mvm_s(&spec) * 1e-12,
        published_j,
        energy,
        unfitted: ratio,
        scaled: ratio,
        left_out: ratio,
    })
}

impl Published {
    /// The macro of what is published and the defaults for the rest. Several input bits are a row DAC, several weight bits are merged on
    /// capacitors unless the chip says otherwise; columns of one bit are converted one by one.
    fn spec(&self) -> Result<MacroSpec, Diagnostics> {
        let merged = self.weight_bits > 1;
        let combine = match &self.combine {
            Some(combine) => combine,
            None if merged => "binary_cap",
            None => "digital",
        };
        // Two columns of one bit each make the smallest weight that a macro can have.
        let weight_bits = self.weight_bits.max(2);
        let columns = self.conversions * self.weight_bits as usize;
        let input = if self.input_bits > 1 { "dac" } else { "bitserial" };
        let text = |clock_mhz: f64| {
            format!(
                "name = '{}'\n[technology]\nnode_nm = {}\nvdd_v = {:?}\n[array]\nrows = {}\ncolumns = {columns}\n\
                 [input]\nbits = {}\ncombine = '{input}'\n[weight]\nbits = {weight_bits}\ncombine = '{combine}'\n\
                 [adc]\nkind = '{}'\nbits = {}\n[timing]\nclock_mhz = {clock_mhz:?}\n[energy]\noutput_fj = 0.0\n",
                self.name, self.node_nm, self.vdd_v, self.rows, self.input_bits, self.adc, self.adc_bits
            )
        };
        let parse = |clock_mhz| schema::parse("hw-models/silicon.toml", &text(clock_mhz), &[]);
        // The clock at which the phases take the published time.
        let clocks = timing::mvm_clocks(&parse(100.0)?);
        parse(clocks as f64 / self.evaluation_ns * 1e3)
    }
}
