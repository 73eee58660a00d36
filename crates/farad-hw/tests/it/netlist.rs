//! Netlists say what the engines compute: charge conservation on what is written gives what is expected.

use crate::physics::column;
use farad_hw::MacroSpec;
use farad_hw::netlist::{Experiment, NetlistError};
use std::collections::HashMap;

/// The words of the lines that begin with `start`.
fn lines<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines()
        .filter(move |line| line.starts_with(start))
        .map(|line| line.split_whitespace().collect())
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("{word}"))
}

/// Voltage of each row driver in each pattern: the second value of a source's line.
fn drivers(text: &str) -> HashMap<String, Vec<f64>> {
    let mut found = HashMap::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let Some(name) = line.strip_prefix("Vwl").and_then(|l| l.split_whitespace().next()) else {
            continue;
        };
        let mut volts = Vec::new();
        while let Some(next) = rest.next_if(|l| l.starts_with('+')) {
            volts.push(number(next.split_whitespace().nth(4).expect("four pairs")));
        }
        found.insert(format!("wl{name}"), volts);
    }
    found
}

fn coupled(more: &[(&str, &str)]) -> MacroSpec {
    let base = [
        ("array.topology", "couple"),
        ("array.mismatch_pct", "2.0"),
        ("array.parasitic_ratio", "0.3"),
        ("adc.kind", "sar_split"),
        ("adc.mismatch_pct", "1.0"),
    ];
    column(48, &[&base[..], more].concat())
}

/// `V = sum(C_i V_i) / (sum(C_i) + C_p)` over the capacitors as written: half of a cell's quantum, 1/2048 count, and the f32 of the transfer
/// are all that may differ.
#[test]
fn the_written_column_is_the_one_that_is_simulated() {
    for chip in 0..3 {
        let experiment = Experiment::new(&coupled(&[]), chip, 11, 32, 7).expect("a column");
        let text = experiment.column_netlist();
        let drivers = drivers(&text);
        let cells: Vec<(f64, &str)> = lines(&text, "C0_").map(|w| (number(w[3]), w[2])).collect();
        assert_eq!(cells.len(), 48);
        let parasitic: f64 = lines(&text, "Cp0 ")
            .map(|w| number(w[3].trim_start_matches("Q='").split('*').next().expect("C_p")))
            .sum();
        let total = cells.iter().map(|c| c.0).sum::<f64>() + parasitic;
        for (p, expected) in experiment.expected().iter().enumerate() {
            let charge: f64 = cells
                .iter()
                .map(|(farads, drive)| drivers.get(*drive).map_or(0.0, |volts| farads * volts[p]))
                .sum();
            let difference_lsb = (charge / total - expected.input_v) / experiment.lsb_v();
            // 48 cells of 1/2048 count, five steps to a count.
            assert!(
                difference_lsb.abs() < 0.05,
                "chip {chip}, pattern {p}: {difference_lsb} LSB"
            );
        }
    }
}

/// Every code of the CDAC is tried, and each of its capacitors is there.
#[test]
fn the_cdac_is_whole() {
    let experiment = Experiment::new(&coupled(&[]), 0, 0, 1, 0).expect("a column");
    let text = experiment.cdac_netlist().expect("a SAR");
    assert_eq!(lines(&text, ".meas").count(), 255);
    // Eight bits, dummy and bridge.
    assert_eq!(lines(&text, "C").count(), 10);
    let flash = Experiment::new(&coupled(&[("adc.kind", "flash")]), 0, 0, 1, 0).expect("a column");
    assert_eq!(flash.cdac_netlist(), None);
}

/// Merged columns hand their voltage to segments that are 1, 2, 4, .. of the LSB's.
#[test]
fn segments_are_binary() {
    let spec = coupled(&[("weight.combine", "binary_cap"), ("adc.kind", "ideal")]);
    let text = Experiment::new(&spec, 0, 13, 2, 0).expect("a column").column_netlist();
    let segments: Vec<f64> = lines(&text, "Cs")
        .map(|w| number(w[3].trim_start_matches("Q='").split('*').next().expect("C")))
        .collect();
    assert_eq!(segments.len(), 8);
    for pair in segments.windows(2) {
        assert!((pair[1] / pair[0] - 2.0).abs() < 1e-9);
    }
    assert!(text.contains("columns 8 to 15"));
}

#[test]
fn what_is_not_written_is_refused() {
    let error =
        |pairs: &[(&str, &str)], column| Experiment::new(&coupled(pairs), 0, column, 1, 0).expect_err("refused");
    assert_eq!(error(&[], 64), NetlistError::Column { column: 64, last: 63 });
    for pairs in [("weight.combine", "c2c"), ("input.combine", "serial_share")] {
        assert!(matches!(error(&[pairs], 0), NetlistError::Unsupported(..)));
    }
}
