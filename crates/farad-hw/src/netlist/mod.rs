//! A chip's own column and CDAC as SPICE netlists, and what the engines make of the same charge.
//!
//! The netlist has one capacitor per cell, with its error, and the switches that move the charge; everything else (drivers, comparator,
//! logic) is ideal. It is written for ngspice. [`Experiment::expected`] gives the voltages and codes of the integers that both engines run
//! from, so that a circuit simulator can contradict them.

mod cdac;
mod column;

use crate::chip::circuit::Circuit;
use crate::chip::{Site, SiteModel, quanta_per_unit};
use crate::encoding::columns;
use crate::scale::Scale;
use crate::spec::{Cell, InputCombine, MacroSpec, WeightCombine};
use farad_core::axis::lsb_steps;
use farad_core::philox::philox4x32;

/// Charge is conserved at every step whatever its length, so the truncation error only has to be small when all has settled.
const OPTIONS: &str = "\n.options reltol=1e-5 abstol=1e-18 vntol=1e-9 chgtol=1e-16 gmin=1e-18 trtol=1000 maxord=1\n";
/// Time constants with the circuit's capacitors are picoseconds.
const SWITCH: &str = ".model switch SW(VT=0.5 VH=0.1 RON=1k ROFF=1e16)\n";

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
    /// ones, and `patterns` input patterns are drawn from `seed`; from pattern to pattern the share of driven rows rises. The
    /// ADC's range is full: there is no layer whose charges it could follow.
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
}

fn line(text: &mut String, line: String) {
    text.push_str(&line);
    text.push('\n');
}
