//! `farad characterize`

use crate::cli::CharacterizeArgs;
use crate::failure::{Failure, Status};
use crate::progress;
use crate::terminal::Terminal;
use crate::{files, inputs, interrupt};
use farad_report::characterize::Measured;
use farad_report::{CharacterizeReport, OutputDir};
use farad_sim::SimError;
use farad_sim::characterize::{CharacterizeConfig, characterize};

pub(crate) fn run(args: &CharacterizeArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw_by_name(&args.hw, &args.set, args.profile.as_deref())?;
    let out = files::output(args.out.as_deref())?;
    let stop = interrupt::stop_flag(*terminal, "chips")?;
    let bar = progress::bar(terminal, "{wide_bar} {pos}/{len} chips, {eta} left");
    let config = CharacterizeConfig {
        chips: args.chips,
        seed: args.seed,
        threads: args.threads.threads.into(),
    };
    let update = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let result = characterize(&hw.spec, &config, &update, &stop);
    bar.finish_and_clear();
    let result = result.map_err(|error| match error {
        SimError::Map(error) => Failure::from_input(error),
        error => Failure::Other(error.into()),
    })?;
    let report = CharacterizeReport::build(&Measured {
        spec: &hw.spec,
        hw: &hw.info,
        result: &result,
        chips: args.chips,
        seed: args.seed,
        limits: &args.limit,
    });
    finish(&report, args, out.as_ref(), terminal)
}

fn finish(
    report: &CharacterizeReport,
    args: &CharacterizeArgs,
    out: Option<&OutputDir>,
    terminal: &Terminal,
) -> Result<Status, Failure> {
    let other = |e: farad_report::ReportError| Failure::Other(e.into());
    if let Some(out) = out {
        for path in report.write(out).map_err(other)? {
            terminal.detail(&format!("wrote {}", path.display()));
        }
    }
    let text = if args.json {
        report.json().map_err(other)?
    } else {
        report.text(terminal.look())
    };
    terminal.print(&text)?;
    if let Some(warning) = report.partial_warning() {
        terminal.note(&format!("interrupted: {warning}; the results are partial"));
        return Ok(Status::Failed);
    }
    Ok(match report.share {
        Some(share) if 100.0 * share < args.least_yield => Status::OutOfTolerance,
        _ => Status::Done,
    })
}
