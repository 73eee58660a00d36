//! `farad data fetch` and `farad data verify`

use crate::cli::{DataArgs, DataCommand};
use crate::failure::{Failure, Status};
use crate::progress;
use crate::terminal::Terminal;
use farad_data::fetch::{self, FetchError, FileState, Progress};
use farad_report::text::{Align, TextTable};

pub(crate) fn run(args: &DataArgs, terminal: &Terminal) -> Result<Status, Failure> {
    match &args.command {
        DataCommand::Fetch(args) => fetch(&args.name, args.from.as_deref(), terminal),
        DataCommand::Verify(args) => verify(&args.name, terminal),
    }
}

/// Prints the dataset's folder.
fn fetch(name: &str, from: Option<&str>, terminal: &Terminal) -> Result<Status, Failure> {
    let bar = progress::bar(
        terminal,
        "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    );
    let mut file = String::new();
    let folder = fetch::fetch(name, from, &mut |progress: Progress<'_>| {
        if file != progress.file {
            progress.file.clone_into(&mut file);
            bar.set_message(file.clone());
            bar.reset();
            bar.suspend(|| terminal.detail(&format!("fetching {file}")));
        }
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    terminal.print(&format!("{}\n", folder.map_err(failure)?.display()))?;
    Ok(Status::Done)
}

fn verify(name: &str, terminal: &Terminal) -> Result<Status, Failure> {
    let checks = fetch::verify(name).map_err(failure)?;
    let mut table = TextTable::new([("file", Align::Left), ("checksum", Align::Left)]);
    for check in &checks {
        let word = match check.state {
            FileState::Verified => "right",
            FileState::Missing => "not here",
            FileState::Other => "another file",
        };
        table.row([check.path.display().to_string(), word.to_owned()]);
    }
    terminal.print(&format!("{}\n", table.render(terminal.look())))?;
    match checks.iter().all(|c| c.state == FileState::Verified) {
        true => Ok(Status::Done),
        false => Ok(Status::OutOfTolerance),
    }
}

fn failure(error: FetchError) -> Failure {
    match error {
        FetchError::Unknown { .. } | FetchError::NoPlace | FetchError::Other { .. } => Failure::from_input(error),
        _ => Failure::Other(error.into()),
    }
}
