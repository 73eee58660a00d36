//! `farad check silicon`

use crate::cli::CheckSiliconArgs;
use crate::failure::{Failure, Status};
use crate::files;
use crate::terminal::Terminal;
use farad_hw::silicon::{Domain, Group, median_error, silicon};
use farad_report::{silicon_summary, silicon_table, write_silicon};

/// What half of the chips that use charge alone must keep without any fit.
const MEDIAN_LIMIT: f64 = 2.0;

pub(crate) fn run(args: &CheckSiliconArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let folder = files::output(args.out.as_deref())?;
    // The file is part of the program: that it cannot be read is no fault of the user.
    let silicon = silicon().map_err(|e| Failure::Other(e.into()))?;
    terminal.print(&format!(
        "{}\n\n{}",
        silicon_table(&silicon).render(terminal.look()),
        silicon_summary(&silicon)
    ))?;
    if let Some(folder) = folder {
        for path in write_silicon(&silicon, &folder).map_err(|e| Failure::Other(e.into()))? {
            terminal.note(&format!("wrote {}", path.display()));
        }
    }
    let charge = silicon.of(Group::Known, Some(Domain::Charge));
    Ok(if median_error(charge.map(|c| c.unfitted)) <= MEDIAN_LIMIT {
        Status::Done
    } else {
        Status::OutOfTolerance
    })
}
