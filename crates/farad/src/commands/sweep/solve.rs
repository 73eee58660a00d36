//! `farad sweep` of an experiment with a `[solve]`.

use super::watch::Watch;
use super::{ending, jobs, write, write_report};
use crate::cli::SweepRunArgs;
use crate::failure::{Failure, Status};
use crate::interrupt;
use crate::terminal::Terminal;
use farad_report::text::{Align, TextTable};
use farad_report::units::count;
use farad_sweep::{Judged, Plan, RunOptions, Solution, Solve, Store};
use std::path::Path;

pub(super) fn run(
    args: &SweepRunArgs,
    plan: &Plan,
    solve: &Solve,
    folder: &Path,
    terminal: &Terminal,
) -> Result<Status, Failure> {
    let store = Store::open(folder)?;
    let options = RunOptions {
        jobs: jobs(args.jobs),
        threads: args.threads.into(),
    };
    let stop = interrupt::stop_flag(*terminal, "points")?;
    let searches = plan.searches();
    let most = |search| u64::from(plan.most_decisions(search));
    let decisions: u64 = searches.iter().map(most).sum();
    terminal.note(&format!(
        "{} searches among {} points, about {} to decide, {} at a time, into {}",
        count(searches.len() as u64),
        count(plan.points.len() as u64),
        count(decisions),
        options.jobs,
        store.path().display()
    ));
    let images = searches.iter().map(|s| most(s) * s.points[0].work()).sum();
    let worker = store.worker()?;
    let watch = Watch::new(plan, terminal, decisions as usize, images);
    let summary = plan.solve(&store, &worker, options, &stop, &|event| watch.see(event));
    drop(watch);
    let summary = summary.map_err(|e| Failure::Other(e.into()))?;
    let (results, _) = super::write_csv(plan, &store, folder, terminal)?;
    let solutions = plan.solutions(&store).map_err(|e| Failure::Other(e.into()))?;
    let path = folder.join("solutions.csv");
    write(
        &path,
        farad_sweep::solutions_csv(plan, &solutions).map_err(|e| Failure::Other(e.into()))?,
    )?;
    terminal.detail(&format!("wrote {}", path.display()));
    terminal.print(&(table(plan, solve, &solutions).render(terminal.look()) + "\n"))?;
    terminal.print(&claim(plan, solve))?;
    write_report(args, plan, &store, &results, folder, terminal)?;
    Ok(ending(&summary, terminal))
}

fn table(plan: &Plan, solve: &Solve, solutions: &[Solution]) -> TextTable {
    let axes: Vec<&str> = plan.experiment.axes().map(|axis| axis.parameter.name()).collect();
    let solved = axes.last().copied().unwrap_or_default();
    let others = axes.iter().take(axes.len().saturating_sub(1));
    let headings = [
        format!("{} {solved}", if solve.largest { "largest" } else { "smallest" }),
        solve.metric.name.to_owned(),
        "broken by".to_owned(),
        solve.metric.name.to_owned(),
        "open".to_owned(),
        "images".to_owned(),
    ];
    let headings = others.map(|name| (*name).to_owned()).chain(headings);
    let mut table = TextTable::new(headings.map(|heading| (heading, Align::Right)));
    for solution in solutions {
        let nothing = match (solution.complete, solution.open) {
            (true, 0) => "none",
            (true, _) => "not shown",
            (false, _) => "not yet",
        };
        let value = |judged: &Option<Judged>| judged.as_ref().map_or(nothing.to_owned(), |j| j.value.to_string());
        let measured = |judged: &Option<Judged>| judged.as_ref().map_or(String::new(), mean);
        let values = solution.values.iter().map(ToString::to_string);
        table.row(values.chain([
            value(&solution.kept),
            measured(&solution.kept),
            value(&solution.broken),
            measured(&solution.broken),
            solution.open.to_string(),
            count(solution.images),
        ]));
    }
    table
}

/// A mean with its interval: `0.0067 (-0.0021 to 0.0098)`.
fn mean(judged: &Judged) -> String {
    let (low, high) = judged.interval;
    format!("{:.4} ({low:.4} to {high:.4})", judged.mean)
}

/// What the table says, and under which conditions.
fn claim(plan: &Plan, solve: &Solve) -> String {
    let solved = plan.experiment.axes().last().map_or("", |axis| axis.parameter.name());
    let (further, extreme) = if solve.largest {
        ("a larger", "largest")
    } else {
        ("a smaller", "smallest")
    };
    format!(
        "\n{}: in each row, with at least {} % confidence, the {extreme} {solved} keeps it and the one beside it breaks it,\n\
         for these chips, on images of this kind, if {further} {solved} is never better. Open are values\n\
         between the two that all images do not decide.\n",
        solve.requirement(),
        100.0 * solve.confidence,
    )
}
