//! `farad explain`

use crate::cli::ExplainArgs;
use crate::failure::{Failure, Status};
use crate::terminal::Terminal;

pub(crate) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let code = args.code.to_uppercase();
    let text = farad_hw::schema::explain(&code)
        .or_else(|| farad_sweep::explain(&code))
        .or_else(|| farad_train::explain(&code));
    let text = text.ok_or_else(|| {
        Failure::input(format!(
            "no error code `{}`; codes look like E0103 and stand in the messages about a macro, a profile, an experiment or a recipe",
            args.code
        ))
    })?;
    terminal.print(&format!("{}\n", text.trim_end()))?;
    Ok(Status::Done)
}
