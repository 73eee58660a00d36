//! The flags of `farad sweep`.

use clap::{ArgGroup, Args, Subcommand};
use farad_sweep::{Condition, Numbers};
use std::path::PathBuf;

/// Pages of points, about 100 kB each.
pub(crate) const DEFAULT_PAGES: usize = 200;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
An experiment varies what `farad run` takes, for example

  [base]
  images = 200
  chips = 4
  [axes]
  adc.bits = { from = 4, to = 8 }
  noise.comparator_lsb = [0.0, 0.5, 1.0]

Results are kept in DIR/sweep.sqlite: the same command goes on where it was stopped or killed, and several may run at once.
experiments/README.md has every key.

Examples:
  farad sweep experiments/adc-noise.toml
  farad sweep experiment.toml --jobs 4 --filter 'adc.bits >= 6'
  farad sweep plan experiment.toml"
)]
pub(crate) struct SweepArgs {
    /// What to do instead of running.
    #[command(subcommand)]
    pub(crate) command: Option<SweepCommand>,
    #[command(flatten)]
    pub(crate) run: SweepRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Check an experiment, count its points and estimate the time that they take.
    Plan(SweepPlanArgs),
    /// Run some points into a shard; what jobs of a cluster do.
    RunPoint(SweepRunPointArgs),
    /// Write a page of plots and a table, and the plots as files, of the results that there are.
    Report(SweepReportArgs),
    /// Write results as CSV, JSON or Parquet, or a sweep as jobs of a cluster.
    Export(SweepExportArgs),
    /// Take shards, and other stores, into a store.
    Merge(SweepMergeArgs),
}

/// Which points.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Only points where this holds, such as 'adc.bits >= 6'; may be repeated.
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    pub(crate) filter: Vec<Condition>,
    /// Folder for the store and the results [default: sweep/NAME].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SweepRunArgs {
    /// Experiment: a TOML file.
    // Absent only where a subcommand is given.
    #[arg(required = true)]
    pub(crate) experiment: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Points at a time, 0 for one on each core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) jobs: u16,
    /// Threads of each point.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Write the report at the end, as `farad sweep report` does.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) report: bool,
    /// Do about this part of the work, in percent: all points on few images, the best of them (by `maximize` and `minimize`) on more,
    /// and the rest on all.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) budget: Option<f64>,
    /// Print the points and whether they are done, and run none.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  farad sweep plan experiments/adc-noise.toml
  farad sweep plan experiment.toml --filter 'adc.bits >= 6'")]
pub(crate) struct SweepPlanArgs {
    /// Experiment: a TOML file.
    pub(crate) experiment: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Points at a time to estimate for, 0 for one on each core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) jobs: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A shard is a file that only one process writes. A run that was killed goes on with its shard.

Examples:
  farad sweep run-point experiment.toml --points 17 --shard 17.shard.gz
  farad sweep run-point experiment.toml --points 0-9,12 --shard shards/1.shard.gz")]
pub(crate) struct SweepRunPointArgs {
    /// Experiment: a TOML file.
    pub(crate) experiment: PathBuf,
    /// Numbers of the points, as `--dry-run` shows them.
    #[arg(long, value_name = "NUMBERS")]
    pub(crate) points: Numbers,
    /// File for the results; its name ends in .shard.gz.
    #[arg(long, value_name = "FILE")]
    pub(crate) shard: PathBuf,
    /// Points at a time, 0 for one on each core.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) jobs: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Plots follow from the axes: the first numeric one is x, the next one makes lines, others make panels. [[plot]] in the experiment asks for more;
see experiments/README.md.

Examples:
  farad sweep report experiments/adc-noise.toml
  farad sweep report experiment.toml --filter 'adc.bits >= 6' --pages 1000")]
pub(crate) struct SweepReportArgs {
    /// Experiment: a TOML file.
    pub(crate) experiment: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Points that get a page of their own, those of the Pareto front first.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PAGES)]
    pub(crate) pages: usize,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).multiple(true).args(["csv", "json", "parquet", "slurm", "hyperqueue"]),
    after_help = "\
Examples:
  farad sweep export experiment.toml --csv results.csv --parquet results.parquet
  farad sweep export experiment.toml --slurm /shared/job && sbatch /shared/job/job.sh
  farad sweep export experiment.toml --hyperqueue /shared/job && hq job submit-file /shared/job/job.toml
  farad sweep merge sweep/experiment /shared/job/shards"
)]
pub(crate) struct SweepExportArgs {
    /// Experiment: a TOML file.
    pub(crate) experiment: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Write the results of the store as CSV.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write the results of the store as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the results of the store as Parquet.
    #[arg(long, value_name = "FILE")]
    pub(crate) parquet: Option<PathBuf>,
    /// Write a SLURM job array for the points that have no result, with a folder for its shards.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["csv", "json", "parquet", "hyperqueue"])]
    pub(crate) slurm: Option<PathBuf>,
    /// Write a HyperQueue job file for the points that have no result, with a folder for its shards.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["csv", "json", "parquet"])]
    pub(crate) hyperqueue: Option<PathBuf>,
    /// Length of one job, minutes, as estimated.
    #[arg(
        long,
        value_name = "MINUTES",
        default_value_t = 30.0,
        help_heading = "Jobs of a cluster"
    )]
    pub(crate) chunk: f64,
    /// Points at a time of one job.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Jobs of a cluster", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) cpus: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is there already is left alone, so merging again does no harm. A damaged store gives what is readable.

Examples:
  farad sweep merge sweep/adc-noise /shared/job/shards
  farad sweep merge new-folder folder-of-a-damaged-store")]
pub(crate) struct SweepMergeArgs {
    /// Folder of the store to merge into.
    pub(crate) into: PathBuf,
    /// Shards, folders of shards, folders of stores.
    #[arg(required = true)]
    pub(crate) from: Vec<PathBuf>,
}

/// A percentage as a part of 1.
fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').trim().parse().ok();
    match number {
        Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("expected a percentage above 0, such as 20".to_owned()),
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    Condition::parse(text)
        .map_err(|(at, expected)| format!("{expected} at character {}", text[..at].chars().count() + 1))
}
