//! The tables of `macro.toml`, one function each, with their defaults and limits.

use super::reader::{Key, Reader};
use crate::adc::{self, AdcKind, AdcSpec, Range, RangePer};
use crate::calibration::TrimStep;
use crate::spec::{
    AreaSpec, ArraySpec, Cell, EnergySpec, InputCombine, InputSpec, MacroSpec, Mapper, NoiseDraws, NoiseSpec,
    RowDriver, SignedScheme, SystemSpec, Technology, TimingSpec, Topology, UnusedRows, WeightCombine, WeightSpec,
};
use crate::technology;
use std::ops::RangeInclusive;

/// Wordlines or columns.
const LINES: RangeInclusive<u64> = 1..=65_536;
const BITS: RangeInclusive<u64> = 1..=8;
/// Bits of an ADC.
const RESOLUTION: RangeInclusive<u64> = 1..=12;
const PERCENT: RangeInclusive<f64> = 0.0..=100.0;
const CAPACITOR_FF: RangeInclusive<f64> = 0.001..=1e6;
const CLOCKS: RangeInclusive<u64> = 0..=1_000_000;
/// Any cost constant (fJ, fF, pW or um^2).
const COST: RangeInclusive<f64> = 0.0..=1e12;
/// Steps of a trim, either way.
const TRIM_STEPS: RangeInclusive<u64> = 0..=65_536;
/// An error in LSB or mV.
const DEVIATION: RangeInclusive<f64> = 0.0..=1e4;

/// A charge that has settled completely: exp(-40) is below any quantum.
const SETTLED_TAU: f64 = 40.0;

#[derive(Clone, Copy, PartialEq)]
enum InputKind {
    BitSerial,
    SerialShare,
    Dac,
}

#[derive(Clone, Copy, PartialEq)]
enum WeightKind {
    Digital,
    BinaryCap,
    C2c,
}

/// Reads everything; what is refused is replaced by its default so that reading can go on.
pub(super) fn read(r: &mut Reader) -> MacroSpec {
    r.version(1);
    let name = r.text(("", "name"), None);
    let description = r.text(("", "description"), Some(""));
    let technology = read_technology(r);
    let array = read_array(r);
    let input = read_input(r);
    let weight = read_weight(r);
    let scale = energy_scale(r, &technology);
    let adc = read_adc(r, &technology, scale);
    let noise = read_noise(r);
    let timing = read_timing(r);
    let energy = read_energy(
        r,
        &technology::energy(&technology, input.combine, array.topology),
        scale,
    );
    let area = read_area(r, &technology::area(&technology, array.unit_cap_ff));
    let system = read_system(r);
    MacroSpec {
        name,
        description,
        technology,
        array,
        input,
        weight,
        adc,
        noise,
        timing,
        energy,
        area,
        system,
        calibration: None,
        profile: None,
    }
}

fn read_technology(r: &mut Reader) -> Technology {
    Technology {
        node_nm: r.real(("technology", "node_nm"), 40.0, 1.0..=1000.0),
        vdd_v: r.real(("technology", "vdd_v"), 0.9, 0.1..=5.0),
        temperature_k: r.real(("technology", "temperature_k"), 300.0, 1.0..=500.0),
    }
}

fn read_array(r: &mut Reader) -> ArraySpec {
    ArraySpec {
        rows: r.count(("array", "rows"), None, LINES) as usize,
        columns: r.count(("array", "columns"), None, LINES) as usize,
        cell: r.choice(
            ("array", "cell"),
            Some(Cell::And),
            &[("and", Cell::And), ("xnor", Cell::Xnor)],
        ),
        topology: r.choice(
            ("array", "topology"),
            Some(Topology::Share),
            &[("share", Topology::Share), ("couple", Topology::Couple)],
        ),
        unit_cap_ff: r.real(("array", "unit_cap_ff"), 1.0, CAPACITOR_FF),
        mismatch_pct: r.real(("array", "mismatch_pct"), 0.0, PERCENT),
        parasitic_ratio: r.real(("array", "parasitic_ratio"), 0.0, 0.0..=100.0),
        parasitic_fixed_ff: r.real(("array", "parasitic_fixed_ff"), 0.0, 0.0..=1e6),
        parasitic_nonlinearity_per_v: r.real(("array", "parasitic_nonlinearity_per_v"), 0.0, -1.0..=1.0),
        unused_rows: r.choice(
            ("array", "unused_rows"),
            Some(UnusedRows::Gated),
            &[("gated", UnusedRows::Gated), ("connected", UnusedRows::Connected)],
        ),
    }
}

fn read_input(r: &mut Reader) -> InputSpec {
    let bits = r.count(("input", "bits"), Some(8), BITS) as u32;
    let combine: Key = ("input", "combine");
    let kind = r.choice(
        combine,
        Some(InputKind::BitSerial),
        &[
            ("bitserial", InputKind::BitSerial),
            ("serial_share", InputKind::SerialShare),
            ("dac", InputKind::Dac),
        ],
    );
    let share_mismatch_pct = r.real(("input", "share_mismatch_pct"), 0.0, PERCENT);
    r.only_with(
        kind == InputKind::SerialShare,
        ("input", "share_mismatch_pct"),
        combine,
        "serial_share",
    );
    let dac_bits = r.count(("input", "dac_bits"), Some(u64::from(bits)), BITS) as u32;
    r.only_with(kind == InputKind::Dac, ("input", "dac_bits"), combine, "dac");
    let dac_mismatch_pct = r.real(("input", "dac_mismatch_pct"), 0.0, PERCENT);
    r.only_with(kind == InputKind::Dac, ("input", "dac_mismatch_pct"), combine, "dac");
    let driver = r.choice(
        ("input", "dac_driver"),
        Some(RowDriver::Converter),
        &[
            ("converter", RowDriver::Converter),
            ("levels", RowDriver::Levels),
            ("pulses", RowDriver::Pulses),
            ("lines", RowDriver::Lines),
        ],
    );
    r.only_with(kind == InputKind::Dac, ("input", "dac_driver"), combine, "dac");
    let combine = match kind {
        InputKind::BitSerial => InputCombine::BitSerial,
        InputKind::SerialShare => InputCombine::SerialShare {
            mismatch_pct: share_mismatch_pct,
        },
        InputKind::Dac => InputCombine::Dac {
            bits: dac_bits,
            mismatch_pct: dac_mismatch_pct,
            driver,
        },
    };
    InputSpec { bits, combine }
}

fn read_weight(r: &mut Reader) -> WeightSpec {
    // A signed weight of one bit has no magnitude.
    let bits = r.count(("weight", "bits"), Some(8), 2..=8) as u32;
    let combine: Key = ("weight", "combine");
    let kind = r.choice(
        combine,
        Some(WeightKind::Digital),
        &[
            ("digital", WeightKind::Digital),
            ("binary_cap", WeightKind::BinaryCap),
            ("c2c", WeightKind::C2c),
        ],
    );
    let mismatch_pct = r.real(("weight", "cap_mismatch_pct"), 0.0, PERCENT);
    r.only_with(
        kind != WeightKind::Digital,
        ("weight", "cap_mismatch_pct"),
        combine,
        "binary_cap",
    );
    let switch_parasitic = r.real(("weight", "switch_parasitic"), 0.0, 0.0..=100.0);
    r.only_with(
        kind == WeightKind::BinaryCap,
        ("weight", "switch_parasitic"),
        combine,
        "binary_cap",
    );
    let node_parasitic = r.real(("weight", "node_parasitic"), 0.0, 0.0..=100.0);
    r.only_with(kind == WeightKind::C2c, ("weight", "node_parasitic"), combine, "c2c");
    let (combine, natural_sign) = match kind {
        WeightKind::Digital => (WeightCombine::Digital, SignedScheme::TwosComplement),
        WeightKind::BinaryCap => (
            WeightCombine::BinaryCap {
                mismatch_pct,
                switch_parasitic,
            },
            SignedScheme::MsbPolarity,
        ),
        WeightKind::C2c => (
            WeightCombine::C2c {
                node_parasitic,
                mismatch_pct,
            },
            SignedScheme::MsbPolarity,
        ),
    };
    let scheme: Key = ("weight", "signed");
    let mut signed = r.choice(
        scheme,
        Some(natural_sign),
        &[
            ("twos_complement", SignedScheme::TwosComplement),
            ("msb_polarity", SignedScheme::MsbPolarity),
            ("offset_binary", SignedScheme::OffsetBinary),
            ("differential", SignedScheme::Differential),
            ("xnor", SignedScheme::Xnor),
        ],
    );
    if r.is_overtaken(scheme, ("weight", "combine")) && !signed.suits(kind == WeightKind::Digital) {
        signed = natural_sign;
    }
    WeightSpec { bits, combine, signed }
}

fn read_adc(r: &mut Reader, technology: &Technology, scale: f64) -> AdcSpec {
    let (kind_key, bits_key, skip_key): (Key, Key, Key) = (("adc", "kind"), ("adc", "bits"), ("adc", "skip_bits"));
    let kinds: Vec<(&str, &'static dyn AdcKind)> = adc::kinds().iter().map(|k| (k.name(), *k)).collect();
    let model = r.choice(kind_key, None, &kinds);
    let bits = r.count(bits_key, None, RESOLUTION) as u32;
    let own_kind = r.replaced_choice(kind_key, &kinds).unwrap_or(model).name();
    let own_bits = r.replaced_count(bits_key, RESOLUTION).map_or(bits, |bits| bits as u32);
    let kind = model.name();
    // A document's constants are those of its own kind. Where the node's default is another for another kind, so are they.
    let constant = |r: &mut Reader, key, bounds, default: f64, of_own_kind: f64| {
        let value = r.real(key, default, bounds);
        match r.is_of_document(key) && default != of_own_kind {
            true => default,
            false => value,
        }
    };
    let unit = |kind| technology::adc_unit_ff(technology, kind);
    let unit_cap_ff = constant(r, ("adc", "unit_cap_ff"), CAPACITOR_FF, unit(kind), unit(own_kind));
    let area = |kind| technology::adc_area_um2(technology, kind, unit_cap_ff);
    let ((fixed, per_unit), (own_fixed, own_per_unit)) = (area(kind), area(own_kind));
    let (range, range_per) = read_range(r);
    let mut skip_bits = r.count(skip_key, Some(0), 0..=12) as u32;
    if r.is_overtaken(skip_key, kind_key) && !model.is_successive() {
        skip_bits = 0;
    } else if r.is_overtaken(skip_key, bits_key) {
        skip_bits = skip_bits.min(bits.saturating_sub(1));
    }
    AdcSpec {
        kind,
        bits,
        range,
        range_per,
        columns_per_adc: r.count(("adc", "columns_per_adc"), Some(1), LINES) as usize,
        skip_bits,
        unit_cap_ff,
        mismatch_pct: r.real(("adc", "mismatch_pct"), 0.0, PERCENT),
        decision_fj: read_decision(r, technology, scale, (kind, bits), (own_kind, own_bits)),
        area_fixed_um2: constant(r, ("adc", "area_fixed_um2"), COST, fixed, own_fixed),
        area_per_unit_um2: constant(r, ("adc", "area_per_unit_um2"), COST, per_unit, own_per_unit),
        quantises: true,
        clips: true,
    }
}

/// Energy of a decision. What a document states is that of its own kind and bits: with other bits it changes by as much as the node's default,
/// whose comparator pays for its noise.
fn read_decision(
    r: &mut Reader,
    technology: &Technology,
    scale: f64,
    (kind, bits): (&str, u32),
    (own_kind, own_bits): (&str, u32),
) -> f64 {
    let key: Key = ("adc", "decision_fj");
    let default = |kind, bits| technology::decision_fj(technology, kind, bits);
    let value = scaled(r, key, default(kind, bits), scale);
    if !r.is_of_document(key) {
        value
    } else if default(kind, bits) != default(own_kind, bits) {
        default(kind, bits)
    } else {
        (value + (default(kind, bits) - default(kind, own_bits))).max(0.0)
    }
}

/// What the codes cover, and what has a range of its own.
fn read_range(r: &mut Reader) -> (Range, RangePer) {
    let range: Key = ("adc", "range");
    let sigmas = r.real(("adc", "clip_sigma"), 4.0, 0.1..=100.0);
    let percentile = r.real(("adc", "percentile"), 99.9, 50.0..=100.0);
    let chosen = r.choice(
        range,
        Some(Range::Full),
        &[
            ("full", Range::Full),
            ("max", Range::Calibrated { percentile: 100.0 }),
            ("calibrated", Range::Calibrated { percentile }),
            ("clip", Range::Clip { sigmas }),
            ("optimal", Range::Optimal),
            ("mse", Range::Mse),
            ("neurosim15_clip", Range::NeuroSim15Clip),
        ],
    );
    let clips = matches!(chosen, Range::Clip { .. });
    r.only_with(clips, ("adc", "clip_sigma"), range, "clip");
    let calibrated = chosen == Range::Calibrated { percentile };
    r.only_with(calibrated, ("adc", "percentile"), range, "calibrated");
    let per: Key = ("adc", "range_per");
    let range_per = r.choice(
        per,
        Some(RangePer::Layer),
        &[
            ("layer", RangePer::Layer),
            ("tile", RangePer::Tile),
            ("network", RangePer::Network),
        ],
    );
    r.only_with(chosen.follows_charges(), per, range, "mse");
    (chosen, range_per)
}

fn read_noise(r: &mut Reader) -> NoiseSpec {
    NoiseSpec {
        ktc: r.flag(("noise", "ktc"), false),
        comparator_lsb: r.real(("noise", "comparator_lsb"), 0.0, DEVIATION),
        comparator_mv: r.real(("noise", "comparator_mv"), 0.0, DEVIATION),
        reference_lsb: r.real(("noise", "reference_lsb"), 0.0, DEVIATION),
        offset_mv: r.real(("noise", "offset_mv"), 0.0, DEVIATION),
        offset_trim: TrimStep {
            size: r.real(("noise", "offset_trim_lsb"), 0.0, DEVIATION),
            most: r.count(("noise", "offset_trim_steps"), Some(0), TRIM_STEPS) as u32,
        },
        gain_trim: TrimStep {
            size: r.real(("noise", "gain_trim_pct"), 0.0, PERCENT) / 100.0,
            most: r.count(("noise", "gain_trim_steps"), Some(0), TRIM_STEPS) as u32,
        },
        injection_mv: r.real(("noise", "injection_mv"), 0.0, -1e3..=1e3),
        injection_pct: r.real(("noise", "injection_pct"), 0.0, -100.0..=100.0),
        injection_sigma_mv: r.real(("noise", "injection_sigma_mv"), 0.0, DEVIATION),
        leakage_pa: r.real(("noise", "leakage_pa"), 0.0, 0.0..=1e9),
        settling_tau: r.real(("noise", "settling_tau"), SETTLED_TAU, 0.1..=1e3),
        column_gain_pct: r.real(("noise", "column_gain_pct"), 0.0, PERCENT),
        column_offset_lsb: r.real(("noise", "column_offset_lsb"), 0.0, DEVIATION),
        asim_random_pct: r.real(("noise", "asim_random_pct"), 0.0, PERCENT),
        asim_nonlinear_pct: r.real(("noise", "asim_nonlinear_pct"), 0.0, PERCENT),
        calibrated: r.flag(("noise", "calibrated"), true),
        draws: r.choice(
            ("noise", "draws"),
            Some(NoiseDraws::PerConversion),
            &[
                ("per_conversion", NoiseDraws::PerConversion),
                ("per_decision", NoiseDraws::PerDecision),
            ],
        ),
    }
}

fn read_timing(r: &mut Reader) -> TimingSpec {
    let mut clocks = |key, default| r.count(("timing", key), Some(default), CLOCKS);
    let (precharge, broadcast, multiply, share) = (
        clocks("precharge", 1),
        clocks("broadcast", 1),
        clocks("multiply", 1),
        clocks("share", 1),
    );
    let (sample, output, row_write) = (clocks("sample", 1), clocks("output", 1), clocks("row_write", 1));
    TimingSpec {
        clock_mhz: r.real(("timing", "clock_mhz"), 100.0, 1e-3..=1e5),
        precharge,
        broadcast,
        multiply,
        share,
        sample,
        output,
        pipelined: r.flag(("timing", "pipelined"), false),
        row_write,
    }
}

/// Factor from the supply at which the stated energies hold to the macro's supply (energy goes with C V^2).
fn energy_scale(r: &mut Reader, technology: &Technology) -> f64 {
    let at_vdd_v = r.real(("energy", "at_vdd_v"), technology.vdd_v, 0.1..=5.0);
    let ratio = technology.vdd_v / at_vdd_v;
    ratio * ratio
}

/// A stated energy, brought to the macro's supply; the default is already there.
fn scaled(r: &mut Reader, key: Key, default: f64, scale: f64) -> f64 {
    let value = r.real(key, default, COST);
    if r.is_given(key) { value * scale } else { value }
}

fn read_energy(r: &mut Reader, default: &EnergySpec, scale: f64) -> EnergySpec {
    let mut fj = |key, default| scaled(r, ("energy", key), default, scale);
    let (driver_fj, accumulator_fj, output_fj) = (
        fj("driver_fj", default.driver_fj),
        fj("accumulator_fj", default.accumulator_fj),
        fj("output_fj", default.output_fj),
    );
    let (control_fj_per_cell, buffer_fj_per_byte, write_fj_per_bit) = (
        fj("control_fj_per_cell", default.control_fj_per_cell),
        fj("buffer_fj_per_byte", default.buffer_fj_per_byte),
        fj("write_fj_per_bit", default.write_fj_per_bit),
    );
    EnergySpec {
        cell_overhead_ff: r.real(("energy", "cell_overhead_ff"), default.cell_overhead_ff, COST),
        wordline_ff_per_column: r.real(
            ("energy", "wordline_ff_per_column"),
            default.wordline_ff_per_column,
            COST,
        ),
        driver_fj,
        accumulator_fj,
        output_fj,
        control_fj_per_cell,
        buffer_fj_per_byte,
        write_fj_per_bit,
        leakage_pw_per_cell: r.real(("energy", "leakage_pw_per_cell"), default.leakage_pw_per_cell, COST),
    }
}

fn read_area(r: &mut Reader, default: &AreaSpec) -> AreaSpec {
    AreaSpec {
        cell_f2: r.real(("area", "cell_f2"), default.cell_f2, COST),
        row_driver_um2: r.real(("area", "row_driver_um2"), default.row_driver_um2, COST),
        column_digital_um2: r.real(("area", "column_digital_um2"), default.column_digital_um2, COST),
        other_um2: r.real(("area", "other_um2"), default.other_um2, COST),
    }
}

fn read_system(r: &mut Reader) -> SystemSpec {
    SystemSpec {
        instances: r.count(("system", "instances"), Some(0), 0..=1_000_000) as usize,
        depth: r.count(("system", "depth"), Some(1), 1..=1024) as usize,
        mapper: r.choice(
            ("system", "mapper"),
            Some(Mapper::Im2col),
            &[("im2col", Mapper::Im2col), ("tap_split", Mapper::TapSplit)],
        ),
        duplicate: r.count(("system", "duplicate"), Some(1), 1..=65_536) as usize,
    }
}
