//! `farad explain`

use crate::cli::ExplainArgs;
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;
use farad_hw::schema::explain;

pub(crate) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let code = args.code.to_uppercase();
    let text = explain(&code).ok_or_else(|| {
        Failure::input(format!(
            "no error code `{}`; codes look like E0103 and stand in the messages about a macro file",
            args.code
        ))
    })?;
    terminal.print(&format!("{}\n", text.trim_end()))?;
    Ok(Status::Done)
}
