//! Quantities that papers publish about a macro, measured on a [`MacroSpec`].

use crate::cost::{self, Area, Energy};
use crate::spec::MacroSpec;
use crate::timing;
use farad_core::EventCounts;

/// How a quantity follows a common error of all energies or all areas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    Energy,
    PerEnergy,
    Area,
    PerArea,
    /// A time or a share.
    Neither,
}

/// Everything that is known about one operating point.
pub(super) struct Point {
    spec: MacroSpec,
    events: EventCounts,
    seconds: f64,
    energy: Energy,
    area: Area,
}

impl Point {
    /// One input vector on the fully used macro.
    pub(super) fn new(spec: MacroSpec, input_density: f64, weight_density: f64) -> Self {
        let events = cost::full_use(&spec, input_density, weight_density);
        let seconds = timing::mvm_s(&spec);
        let energy = cost::energy(&spec, &events, seconds, 1);
        let area = cost::area(&spec);
        Self {
            spec,
            events,
            seconds,
            energy,
            area,
        }
    }

    /// Operations with each output's own weight bits.
    fn operations(&self) -> f64 {
        2.0 * (self.spec.array.rows * self.spec.outputs()) as f64
    }

    /// Operations with each column as a 1-bit weight.
    fn column_operations(&self) -> f64 {
        2.0 * (self.spec.array.rows * self.spec.array.columns) as f64
    }

    fn analog_j(&self) -> f64 {
        self.energy.array_j + self.energy.driver_j + self.energy.adc_j
    }

    fn per_column_pj(&self, joules: f64) -> f64 {
        joules / self.events.column_evaluations as f64 * 1e12
    }

    fn share_pct(&self, joules: f64) -> f64 {
        100.0 * joules / self.energy.total_j()
    }
}

/// A named quantity with its unit.
pub(super) struct Quantity {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) dimension: Dimension,
    pub(super) measure: fn(&Point) -> f64,
}

/// The quantity called `name`.
pub(super) fn find(name: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|q| q.name == name)
}

const fn quantity(
    name: &'static str,
    unit: &'static str,
    dimension: Dimension,
    measure: fn(&Point) -> f64,
) -> Quantity {
    Quantity {
        name,
        unit,
        dimension,
        measure,
    }
}

use Dimension::{Area as InArea, Energy as InEnergy, Neither, PerArea, PerEnergy};

/// *Column* figures count every physical column as a 1-bit weight; *analog* ones leave out accumulators and digital.
static QUANTITIES: &[Quantity] = &[
    quantity("throughput_tops", "TOPS", Neither, |p| {
        p.operations() / p.seconds * 1e-12
    }),
    quantity("column_throughput_tops", "TOPS", Neither, |p| {
        p.column_operations() / p.seconds * 1e-12
    }),
    quantity("efficiency_tops_per_watt", "TOPS/W", PerEnergy, |p| {
        p.operations() / p.energy.total_j() * 1e-12
    }),
    quantity("column_efficiency_tops_per_watt", "TOPS/W", PerEnergy, |p| {
        p.column_operations() / p.analog_j() * 1e-12
    }),
    quantity("mac_energy_fj", "fJ", InEnergy, |p| {
        2.0 * p.energy.total_j() / p.operations() * 1e15
    }),
    quantity("mvm_energy_pj", "pJ", InEnergy, |p| p.energy.total_j() * 1e12),
    quantity("conversion_energy_pj", "pJ", InEnergy, |p| {
        p.energy.adc_j / p.events.conversions as f64 * 1e12
    }),
    quantity("array_energy_pj", "pJ", InEnergy, |p| {
        p.per_column_pj(p.energy.array_j + p.energy.driver_j)
    }),
    quantity("near_memory_energy_pj", "pJ", InEnergy, |p| {
        p.per_column_pj(p.energy.accumulator_j + p.energy.digital_j)
    }),
    quantity("adc_share_pct", "%", Neither, |p| p.share_pct(p.energy.adc_j)),
    quantity("array_share_pct", "%", Neither, |p| p.share_pct(p.energy.array_j)),
    quantity("driver_share_pct", "%", Neither, |p| p.share_pct(p.energy.driver_j)),
    quantity("digital_share_pct", "%", Neither, |p| {
        p.share_pct(p.energy.accumulator_j + p.energy.digital_j)
    }),
    quantity("analog_adc_share_pct", "%", Neither, |p| {
        100.0 * p.energy.adc_j / p.analog_j()
    }),
    quantity("cell_area_mm2", "mm2", InArea, |p| p.area.array_um2 * 1e-6),
    quantity("driver_area_mm2", "mm2", InArea, |p| p.area.drivers_um2 * 1e-6),
    quantity("array_area_mm2", "mm2", InArea, |p| {
        (p.area.array_um2 + p.area.drivers_um2) * 1e-6
    }),
    quantity("array_area_um2", "um2", InArea, |p| {
        p.area.array_um2 + p.area.drivers_um2
    }),
    quantity("adc_area_mm2", "mm2", InArea, |p| p.area.adc_um2 * 1e-6),
    quantity("digital_area_mm2", "mm2", InArea, |p| p.area.digital_um2 * 1e-6),
    quantity("compute_area_um2", "um2", InArea, |p| {
        p.area.adc_um2 + p.area.digital_um2
    }),
    quantity("other_area_mm2", "mm2", InArea, |p| p.area.other_um2 * 1e-6),
    quantity("total_area_mm2", "mm2", InArea, |p| p.area.total_um2() * 1e-6),
    quantity("density_tops_per_mm2", "TOPS/mm2", PerArea, |p| {
        p.operations() / p.seconds / p.area.total_um2() * 1e-6
    }),
    quantity("column_density_tops_per_mm2", "TOPS/mm2", PerArea, |p| {
        p.column_operations() / p.seconds / p.area.total_um2() * 1e-6
    }),
];
