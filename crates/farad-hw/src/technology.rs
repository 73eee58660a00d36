//! What a component costs at a process node when nobody has measured it.
//!
//! One parameter set serves two purposes: it fills the constants that a `macro.toml` leaves out, and it is the
//! *first-principles* column of [`crate::check`]. Nothing here is fitted to a macro.
//!
//! Gate capacitances, areas and the row DAC are those of the ZigZag-IMC 28 nm model (NAND2 0.7 fF and 0.614 um^2, flip-flop
//! three NAND2, full adder 4.2 fF, 50 fF per bit of row DAC), taken in proportion to the node (area: its square). Values
//! marked *recalled* are from memory of the publication; values marked *assumed* are engineering judgement.

use crate::scale::BOLTZMANN;
use crate::spec::{AreaSpec, EnergySpec, InputCombine, RowDriver, Technology, Topology};

const REFERENCE_NM: f64 = 28.0;
const NAND2_FF: f64 = 0.7;
const NAND2_UM2: f64 = 0.614;
const FLIP_FLOP_FF: f64 = 3.0 * NAND2_FF;
const FULL_ADDER_FF: f64 = 4.2;
/// NAND2 footprints of a flip-flop and of a full adder.
const FLIP_FLOP_NAND2: f64 = 3.0;
const FULL_ADDER_NAND2: f64 = 5.0;
/// Share of nodes that toggle in a clock; assumed.
const LOGIC_ACTIVITY: f64 = 0.5;
/// Accumulator width that holds any layer; assumed.
const ACCUMULATOR_BITS: f64 = 32.0;
/// Wordline per cell (ZigZag-IMC, 28 nm).
const WORDLINE_FF: f64 = 0.35;
/// Row DAC per bit (ZigZag-IMC).
const ROW_DAC_FF_PER_BIT: f64 = 50.0;
/// Comparator without its noise: with it 35 fJ at 28 nm, 0.9 V and 8 bits, the middle of 20 to 60 fJ; assumed.
const COMPARATOR_FF: f64 = 21.7;
/// Noise of a dynamic comparator is about 4 kT/C of the nodes that integrate (after Nuzzo et al., TCAS-I 55(6), 2008; recalled), and
/// these nodes swing by V. A sigma of a quarter LSB of V (assumed) then takes `C V^2 = 64 kT 4^bits` a decision, at any supply and node.
const COMPARATOR_KT: f64 = 64.0;
/// Flip-flops that work on a decision of a SAR (sequencer, code register); assumed.
const SAR_FLIP_FLOPS: f64 = 10.0;
/// The same of a flash: the comparator's bit; assumed.
const FLASH_FLIP_FLOPS: f64 = 1.0;
/// Bits of a binary counter that change at a step, on average.
const COUNTER_FLIP_FLOPS: f64 = 2.0;
/// Decisions that the fixed area provides logic for; assumed.
const SAR_DECISIONS: f64 = 8.0;
/// Local product gate and share switch of a cell: two gates; assumed.
const CELL_GATES: f64 = 2.0;
/// Each of the two gates of the transmission gate that connects a cell to its column, clocked whatever the data; assumed.
const SHARE_SWITCH_FF: f64 = 0.1;
/// A wire (CiMLoop), for the two control lines that cross the cell.
const WIRE_FF_PER_UM: f64 = 0.2;
/// Bitline of one written bit, 256 rows: 73 fJ at 28 nm and 0.9 V (derived from the wordline value).
const WRITE_FF: f64 = 90.0;
/// Leakage of a 6T cell, 10 pA, times 1.5 for the compute transistors; assumed.
const LEAKAGE_PA: f64 = 15.0;
/// NAND2 footprints of a row driver; assumed.
const ROW_DRIVER_NAND2: f64 = 20.0;
/// Comparator footprint at 28 nm in NAND2; assumed.
const COMPARATOR_NAND2: f64 = 100.0;
/// MOM capacitor density at 22 nm, fF/um^2, falling with the square of the node (CiMLoop's Wang macro).
const MOM_FF_PER_UM2_22NM: f64 = 2.3;
/// An 8T cell with its capacitor is 1.8 times a 6T cell (Valavi, JSSC 2019).
const CELL_PER_6T: f64 = 1.8;
/// Published 6T cells, (node nm, um^2); recalled.
const SRAM_6T_UM2: [(f64, f64); 7] = [
    (7.0, 0.027),
    (16.0, 0.070),
    (22.0, 0.092),
    (28.0, 0.127),
    (40.0, 0.242),
    (45.0, 0.346),
    (65.0, 0.525),
];
/// Horowitz, ISSCC 2014, 45 nm: int8 multiply and two int32 adds, for bias and requantisation; recalled.
const REQUANTISE_45NM_FJ: f64 = 400.0;
/// Horowitz, ISSCC 2014, 45 nm: 10 pJ per 64 bits of an 8 KB memory; recalled.
const BUFFER_45NM_FJ_PER_BYTE: f64 = 1250.0;
/// Exponents between the 45 nm values above and those of Jouppi, ISCA 2021, at 7 nm (int8 multiply; 8 KB memory); recalled.
const REQUANTISE_EXPONENT: f64 = 0.56;
const BUFFER_EXPONENT: f64 = 0.155;

/// Energy of a capacitance that scales with the node, fJ.
fn switched_fj(technology: &Technology, at_reference_ff: f64) -> f64 {
    scaled_ff(technology, at_reference_ff) * technology.vdd_v * technology.vdd_v
}

fn scaled_ff(technology: &Technology, at_reference_ff: f64) -> f64 {
    at_reference_ff * technology.node_nm / REFERENCE_NM
}

fn gates_um2(technology: &Technology, nand2: f64) -> f64 {
    nand2 * NAND2_UM2 * (technology.node_nm / REFERENCE_NM).powi(2)
}

/// Area of a MOM capacitor, um^2.
fn capacitor_um2(technology: &Technology, ff: f64) -> f64 {
    ff / MOM_FF_PER_UM2_22NM * (technology.node_nm / 22.0).powi(2)
}

/// 6T cell in um^2: interpolated on a logarithmic scale, and by the square of the node outside the table.
fn sram_6t_um2(node_nm: f64) -> f64 {
    let (first, last) = (SRAM_6T_UM2[0], SRAM_6T_UM2[SRAM_6T_UM2.len() - 1]);
    if node_nm <= first.0 {
        return first.1 * (node_nm / first.0).powi(2);
    }
    for pair in SRAM_6T_UM2.windows(2) {
        let ((n0, a0), (n1, a1)) = (pair[0], pair[1]);
        if node_nm <= n1 {
            return a0 * libm::pow(a1 / a0, libm::log(node_nm / n0) / libm::log(n1 / n0));
        }
    }
    last.1 * (node_nm / last.0).powi(2)
}

/// Area of a cell whose capacitor is above it, um^2.
fn cell_um2(technology: &Technology) -> f64 {
    CELL_PER_6T * sram_6t_um2(technology.node_nm)
}

/// What the control lines of a cell's switch have in every evaluation, fF. Cells that couple onto a plate have no switch: the plate is
/// reset at the column's end.
fn control_ff(technology: &Technology, topology: Topology) -> f64 {
    match topology {
        Topology::Share => {
            2.0 * (scaled_ff(technology, SHARE_SWITCH_FF) + WIRE_FF_PER_UM * cell_um2(technology).sqrt())
        }
        Topology::Couple => 0.0,
    }
}

/// A row's driver: its energy per evaluation without the wordline, fJ, and how many times the wordline is charged for an input of all ones.
fn row_driver(technology: &Technology, input: InputCombine) -> (f64, f64) {
    let flip_flops = |n: f64| switched_fj(technology, n * FLIP_FLOP_FF);
    let InputCombine::Dac { bits, driver, .. } = input else {
        return (flip_flops(1.0), 1.0);
    };
    let (width, levels) = (f64::from(bits), libm::exp2(f64::from(bits)));
    match driver {
        RowDriver::Converter => (ROW_DAC_FF_PER_BIT * width * technology.vdd_v * technology.vdd_v, 1.0),
        // A register and a decoder; the row is charged to its level by the level's supply.
        RowDriver::Levels => (
            flip_flops(width) + switched_fj(technology, levels * NAND2_FF * LOGIC_ACTIVITY),
            1.0,
        ),
        // A counter, two of whose bits change at a pulse, for half of the pulses on average.
        RowDriver::Pulses => (flip_flops(COUNTER_FLIP_FLOPS * (levels - 1.0) / 2.0), levels - 1.0),
        RowDriver::Lines => (flip_flops(width), width),
    }
}

/// Energy constants of `[energy]` at a node and supply.
#[must_use]
pub fn energy(technology: &Technology, input: InputCombine, topology: Topology) -> EnergySpec {
    let node45 = technology.node_nm / 45.0;
    let (driver_fj, wordlines) = row_driver(technology, input);
    EnergySpec {
        cell_overhead_ff: scaled_ff(technology, CELL_GATES * NAND2_FF),
        wordline_ff_per_column: wordlines * scaled_ff(technology, WORDLINE_FF),
        driver_fj,
        accumulator_fj: switched_fj(
            technology,
            ACCUMULATOR_BITS * (FULL_ADDER_FF + FLIP_FLOP_FF) * LOGIC_ACTIVITY,
        ),
        output_fj: REQUANTISE_45NM_FJ * libm::pow(node45, REQUANTISE_EXPONENT),
        control_fj_per_cell: control_ff(technology, topology) * technology.vdd_v * technology.vdd_v,
        buffer_fj_per_byte: BUFFER_45NM_FJ_PER_BYTE * libm::pow(node45, BUFFER_EXPONENT),
        write_fj_per_bit: switched_fj(technology, WRITE_FF),
        leakage_pw_per_cell: LEAKAGE_PA * technology.vdd_v,
    }
}

/// Energy of one comparator decision with its logic in an ADC of `kind` and `bits`, fJ.
#[must_use]
pub fn decision_fj(technology: &Technology, kind: &str, bits: u32) -> f64 {
    let flip_flops = match kind {
        "flash" => FLASH_FLIP_FLOPS,
        "ramp" => COUNTER_FLIP_FLOPS,
        // The one decision takes the count into a register.
        "time" => f64::from(bits),
        _ => SAR_FLIP_FLOPS,
    };
    let noise_j = COMPARATOR_KT * BOLTZMANN * technology.temperature_k * libm::exp2(2.0 * f64::from(bits));
    switched_fj(technology, COMPARATOR_FF + flip_flops * FLIP_FLOP_FF) + noise_j * 1e15
}

/// Unit capacitor of an ADC of `kind`, fF: 1 fF of a CDAC; the counter's bits for a step of a delay line.
#[must_use]
pub fn adc_unit_ff(technology: &Technology, kind: &str) -> f64 {
    match kind {
        "time" => scaled_ff(technology, COUNTER_FLIP_FLOPS * FLIP_FLOP_FF),
        _ => 1.0,
    }
}

/// Area constants of `[area]`, with a unit capacitor above the cell: the larger of the two counts.
#[must_use]
pub fn area(technology: &Technology, unit_cap_ff: f64) -> AreaSpec {
    let f_um = technology.node_nm * 1e-3;
    let cell_um2 = cell_um2(technology).max(capacitor_um2(technology, unit_cap_ff));
    AreaSpec {
        cell_f2: cell_um2 / (f_um * f_um),
        row_driver_um2: gates_um2(technology, ROW_DRIVER_NAND2),
        column_digital_um2: gates_um2(technology, ACCUMULATOR_BITS * (FULL_ADDER_NAND2 + FLIP_FLOP_NAND2)),
        other_um2: 0.0,
    }
}

/// Area of an ADC: the part that does not depend on bits, and one unit of its CDAC (or one comparator of a flash), um^2.
#[must_use]
pub fn adc_area_um2(technology: &Technology, kind: &str, unit_cap_ff: f64) -> (f64, f64) {
    let comparator = gates_um2(technology, COMPARATOR_NAND2);
    if kind == "flash" {
        return (0.0, comparator);
    }
    let logic = gates_um2(technology, SAR_DECISIONS * SAR_FLIP_FLOPS * FLIP_FLOP_NAND2);
    (comparator + logic, capacitor_um2(technology, unit_cap_ff))
}
