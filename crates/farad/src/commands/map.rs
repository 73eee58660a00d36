//! `farad map`

use crate::cli::MapArgs;
use crate::failure::{Failure, Status};
use crate::inputs;
use crate::terminal::Terminal;
use farad_hw::MacroSpec;
use farad_map::{LayerSchedule, Totals, map, schedule, totals};
use farad_net::{MacLayer, Network};
use farad_report::text::{Align, TextTable};
use farad_report::units::{count, percent, short_name, si};
use serde::Serialize;

/// What `--json` prints.
#[derive(Serialize)]
struct MapJson<'a> {
    network: &'a str,
    #[serde(rename = "macro")]
    hw: &'a str,
    layers: Vec<LayerJson<'a>>,
    totals: &'a Totals,
}

#[derive(Serialize)]
struct LayerJson<'a> {
    name: &'a str,
    op: &'a str,
    macs: u64,
    #[serde(flatten)]
    schedule: &'a LayerSchedule,
}

pub(crate) fn run(args: &MapArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw(&args.hw)?;
    let network = inputs::network(&args.network.network)?;
    let layers = network.mac_layers();
    let mapping = map(&hw.spec, layers).map_err(Failure::from_input)?;
    let schedule = schedule(&hw.spec, layers, &mapping);
    let totals = totals(&mapping, &schedule);
    let text = if args.json {
        json(&network, &hw.spec, &schedule, &totals)?
    } else {
        format!(
            "{}\n{}\n",
            headline(&network, &hw.spec, &totals),
            layer_table(layers, &schedule).render(terminal.look())
        )
    };
    terminal.print(&text)?;
    Ok(Status::Done)
}

fn json(network: &Network, spec: &MacroSpec, schedule: &[LayerSchedule], totals: &Totals) -> Result<String, Failure> {
    let layers = network
        .mac_layers()
        .iter()
        .zip(schedule)
        .map(|(layer, schedule)| LayerJson {
            name: &layer.name,
            op: layer.op,
            macs: layer.shape.macs(),
            schedule,
        })
        .collect();
    let whole = MapJson {
        network: network.name(),
        hw: &spec.name,
        layers,
        totals,
    };
    Ok(serde_json::to_string_pretty(&whole).map_err(|e| Failure::Other(e.into()))? + "\n")
}

fn headline(network: &Network, spec: &MacroSpec, totals: &Totals) -> String {
    let lost = &totals.cells.lost;
    let share = |cells: u64| percent(cells as f64 / totals.cells.total().max(1) as f64, 1);
    format!(
        "network       {}\nmacro         {}, {} rows x {} columns, {} outputs\n\
         tiles         {} on {} instances\nused          {} % of the cells\n\
         lost          {} % unused rows, {} % unused columns, {} % leftover columns, {} % off the block diagonal\n\
         conversions   {} per image\nlatency       {} per image, {} clocks\n",
        network.name(),
        spec.name,
        spec.array.rows,
        spec.array.columns,
        spec.outputs(),
        count(totals.tiles as u64),
        count(totals.instances as u64),
        percent(totals.utilization, 1),
        share(lost.rows_unused),
        share(lost.columns_unused),
        share(lost.columns_leftover),
        share(lost.block_diagonal_zero),
        count(totals.conversions),
        si(totals.latency_s, "s"),
        count(totals.cycles),
    )
}

fn layer_table(layers: &[MacLayer], schedule: &[LayerSchedule]) -> TextTable {
    let mut table = TextTable::new([
        ("layer", Align::Left),
        ("op", Align::Left),
        ("row vector", Align::Right),
        ("outputs", Align::Right),
        ("tiles", Align::Right),
        ("rows", Align::Right),
        ("columns", Align::Right),
        ("used %", Align::Right),
        ("rows lost %", Align::Right),
        ("columns lost %", Align::Right),
        ("diagonal %", Align::Right),
        ("conversions", Align::Right),
        ("clocks", Align::Right),
    ]);
    for (layer, s) in layers.iter().zip(schedule) {
        let share = |cells: u64| percent(cells as f64 / s.cells.total().max(1) as f64, 1);
        table.row([
            short_name(&layer.name, 40),
            layer.op.to_string(),
            layer.shape.rows_per_group().to_string(),
            layer.shape.out_c.to_string(),
            s.tiles.to_string(),
            s.rows_used.to_string(),
            s.columns_used.to_string(),
            percent(s.utilization, 1),
            share(s.cells.lost.rows_unused),
            share(s.cells.lost.columns_unused + s.cells.lost.columns_leftover),
            share(s.cells.lost.block_diagonal_zero),
            s.conversions.to_string(),
            s.cycles.to_string(),
        ]);
    }
    table
}
