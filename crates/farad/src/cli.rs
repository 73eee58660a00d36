//! The flags, as they are typed.

mod calibrate;
mod profile;
mod sweep;

pub(crate) use calibrate::CalibrateArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use farad_report::characterize::Limit;
pub(crate) use profile::{ProfileArgs, ProfileCommand, ProfileExportArgs};
use std::path::PathBuf;
pub(crate) use sweep::{
    DEFAULT_PAGES, SelectionArgs, SweepArgs, SweepCommand, SweepExportArgs, SweepMergeArgs, SweepPlanArgs,
    SweepReportArgs, SweepRunArgs, SweepRunPointArgs,
};

/// Heading of the flags that every command takes.
const GLOBAL: &str = "On every command";

/// Simulates analog charge-domain compute-in-memory macros that run int8 networks bit by bit: accuracy, energy,
/// cycles, area and utilisation, layer by layer.
#[derive(Debug, Parser)]
#[command(
    name = "farad",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 done, 1 failure or interrupted, 2 wrong use or wrong input, 3 a check out of tolerance.

Examples:
  farad run                                      the bundled network, images and macro
  farad run net.tflite --data cifar-10 --out results
  farad sweep experiments/adc-noise.toml
  farad map --macro jia-jssc-2020                tiles and utilisation, without images
  farad characterize --chips 50 --limit inl=0.5  linearity, noise and yield of the macro alone
  farad list macro"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// No progress and no notes on standard error, only errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub(crate) quiet: bool,
    /// Say more on standard error.
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) verbose: bool,
    /// Colours and rules in the output.
    #[arg(long, global = true,
        help_heading = GLOBAL, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// When to write colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a network on a macro: accuracy, energy, latency, utilisation per layer.
    Run(RunArgs),
    /// Measure a macro: linearity, noise, signal to error, energy per conversion, over many chips.
    Characterize(CharacterizeArgs),
    /// Set the ADC ranges and the trims of a macro for a network, from images.
    Calibrate(CalibrateArgs),
    /// Put a network on macros: tiles, utilisation, conversions, cycles; no images needed.
    Map(MapArgs),
    /// Show a network: nodes, shapes, parameters, MACs, BOPs.
    Inspect(InspectArgs),
    /// Train, prune and quantise a network as a recipe says; a run that was stopped goes on.
    Train(TrainArgs),
    /// Run an experiment: many points that differ in what they are given; what is done is not done again.
    Sweep(SweepArgs),
    /// Set two reports side by side, layer by layer.
    Compare(CompareArgs),
    /// Fetch datasets from their publishers, and verify them.
    Data(DataArgs),
    /// List what can be given by name.
    List(ListArgs),
    /// Write a chip's own column and CDAC as SPICE netlists, with what Farad expects of them.
    Spice(SpiceArgs),
    /// Write what a bench would find on a simulated chip, as a form for measurements of real ones.
    Profile(ProfileArgs),
    /// Compare Farad with published numbers.
    Check(CheckArgs),
    /// Explain an error code of a macro, a profile, an experiment or a recipe, such as E0103.
    Explain(ExplainArgs),
    /// Write a completion script for a shell.
    Completions(CompletionsArgs),
}

/// A macro and changes to it.
#[derive(Debug, Args)]
pub(crate) struct MacroArgs {
    /// Macro: a name of `farad list macro`, or a TOML file.
    #[arg(long = "macro", value_name = "NAME|FILE", default_value = farad_sweep::inputs::DEFAULT_MACRO)]
    pub(crate) hw: String,
    /// Change a key of the macro, such as adc.bits=6; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
}

/// The network.
#[derive(Debug, Args)]
pub(crate) struct NetworkArg {
    /// Network: a TFLite or ONNX (QDQ) file, or a name of `farad list network`.
    #[arg(default_value = farad_sweep::inputs::DEFAULT_NETWORK)]
    pub(crate) network: String,
}

/// The images.
#[derive(Debug, Args)]
pub(crate) struct DatasetArg {
    /// Images: a name of `farad list dataset` or a folder, with `:train` or `:test` [default: what the network was
    /// made for, if it says so].
    #[arg(long, value_name = "NAME|DIR[:SPLIT]")]
    pub(crate) data: Option<String>,
}

/// How many cores.
#[derive(Debug, Args)]
pub(crate) struct ThreadsArg {
    /// Threads, 0 for all cores.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad run
  farad run --set adc.bits=6 --images 200 --chips 8
  farad run net.tflite --macro my-macro.toml --data cifar-10 --out results
  farad run net.onnx --data ./pictures --pixel-max 1 --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25
  farad run --images 100 --attribute --out results
  farad run --images 1 --trace trace.json --trace-layer conv2 --trace-column 8")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArg,
    #[command(flatten)]
    pub(crate) hw: MacroArgs,
    /// What was measured on a chip: offset, gain, INL and noise, as CSV or npz; see `farad profile`.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<String>,
    /// ADC ranges and trims that `farad calibrate` set for this network on this macro [default: ranges that follow the
    /// first 32 images].
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<String>,
    #[command(flatten)]
    pub(crate) data: DatasetArg,
    /// Only the first N images [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) images: Option<u32>,
    /// Chips to simulate, each with its own static mismatch.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chips: u32,
    /// Seed of the temporal noise; the chips are the same ones under every seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How to compute; both give the same numbers.
    #[arg(long, value_enum, default_value_t = Engine::Fast)]
    pub(crate) engine: Engine,
    #[command(flatten)]
    pub(crate) threads: ThreadsArg,
    /// Tell the macro's effects apart (quantisation, clipping, mismatch, each noise ...): SQNR of each layer and top-1 with
    /// each alone and with all but each. Takes two more runs for each.
    #[arg(long)]
    pub(crate) attribute: bool,
    /// Write report.json, layers.csv, report.html and the plots into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print report.json instead of the tables.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) preprocess: PreprocessArgs,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
}

/// What a cycle trace shows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cycle trace, of chip 0")]
pub(crate) struct TraceArgs {
    /// Write what happens in which clock into this file: for Perfetto and chrome://tracing, or, if it ends in .vcd, for
    /// GTKWave and Surfer. Layers, tiles and waiting are all there; phases and decisions are there for what is chosen.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Layer whose phases are shown: its name or its number, from 0; may be repeated [default: the first].
    #[arg(long, value_name = "LAYER", requires = "trace")]
    pub(crate) trace_layer: Vec<String>,
    /// Tile of these layers, from 0; may be repeated [default: 0].
    #[arg(long, value_name = "N", requires = "trace")]
    pub(crate) trace_tile: Vec<usize>,
    /// Image, from 0; may be repeated [default: 0].
    #[arg(long, value_name = "N", requires = "trace")]
    pub(crate) trace_image: Vec<usize>,
    /// Output positions of each tile, from its first one.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "trace")]
    pub(crate) trace_positions: usize,
    /// Physical column of these tiles whose converter's decisions are shown, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "trace")]
    pub(crate) trace_column: usize,
}

/// How pixels become the real numbers of a network with a float input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Float inputs: real = (pixel * PIXEL_MAX / 255 - MEAN) / STD")]
pub(crate) struct PreprocessArgs {
    /// What pixel 255 becomes before the mean is subtracted: 1 or 255.
    #[arg(long, value_name = "PIXEL_MAX", requires_all = ["mean", "std"], allow_negative_numbers = true)]
    pub(crate) pixel_max: Option<f32>,
    /// Mean of each channel, separated by commas.
    #[arg(long, value_name = "MEAN", value_delimiter = ',', requires_all = ["pixel_max", "std"], allow_negative_numbers = true)]
    pub(crate) mean: Vec<f32>,
    /// Standard deviation of each channel, separated by commas.
    #[arg(long, value_name = "STD", value_delimiter = ',', requires_all = ["pixel_max", "mean"], allow_negative_numbers = true)]
    pub(crate) std: Vec<f32>,
}

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Tables and packed bits.
    Fast,
    /// The circuit equations, cell by cell.
    Reference,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The macro is driven with uniform weights and random inputs on all its rows.

A limit is a greatest value of inl, dnl, missing_codes, offset or gain, or a least one of enob, csnr or output_snr, in \
the unit of the table. With limits the exit code is 3 when fewer chips than --yield keep all of them.

Examples:
  farad characterize
  farad characterize jia-jssc-2020 --chips 20 --out results
  farad characterize --set adc.bits=10 --chips 100 --limit inl=0.5 --limit enob=8 --yield 99")]
pub(crate) struct CharacterizeArgs {
    /// Macro: a name of `farad list macro`, or a TOML file.
    #[arg(value_name = "MACRO", default_value = farad_sweep::inputs::DEFAULT_MACRO)]
    pub(crate) hw: String,
    /// Change a key of the macro, such as adc.bits=6; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// What was measured on a chip: offset, gain, INL and noise, as CSV or npz; see `farad profile`.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<String>,
    /// Chips to measure, each with its own static mismatch.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chips: u32,
    /// Seed of the temporal noise and of the random inputs and weights.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// A limit on a figure of a chip, such as inl=0.5; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = Limit::parse)]
    pub(crate) limit: Vec<Limit>,
    /// Least share of the chips that must keep all limits, in percent.
    #[arg(long = "yield", value_name = "PERCENT", default_value_t = 100.0, requires = "limit", value_parser = percentage)]
    pub(crate) least_yield: f64,
    #[command(flatten)]
    pub(crate) threads: ThreadsArg,
    /// Write characterize.json, characterize.html and the plots into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print characterize.json instead of the tables.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad map
  farad map net.tflite --macro jia-jssc-2020
  farad map net.onnx --set array.rows=256 --set system.mapper=tap_split --json

Cells that hold no weight, by cause: unused rows are wordlines that a tile's row vector does not reach; unused columns
are left because the layer has no more outputs for the tile; leftover columns are the array's last, too few for a whole
output; off the block diagonal are zeros between groups (of depthwise layers, say) that share a tile.")]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArg,
    #[command(flatten)]
    pub(crate) hw: MacroArgs,
    /// Print JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad inspect
  farad inspect net.tflite

BOPs are bit operations: MACs times the bits of weight and activation. UNIQ (Baskin et al.) adds those of an
accumulator that is wide enough.")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArg,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad run --out a && farad run --set adc.bits=6 --out b
  farad compare a b")]
pub(crate) struct CompareArgs {
    /// A report.json, or its folder.
    pub(crate) a: PathBuf,
    /// Another one.
    pub(crate) b: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad list macro
  farad list dataset")]
pub(crate) struct ListArgs {
    /// What to list.
    #[arg(value_enum)]
    pub(crate) kind: ListKind,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListKind {
    /// Macros that come with Farad.
    Macro,
    /// Networks that come with Farad.
    Network,
    /// Datasets that can be given by name, and where they are.
    Dataset,
    /// Kinds of ADC.
    Adc,
    /// Architectures that can be trained.
    Architecture,
    /// Pruning criteria.
    Criterion,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad train networks/recipes/fashion-mnist-cnn.toml
  farad train recipe.toml --data ./cifar --out results
  farad train networks/recipes/resnet20-cifar10.toml && farad train networks/recipes/criteria-resnet20.toml

Writes training.html and metrics.csv after each epoch. A recipe with [vary] is a run for every combination of
its values, and ends with a table, comparison.csv and comparison.html.")]
pub(crate) struct TrainArgs {
    /// Recipe: a TOML file.
    pub(crate) recipe: PathBuf,
    /// Dataset instead of the recipe's: a name of `farad list dataset`, or a folder.
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// Folder for the checkpoint and the results [default: train/RECIPE].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A dataset is kept in $FARAD_DATA/NAME, or in the user's cache directory.

Examples:
  farad data fetch cifar-10
  farad data verify cifar-10")]
pub(crate) struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Fetch what is missing of a dataset; a fetch that was stopped goes on.
    Fetch(FetchArgs),
    /// Compare the files of a dataset with their published checksums.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Dataset: cifar-10, cifar-100, fashion-mnist or mnist.
    pub(crate) name: String,
    /// Mirror: address of a folder with the publisher's files.
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Dataset: cifar-10, cifar-100, fashion-mnist or mnist.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Files: column.cir, a transient of one conversion's columns, one capacitor per cell, pattern after pattern; cdac.cir, the CDAC through all
codes (for a SAR); expected.csv, the voltage at the ADC and the code that Farad's engines make of each pattern, without temporal noise.
The ADC's range is full: one that follows a layer's charges needs a network. A thousand cells that share charge take ngspice many minutes,
a hundred take seconds.

Examples:
  farad spice --set array.rows=16 --chip 3 --column 8 --out spice
  ngspice -b spice/column.cir
  farad spice --macro jia-jssc-2020 --set array.rows=64 --out spice")]
pub(crate) struct SpiceArgs {
    #[command(flatten)]
    pub(crate) hw: MacroArgs,
    /// Chip.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) chip: u32,
    /// Physical column; where columns are merged, all that are merged with it are written.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) column: usize,
    /// Input patterns, from few driven rows to many.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) patterns: u16,
    /// Seed of the stored bits and the patterns.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Directory for the files.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad check hw-models
  farad check silicon --out results")]
pub(crate) struct CheckArgs {
    /// What to check.
    #[command(subcommand)]
    pub(crate) command: CheckCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// The macros that come with Farad against the numbers of their papers.
    HwModels,
    /// Published chips that nothing was fitted to: throughput and energy from what their papers print.
    Silicon(CheckSiliconArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckSiliconArgs {
    /// Write silicon.html, silicon.csv, silicon.json and the plots into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad explain E0103")]
pub(crate) struct ExplainArgs {
    /// The code, such as E0103 or S0101.
    pub(crate) code: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad completions bash > ~/.local/share/bash-completion/completions/farad
  farad completions zsh > ~/.zfunc/_farad")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.trim().into())),
        _ => Err("expected KEY=VALUE, such as adc.bits=6".into()),
    }
}

fn percentage(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected 0 to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn key_value_needs_a_key() {
        assert_eq!(key_value("adc.bits = 6"), Ok(("adc.bits".into(), "6".into())));
        assert_eq!(key_value("adc.range=a=b"), Ok(("adc.range".into(), "a=b".into())));
        assert!(key_value("adc.bits").is_err());
        assert!(key_value("=6").is_err());
    }
}
