//! The `farad` command.
//!
//! Two steps, as in ripgrep: [`cli`] holds the flags as they were typed, `inputs` and the commands turn them into
//! networks, macros and datasets that are known to fit together, and only then does anything run. Results go to
//! standard output, everything else to standard error.

mod cli;
mod commands;
mod failure;
mod files;
mod inputs;
mod interrupt;
mod progress;
mod terminal;

use clap::Parser;
use cli::{Cli, Command};
use failure::Status;
use std::process::ExitCode;
use terminal::Terminal;

fn main() -> ExitCode {
    report_bugs_in_one_line();
    // A panic has been reported by the hook; it is a failure like others.
    let status = std::panic::catch_unwind(run).unwrap_or(Status::Failed);
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::WrongInput => 2,
        Status::OutOfTolerance => 3,
    })
}

fn run() -> Status {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.color, cli.quiet, cli.verbose);
    let result = match &cli.command {
        Command::Run(args) => commands::run::run(args, &terminal),
        Command::Calibrate(args) => commands::calibrate::run(args, &terminal),
        Command::Characterize(args) => commands::characterize::run(args, &terminal),
        Command::Map(args) => commands::map::run(args, &terminal),
        Command::Inspect(args) => commands::inspect::run(args, &terminal),
        Command::Train(args) => commands::train::run(args, &terminal),
        Command::Sweep(args) => commands::sweep::run(args, &terminal),
        Command::Compare(args) => commands::compare::run(args, &terminal),
        Command::Data(args) => commands::data::run(args, &terminal),
        Command::List(args) => commands::list::run(args, &terminal),
        Command::Spice(args) => commands::spice::run(args, &terminal),
        Command::Profile(args) => commands::profile::run(args, &terminal),
        Command::Check(args) => commands::check::run(args, &terminal),
        Command::Explain(args) => commands::explain::run(args, &terminal),
        Command::Completions(args) => commands::completions::run(args, &terminal),
    };
    result.unwrap_or_else(|failure| {
        terminal.report(&failure);
        failure.status()
    })
}

/// A panic is a bug of Farad: the user learns that and where, a developer gets the rest with `RUST_BACKTRACE=1`.
fn report_bugs_in_one_line() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|info| {
            let message = panic_message(info.payload()).replace('\n', " ");
            let place = info
                .location()
                .map(|at| format!(" at {}:{}", at.file(), at.line()))
                .unwrap_or_default();
            terminal::say(&format!(
                "error: this is a bug in Farad, please report it: {message}{place}"
            ));
        }));
    }
}

/// The text of `panic!` and its kin: a `&str` if it was constant, else a `String`.
fn panic_message(payload: &dyn std::any::Any) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}
