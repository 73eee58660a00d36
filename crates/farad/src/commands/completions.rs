//! `farad completions`

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use clap::CommandFactory;

pub(crate) fn run(args: &CompletionsArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "farad", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Done)
}
