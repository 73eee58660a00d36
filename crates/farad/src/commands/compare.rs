//! `farad compare`

use crate::cli::CompareArgs;
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use anyhow::Context;
use farad_report::report::{SCHEMA, SEMANTICS};
use farad_report::{Report, side_by_side};
use std::path::Path;

pub(crate) fn run(args: &CompareArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let (a, b) = (load(&args.a)?, load(&args.b)?);
    if a.semantics != b.semantics {
        terminal.note(&format!(
            "the reports' numbers are of different versions, {} and {}: part of the difference may be Farad's (this one has {SEMANTICS})",
            a.semantics, b.semantics
        ));
    }
    terminal.print(&side_by_side(&a, &b, terminal.look()))?;
    Ok(Status::Done)
}

fn load(path: &Path) -> Result<Report, Failure> {
    let file = if path.is_dir() {
        path.join("report.json")
    } else {
        path.to_owned()
    };
    let read = || {
        let text = std::fs::read_to_string(&file)?;
        let report: Report = serde_json::from_str(&text)?;
        anyhow::ensure!(report.schema == SCHEMA, "its schema is {}, not {SCHEMA}", report.schema);
        Ok(report)
    };
    read()
        .with_context(|| format!("cannot read report `{}`", file.display()))
        .map_err(Failure::Input)
}
