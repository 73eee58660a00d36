//! Circuits under test: macros of a few lines, lowered as the engines lower them, and read in product counts.

use farad_core::axis::lsb_steps;
use farad_hw::MacroSpec;
use farad_hw::chip::{Site, SiteModel, quanta_per_unit};
use farad_hw::scale::{ChargeStats, Scale};

/// A macro of `rows` wordlines with an ideal 8-bit converter; `pairs` are laid over it.
pub(crate) fn column(rows: usize, pairs: &[(&str, &str)]) -> MacroSpec {
    let text = format!("name = 'column'\n[array]\nrows = {rows}\ncolumns = 64\n[adc]\nkind = 'ideal'\nbits = 8\n");
    farad_hw::schema::parse("column", &text, &crate::set(pairs)).unwrap_or_else(|e| panic!("{e}"))
}

/// Some output channels of one chip, on all wordlines.
pub(crate) struct Bench {
    pub(crate) spec: MacroSpec,
    pub(crate) scale: Scale,
    pub(crate) model: SiteModel,
}

impl Bench {
    /// `outputs` channels on `chip`.
    pub(crate) fn new(spec: &MacroSpec, chip: u32, outputs: usize) -> Self {
        Self::with_stats(spec, chip, outputs, None)
    }

    /// The same where the ADC's range follows `stats`.
    pub(crate) fn with_stats(spec: &MacroSpec, chip: u32, outputs: usize, stats: Option<&ChargeStats>) -> Self {
        let scale = Scale::new(spec, spec.array.rows, stats);
        let site = Site {
            instance: 0,
            first_column: 0,
            rows: spec.array.rows,
            outputs,
        };
        Self {
            spec: spec.clone(),
            model: site.lower(spec, chip, &scale),
            scale,
        }
    }

    /// Charge of the cells of `column` of `output` that `on` selects, quanta.
    pub(crate) fn charge(&self, output: usize, column: usize, on: impl Fn(usize) -> bool) -> f64 {
        let rows = self.model.rows;
        let cells = &self.model.outputs[output].cells[column * rows..(column + 1) * rows];
        let selected = cells.iter().enumerate().filter(|(row, _)| on(*row));
        if self.model.uniform {
            selected.count() as f64
        } else {
            selected.map(|(_, &c)| f64::from(c)).sum()
        }
    }

    /// What the ADC of a conversion sees of `charge` quanta before it is rounded to its axis, in units of S.
    pub(crate) fn seen(&self, output: usize, slot: usize, charge: f64) -> f64 {
        let t = self.model.outputs[output].slots[slot].transfer;
        let steps = (f64::from(t.quadratic) * charge + f64::from(t.gain)) * charge + f64::from(t.offset);
        (steps / f64::from(lsb_steps(self.spec.adc.bits)) + self.scale.middle_lsb) * self.scale.lsb_counts
    }

    /// Noise-free code of a conversion of `charge` quanta, counted from that of zero charge in an ideal converter.
    pub(crate) fn code(&self, output: usize, slot: usize, charge: f64) -> i64 {
        let slot = &self.model.outputs[output].slots[slot];
        let input = i32::from(slot.transfer.apply(charge as f32));
        let code = self.model.adcs[slot.adc]
            .staircase
            .partition_point(|&level| level <= input) as i64;
        if self.scale.signed {
            code - self.spec.adc.codes() as i64 / 2
        } else {
            code
        }
    }

    /// Quanta of one unit of S.
    pub(crate) fn unit(&self) -> f64 {
        f64::from(quanta_per_unit(&self.spec))
    }
}

/// Mean and standard deviation.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (
        mean,
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt(),
    )
}

/// Asserts `value` within `tolerance` (relative) of `expected`.
#[track_caller]
pub(crate) fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value / expected - 1.0).abs() <= tolerance,
        "{value} instead of {expected} +- {} %",
        100.0 * tolerance
    );
}

/// Uniform numbers for test data, below `2^bits`.
pub(crate) struct Uniform(pub(crate) u64);

impl Uniform {
    pub(crate) fn next(&mut self, bits: u32) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> (64 - bits)
    }
}

/// Standard normal probability of exceeding `z`.
pub(crate) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}
