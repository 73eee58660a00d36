//! `farad sweep report`

use super::{folder, load};
use crate::cli::SweepReportArgs;
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use farad_report::units::count;
use farad_report::{OutputDir, ReportError};
use farad_sweep::{Plan, Results, Store};
use std::path::Path;

pub(super) fn run(args: &SweepReportArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let plan = load(&args.experiment, &args.selection)?;
    let folder = folder(&args.selection, &plan);
    let store = Store::open_to_read(&folder)?;
    let results = plan.results(&store)?;
    if results.rows.is_empty() {
        return Err(Failure::input(format!(
            "no point has a result in {}: run `farad sweep {}` first",
            store.path().display(),
            args.experiment.display()
        )));
    }
    write(&plan, &store, &results, &folder, args.pages, terminal)?;
    Ok(Status::Done)
}

/// Writes the page, its plots, and a page of at most `pages` points.
pub(super) fn write(
    plan: &Plan,
    store: &Store,
    results: &Results,
    folder: &Path,
    pages: usize,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut sweep = plan.report(results);
    let keys = sweep.choose_pages(pages);
    let wrong = |error: ReportError| Failure::Other(error.into());
    let points = OutputDir::create(&folder.join("points")).map_err(wrong)?;
    for key in &keys {
        if let Some(report) = store.report(key)? {
            let page = report.html(&report.plots().map_err(wrong)?);
            points.write_file(&format!("{key}.html"), &page).map_err(wrong)?;
        }
    }
    let (page, plots) = sweep.write(folder).map_err(wrong)?;
    terminal.note(&format!(
        "wrote {} with {} plots and {} points' pages",
        page.display(),
        count(plots.len() as u64),
        count(keys.len() as u64)
    ));
    Ok(())
}
