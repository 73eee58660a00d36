//! Published chips that nothing was fitted to, and how far the cost model is from them.
//!
//! `hw-models/silicon.toml` has what is published of them: node, supplies, geometry, operands, the kind of converter and of row driver, time and
//! efficiency. Everything else is a default of `macro.toml`, the same for all chips: this is what the model says of a macro that nobody
//! has measured. Three errors are shown: as it is, with one factor on all energies (the geometric mean over the chips), and with that factor
//! taken from the other chips only. Chips that were held out until the model was settled, and the same chips at other supplies, are apart: no
//! factor is taken from them.
//!
//! A chip's energy is that of its array, drivers, ADCs and control. Where it is known what a published efficiency counts, shift-and-add behind
//! the converters is left out of it (Jia et al. and Lee et al.), so here it is for all; buffers and requantisation too.

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
    #[serde(default)]
    held_out: bool,
    node_nm: f64,
    vdd_v: f64,
    driver_vdd_v: Option<f64>,
    adc_vdd_v: Option<f64>,
    rows: usize,
    conversions: usize,
    input_bits: u32,
    weight_bits: f64,
    topology: Option<String>,
    driver: Option<String>,
    combine: Option<String>,
    adc: String,
    adc_bits: f64,
    evaluation_ns: f64,
    tops: Option<f64>,
    tops_per_watt: f64,
    #[serde(default)]
    at: Vec<Point>,
}

/// The same chip at another supply.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    vdd_v: f64,
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

/// What a chip is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Its error was known while the model was made.
    Known,
    /// It was added after the model was settled.
    HeldOut,
    /// A known chip at another supply.
    Supply,
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
    /// What it is to the model.
    pub group: Group,
    /// Node, nm.
    pub node_nm: f64,
    /// Supply, V.
    pub vdd_v: f64,
    /// Input, weight and ADC bits, as published: a ternary weight has 1.5.
    pub bits: [f64; 3],
    /// Products per conversion.
    pub rows: usize,
    /// Published throughput, 10^12 operations of 1b x 1b per second; of some only the energy is published.
    pub published_tops: Option<f64>,
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
    /// The same with the factor of the other known chips.
    pub left_out: f64,
}

/// All chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Silicon {
    /// The known ones, those held out, other supplies; each in the order of the file.
    pub chips: Vec<ChipResult>,
    /// Factor on all energies that the known chips ask for: geometric mean of published over modelled.
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

/// Median of the error factors of `ratios`; NaN of none.
#[must_use]
pub fn median_error(ratios: impl IntoIterator<Item = f64>) -> f64 {
    let mut factors: Vec<f64> = ratios.into_iter().map(error_factor).collect();
    factors.sort_by(f64::total_cmp);
    let middle = factors.len() / 2;
    match factors.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => factors[middle],
        _ => (factors[middle - 1] * factors[middle]).sqrt(),
    }
}

impl Silicon {
    /// The chips of `group`, those of `domain` or all.
    pub fn of(&self, group: Group, domain: Option<Domain>) -> impl Iterator<Item = &ChipResult> {
        self.chips
            .iter()
            .filter(move |c| c.group == group && domain.is_none_or(|d| c.domain == d))
    }
}

/// Evaluates every published chip.
///
/// # Errors
/// A `silicon.toml` that cannot be read or is no macro.
pub fn silicon() -> Result<Silicon, SiliconError> {
    let file: File = toml::from_str(CHIPS).map_err(|e| SiliconError::Form(Box::new(e)))?;
    let mut chips = Vec::new();
    for chip in &file.chip {
        let group = if chip.held_out { Group::HeldOut } else { Group::Known };
        chips.push(evaluate(chip, group)?);
        for point in &chip.at {
            chips.push(evaluate(&chip.at_supply(point), Group::Supply)?);
        }
    }
    chips.sort_by_key(|c| c.group);
    let logs: Vec<f64> = chips
        .iter()
        .filter(|c| c.group == Group::Known)
        .map(|c| libm::log(c.unfitted))
        .collect();
    let (n, sum) = (logs.len() as f64, logs.iter().sum::<f64>());
    let factor = libm::exp(-sum / n);
    for chip in &mut chips {
        chip.scaled = chip.unfitted * factor;
        // The factor of all known chips knows nothing of the others.
        chip.left_out = match chip.group {
            Group::Known => chip.unfitted * libm::exp(-(sum - libm::log(chip.unfitted)) / (n - 1.0)),
            Group::HeldOut | Group::Supply => chip.scaled,
        };
    }
    Ok(Silicon { chips, factor })
}

fn evaluate(chip: &Published, group: Group) -> Result<ChipResult, SiliconError> {
    let spec = chip.spec().map_err(|e| SiliconError::Macro(Box::new(e)))?;
    let outputs = chip.conversions as f64;
    let energy = chip.energy(&spec).times(1.0 / outputs);
    let operations = 2.0 * chip.rows as f64 * f64::from(chip.input_bits) * chip.weight_bits;
    let published_j = operations / (chip.tops_per_watt * 1e12);
    let ratio = energy.total_j() / published_j;
    Ok(ChipResult {
        name: chip.name.clone(),
        title: chip.title.clone(),
        domain: chip.domain,
        group,
        node_nm: chip.node_nm,
        vdd_v: chip.vdd_v,
        bits: [f64::from(chip.input_bits), chip.weight_bits, chip.adc_bits],
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
    fn at_supply(&self, point: &Point) -> Self {
        let other = |supply: Option<f64>| supply.map(|v| v * point.vdd_v / self.vdd_v);
        Self {
            name: format!("{} at {} V", self.name, point.vdd_v),
            vdd_v: point.vdd_v,
            driver_vdd_v: other(self.driver_vdd_v),
            adc_vdd_v: other(self.adc_vdd_v),
            evaluation_ns: point.evaluation_ns,
            tops: Some(point.tops),
            tops_per_watt: point.tops_per_watt,
            ..self.clone()
        }
    }

    /// All outputs of one input vector, half of all input and weight bits set; a converter that counts stops at the code of the mean.
    fn energy(&self, spec: &MacroSpec) -> Energy {
        let mut events = cost::full_use(spec, 0.5, 0.5);
        // So a quarter of the products is one.
        events.code_histogram = vec![0; spec.adc.codes()];
        events.code_histogram[spec.adc.codes() / 4] = 1;
        let mut energy = cost::energy(spec, &events, timing::mvm_s(spec), 1);
        let at = |supply: Option<f64>| supply.map_or(1.0, |v| (v / self.vdd_v).powi(2));
        energy.driver_j *= at(self.driver_vdd_v);
        energy.adc_j *= at(self.adc_vdd_v);
        if spec.adc.kind == "flash" {
            // A flash has as many comparators as it has levels, which need not be a power of two.
            let comparators = libm::round(libm::exp2(self.adc_bits)) - 1.0;
            energy.adc_j *= comparators / (spec.adc.codes() - 1) as f64;
        }
        energy
    }

    /// The macro of what is published and the defaults for the rest. Several input bits are a row DAC, several weight bits are merged on
    /// capacitors unless the chip says otherwise; columns of one bit are converted one by one.
    fn spec(&self) -> Result<MacroSpec, Diagnostics> {
        let columns_per_output = self.weight_bits.ceil() as usize;
        let merged = columns_per_output > 1;
        let combine = match &self.combine {
            Some(combine) => combine,
            None if merged => "binary_cap",
            None => "digital",
        };
        // Two columns of one bit each make the smallest weight that a macro can have.
        let weight_bits = columns_per_output.max(2);
        let columns = self.conversions * columns_per_output;
        let adc_bits = self.adc_bits.ceil() as u32;
        let mut input = format!("bits = {}\n", self.input_bits);
        if self.input_bits > 1 {
            input += "combine = 'dac'\n";
        }
        if let Some(driver) = &self.driver {
            input += &format!("dac_driver = '{driver}'\n");
        }
        let topology = self.topology.as_deref().unwrap_or("share");
        let text = |clock_mhz: f64| {
            format!(
                "name = '{}'\n[technology]\nnode_nm = {}\nvdd_v = {:?}\n\
                 [array]\nrows = {}\ncolumns = {columns}\ntopology = '{topology}'\n\
                 [input]\n{input}[weight]\nbits = {weight_bits}\ncombine = '{combine}'\n\
                 [adc]\nkind = '{}'\nbits = {adc_bits}\n[timing]\nclock_mhz = {clock_mhz:?}\n\
                 [energy]\noutput_fj = 0.0\naccumulator_fj = 0.0\n",
                self.name, self.node_nm, self.vdd_v, self.rows, self.adc
            )
        };
        let parse = |clock_mhz| schema::parse("hw-models/silicon.toml", &text(clock_mhz), &[]);
        // The clock at which the phases take the published time.
        let clocks = timing::mvm_clocks(&parse(100.0)?);
        parse(clocks as f64 / self.evaluation_ns * 1e3)
    }
}
