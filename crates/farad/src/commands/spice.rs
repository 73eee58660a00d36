//! `farad spice`

use crate::cli::SpiceArgs;
use crate::failure::{Failure, Status};
use crate::files::Folder;
use crate::inputs;
use crate::terminal::Terminal;
use farad_hw::netlist::Experiment;
use std::fmt::Write;

pub(crate) fn run(args: &SpiceArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw(&args.hw)?;
    let experiment = Experiment::new(&hw.spec, args.chip, args.column, usize::from(args.patterns), args.seed)
        .map_err(Failure::from_input)?;
    let folder = Folder::create(&args.out)?;
    let mut files = vec![
        ("column.cir", experiment.column_netlist()),
        ("expected.csv", expected(&experiment)),
    ];
    files.extend(experiment.cdac_netlist().map(|text| ("cdac.cir", text)));
    for (name, text) in files {
        folder.write(name, &text, terminal)?;
    }
    Ok(Status::Done)
}

/// A row per pattern. The LSB and the sign of the codes are the same in all of them, so that each row can be judged alone.
fn expected(experiment: &Experiment) -> String {
    let mut text = String::from("pattern,input_v,code,lsb_v,signed\n");
    for (p, e) in experiment.expected().iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{p},{},{},{},{}",
            e.input_v,
            e.code,
            experiment.lsb_v(),
            experiment.signed()
        );
    }
    text
}
