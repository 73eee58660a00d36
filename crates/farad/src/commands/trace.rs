//! `farad run --trace`

use crate::cli::TraceArgs;
use crate::failure::Failure;
use crate::files::Folder;
use crate::terminal::Terminal;
use farad_hw::MacroSpec;
use farad_map::{LayerSchedule, Mapping};
use farad_net::Network;
use farad_report::trace::{Trace, Traced};
use farad_sim::conversions::{Selection, watch};
use farad_sim::{RunConfig, Workload};
use std::path::Path;

/// A trace that was asked for, with everything about it checked.
pub(crate) struct TraceFile {
    folder: Folder,
    name: String,
    is_vcd: bool,
    selection: Selection,
}

impl TraceFile {
    /// What the flags ask for, if anything; `images` is how many there are.
    pub(crate) fn new(
        args: &TraceArgs,
        network: &Network,
        spec: &MacroSpec,
        mapping: &Mapping,
        images: usize,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.trace else { return Ok(None) };
        let Some(name) = path.file_name() else {
            return Err(Failure::input(format!(
                "--trace {}: not the name of a file",
                path.display()
            )));
        };
        let selection = select(args, network, spec, mapping, images)?;
        let parent = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Ok(Some(Self {
            folder: Folder::create(parent)?,
            name: name.to_string_lossy().into_owned(),
            is_vcd: path.extension().is_some_and(|e| e.eq_ignore_ascii_case("vcd")),
            selection,
        }))
    }

    /// Runs the chosen images once more, and writes down what happens.
    pub(crate) fn write(
        &self,
        workload: &Workload<'_>,
        spec: &MacroSpec,
        mapping: &Mapping,
        schedule: &[LayerSchedule],
        config: &RunConfig,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let conversions =
            watch(workload, spec, mapping, config, &self.selection).map_err(|e| Failure::Other(e.into()))?;
        let trace = Trace::build(&Traced {
            network: workload.network(),
            spec,
            mapping,
            schedule,
            selection: &self.selection,
            conversions: &conversions,
        });
        let text = if self.is_vcd {
            trace.vcd()
        } else {
            trace.chrome().map_err(|e| Failure::Other(e.into()))?
        };
        self.folder.write(&self.name, &text, terminal)
    }
}

fn select(
    args: &TraceArgs,
    network: &Network,
    spec: &MacroSpec,
    mapping: &Mapping,
    images: usize,
) -> Result<Selection, Failure> {
    let or_first = |chosen: &[usize]| if chosen.is_empty() { vec![0] } else { chosen.to_vec() };
    let (tiles, chosen) = (or_first(&args.trace_tile), or_first(&args.trace_image));
    let layers = match args.trace_layer[..] {
        [] => vec![0],
        _ => args
            .trace_layer
            .iter()
            .map(|name| layer(network, name))
            .collect::<Result<_, _>>()?,
    };
    if let Some(image) = chosen.iter().find(|image| **image >= images) {
        return Err(Failure::input(format!(
            "--trace-image {image}: there are {images} images"
        )));
    }
    let names = network.mac_layers();
    for &l in &layers {
        let count = mapping.layers[l].tiles.len();
        if let Some(tile) = tiles.iter().find(|tile| **tile >= count) {
            return Err(Failure::input(format!(
                "--trace-tile {tile}: layer `{}` has {count} tiles",
                names[l].name
            )));
        }
        let columns = tiles.iter().map(|&t| mapping.layers[l].tiles[t].columns(spec)).max();
        if columns.is_some_and(|columns| args.trace_column >= columns) {
            return Err(Failure::input(format!(
                "--trace-column {}: the tiles of layer `{}` have {} columns in use",
                args.trace_column,
                names[l].name,
                columns.unwrap_or(0)
            )));
        }
    }
    Ok(Selection {
        layers,
        tiles,
        images: chosen,
        positions: args.trace_positions,
        column: args.trace_column,
    })
}

/// Index of the layer with this name, or with this number.
fn layer(network: &Network, name: &str) -> Result<usize, Failure> {
    let layers = network.mac_layers();
    let by_name = layers.iter().position(|layer| layer.name == name);
    let by_number = || name.parse().ok().filter(|number| *number < layers.len());
    by_name.or_else(by_number).ok_or_else(|| {
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        Failure::input(format!(
            "--trace-layer {name}: no such layer; there are {}",
            names.join(", ")
        ))
    })
}
