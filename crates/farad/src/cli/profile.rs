//! The flags of `farad profile`.

use super::MacroArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
A profile is a row per column or ADC: offset, gain, noise and INL, with the unit in the name of the field. Rows and cells may be missing: what was
not measured is drawn. docs/profiles-and-calibration.md has the fields.

Examples:
  farad profile export --chip 3 -o chip.csv
  farad run --profile chip.csv
  farad characterize --profile chip.csv")]
pub(crate) struct ProfileArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Write the profile of a simulated chip; a run with it gives the codes of that chip.
    Export(ProfileExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ProfileExportArgs {
    #[command(flatten)]
    pub(crate) hw: MacroArgs,
    /// Chip.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) chip: u32,
    /// Macros of the chip; a run draws those that are not in the file.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) instances: u32,
    /// File: an npz archive if it ends in .npz, else a CSV.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}
