//! Published chips against the model, for `farad check silicon`: a table, `silicon.csv`, `silicon.json` and a page with both plots.

use crate::error::ReportError;
use crate::html::page;
use crate::output::OutputDir;
use crate::plot::{Plot, silicon as scatter, silicon_energy};
use crate::report::SEMANTICS;
use crate::text::{Align, TextTable};
use crate::units::digits;
use farad_hw::silicon::{ChipResult, Domain, Group, Silicon, median_error};
use serde::Serialize;
use std::path::PathBuf;

const SCHEMA: &str = "farad.silicon/1";

/// `silicon.json`.
#[derive(Serialize)]
struct File<'a> {
    schema: &'static str,
    farad_version: &'static str,
    semantics: u32,
    factor: f64,
    medians: Vec<Median>,
    chips: Vec<Row<'a>>,
}

/// Median error factors of some of the chips.
#[derive(Serialize)]
struct Median {
    of: &'static str,
    chips: usize,
    unfitted: f64,
    one_factor: f64,
    left_out: f64,
}

/// A chip, as a line of `silicon.csv`. Energies of one output, J; the last three are modelled over published energy.
#[derive(Serialize)]
struct Row<'a> {
    chip: &'a str,
    title: &'a str,
    group: &'static str,
    domain: &'static str,
    node_nm: f64,
    vdd_v: f64,
    input_bits: f64,
    weight_bits: f64,
    adc_bits: f64,
    rows: usize,
    published_tops: Option<f64>,
    modelled_tops: f64,
    published_j: f64,
    modelled_j: f64,
    array_j: f64,
    driver_j: f64,
    adc_j: f64,
    digital_j: f64,
    leakage_j: f64,
    unfitted: f64,
    one_factor: f64,
    left_out: f64,
}

impl<'a> Row<'a> {
    fn of(c: &'a ChipResult) -> Self {
        let e = &c.energy;
        Self {
            chip: &c.name,
            title: &c.title,
            group: group_name(c.group),
            domain: match c.domain {
                Domain::Charge => "charge",
                Domain::Mixed => "charge and current",
            },
            node_nm: c.node_nm,
            vdd_v: c.vdd_v,
            input_bits: c.bits[0],
            weight_bits: c.bits[1],
            adc_bits: c.bits[2],
            rows: c.rows,
            published_tops: c.published_tops,
            modelled_tops: c.tops,
            published_j: c.published_j,
            modelled_j: e.total_j(),
            array_j: e.array_j,
            driver_j: e.driver_j,
            adc_j: e.adc_j,
            digital_j: e.accumulator_j + e.digital_j,
            leakage_j: e.leakage_j,
            unfitted: c.unfitted,
            one_factor: c.scaled,
            left_out: c.left_out,
        }
    }
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::Known => "known",
        Group::HeldOut => "held out",
        Group::Supply => "supply",
    }
}

/// All chips, a line each.
#[must_use]
pub fn silicon_table(silicon: &Silicon) -> TextTable {
    let right = |name| (name, Align::Right);
    let mut table = TextTable::new([
        ("chip", Align::Left),
        ("group", Align::Left),
        right("nm"),
        right("x/w/ADC"),
        right("rows"),
        right("TOPS"),
        right("modelled"),
        right("fJ/output"),
        right("modelled"),
        right("array"),
        right("drivers"),
        right("ADC"),
        right("digital"),
        right("no fit"),
        right("one factor"),
        right("left out"),
    ]);
    for c in &silicon.chips {
        let fj = |joules: f64| digits(joules * 1e15);
        let mixed = if c.domain == Domain::Mixed { " *" } else { "" };
        let e = &c.energy;
        table.row([
            format!("{}{mixed}", c.name),
            group_name(c.group).into(),
            c.node_nm.to_string(),
            c.bits.map(|b| b.to_string()).join("/"),
            c.rows.to_string(),
            c.published_tops.map(digits).unwrap_or_default(),
            digits(c.tops),
            fj(c.published_j),
            fj(e.total_j()),
            fj(e.array_j),
            fj(e.driver_j),
            fj(e.adc_j),
            fj(e.accumulator_j + e.digital_j),
            format!("{:.2}", c.unfitted),
            format!("{:.2}", c.scaled),
            format!("{:.2}", c.left_out),
        ]);
    }
    table
}

/// What the columns are, and the median errors.
#[must_use]
pub fn silicon_summary(silicon: &Silicon) -> String {
    let mut text = format!(
        "TOPS count 1b x 1b operations. An output is one conversion: 2 x rows x input bits x weight bits operations.\n\
         The last three columns are modelled over published energy: with the defaults of macro.toml, with one factor for all\n\
         known chips ({:.2}), and with the factor of all known chips but this one. Chips held out were added after the model was\n\
         settled. * cells discharge a line, charge is shared afterwards.\n\n",
        silicon.factor
    );
    for m in medians(silicon) {
        text += &format!(
            "median error, {} ({} chips): a factor of {:.2} without a fit, {:.2} with one factor, {:.2} left out\n",
            m.of, m.chips, m.unfitted, m.one_factor, m.left_out
        );
    }
    text
}

fn medians(silicon: &Silicon) -> Vec<Median> {
    [
        ("all", Group::Known, None),
        ("charge only", Group::Known, Some(Domain::Charge)),
        ("held out", Group::HeldOut, None),
        ("other supplies", Group::Supply, None),
    ]
    .map(|(of, group, domain)| {
        let median = |ratio: fn(&ChipResult) -> f64| median_error(silicon.of(group, domain).map(ratio));
        Median {
            of,
            chips: silicon.of(group, domain).count(),
            unfitted: median(|c| c.unfitted),
            one_factor: median(|c| c.scaled),
            left_out: median(|c| c.left_out),
        }
    })
    .into()
}

/// Writes `silicon.csv`, `silicon.json`, `silicon.html` and both plots into `folder`; returns their paths.
///
/// # Errors
/// [`ReportError`] if a file cannot be written.
pub fn write_silicon(silicon: &Silicon, folder: &OutputDir) -> Result<Vec<PathBuf>, ReportError> {
    let plots = vec![scatter(silicon)?, silicon_energy(silicon)?];
    let mut csv = csv::Writer::from_writer(Vec::new());
    for chip in &silicon.chips {
        csv.serialize(Row::of(chip))?;
    }
    let csv = csv.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    let file = File {
        schema: SCHEMA,
        farad_version: env!("CARGO_PKG_VERSION"),
        semantics: SEMANTICS,
        factor: silicon.factor,
        medians: medians(silicon),
        chips: silicon.chips.iter().map(Row::of).collect(),
    };
    let mut json = serde_json::to_string_pretty(&file)?;
    json.push('\n');
    let files = vec![
        ("silicon.csv".to_string(), csv),
        ("silicon.json".into(), json.into_bytes()),
        ("silicon.html".into(), html(silicon, &plots).into_bytes()),
    ];
    folder.write_all(files, plots)
}

fn html(silicon: &Silicon, plots: &[Plot]) -> String {
    let cards: Vec<(String, String)> = medians(silicon)
        .into_iter()
        .map(|m| {
            (
                format!("× {:.2}", m.unfitted),
                format!("median error without a fit, {} ({} chips)", m.of, m.chips),
            )
        })
        .collect();
    let notes: String = silicon_summary(silicon)
        .split("\n\n")
        .map(|part| format!("<p class=\"dim\">{}</p>\n", page::escape(part).replace(".\n", ".<br>")))
        .collect();
    let sources: String = silicon
        .chips
        .iter()
        .map(|c| {
            format!(
                "<dt>{}</dt><dd>{}</dd>\n",
                page::escape(&c.name),
                page::escape(&c.title)
            )
        })
        .collect();
    let body = format!(
        "{}{}{}{}{notes}<h2>Sources</h2>\n<dl>\n{sources}</dl>\n",
        page::header(
            "Published chips against the model",
            "no constant of the cost model is fitted to these chips"
        ),
        page::cards(&cards),
        plots.iter().map(page::figure).collect::<String>(),
        page::table(&silicon_table(silicon)),
    );
    page::page("Published chips against the model", &body)
}
