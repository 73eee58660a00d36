//! `farad profile`

use crate::cli::{ProfileArgs, ProfileCommand, ProfileExportArgs};
use crate::failure::{Failure, Status};
use crate::files;
use crate::inputs;
use crate::terminal::Terminal;
use farad_hw::profile::Profile;
use farad_sweep::profile::write;

pub(crate) fn run(args: &ProfileArgs, terminal: &Terminal) -> Result<Status, Failure> {
    match &args.command {
        ProfileCommand::Export(args) => export(args, terminal),
    }
}

fn export(args: &ProfileExportArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw(&args.hw)?;
    let profile = Profile::of_chip(&hw.spec, args.chip, args.instances);
    let note = format!(
        "Chip {} of {}{}.\nAn empty cell is what was not measured: it is drawn as on this chip. Temporal noise is empty where it\n\
         depends on the wordlines in use (kT/C) or on the level.",
        args.chip,
        hw.info.name,
        hw.info.overrides()
    );
    let bytes = write(&profile, &hw.spec, &args.output, &note)?;
    files::write(&args.output, &bytes, terminal)?;
    Ok(Status::Done)
}
