//! The columns of a conversion, their switches and the input patterns.

use super::{Experiment, OPTIONS, SWITCH, line};
use crate::chip::circuit::CircuitColumn;
use crate::scale::input_levels;
use crate::spec::{Cell, Topology};
use std::fmt::Write;

/// Clock period of a pattern, ns: reset or charge, share, segments, merge, sample.
const PERIOD_NS: usize = 20;
/// Time of sampling in the period, ns.
const SAMPLE_NS: usize = 19;

impl Experiment {
    /// Columns, switches and patterns as a transient; `v0`, `v1`, .. are the voltages at the ADC, sampled at the end of each pattern.
    #[must_use]
    pub fn column_netlist(&self) -> String {
        let mut text = self.header("the column, pattern by pattern");
        let circuit = &self.circuit;
        text += "\n* Clocks: 1 charge or reset, 2 share a column, 3 hand it to its segment, 4 merge the segments.\n";
        let phases = if circuit.columns[0].segment_f.is_some() { 4 } else { 2 };
        for (phase, start) in [(1, 1), (2, 6), (3, 11), (4, 15)].into_iter().take(phases) {
            let width = if phase < 3 { 4 } else { 3 };
            line(
                &mut text,
                format!("Vphi{phase} phi{phase} 0 PULSE(0 1 {start}n 10p 10p {width}n {PERIOD_NS}n)"),
            );
        }
        text += SWITCH;
        text += "\n* Row drivers, V at each cell whose stored bit is one.\n";
        self.write_rows(&mut text);
        for (k, column) in circuit.columns.iter().enumerate() {
            self.write_column(&mut text, k, column);
        }
        self.write_adc_input(&mut text);
        let end = self.patterns.len() * PERIOD_NS;
        text += OPTIONS;
        line(&mut text, format!(".tran 5n {end}n"));
        for p in 0..self.patterns.len() {
            let at = p * PERIOD_NS + SAMPLE_NS;
            line(&mut text, format!(".meas tran v{p} find v(adc) at={at}n"));
        }
        text + ".end\n"
    }

    /// `wl<row>`: the row's voltage; `wlb<row>`: its complement, where an XNOR cell needs it; `wln<row>`: its negative, for a column of
    /// switched polarity (ground stands for the common mode).
    fn write_rows(&self, text: &mut String) {
        let full = input_levels(&self.spec);
        let vdd = self.spec.technology.vdd_v;
        for (row, gain) in self.circuit.row_gains.iter().enumerate() {
            let volts = |level: u32| gain * vdd * f64::from(level) / full;
            self.write_source(text, &format!("wl{row}"), |p| volts(self.patterns[p][row]));
            if self.spec.array.cell == Cell::Xnor {
                self.write_source(text, &format!("wlb{row}"), |p| volts(1 - self.patterns[p][row]));
            }
            if self.circuit.columns.iter().any(CircuitColumn::is_switched) {
                self.write_source(text, &format!("wln{row}"), |p| -volts(self.patterns[p][row]));
            }
        }
    }

    /// A cell that charges is driven for the whole pattern, one that couples steps after the reset.
    fn write_source(&self, text: &mut String, name: &str, volts: impl Fn(usize) -> f64) {
        let _ = write!(text, "V{name} {name} 0 PWL(0 0");
        for p in 0..self.patterns.len() {
            let (v, t) = (volts(p), p * PERIOD_NS);
            let on_ps = match self.spec.array.topology {
                Topology::Share => t * 1000 + 100,
                Topology::Couple => t * 1000 + 6000,
            };
            let off_ps = (t + PERIOD_NS) * 1000 - 100;
            let _ = write!(
                text,
                "\n+ {on_ps}p 0 {}p {v} {off_ps}p {v} {}p 0",
                on_ps + 50,
                off_ps + 50
            );
        }
        text.push_str(")\n");
    }

    fn write_column(&self, text: &mut String, k: usize, column: &CircuitColumn) {
        let stored = &self.stored[self.model.outputs[0].slots[self.slot].columns.start + k];
        let circuit = &self.circuit;
        line(text, format!("\n* Column {}", self.first_column + self.slot + k));
        for (row, farads) in column.cells_f.iter().enumerate() {
            let drive = match (self.spec.array.cell, stored.get(row)) {
                (_, Some(true)) if column.is_switched() => format!("wln{row}"),
                (_, Some(true)) => format!("wl{row}"),
                (Cell::Xnor, Some(false)) => format!("wlb{row}"),
                _ => "0".into(),
            };
            match self.spec.array.topology {
                Topology::Share => {
                    line(
                        text,
                        format!(
                            "C{k}_{row} c{k}_{row} 0 {farads:e}\nSa{k}_{row} {drive} c{k}_{row} phi1 0 switch\n\
                         Sb{k}_{row} c{k}_{row} plate{k} phi2 0 switch"
                        ),
                    );
                }
                Topology::Couple => {
                    line(text, format!("C{k}_{row} plate{k} {drive} {farads:e}"));
                }
            }
        }
        line(text, format!("Sr{k} plate{k} 0 phi1 0 switch"));
        if circuit.parasitic_f > 0.0 {
            line(
                text,
                format!(
                    "Cp{k} plate{k} 0 Q='{:e}*v(plate{k})*({:e}+{:e}*v(plate{k}))'",
                    circuit.parasitic_f,
                    1.0 + circuit.parasitic_linear,
                    circuit.parasitic_quadratic_per_v
                ),
            );
        }
        if let Some(farads) = column.segment_f {
            self.write_segment(text, k, column, farads);
        }
    }

    /// The part of a column that stays connected when columns are merged. It is some of the column's own cells and already at the column's
    /// voltage: an ideal buffer stands for that. Its share of the parasitic comes along.
    fn write_segment(&self, text: &mut String, k: usize, column: &CircuitColumn, farads: f64) {
        let circuit = &self.circuit;
        let rho = self.scale.parasitic_ratio;
        let share = rho / (1.0 + rho);
        let bank = u8::from(column.bank);
        line(
            text,
            format!(
                "E{k} buffer{k} 0 plate{k} 0 1\nSc{k} buffer{k} segment{k} phi3 0 switch\nSd{k} segment{k} merged{bank} phi4 0 switch\n\
             Cs{k} segment{k} 0 Q='{farads:e}*v(segment{k})*({:e}+{:e}*v(segment{k}))'",
                1.0 + share * circuit.parasitic_linear,
                share * circuit.parasitic_quadratic_per_v
            ),
        );
    }

    fn write_adc_input(&self, text: &mut String) {
        let circuit = &self.circuit;
        let merged = circuit.columns[0].segment_f.is_some();
        let pair = circuit.columns.iter().any(|c| c.bank);
        let (plus, minus) = match (merged, pair) {
            (false, _) => ("plate0", "0"),
            (true, false) => ("merged0", "0"),
            (true, true) => ("merged0", "merged1"),
        };
        text.push_str("\n* The ADC's input: what calibration leaves of gain, and offsets.\n");
        line(
            text,
            format!(
                "Ein in 0 {plus} {minus} {:e}\nVoffset adc in {:e}\nRadc adc 0 1e12",
                circuit.gain, circuit.offset_v
            ),
        );
    }
}
