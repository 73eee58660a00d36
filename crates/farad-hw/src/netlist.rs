//! A chip's own column and CDAC as SPICE netlists, and what the engines make of the same charge.
//!
//! The netlist has one capacitor per cell, with its error, and the switches that move the charge; everything else (drivers, comparator,
//! logic) is ideal. It is written for ngspice. [`Experiment::expected`] gives the voltages and codes of the integers that both engines run
//! from, so that a circuit simulator can contradict them.

use crate::adc::cdac::Cdac;
use crate::chip::circuit::{Circuit, CircuitColumn};
use crate::chip::{Site, SiteModel, quanta_per_unit};
use crate::encoding::columns;
use crate::scale::{Scale, input_levels};
use crate::spec::{Cell, InputCombine, MacroSpec, Topology, WeightCombine};
use farad_core::axis::lsb_steps;
use farad_core::philox::philox4x32;
use std::fmt::Write;

/// Clock period of a pattern, ns: reset or charge, share, segments, merge, sample. On-resistance and capacitors make time constants of
/// picoseconds.
const PERIOD_NS: usize = 20;
/// Time of sampling in the period, ns.
const SAMPLE_NS: usize = 19;
/// Charge is conserved at every step whatever its length, so the truncation error only has to be small when all has settled.
const OPTIONS: &str = "\n.options reltol=1e-5 abstol=1e-18 vntol=1e-9 chgtol=1e-16 gmin=1e-18 trtol=1000 maxord=1\n";

/// Why there is no netlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetlistError {
    /// The macro has a structure that is not written.
    #[error("no netlist of {0} yet: {1} has one")]
    Unsupported(&'static str, &'static str),
    /// There is no such column.
    #[error("no column {column}: outputs fill columns 0 to {last}")]
    Column {
        /// As asked for.
        column: usize,
        /// The last that belongs to an output.
        last: usize,
    },
}

/// One conversion of one chip, with stored bits and input patterns.
#[derive(Debug, Clone)]
pub struct Experiment {
    spec: MacroSpec,
    scale: Scale,
    circuit: Circuit,
    model: SiteModel,
    chip: u32,
    slot: usize,
    first_column: usize,
    /// `[column][row]`
    stored: Vec<Vec<bool>>,
    /// Input level of each row, `[pattern][row]`.
    patterns: Vec<Vec<u32>>,
}

/// What the engines make of a pattern without noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// At the ADC's levels, V.
    pub input_v: f64,
    /// Code from 0.
    pub code: usize,
}

impl Experiment {
    /// The conversion that physical column `column` of `chip` takes part in. Stored bits, three of four of them
    /// ones, and `patterns` input patterns are drawn from `seed`; from pattern to pattern the share of driven rows rises.
    ///
    /// # Errors
    /// A column that is not there; a ladder, or planes merged on two capacitors.
    pub fn new(spec: &MacroSpec, chip: u32, column: usize, patterns: usize, seed: u64) -> Result<Self, NetlistError> {
        if matches!(spec.weight.combine, WeightCombine::C2c { .. }) {
            return Err(NetlistError::Unsupported("a C-2C ladder", "`binary_cap` or `digital`"));
        }
        let most = match spec.input.combine {
            InputCombine::SerialShare { .. } => {
                return Err(NetlistError::Unsupported("`serial_share`", "`bitserial` or `dac`"));
            }
            InputCombine::BitSerial => 1,
            InputCombine::Dac { bits, .. } => (1 << bits) - 1,
        };
        let (per_output, rows) = (columns(spec).len(), spec.array.rows);
        let last = spec.outputs() * per_output - 1;
        if column > last {
            return Err(NetlistError::Column { column, last });
        }
        let first_column = column / per_output * per_output;
        let site = Site {
            instance: 0,
            first_column: first_column as u32,
            rows,
            outputs: 1,
        };
        let slot = if spec.weight.combine == WeightCombine::Digital {
            column - first_column
        } else {
            0
        };
        let scale = Scale::new(spec, rows, None);
        let draw = |what: u32, place: u32, row: usize| {
            philox4x32([what, place, row as u32, 0], [seed as u32, (seed >> 32) as u32])
        };
        let pattern = |p: usize| {
            (0..rows)
                .map(|row| {
                    let [on, level, ..] = draw(1, p as u32, row);
                    let share = (p as f64 + 0.5) / patterns as f64;
                    if f64::from(on) < share * 4_294_967_296.0 {
                        1 + level % most
                    } else {
                        0
                    }
                })
                .collect()
        };
        Ok(Self {
            circuit: site.circuit(spec, chip, &scale, slot),
            model: site.lower(spec, chip, &scale),
            stored: (0..per_output)
                .map(|k| (0..rows).map(|row| draw(0, k as u32, row)[0] & 3 > 0).collect())
                .collect(),
            patterns: (0..patterns).map(pattern).collect(),
            spec: spec.clone(),
            scale,
            chip,
            slot,
            first_column,
        })
    }

    /// One LSB of the ADC at its levels, V.
    #[must_use]
    pub fn lsb_v(&self) -> f64 {
        self.scale.lsb_v
    }

    /// Codes count from the middle of the range: charge has two signs.
    #[must_use]
    pub fn signed(&self) -> bool {
        self.scale.signed
    }

    /// What the engines' integers give for each pattern, without temporal noise.
    #[must_use]
    pub fn expected(&self) -> Vec<Expected> {
        let output = &self.model.outputs[0];
        let slot = &output.slots[self.slot];
        let steps = f64::from(lsb_steps(self.spec.adc.bits));
        self.patterns
            .iter()
            .map(|levels| {
                let mut charge = 0;
                for k in slot.columns.clone() {
                    for (row, &level) in levels.iter().enumerate() {
                        let product = self.product(level, self.stored[k][row]) as i32;
                        let cell = if self.model.uniform {
                            quanta_per_unit(&self.spec)
                        } else {
                            i32::from(output.cells[k * self.model.rows + row])
                        };
                        charge += product * cell;
                    }
                }
                let t = slot.transfer;
                let q = charge as f32;
                let input = f64::from((t.quadratic * q + t.gain) * q + t.offset);
                let at = i32::from(t.apply(q));
                Expected {
                    input_v: (input / steps + self.scale.middle_lsb) * self.scale.lsb_v,
                    code: self.model.adcs[slot.adc]
                        .staircase
                        .partition_point(|&level| level <= at),
                }
            })
            .collect()
    }

    fn product(&self, level: u32, stored: bool) -> u32 {
        match self.spec.array.cell {
            Cell::And => level * u32::from(stored),
            Cell::Xnor => u32::from((level == 1) == stored),
        }
    }

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
        text += ".model switch SW(VT=0.5 VH=0.1 RON=1k ROFF=1e16)\n\n* Row drivers, V at each cell whose stored bit is one.\n";
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

    /// The CDAC stepped through all trial codes; `v1`, `v2`, .. are its output for code 1, 2, ... `None` for a converter without CDAC.
    ///
    /// The converter gives at least code k if the column's voltage, plus half the reference if charge has two signs, plus half
    /// an LSB, reaches `v<k>`.
    #[must_use]
    pub fn cdac_netlist(&self) -> Option<String> {
        let cdac = self.circuit.cdac.as_ref()?;
        let mut text = self.header("the CDAC, code by code");
        let unit_f = self.spec.adc.unit_cap_ff * 1e-15;
        let codes = self.spec.adc.codes();
        line(&mut text, format!(".param vref={}", self.circuit.reference_v));
        text += "\n* Plates are reset to 0 with all bottom plates at 0, then the bottom plates of a trial code step to the reference.\n";
        line(
            &mut text,
            "Vphi phi 0 PULSE(0 1 1n 10p 10p 3n 10n)\n.model switch SW(VT=0.5 VH=0.1 RON=1k ROFF=1e16)".into(),
        );
        let bit = |text: &mut String, k: usize| {
            // Period p tries code p + 1; bits rise after the reset and fall at its end.
            let _ = write!(text, "Vbit{k} bit{k} 0 PWL(0 0");
            for p in (0..codes - 1).filter(|p| (p + 1) >> k & 1 == 1) {
                let t = 10 * p;
                let _ = write!(
                    text,
                    "\n+ {}n 0 {}n {{vref}} {}n {{vref}} {}n 0",
                    t + 5,
                    t + 6,
                    t + 9,
                    t + 10
                );
            }
            text.push_str(")\n");
        };
        let capacitor = |text: &mut String, name: &str, from: &str, to: &str, units: f64| {
            line(text, format!("C{name} {from} {to} {:e}", units * unit_f));
        };
        match cdac {
            Cdac::Binary { capacitors, dummy } => {
                for (k, units) in capacitors.iter().enumerate() {
                    bit(&mut text, k);
                    capacitor(&mut text, &k.to_string(), "dac", &format!("bit{k}"), *units);
                }
                capacitor(&mut text, "dummy", "dac", "0", *dummy);
            }
            Cdac::Split {
                low,
                high,
                dummy,
                bridge,
            } => {
                for (k, units) in low.iter().chain(high).enumerate() {
                    bit(&mut text, k);
                    let plate = if k < low.len() { "low" } else { "dac" };
                    capacitor(&mut text, &k.to_string(), plate, &format!("bit{k}"), *units);
                }
                capacitor(&mut text, "dummy", "low", "0", *dummy);
                capacitor(&mut text, "bridge", "low", "dac", *bridge);
                text += "Slow low 0 phi 0 switch\n";
            }
        }
        text += "Sdac dac 0 phi 0 switch\n";
        text += OPTIONS;
        line(&mut text, format!(".tran 5n {}n", 10 * (codes - 1)));
        for k in 1..codes {
            line(
                &mut text,
                format!(".meas tran v{k} find v(dac) at={}n", 10 * (k - 1) + 8),
            );
        }
        Some(text + ".end\n")
    }

    fn header(&self, what: &str) -> String {
        let spec = &self.spec;
        format!(
            "{}: {what}\n* Chip {}, columns {} to {}, {} rows, written by Farad. Every capacitor is this chip's own.\n\
             * One LSB of the ADC is {} V.\n",
            spec.name,
            self.chip,
            self.first_column + self.model.outputs[0].slots[self.slot].columns.start,
            self.first_column + self.model.outputs[0].slots[self.slot].columns.end - 1,
            spec.array.rows,
            self.scale.lsb_v
        )
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

fn line(text: &mut String, line: String) {
    text.push_str(&line);
    text.push('\n');
}
