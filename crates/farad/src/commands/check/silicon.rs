//! `farad check silicon`

use crate::cli::CheckSiliconArgs;
use crate::failure::{Failure, Status};
use crate::files::Folder;
use crate::terminal::Terminal;
use farad_hw::silicon::{ChipResult, Domain, Silicon, silicon};
use farad_report::silicon_plot;
use farad_report::text::{Align, TextTable};
use farad_report::units::digits;

/// What half of the chips must keep without any fit.
const MEDIAN_LIMIT: f64 = 2.0;

pub(crate) fn run(args: &CheckSiliconArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let folder = args.out.as_deref().map(Folder::create).transpose()?;
    // The file is part of the program: that it cannot be read is no fault of the user.
    let silicon = silicon().map_err(|e| Failure::Other(e.into()))?;
    terminal.print(&format!(
        "{}\n\n{}",
        table(&silicon).render(terminal.look()),
        summary(&silicon)
    ))?;
    if let Some(folder) = folder {
        let plot = silicon_plot(&silicon).map_err(|e| Failure::Other(e.into()))?;
        folder.write(&format!("{}.svg", plot.name), &plot.svg, terminal)?;
    }
    Ok(if silicon.median(None, |c| c.unfitted) <= MEDIAN_LIMIT {
        Status::Done
    } else {
        Status::OutOfTolerance
    })
}

fn table(silicon: &Silicon) -> TextTable {
    let right = |name| (name, Align::Right);
    let mut table = TextTable::new([
        ("chip", Align::Left),
        right("nm"),
        right("x/w/ADC"),
        right("rows"),
        right("TOPS"),
        right("modelled"),
        right("fJ/output"),
        right("modelled"),
        right("array"),
        right("drivers"),
        right("ADC"),
        right("digital"),
        right("no fit"),
        right("one factor"),
        right("left out"),
    ]);
    for c in &silicon.chips {
        let fj = |joules: f64| digits(joules * 1e15);
        let mixed = if c.domain == Domain::Mixed { " *" } else { "" };
        let e = &c.energy;
        table.row([
            format!("{}{mixed}", c.name),
            c.node_nm.to_string(),
            c.bits.map(|b| b.to_string()).join("/"),
            c.rows.to_string(),
            digits(c.published_tops),
            digits(c.tops),
            fj(c.published_j),
            fj(e.total_j()),
            fj(e.array_j),
            fj(e.driver_j),
            fj(e.adc_j),
            fj(e.accumulator_j + e.digital_j),
            format!("{:.2}", c.unfitted),
            format!("{:.2}", c.scaled),
            format!("{:.2}", c.left_out),
        ]);
    }
    table
}

fn summary(silicon: &Silicon) -> String {
    let medians = |domain| {
        let of = |ratio: fn(&ChipResult) -> f64| silicon.median(domain, ratio);
        format!(
            "{:.2} without a fit, {:.2} with one factor, {:.2} left out",
            of(|c| c.unfitted),
            of(|c| c.scaled),
            of(|c| c.left_out)
        )
    };
    format!(
        "TOPS count 1b x 1b operations. An output is one conversion: 2 x rows x input bits x weight bits operations.\n\
         The last three columns are modelled over published energy: with the defaults of macro.toml, with one factor for all\n\
         chips ({:.2}), and with the factor of all chips but this one. * cells discharge a line, charge is shared afterwards.\n\n\
         median error, all {} chips: a factor of {}\n\
         median error, charge only: a factor of {}\n",
        silicon.factor,
        silicon.chips.len(),
        medians(None),
        medians(Some(Domain::Charge))
    )
}
