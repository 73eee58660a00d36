//! A checked macro: what `macro.toml` means after defaults, with nothing impossible left in it.
//!
//! These structs mirror the tables of the file one to one. They carry no spans and no options:
//! [`crate::schema`] turns a file into them and reports what is wrong with it.

use crate::adc::{AdcSpec, Range};
use crate::calibration::{Calibration, TrimStep};
use crate::profile::Profile;
use std::sync::Arc;

/// One analog CIM macro.
#[derive(Debug, Clone, PartialEq)]
pub struct MacroSpec {
    /// Name, as `farad list macro` shows it.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// `[technology]`
    pub technology: Technology,
    /// `[array]`
    pub array: ArraySpec,
    /// `[input]`
    pub input: InputSpec,
    /// `[weight]`
    pub weight: WeightSpec,
    /// `[adc]`
    pub adc: AdcSpec,
    /// `[noise]`
    pub noise: NoiseSpec,
    /// `[timing]`
    pub timing: TimingSpec,
    /// `[energy]`
    pub energy: EnergySpec,
    /// `[area]`
    pub area: AreaSpec,
    /// `[system]`
    pub system: SystemSpec,
    /// What was set on its chips for a network; not part of the file.
    pub calibration: Option<Arc<Calibration>>,
    /// What was measured on a chip, in place of what is drawn; not part of the file.
    pub profile: Option<Arc<Profile>>,
}

/// Process and operating point.
#[derive(Debug, Clone, PartialEq)]
pub struct Technology {
    /// Process node, nm.
    pub node_nm: f64,
    /// Supply, V.
    pub vdd_v: f64,
    /// Temperature, K.
    pub temperature_k: f64,
}

/// Cells, wordlines and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct ArraySpec {
    /// Wordlines, all active in one evaluation.
    pub rows: usize,
    /// Physical columns.
    pub columns: usize,
    /// What a cell computes.
    pub cell: Cell,
    /// How the cells' charges reach the column.
    pub topology: Topology,
    /// Unit capacitor C_u, fF.
    pub unit_cap_ff: f64,
    /// Pelgrom coefficient: sigma(dC/C) in percent of a 1 fF capacitor; sigma_u = this / sqrt(C_u).
    pub mismatch_pct: f64,
    /// Parasitic of the shared plate as a ratio of the connected cells' capacitance.
    pub parasitic_ratio: f64,
    /// Fixed part of the parasitic, fF.
    pub parasitic_fixed_ff: f64,
    /// First-order voltage coefficient of the parasitic, 1/V.
    pub parasitic_nonlinearity_per_v: f64,
    /// Unused wordlines stay connected (and load the column) or are gated off.
    pub unused_rows: UnusedRows,
}

/// Product of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `x AND w`
    And,
    /// `NOT (x XOR w)`
    Xnor,
}

/// How cell charges reach the column plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Each capacitor is charged to the product, then all are shorted together.
    Share,
    /// Plates are reset, then the bottom plates step by the product.
    Couple,
}

/// What happens to wordlines that a tile does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusedRows {
    /// Their capacitors stay on the column and attenuate it.
    Connected,
    /// They are disconnected.
    Gated,
}

/// Activations on their way into the array. Activations are unsigned.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Bits of an activation.
    pub bits: u32,
    /// How the bits are applied.
    pub combine: InputCombine,
}

/// How input bits become conversions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputCombine {
    /// One bit plane at a time, each converted; codes are shifted and added digitally.
    BitSerial,
    /// Planes are merged on two equal capacitors, LSB first, before one conversion
    /// (successive charge redistribution). `mismatch_pct`: sigma of the pair's ratio error.
    SerialShare {
        /// sigma(dC/C) of each of the two capacitors, percent.
        mismatch_pct: f64,
    },
    /// A multi-level row driver applies `bits` bits at once.
    Dac {
        /// Bits per conversion.
        bits: u32,
        /// sigma of each row driver's gain error, percent.
        mismatch_pct: f64,
        /// What makes the levels; matters for energy alone.
        driver: RowDriver,
    },
}

/// How a row gets a level of several bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowDriver {
    /// A converter in each row (resistors, capacitors or currents).
    Converter,
    /// Switches connect the row to one of the supplied levels.
    Levels,
    /// The wordline pulses as often as the input says.
    Pulses,
    /// A digital line per bit; capacitors in the array weight them.
    Lines,
}

/// Weights in the array.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSpec {
    /// Bits of a weight, one physical column (or ladder leg) each.
    pub bits: u32,
    /// How the bit columns are put together.
    pub combine: WeightCombine,
    /// How the sign is represented.
    pub signed: SignedScheme,
}

/// How weight-bit columns become conversions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WeightCombine {
    /// Each physical column has its own conversion; codes are shifted and added digitally.
    Digital,
    /// Columns share charge with binary-weighted capacitors before one conversion.
    BinaryCap {
        /// sigma of a unit of the weighting capacitors, percent.
        mismatch_pct: f64,
        /// Fixed switch parasitic added to each segment, in units of the LSB segment.
        switch_parasitic: f64,
    },
    /// A C-2C ladder merges the bits in each cell.
    C2c {
        /// Parasitic of each ladder node, as a ratio of C.
        node_parasitic: f64,
        /// sigma of each ladder capacitor, percent.
        mismatch_pct: f64,
    },
}

/// Representation of signed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedScheme {
    /// The MSB column's codes are subtracted digitally (needs `digital`).
    TwosComplement,
    /// The MSB column is shared with opposite polarity around mid-scale (needs an analog merge).
    MsbPolarity,
    /// `w + 2^(bits-1)` is stored; the digital side subtracts `2^(bits-1) * sum(x)`.
    OffsetBinary,
    /// Two columns, positive and negative part, subtracted before the conversion (analog merge)
    /// or after it (digital).
    Differential,
    /// Weight bits stand for -1 and +1 and the cell is an XNOR; `bits - 1` weight bits are usable
    /// plus one extra LSB-weight bit to represent zero.
    Xnor,
}

impl SignedScheme {
    /// Whether bits that are combined digitally, or else on capacitors, can have this scheme.
    #[must_use]
    pub fn suits(self, digital: bool) -> bool {
        match self {
            Self::MsbPolarity => !digital,
            Self::TwosComplement | Self::Xnor => digital,
            Self::OffsetBinary | Self::Differential => true,
        }
    }
}

/// Offsets and temporal noise; everything at the ADC's input unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseSpec {
    /// kT/C noise of the column and of the sampling capacitor.
    pub ktc: bool,
    /// sigma of the comparator noise, LSB: it follows the range, as that of a comparator designed for it.
    pub comparator_lsb: f64,
    /// sigma of the comparator noise, mV at its input, in quadrature with the other: in LSB it grows as the range narrows.
    pub comparator_mv: f64,
    /// sigma of the reference noise at full scale, LSB; falls linearly with the code.
    pub reference_lsb: f64,
    /// sigma of the comparator's static offset, mV.
    pub offset_mv: f64,
    /// Trim of each ADC's offset, LSB.
    pub offset_trim: TrimStep,
    /// Trim of each ADC's gain, as a ratio.
    pub gain_trim: TrimStep,
    /// Charge injection, constant part, mV.
    pub injection_mv: f64,
    /// Charge injection, proportional part, percent of the column voltage.
    pub injection_pct: f64,
    /// sigma of the injection's temporal part, mV.
    pub injection_sigma_mv: f64,
    /// Leakage of one cell, pA.
    pub leakage_pa: f64,
    /// Time between sharing and sampling over the settling time constant.
    pub settling_tau: f64,
    /// sigma of a static gain error per column, percent (a lumped profile; 0 if the array's capacitors say it all).
    pub column_gain_pct: f64,
    /// sigma of a static offset per column, LSB (lumped, as above).
    pub column_offset_lsb: f64,
    /// sigma of ASiM's random noise, percent of full charge; see [`crate::peers`].
    pub asim_random_pct: f64,
    /// sigma of ASiM's non-linearity of an empty column, percent of full charge; falls with the root of the ones.
    pub asim_nonlinear_pct: f64,
    /// Errors that every column shares (parasitic attenuation, mean injection, settling, mean droop) are calibrated out by the
    /// ADC's reference and auto-zero; what differs between columns stays.
    pub calibrated: bool,
    /// How temporal noise is drawn.
    pub draws: NoiseDraws,
}

/// How temporal noise is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseDraws {
    /// One input-referred draw per conversion.
    PerConversion,
    /// One draw for the sample and one per comparator decision (SAR only).
    PerDecision,
}

/// Phase lengths, in macro clocks.
#[derive(Debug, Clone, PartialEq)]
pub struct TimingSpec {
    /// Macro clock, MHz.
    pub clock_mhz: f64,
    /// Precharge or reset.
    pub precharge: u64,
    /// Broadcast of the input plane.
    pub broadcast: u64,
    /// Multiply: cells charge.
    pub multiply: u64,
    /// One charge-sharing step.
    pub share: u64,
    /// ADC sampling.
    pub sample: u64,
    /// Latch and shift-add after the last conversion of an evaluation.
    pub output: u64,
    /// The array works on the next plane while the ADC converts.
    pub pipelined: bool,
    /// Clocks to write one row of weights.
    pub row_write: u64,
}

/// Energy constants. See `crate::cost` for the equations that use them.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergySpec {
    /// Overhead capacitance switched per connected cell whose product is one (local drivers, clock), fF;
    /// the unit capacitor's own energy comes from the topology's equation.
    pub cell_overhead_ff: f64,
    /// Capacitance of one wordline per physical column crossed, fF.
    pub wordline_ff_per_column: f64,
    /// Row driver or row DAC, energy per driven row and evaluation, fJ.
    pub driver_fj: f64,
    /// Shift-and-add per conversion, fJ.
    pub accumulator_fj: f64,
    /// Digital post-processing (bias, requantise, activation) per output value, fJ.
    pub output_fj: f64,
    /// Near-memory digital per 8-bit MAC-equivalent of the evaluation: control and clocking per connected cell and evaluation, fJ.
    pub control_fj_per_cell: f64,
    /// Input/output buffer, fJ per byte.
    pub buffer_fj_per_byte: f64,
    /// Writing one weight bit, fJ.
    pub write_fj_per_bit: f64,
    /// Leakage power of one cell, pW.
    pub leakage_pw_per_cell: f64,
}

/// Area constants.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaSpec {
    /// One cell with its capacitor, in F^2 (F = node).
    pub cell_f2: f64,
    /// One row driver, um^2.
    pub row_driver_um2: f64,
    /// Digital periphery per physical column, um^2.
    pub column_digital_um2: f64,
    /// Everything else, um^2.
    pub other_um2: f64,
}

/// Macros around the macro.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSpec {
    /// Macro instances; 0 = as many as the network needs, all weights resident.
    pub instances: usize,
    /// Weight sets that one instance holds at once.
    pub depth: usize,
    /// Row order and tile cuts.
    pub mapper: Mapper,
    /// Copies of a layer's weights that work on different output positions at once.
    pub duplicate: usize,
}

/// How a layer's row vector is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapper {
    /// The whole row vector `(ky, kx, c)` is cut every `rows` rows.
    Im2col,
    /// No tile spans two kernel taps.
    TapSplit,
}

impl NoiseSpec {
    /// Offset or gain of each ADC can be moved after the fact.
    #[must_use]
    pub fn has_trims(&self) -> bool {
        self.offset_trim.size > 0.0 || self.gain_trim.size > 0.0
    }
}

impl MacroSpec {
    /// Physical columns of one output channel.
    #[must_use]
    pub fn columns_per_output(&self) -> usize {
        let bits = self.weight.bits as usize;
        match self.weight.signed {
            SignedScheme::Differential => 2 * (bits - 1),
            SignedScheme::Xnor => bits + 1,
            _ => bits,
        }
    }

    /// Output channels that fit side by side.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.array.columns / self.columns_per_output()
    }

    /// Conversions of one output channel for one evaluation (one input plane, or one merged input).
    #[must_use]
    pub fn conversions_per_output(&self) -> usize {
        match self.weight.combine {
            WeightCombine::Digital => self.columns_per_output(),
            _ => 1,
        }
    }

    /// Evaluations of one input vector: planes, or merged groups of planes.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        match self.input.combine {
            InputCombine::BitSerial => self.input.bits as usize,
            InputCombine::SerialShare { .. } => 1,
            InputCombine::Dac { bits, .. } => self.input.bits.div_ceil(bits) as usize,
        }
    }

    /// Conversions of one evaluation of the whole macro: physical columns, or outputs whose columns are merged.
    #[must_use]
    pub fn conversions(&self) -> usize {
        self.outputs() * self.conversions_per_output()
    }

    /// ADCs of the macro.
    #[must_use]
    pub fn adcs(&self) -> usize {
        self.conversions().div_ceil(self.adc.columns_per_adc)
    }

    /// Temporal noise is that of another simulator; see [`crate::peers`].
    #[must_use]
    pub fn noise_of_peer(&self) -> bool {
        self.noise.asim_random_pct > 0.0
            || self.noise.asim_nonlinear_pct > 0.0
            || self.adc.range == Range::NeuroSim15Clip
    }

    /// sigma of one unit capacitor, relative: `kappa / sqrt(C_u / 1 fF)` (Pelgrom, Duinmaijer, Welbers, JSSC 24(5), 1989, for
    /// capacitors whose area is proportional to their value).
    #[must_use]
    pub fn cell_sigma(&self) -> f64 {
        self.array.mismatch_pct / 100.0 / self.array.unit_cap_ff.sqrt()
    }
}
