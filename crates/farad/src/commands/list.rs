//! `farad list`

use crate::cli::{ListArgs, ListKind};
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use farad_data::Place;
use farad_hw::{adc, models};
use farad_report::text::{Align, TextTable};
use farad_report::units::count;
use farad_sweep::inputs::BUNDLED_NETWORKS;
use farad_train::architecture::BUILT_IN;
use farad_train::prune::{CRITERIA, Settings};
use farad_train::{Architecture, Graph};

pub(crate) fn run(args: &ListArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let table = match args.kind {
        ListKind::Macro => macros()?,
        ListKind::Network => networks(),
        ListKind::Dataset => datasets(),
        ListKind::Adc => adcs(),
        ListKind::Architecture => architectures()?,
        ListKind::Criterion => criteria(),
    };
    terminal.print(&format!("{}\n", table.render(terminal.look())))?;
    Ok(Status::Done)
}

fn macros() -> Result<TextTable, Failure> {
    let mut table = TextTable::new([
        ("macro", Align::Left),
        ("array", Align::Right),
        ("ADC", Align::Left),
        ("what it is", Align::Left),
    ]);
    for model in models::list() {
        let spec = model.spec(&[])?;
        table.row([
            spec.name.clone(),
            format!("{}x{}", spec.array.rows, spec.array.columns),
            format!("{} {} b", spec.adc.kind, spec.adc.bits),
            spec.description,
        ]);
    }
    Ok(table)
}

fn networks() -> TextTable {
    let mut table = TextTable::new([("network", Align::Left), ("what it is", Align::Left)]);
    for network in BUNDLED_NETWORKS {
        table.row([network.name, network.about]);
    }
    table
}

fn datasets() -> TextTable {
    let mut table = TextTable::new([
        ("dataset", Align::Left),
        ("where", Align::Left),
        ("what it is", Align::Left),
    ]);
    for info in farad_data::list() {
        let place = match info.place {
            Place::Folder(path) => path.display().to_string(),
            Place::BundledSample => "bundled sample".into(),
            Place::Missing => "not here".into(),
        };
        table.row([info.name, place, info.about]);
    }
    table
}

fn architectures() -> Result<TextTable, Failure> {
    let mut table = TextTable::new([
        ("architecture", Align::Left),
        ("input", Align::Left),
        ("parameters", Align::Right),
        ("MACs", Align::Right),
    ]);
    for (name, _) in BUILT_IN {
        let architecture = Architecture::load(name).map_err(|e| Failure::Other(e.into()))?;
        let graph = Graph::new(&architecture).map_err(|e| Failure::Other(e.into()))?;
        let cost = graph.total_cost(&graph.widths());
        let [height, width, channels] = graph.input;
        table.row([
            (*name).to_owned(),
            format!("{height}x{width}x{channels}"),
            count(cost.params as u64),
            count(cost.macs as u64),
        ]);
    }
    Ok(table)
}

fn criteria() -> TextTable {
    let mut table = TextTable::new([
        ("criterion", Align::Left),
        ("what it is", Align::Left),
        ("settings and their defaults", Align::Left),
    ]);
    for criterion in CRITERIA {
        let settings = criterion.complete(&Settings::new()).unwrap_or_default();
        let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        table.row([criterion.name, criterion.about, &settings.join(", ")]);
    }
    table
}

fn adcs() -> TextTable {
    let mut table = TextTable::new([("kind", Align::Left), ("what it is", Align::Left)]);
    for kind in adc::kinds() {
        table.row([kind.name(), kind.description()]);
    }
    table
}
