//! `farad check`

mod silicon;

use crate::cli::{CheckArgs, CheckCommand};
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use farad_hw::check::{CheckResult, Kind, run_checks};
use farad_report::text::{Align, TextTable};
use farad_report::units::digits;

pub(crate) fn run(args: &CheckArgs, terminal: &Terminal) -> Result<Status, Failure> {
    match &args.command {
        CheckCommand::HwModels => hw_models(terminal),
        CheckCommand::Silicon(args) => silicon::run(args, terminal),
    }
}

fn hw_models(terminal: &Terminal) -> Result<Status, Failure> {
    // The files are part of the program: that they cannot be read is no fault of the user.
    let results = run_checks().map_err(|e| Failure::Other(e.into()))?;
    let asserted = results.iter().filter(|r| r.not_asserted.is_none()).count();
    let wrong = results.iter().filter(|r| !r.ok).count();
    let reasons = reasons(&results);
    let mut text = format!(
        "{}\n\nErrors are relative to the published value; only the fitted column is asserted.\n\
         {} of {asserted} asserted numbers within tolerance, {} shown but not asserted:\n",
        table(&results, &reasons).render(terminal.look()),
        asserted - wrong,
        results.len() - asserted
    );
    for (i, reason) in reasons.iter().enumerate() {
        text.push_str(&format!("  [{}] {reason}\n", i + 1));
    }
    terminal.print(&text)?;
    Ok(if wrong == 0 {
        Status::Done
    } else {
        Status::OutOfTolerance
    })
}

/// Why numbers are not asserted, each reason once.
fn reasons(results: &[CheckResult]) -> Vec<&str> {
    let mut reasons: Vec<&str> = Vec::new();
    for reason in results.iter().filter_map(|r| r.not_asserted.as_deref()) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn table(results: &[CheckResult], reasons: &[&str]) -> TextTable {
    let mut table = TextTable::new([
        ("macro", Align::Left),
        ("quantity", Align::Left),
        ("condition", Align::Left),
        ("kind", Align::Left),
        ("published", Align::Right),
        ("first principles %", Align::Right),
        ("globally scaled %", Align::Right),
        ("fitted %", Align::Right),
        ("tolerance %", Align::Right),
        ("", Align::Left),
    ]);
    for r in results {
        let error = |value: f64| format!("{:+.1}", 100.0 * (value / r.published - 1.0));
        let note = r
            .not_asserted
            .as_deref()
            .and_then(|reason| reasons.iter().position(|known| *known == reason));
        let verdict = match (note, r.ok) {
            (Some(i), _) => format!("not asserted [{}]", i + 1),
            (None, true) => "ok".into(),
            (None, false) => "OUT OF TOLERANCE".into(),
        };
        table.row([
            r.model.to_string(),
            r.quantity.to_string(),
            r.condition.clone(),
            kind(r.kind).into(),
            format!("{} {}", digits(r.published), r.unit),
            error(r.first_principles),
            error(r.globally_scaled),
            error(r.fitted),
            r.tolerance_pct.to_string(),
            verdict,
        ]);
    }
    table
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Published => "published",
        Kind::Calibrated => "calibrated",
        Kind::Derived => "derived",
    }
}
