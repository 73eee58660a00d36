//! `farad spice`

use crate::cli::SpiceArgs;
use crate::failure::{Failure, Status};
use crate::inputs;
use crate::terminal::Terminal;
use anyhow::Context;
use farad_hw::netlist::Experiment;
use std::fmt::Write;
use std::path::Path;

pub(crate) fn run(args: &SpiceArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw(&args.hw)?;
    let experiment = Experiment::new(&hw.spec, args.chip, args.column, usize::from(args.patterns), args.seed)
        .map_err(Failure::from_input)?;
    let mut files = vec![
        ("column.cir", experiment.column_netlist()),
        ("expected.csv", expected(&experiment)),
    ];
    files.extend(experiment.cdac_netlist().map(|text| ("cdac.cir", text)));
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot write into `{}`", args.out.display()))
        .map_err(Failure::Input)?;
    for (name, text) in files {
        let path = args.out.join(name);
        write(&path, &text)?;
        terminal.print(&format!("{}\n", path.display()))?;
    }
    Ok(Status::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(Failure::Input)
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
