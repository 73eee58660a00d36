//! Energy and area: pure functions from what the macro did, or is, to what it costs.
//!
//! Energy is event counts times the constants of `[energy]`, the array's charge equation and [`AdcKind::energy_j`]
//! (`crate::adc`); nothing else. The buffer and the weight load belong to the system around the macro and appear
//! only when their events do.
//!
//! [`AdcKind::energy_j`]: crate::adc::AdcKind::energy_j

use crate::adc::{AdcSpec, Conversion};
use crate::spec::{Cell, MacroSpec, Topology};
use crate::timing;
use farad_core::EventCounts;
use std::ops::Add;

const FEMTO: f64 = 1e-15;

/// Energy by component, J.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Energy {
    /// Charging the cells' capacitors and their local overhead.
    pub array_j: f64,
    /// Conversions.
    pub adc_j: f64,
    /// Row drivers or row DACs, and the wordlines.
    pub driver_j: f64,
    /// Shift-and-add of codes.
    pub accumulator_j: f64,
    /// Control and clocks of the array, and post-processing of outputs.
    pub digital_j: f64,
    /// Input and output buffer.
    pub buffer_j: f64,
    /// Writing weights.
    pub weight_load_j: f64,
    /// Leakage of the cells while the macro is busy.
    pub leakage_j: f64,
}

impl Energy {
    /// Sum of all components, J.
    #[must_use]
    pub fn total_j(&self) -> f64 {
        self.array_j
            + self.adc_j
            + self.driver_j
            + self.accumulator_j
            + self.digital_j
            + self.buffer_j
            + self.weight_load_j
            + self.leakage_j
    }

    /// Every component times `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        self.map(|joules| joules * factor)
    }

    /// The share of one of `n` alike, component by component; nothing of none.
    #[must_use]
    pub fn per(self, n: u64) -> Self {
        self.map(|joules| if n == 0 { 0.0 } else { joules / n as f64 })
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            array_j: f(self.array_j),
            adc_j: f(self.adc_j),
            driver_j: f(self.driver_j),
            accumulator_j: f(self.accumulator_j),
            digital_j: f(self.digital_j),
            buffer_j: f(self.buffer_j),
            weight_load_j: f(self.weight_load_j),
            leakage_j: f(self.leakage_j),
        }
    }
}

impl Add for Energy {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self {
            array_j: self.array_j + o.array_j,
            adc_j: self.adc_j + o.adc_j,
            driver_j: self.driver_j + o.driver_j,
            accumulator_j: self.accumulator_j + o.accumulator_j,
            digital_j: self.digital_j + o.digital_j,
            buffer_j: self.buffer_j + o.buffer_j,
            weight_load_j: self.weight_load_j + o.weight_load_j,
            leakage_j: self.leakage_j + o.leakage_j,
        }
    }
}

/// Supply energy of one evaluation of a column in the `share` topology, J: each of `ones` cells charges its own capacitor,
/// `C_u V^2 M`; sharing draws nothing.
#[must_use]
pub fn share_array_j(unit_cap_ff: f64, vdd_v: f64, ones: f64) -> f64 {
    unit_cap_ff * FEMTO * vdd_v * vdd_v * ones
}

/// Supply energy of one evaluation of a column in the `couple` topology, J: `ones` of `connected` bottom plates step by
/// V against a floating top plate, `C_u V^2 M (1 - alpha M / N)`; at most `C_u V^2 N / 4` without parasitic.
#[must_use]
pub fn couple_array_j(unit_cap_ff: f64, vdd_v: f64, ones: f64, connected: f64, alpha: f64) -> f64 {
    share_array_j(unit_cap_ff, vdd_v, ones) * (1.0 - alpha * ones / connected)
}

/// Share of the column's charge that the cells keep against the plate's parasitic, `1 / (1 + C_p / (N C_u))`.
#[must_use]
pub fn attenuation(spec: &MacroSpec, connected: f64) -> f64 {
    let a = &spec.array;
    1.0 / (1.0 + a.parasitic_ratio + a.parasitic_fixed_ff / (connected * a.unit_cap_ff))
}

/// Mean energy of one conversion, J: over the sampled codes, with the sampled share on the skip path; over all codes
/// alike, none skipped, when nothing was sampled. The CDAC's reference is the supply.
#[must_use]
pub fn conversion_j(spec: &AdcSpec, vdd_v: f64, events: &EventCounts) -> f64 {
    let sampled = events.sampled();
    let skip_share = if sampled == 0 {
        0.0
    } else {
        events.skipped_in_sample as f64 / sampled as f64
    };
    let weight = |code: usize| match sampled {
        0 => 1.0 / spec.codes() as f64,
        n => events
            .code_histogram
            .get(code)
            .map_or(0.0, |&count| count as f64 / n as f64),
    };
    let energy = |code, skipped| spec.model().energy_j(spec, vdd_v, Conversion { code, skipped });
    (0..spec.codes())
        .map(|c| weight(c) * (skip_share * energy(c, true) + (1.0 - skip_share) * energy(c, false)))
        .sum()
}

/// Energy of `events`, all images together, on `instances` macros that were busy for `seconds`.
///
/// The couple topology's energy is quadratic in the ones of an evaluation; it is taken at their mean.
#[must_use]
pub fn energy(spec: &MacroSpec, events: &EventCounts, seconds: f64, instances: usize) -> Energy {
    let (v, e) = (spec.technology.vdd_v, &spec.energy);
    let ones = events.cells_on as f64;
    let charge_j = match spec.array.topology {
        Topology::Share => share_array_j(spec.array.unit_cap_ff, v, ones),
        Topology::Couple if events.cells_connected == 0 => 0.0,
        Topology::Couple => {
            let connected = events.cells_connected as f64;
            let per_evaluation = connected / events.column_evaluations as f64;
            couple_array_j(
                spec.array.unit_cap_ff,
                v,
                ones,
                connected,
                attenuation(spec, per_evaluation),
            )
        }
    };
    let fj = |count: u64, each_fj: f64| count as f64 * each_fj * FEMTO;
    let cells = (spec.array.rows * spec.array.columns * spec.system.depth * instances) as f64;
    Energy {
        array_j: charge_j + fj(events.cells_on, e.cell_overhead_ff * v * v),
        adc_j: events.conversions as f64 * conversion_j(&spec.adc, v, events),
        driver_j: fj(events.rows_driven, e.driver_fj) + fj(events.row_columns_on, e.wordline_ff_per_column * v * v),
        accumulator_j: fj(events.accumulations, e.accumulator_fj),
        digital_j: fj(events.cells_connected, e.control_fj_per_cell) + fj(events.outputs, e.output_fj),
        buffer_j: fj(
            events.buffer_read_bytes + events.buffer_write_bytes,
            e.buffer_fj_per_byte,
        ),
        weight_load_j: fj(events.weight_bits_written, e.write_fj_per_bit),
        leakage_j: cells * e.leakage_pw_per_cell * 1e-12 * seconds,
    }
}

/// Area by component, um^2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Cells with their capacitors, all weight sets.
    pub array_um2: f64,
    /// Row drivers.
    pub drivers_um2: f64,
    /// ADCs.
    pub adc_um2: f64,
    /// Digital periphery of the columns.
    pub digital_um2: f64,
    /// Everything else.
    pub other_um2: f64,
}

impl Area {
    /// Sum, um^2.
    #[must_use]
    pub fn total_um2(&self) -> f64 {
        self.array_um2 + self.drivers_um2 + self.adc_um2 + self.digital_um2 + self.other_um2
    }
}

/// Area of one macro instance.
#[must_use]
pub fn area(spec: &MacroSpec) -> Area {
    let f_um = spec.technology.node_nm * 1e-3;
    let cells = (spec.array.rows * spec.array.columns * spec.system.depth) as f64;
    Area {
        array_um2: cells * spec.area.cell_f2 * f_um * f_um,
        drivers_um2: spec.array.rows as f64 * spec.area.row_driver_um2,
        adc_um2: spec.adcs() as f64 * spec.adc.model().area_um2(&spec.adc),
        digital_um2: spec.array.columns as f64 * spec.area.column_digital_um2,
        other_um2: spec.area.other_um2,
    }
}

/// Events of one input vector on the fully used array, with the given share of ones among input bits and weight bits,
/// which are independent. Nothing is buffered or loaded.
#[must_use]
pub fn full_use(spec: &MacroSpec, input_density: f64, weight_density: f64) -> EventCounts {
    let columns = (spec.outputs() * spec.columns_per_output()) as u64;
    let planes = spec.evaluations() as u64 * timing::planes_per_evaluation(spec);
    let rows = spec.array.rows as u64;
    let on = match spec.array.cell {
        Cell::And => input_density * weight_density,
        Cell::Xnor => input_density * weight_density + (1.0 - input_density) * (1.0 - weight_density),
    };
    let cells = rows * columns * planes;
    let conversions = (spec.outputs() * spec.conversions_per_output() * spec.evaluations()) as u64;
    let share = |count: u64, density: f64| libm::round(count as f64 * density) as u64;
    EventCounts {
        conversions,
        column_evaluations: columns * planes,
        cells_connected: cells,
        cells_on: share(cells, on),
        rows_driven: rows * planes,
        rows_on: share(rows * planes, input_density),
        row_columns_on: share(cells, input_density),
        accumulations: conversions,
        outputs: spec.outputs() as u64,
        ..EventCounts::default()
    }
}

/// What the macro reaches when every row and column is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// 10^12 operations per second; one MAC of the macro's own input and weight bits is two operations.
    pub tops: f64,
    /// The same per watt, without buffers and weight load.
    pub tops_per_watt: f64,
    /// The same per mm^2.
    pub tops_per_mm2: f64,
}

/// Peak figures at the given densities of ones among input and weight bits.
#[must_use]
pub fn peak(spec: &MacroSpec, input_density: f64, weight_density: f64) -> Peak {
    let operations = 2.0 * (spec.array.rows * spec.outputs()) as f64;
    let seconds = timing::mvm_s(spec);
    let joules = energy(spec, &full_use(spec, input_density, weight_density), seconds, 1).total_j();
    let tops = operations / seconds * 1e-12;
    Peak {
        tops,
        tops_per_watt: operations / joules * 1e-12,
        tops_per_mm2: tops / (area(spec).total_um2() * 1e-6),
    }
}
