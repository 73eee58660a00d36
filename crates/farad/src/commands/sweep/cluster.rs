//! `farad sweep run-point`, `export --slurm`, `export --hyperqueue`, `merge`: sweeps on a cluster.

use super::{jobs, missing, write};
use crate::cli::{SweepExportArgs, SweepMergeArgs, SweepRunPointArgs};
use crate::failure::{Failure, Status};
use crate::interrupt;
use crate::terminal::Terminal;
use anyhow::Context;
use farad_report::units::count;
use farad_sweep::{
    ClusterJob, Event, Experiment, Plan, RunOptions, SHARD_SUFFIX, Selection, Shard, ShardError, Store, chunks,
};
use std::path::Path;

/// Memory of one job before a point was measured, MB; and what is asked for over the measured peak.
const UNMEASURED_MB: u64 = 1024;
const MARGIN_MB: u64 = 256;

pub(super) fn run_point(args: &SweepRunPointArgs, terminal: &Terminal) -> Result<Status, Failure> {
    if !args.shard.to_string_lossy().ends_with(SHARD_SUFFIX) {
        return Err(Failure::input(format!(
            "--shard {}: the name of a shard ends in {SHARD_SUFFIX}",
            args.shard.display()
        )));
    }
    let experiment = Experiment::load(&args.experiment)?;
    let selection = Selection {
        filters: Vec::new(),
        numbers: Some(args.points.clone()),
    };
    let plan = Plan::new(experiment, &selection).map_err(Failure::Text)?;
    if plan.points.is_empty() {
        return Err(Failure::input(format!(
            "--points {}: the experiment has points 0 to {}",
            args.points,
            plan.all - 1
        )));
    }
    if let Some(folder) = args.shard.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))
            .map_err(Failure::Other)?;
    }
    let shard = Shard::open(&args.shard)?;
    let stop = interrupt::stop_flag(*terminal, "points")?;
    let options = RunOptions {
        jobs: jobs(args.jobs),
        threads: 1,
    };
    let points: Vec<_> = plan.points.iter().collect();
    let summary = plan.sweep(&points, &shard, options, &stop, &|event| match event {
        Event::Done(point, report) => terminal.detail(&format!(
            "point {} {}: top-1 {:.2} %, {:.2} s",
            point.index,
            plan.title(point),
            100.0 * report.accuracy.top1,
            report.host.wall_s
        )),
        Event::Failed(point, error) => terminal.note(&format!("point {} failed: {error}", point.index)),
        Event::Images(_) | Event::Waiting => {}
    });
    let summary = summary.map_err(|e| Failure::Other(e.into()))?;
    Ok(super::ending(&summary, terminal))
}

/// Writes scripts and lists into `target`.
pub(super) fn export(
    args: &SweepExportArgs,
    plan: &Plan,
    folder: &Path,
    target: &Path,
    terminal: &Terminal,
) -> Result<Status, Failure> {
    if plan.experiment.solve.is_some() {
        return Err(Failure::input(
            "a [solve] runs where its store is: each point depends on others",
        ));
    }
    let store = super::existing_store(folder)?;
    let missing = missing(plan, store.as_ref())?;
    if missing.is_empty() {
        return Err(Failure::input("all points have a result: there is nothing to run"));
    }
    let estimate = plan
        .estimate(&missing, store.as_ref())
        .map_err(|e| Failure::Other(e.into()))?;
    for inner in ["shards", "logs"] {
        std::fs::create_dir_all(target.join(inner))
            .with_context(|| format!("cannot make `{}`", target.join(inner).display()))
            .map_err(Failure::Other)?;
    }
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .with_context(|| format!("cannot tell where `{}` is", path.display()))
            .map_err(Failure::Other)
    };
    let job = ClusterJob {
        name: plan.experiment.name.clone(),
        program: std::env::current_exe()?,
        experiment: absolute(&args.experiment)?,
        folder: absolute(target)?,
        cpus: args.cpus.into(),
        memory_mb: estimate
            .peak_rss_bytes
            .map_or(UNMEASURED_MB, |bytes| bytes / 1_000_000 + MARGIN_MB),
        chunks: chunks(&missing, estimate.work_s, 60.0 * args.chunk * f64::from(args.cpus)),
    };
    let (file, text, start) = if args.slurm.is_some() {
        write(&target.join("chunks.txt"), job.list())?;
        ("job.sh", job.slurm(), "sbatch")
    } else {
        ("job.toml", job.hyperqueue(), "hq job submit-file")
    };
    let file = target.join(file);
    write(&file, text)?;
    terminal.note(&format!(
        "{} points in {} jobs; start them with `{start} {}`, then `farad sweep merge {} {}`",
        count(missing.len() as u64),
        count(job.chunks.len() as u64),
        file.display(),
        folder.display(),
        target.join("shards").display()
    ));
    Ok(Status::Done)
}

pub(super) fn merge(args: &SweepMergeArgs, terminal: &Terminal) -> Result<Status, Failure> {
    if let Some(absent) = args.from.iter().find(|path| !path.exists()) {
        return Err(Failure::input(format!("there is no `{}`", absent.display())));
    }
    let store = Store::open(&args.into)?;
    let merged = farad_sweep::merge(&store, &args.from)?;
    let lost = match merged.lost {
        0 => String::new(),
        n => format!(", {n} could not be read"),
    };
    terminal.note(&format!(
        "{} results in {} files, {} of them new{lost}",
        count(merged.rows),
        count(merged.files),
        count(merged.new)
    ));
    Ok(Status::Done)
}

impl From<ShardError> for Failure {
    fn from(error: ShardError) -> Self {
        match error {
            ShardError::Store(error) => error.into(),
            ShardError::Foreign { .. } => Self::Input(error.into()),
            error => Self::Other(error.into()),
        }
    }
}
