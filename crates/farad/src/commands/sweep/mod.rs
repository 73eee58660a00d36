//! `farad sweep`

mod cluster;
mod report;
mod solve;
mod watch;

use crate::cli::{DEFAULT_PAGES, SelectionArgs, SweepArgs, SweepCommand, SweepExportArgs, SweepPlanArgs, SweepRunArgs};
use crate::failure::{Failure, Status};
use crate::interrupt;
use crate::terminal::Terminal;
use anyhow::Context;
use farad_report::number;
use farad_report::text::{Align, TextTable};
use farad_report::units::count;
use farad_sweep::{
    Experiment, Halving, Plan, Point, Results, RunOptions, STORE_FILE, Selection, Store, Summary, SweepError, Worker,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use watch::Watch;

/// Rows of a table that people still read; `results.csv` has all.
const SHOWN_ROWS: usize = 40;

pub(crate) fn run(args: &SweepArgs, terminal: &Terminal) -> Result<Status, Failure> {
    match &args.command {
        Some(SweepCommand::Plan(args)) => plan(args, terminal),
        Some(SweepCommand::Report(args)) => report::run(args, terminal),
        Some(SweepCommand::RunPoint(args)) => cluster::run_point(args, terminal),
        Some(SweepCommand::Export(args)) => export(args, terminal),
        Some(SweepCommand::Merge(args)) => cluster::merge(args, terminal),
        None => sweep(&args.run, terminal),
    }
}

fn load(file: &Path, args: &SelectionArgs) -> Result<Plan, Failure> {
    let experiment = Experiment::load(file)?;
    for filter in &args.filter {
        if let Some(name) = experiment.unknown_name(filter) {
            return Err(Failure::input(format!(
                "--filter '{}': `{name}` is not set by `{}`",
                filter.text(),
                file.display()
            )));
        }
    }
    let selection = Selection {
        filters: args.filter.clone(),
        numbers: None,
    };
    let plan = Plan::new(experiment, &selection).map_err(Failure::Text)?;
    if plan.points.is_empty() {
        return Err(Failure::input("--filter: no point is left"));
    }
    Ok(plan)
}

fn folder(args: &SelectionArgs, plan: &Plan) -> PathBuf {
    let default = || Path::new("sweep").join(&plan.experiment.name);
    args.out.clone().unwrap_or_else(default)
}

/// The store, if there is one yet.
fn existing_store(folder: &Path) -> Result<Option<Store>, Failure> {
    if folder.join(STORE_FILE).exists() {
        return Ok(Some(Store::open_to_read(folder)?));
    }
    Ok(None)
}

/// Points without a result; all of them where there is no store.
fn missing<'a>(plan: &'a Plan, store: Option<&Store>) -> Result<Vec<&'a Point>, Failure> {
    match store {
        Some(store) => Ok(plan.missing(store)?),
        None => Ok(plan.points.iter().collect()),
    }
}

fn jobs(args: u16) -> usize {
    match args {
        0 => available_parallelism().map_or(1, usize::from),
        n => n.into(),
    }
}

fn plan(args: &SweepPlanArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let plan = load(&args.experiment, &args.selection)?;
    let folder = folder(&args.selection, &plan);
    let store = existing_store(&folder)?;
    let missing = missing(&plan, store.as_ref())?;
    let estimate = plan
        .estimate(&missing, store.as_ref())
        .map_err(|e| Failure::Other(e.into()))?;
    let jobs = jobs(args.jobs);
    let mut text = format!("experiment    {}\n", plan.experiment.name);
    for axis in plan.experiment.axes() {
        let name = axis.parameter.name();
        let (first, last) = (&axis.values[0], &axis.values[axis.values.len() - 1]);
        text += &match axis.values.len() {
            1 => format!("axis          {name} = {first}\n"),
            n => format!("axis          {name}, {n} values, {first} ... {last}\n"),
        };
    }
    text += &format!(
        "points        {}, {} selected, {} done, {} to run\nstore         {}\n",
        count(plan.all as u64),
        count(plan.points.len() as u64),
        count((plan.points.len() - missing.len()) as u64),
        count(missing.len() as u64),
        folder.join(STORE_FILE).display(),
    );
    let searches = plan.searches();
    let decisions: u64 = searches.iter().map(|s| u64::from(plan.most_decisions(s))).sum();
    if !searches.is_empty() {
        let searches = count(searches.len() as u64);
        text += &format!("searches      {searches}, about {} points decide\n", count(decisions));
    }
    if !missing.is_empty() {
        let basis = match estimate.measured {
            0 => "by a trial of a few images".to_owned(),
            n => format!("by {n} measured points"),
        };
        // A search runs a part of the points, on all images at most.
        let (most, part) = match plan.experiment.solve {
            None => ("", 1.0),
            Some(_) => ("at most ", decisions as f64 / plan.points.len() as f64),
        };
        text += &format!(
            "time          {most}about {} with {jobs} jobs, {basis}\n",
            duration(part * estimate.work_s / jobs as f64)
        );
    }
    terminal.print(&text)?;
    Ok(Status::Done)
}

/// Seconds in words.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn dry_run(plan: &Plan, folder: &Path, terminal: &Terminal) -> Result<Status, Failure> {
    let store = existing_store(folder)?;
    let mut columns = vec![("point".to_owned(), Align::Right), ("state".to_owned(), Align::Left)];
    let axes = plan.experiment.axes();
    columns.extend(axes.map(|axis| (axis.parameter.name().to_owned(), Align::Right)));
    let mut table = TextTable::new(columns);
    for point in &plan.points {
        let done = store.as_ref().map_or(Ok(false), |store| store.has(&point.key))?;
        let state = if done { "done" } else { "to run" };
        let values = plan.values(point).into_iter().map(ToString::to_string);
        table.row([point.index.to_string(), state.to_owned()].into_iter().chain(values));
    }
    terminal.print(&(table.render(terminal.look()) + "\n"))?;
    Ok(Status::Done)
}

fn sweep(args: &SweepRunArgs, terminal: &Terminal) -> Result<Status, Failure> {
    // The parser asks for it where there is no subcommand.
    let file = args.experiment.as_deref().unwrap_or(Path::new(""));
    let plan = load(file, &args.selection)?;
    let folder = folder(&args.selection, &plan);
    if args.dry_run {
        return dry_run(&plan, &folder, terminal);
    }
    if args.budget.is_some() {
        refuse_budget(&plan)?;
    }
    if let Some(border) = &plan.experiment.solve {
        return solve::run(args, &plan, border, &folder, terminal);
    }
    let store = Store::open(&folder)?;
    let missing = plan.missing(&store)?;
    let options = RunOptions {
        jobs: jobs(args.jobs),
        threads: args.threads.into(),
    };
    let stop = interrupt::stop_flag(*terminal, "points")?;
    terminal.note(&format!(
        "{} points, {} to run, {} at a time, into {}",
        count(plan.points.len() as u64),
        count(missing.len() as u64),
        options.jobs,
        store.path().display()
    ));
    let worker = store.worker()?;
    let summary = match args.budget {
        None => {
            let images = missing.iter().map(|point| point.work()).sum();
            let watch = Watch::new(&plan, terminal, missing.len(), images);
            plan.sweep(&missing, &worker, options, &stop, &|event| watch.see(event))
        }
        Some(budget) => halve(budget, &plan, &store, &worker, options, &stop, terminal),
    };
    let summary = summary.map_err(|e| Failure::Other(e.into()))?;
    let results = write_results(&plan, &store, &folder, terminal)?;
    write_report(args, &plan, &store, &results, &folder, terminal)?;
    Ok(ending(&summary, terminal))
}

/// The page of what has a result, if it is asked for.
fn write_report(
    args: &SweepRunArgs,
    plan: &Plan,
    store: &Store,
    results: &Results,
    folder: &Path,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if args.report && !results.rows.is_empty() {
        report::write(plan, store, results, folder, DEFAULT_PAGES, terminal)?;
    }
    Ok(())
}

/// That a part of the work says which points are the best.
fn refuse_budget(plan: &Plan) -> Result<(), Failure> {
    if plan.experiment.solve.is_some() {
        return Err(Failure::input("--budget: a [solve] runs no more than it needs"));
    }
    if plan.experiment.objectives.is_empty() {
        return Err(Failure::input(
            "--budget: the experiment says with `maximize` and `minimize` which points are the best",
        ));
    }
    Ok(())
}

fn halve(
    budget: f64,
    plan: &Plan,
    store: &Store,
    worker: &Worker<'_>,
    options: RunOptions,
    stop: &AtomicBool,
    terminal: &Terminal,
) -> Result<Summary, SweepError> {
    let halving = Halving::within(budget);
    let all: u64 = plan.points.iter().map(|point| point.work()).sum();
    let planned = (budget * all as f64) as u64;
    let points = (0..halving.rungs).map(|rung| halving.points(rung, plan.points.len()));
    let watch = Watch::new(plan, terminal, points.sum(), planned);
    let halved = plan.halve(halving, store, worker, options, stop, &|event| watch.see(event))?;
    drop(watch);
    let rungs: Vec<String> = halved.rungs.iter().map(|(points, _)| count(*points as u64)).collect();
    let done: u64 = halved.rungs.iter().map(|(_, images)| images).sum();
    terminal.note(&format!(
        "rungs of {} points, {:.0} % of the images of all",
        rungs.join(", "),
        100.0 * done as f64 / all as f64
    ));
    Ok(halved.summary)
}

/// Writes `results.csv`.
fn write_csv(plan: &Plan, store: &Store, folder: &Path, terminal: &Terminal) -> Result<(Results, PathBuf), Failure> {
    let results = plan.results(store)?;
    let path = folder.join("results.csv");
    let csv = results.csv().map_err(|e| Failure::Other(e.into()))?;
    write(&path, csv)?;
    terminal.detail(&format!("wrote {}", path.display()));
    Ok((results, path))
}

fn write_results(plan: &Plan, store: &Store, folder: &Path, terminal: &Terminal) -> Result<Results, Failure> {
    let (results, path) = write_csv(plan, store, folder, terminal)?;
    terminal.print(&(table(plan, &results).render(terminal.look()) + "\n"))?;
    if results.rows.len() > SHOWN_ROWS {
        terminal.note(&format!(
            "{} of {} points are shown; all are in {}",
            SHOWN_ROWS,
            results.rows.len(),
            path.display()
        ));
    }
    Ok(results)
}

fn table(plan: &Plan, results: &Results) -> TextTable {
    let metrics = &plan.experiment.metrics;
    let axes = results.axes.iter().map(|name| (name.clone(), Align::Right));
    let numbers = metrics.iter().map(|metric| (metric.name.to_owned(), Align::Right));
    let mut table = TextTable::new(axes.chain(numbers));
    for row in results.rows.iter().take(SHOWN_ROWS) {
        let values = row.values.iter().map(ToString::to_string);
        let numbers = metrics.iter().map(|metric| number(row.metric(metric)));
        table.row(values.chain(numbers));
    }
    table
}

fn export(args: &SweepExportArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let plan = load(&args.experiment, &args.selection)?;
    let folder = folder(&args.selection, &plan);
    if let Some(target) = args.slurm.as_deref().or(args.hyperqueue.as_deref()) {
        return cluster::export(args, &plan, &folder, target, terminal);
    }
    let results = plan.results(&Store::open_to_read(&folder)?)?;
    if let Some(path) = &args.csv {
        write(path, results.csv().map_err(|e| Failure::Other(e.into()))?)?;
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&results.json()).map_err(|e| Failure::Other(e.into()))?;
        write(path, text + "\n")?;
    }
    if let Some(path) = &args.parquet {
        write(path, results.parquet())?;
    }
    terminal.note(&format!(
        "{} of {} points have a result",
        count(results.rows.len() as u64),
        count(plan.points.len() as u64)
    ));
    Ok(Status::Done)
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(Failure::Other)
}

fn ending(summary: &Summary, terminal: &Terminal) -> Status {
    if summary.left > 0 {
        terminal.note(&format!(
            "stopped: {} points were run, {} are left; the same command goes on from here",
            summary.done, summary.left
        ));
        return Status::Failed;
    }
    if summary.failed > 0 {
        terminal.note(&format!("{} points failed", summary.failed));
        return Status::Failed;
    }
    Status::Done
}
