//! The `farad` command.
//!
//! Two steps, as in ripgrep: [`cli`] holds the flags as they were typed, `inputs` and the commands turn them into
//! networks, macros and datasets that are known to fit together, and only then does anything run. Results go to
//! standard output, everything else to standard error.

mod cli;
mod commands;
mod failure;
mod host;
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
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.color, cli.quiet, cli.verbose);
    let result = match &cli.command {
        Command::Run(args) => commands::run::run(args, &terminal),
        Command::Map(args) => commands::map::run(args, &terminal),
        Command::Inspect(args) => commands::inspect::run(args, &terminal),
        Command::List(args) => commands::list::run(args, &terminal),
        Command::Check(args) => commands::check::run(args, &terminal),
        Command::Explain(args) => commands::explain::run(args, &terminal),
        Command::Completions(args) => commands::completions::run(args, &terminal),
    };
    let status = result.unwrap_or_else(|failure| {
        terminal.report(&failure);
        failure.status()
    });
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::WrongInput => 2,
        Status::OutOfTolerance => 3,
    })
}
