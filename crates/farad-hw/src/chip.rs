//! A chip is a seed: every static error of every macro instance follows from it.
//!
//! [`Site::lower`] turns the place of a tile on a chip into integers and a few IEEE-exact floats: what one cell adds to
//! its column ([`OutputModel::cells`]), how a conversion's charge reaches its ADC ([`Transfer`]), and the comparator levels of the
//! ADCs. Both engines run from these numbers; they differ only in how.
//!
//! # Units
//! The *charge quantum* is `1 / quanta_per_unit` of the charge that one LSB-weighted cell adds when its product is one. The ADC's input
//! axis is [`farad_core::axis`].

pub(crate) mod circuit;
mod transfer;

use crate::adc::{ideal_level, staircase};
use crate::encoding::{Column, columns};
use crate::noise::TemporalNoise;
use crate::scale::Scale;
use crate::spec::{Cell, InputCombine, MacroSpec, WeightCombine};
use farad_core::axis::{Transfer, half_range, lsb_steps};
use farad_core::draw::{Domain, StaticNormals};

/// Where a tile sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Macro instance.
    pub instance: u32,
    /// First physical column.
    pub first_column: u32,
    /// Wordlines in use, from wordline 0.
    pub rows: usize,
    /// Output channels side by side.
    pub outputs: usize,
}

/// One conversion of one output channel.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotModel {
    /// The output's columns that this conversion merges.
    pub columns: std::ops::Range<usize>,
    /// What its code is worth in the digital sum of the output.
    pub digital_weight: i32,
    /// Charge to ADC input.
    pub transfer: Transfer,
    /// Index into [`SiteModel::adcs`].
    pub adc: usize,
    /// Temporal noise.
    pub noise: TemporalNoise,
    /// Weight of each input plane that is merged before the conversion, LSB first (`[1.0]` if bit-serial).
    pub plane_weights: Vec<f32>,
}

/// One output channel's columns and conversions.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputModel {
    /// Signed charge of each cell when its product is one, `[column][row]`, in quanta.
    pub cells: Vec<i16>,
    /// Conversions.
    pub slots: Vec<SlotModel>,
}

/// One ADC of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdcModel {
    /// Comparator levels on the input axis, by code.
    pub levels: Vec<i32>,
    /// Noise-free transfer, see [`staircase`].
    pub staircase: Vec<i32>,
    /// Inputs that take the skip path.
    pub skips: std::ops::Range<i32>,
}

/// A tile's place on a chip, in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteModel {
    /// Every cell adds exactly one quantum: charges are counts.
    pub uniform: bool,
    /// One per output channel.
    pub outputs: Vec<OutputModel>,
    /// The ADCs that these outputs use.
    pub adcs: Vec<AdcModel>,
    /// Wordlines.
    pub rows: usize,
}

impl Site {
    /// Lowers this place on `chip` for conversions scaled by `scale`.
    #[must_use]
    pub fn lower(&self, spec: &MacroSpec, chip: u32, scale: &Scale) -> SiteModel {
        let layout = columns(spec);
        let per_output = layout.len();
        let first_output = self.first_column as usize / per_output;
        let slots_per_output = spec.conversions_per_output();
        let first_slot = first_output * slots_per_output;
        let adc_of = |slot: usize| slot / spec.adc.columns_per_adc;
        let first_adc = adc_of(first_slot);
        let last_adc = adc_of(first_slot + (self.outputs * slots_per_output).max(1) - 1);
        let lowering = Lowering::new(spec, chip, self, scale, &layout);
        SiteModel {
            uniform: is_uniform(spec),
            outputs: (0..self.outputs)
                .map(|j| {
                    let first_column = self.first_column + (j * per_output) as u32;
                    let slot = first_slot + j * slots_per_output;
                    lowering.output(first_column, slot, first_adc, adc_of)
                })
                .collect(),
            adcs: (first_adc..=last_adc).map(|adc| lowering.adc(adc as u32)).collect(),
            rows: self.rows,
        }
    }
}

/// Whether every cell adds exactly one quantum, so that a charge is a count of ones.
#[must_use]
pub fn is_uniform(spec: &MacroSpec) -> bool {
    let row_errors = matches!(spec.input.combine, InputCombine::Dac { mismatch_pct, .. } if mismatch_pct > 0.0);
    spec.weight.combine == WeightCombine::Digital
        && spec.array.mismatch_pct == 0.0
        && spec.array.cell == Cell::And
        && !row_errors
}

/// Quanta in the charge of one LSB-weighted cell: 1 if uniform; otherwise the largest power of two at which the full charge of
/// a row of merged columns stays near 2^12, so that mismatch is resolved and sums of rows stay in 32 bits.
#[must_use]
pub fn quanta_per_unit(spec: &MacroSpec) -> i32 {
    if is_uniform(spec) {
        1
    } else if spec.weight.combine == WeightCombine::Digital {
        1024
    } else {
        4096 >> spec.weight.bits
    }
}

struct Lowering<'a> {
    spec: &'a MacroSpec,
    chip: u32,
    drawn_chip: u32,
    site: &'a Site,
    scale: &'a Scale,
    layout: &'a [Column],
}

impl<'a> Lowering<'a> {
    fn new(spec: &'a MacroSpec, chip: u32, site: &'a Site, scale: &'a Scale, layout: &'a [Column]) -> Self {
        // What a profile does not say is drawn as on the chip that was measured.
        let measured_chip = spec.profile.as_ref().map_or(0, |profile| profile.chip);
        Self {
            spec,
            chip,
            drawn_chip: chip.wrapping_add(measured_chip),
            site,
            scale,
            layout,
        }
    }

    fn normals(&self, domain: Domain, unit: u32, part: u32) -> StaticNormals {
        StaticNormals::new(self.drawn_chip, domain, self.site.instance, unit, part)
    }

    fn adc(&self, adc: u32) -> AdcModel {
        let spec = &self.spec.adc;
        let mut draws = self.normals(Domain::Adc, adc, 0);
        let half = half_range(spec.bits);
        // A level beyond the range would never be crossed from inside it: it sits at the edge.
        let steps =
            |level: &f64| (libm::rint(level * f64::from(lsb_steps(spec.bits))) as i32).clamp(1 - half, half - 1);
        let levels = match self.measured_adc(adc as usize).and_then(|m| m.inl_lsb.as_deref()) {
            Some(inl_lsb) => (1..).zip(inl_lsb).map(|(k, inl)| ideal_level(spec, k) + inl).collect(),
            None => spec.model().levels(spec, &mut || draws.next_sigmas()),
        };
        let levels: Vec<i32> = levels.iter().map(steps).collect();
        let (staircase, skips) = staircase(spec, self.scale.signed, &levels);
        AdcModel {
            levels,
            staircase,
            skips,
        }
    }

    /// Relative error of each connected cell's capacitor in a physical column.
    fn cell_errors(&self, column: u32) -> Vec<f64> {
        let (sigma, connected) = (self.spec.cell_sigma(), self.scale.rows_connected);
        if sigma == 0.0 {
            return vec![0.0; connected];
        }
        let mut draws = self.normals(Domain::Cell, column, 0);
        (0..connected).map(|_| sigma * draws.next_sigmas()).collect()
    }

    /// Relative charge error of each used cell of a physical column, and the column's gain from the spread of its total capacitance.
    fn column_cells(&self, column: u32) -> (Vec<f64>, f64) {
        let mut errors = self.cell_errors(column);
        let load = 1.0 + self.scale.parasitic_ratio;
        let gain = load / (load + errors.iter().sum::<f64>() / errors.len() as f64);
        errors.truncate(self.site.rows);
        (errors, gain)
    }

    /// Gain of each row's driver.
    fn row_gains(&self) -> Vec<f64> {
        let InputCombine::Dac { mismatch_pct, .. } = self.spec.input.combine else {
            return vec![1.0; self.site.rows];
        };
        let mut draws = self.normals(Domain::RowDriver, 0, 0);
        (0..self.site.rows)
            .map(|_| 1.0 + mismatch_pct / 100.0 * draws.next_sigmas())
            .collect()
    }

    /// Weighting capacitor of each column of an output with its error and its switch's parasitic, in units of the LSB column's.
    fn segments(&self, first_column: u32) -> Vec<f64> {
        let WeightCombine::BinaryCap {
            mismatch_pct,
            switch_parasitic,
        } = self.spec.weight.combine
        else {
            return Vec::new();
        };
        let mut draws = self.normals(Domain::Combiner, first_column, 0);
        let weigh = |c: &Column, z: f64| c.weight + mismatch_pct / 100.0 * c.weight.sqrt() * z + switch_parasitic;
        self.layout.iter().map(|c| weigh(c, draws.next_sigmas())).collect()
    }

    /// What each column (and row, for a ladder) of an output weighs on the merged plate, in units of the LSB column.
    fn analog_weights(&self, first_column: u32, row: usize) -> Vec<f64> {
        match self.spec.weight.combine {
            WeightCombine::Digital => vec![1.0; self.layout.len()],
            WeightCombine::BinaryCap { .. } => {
                let actual = self.segments(first_column);
                // Each bank shares charge among its own segments only.
                let bank = |negative: bool| {
                    let of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>();
                    let nominal = of(&mut self.layout.iter().filter(|c| c.bank == negative).map(|c| c.weight));
                    let real = of(&mut self
                        .layout
                        .iter()
                        .zip(&actual)
                        .filter(|(c, _)| c.bank == negative)
                        .map(|(_, a)| *a));
                    nominal / real
                };
                let norm = [bank(false), bank(true)];
                self.layout
                    .iter()
                    .zip(actual)
                    .map(|(c, a)| a * norm[usize::from(c.bank)])
                    .collect()
            }
            WeightCombine::C2c {
                node_parasitic,
                mismatch_pct,
            } => {
                let mut draws = self.normals(Domain::Combiner, first_column, row as u32 + 1);
                let mut capacitor =
                    |nominal: f64| nominal * (1.0 + mismatch_pct / 100.0 / f64::sqrt(nominal) * draws.next_sigmas());
                let mut weights = vec![0.0; self.layout.len()];
                for bank in [false, true] {
                    let legs: Vec<usize> = (0..self.layout.len())
                        .filter(|&k| self.layout[k].bank == bank)
                        .collect();
                    let ladder = c2c_weights(legs.len(), node_parasitic, &mut capacitor);
                    for (&k, w) in legs.iter().zip(ladder) {
                        weights[k] = w * libm::exp2(legs.len() as f64);
                    }
                }
                weights
            }
        }
    }

    fn output(
        &self,
        first_column: u32,
        first_slot: usize,
        first_adc: usize,
        adc_of: impl Fn(usize) -> usize,
    ) -> OutputModel {
        let (rows, unit) = (self.site.rows, f64::from(quanta_per_unit(self.spec)));
        let per_cell_ladder = matches!(self.spec.weight.combine, WeightCombine::C2c { .. });
        let merged = self.spec.weight.combine != WeightCombine::Digital;
        let row_gains = self.row_gains();
        let mut cells = vec![0i16; self.layout.len() * rows];
        let mut gains = Vec::with_capacity(self.layout.len());
        let shared = self.analog_weights(first_column, 0);
        let ladders: Vec<Vec<f64>> = if per_cell_ladder {
            (0..rows).map(|r| self.analog_weights(first_column, r)).collect()
        } else {
            Vec::new()
        };
        for (k, column) in self.layout.iter().enumerate() {
            let (errors, gain) = self.column_cells(first_column + k as u32);
            let common = if merged { gain } else { 1.0 };
            gains.push(if merged { 1.0 } else { gain });
            let sign = if column.negative_charge { -1.0 } else { 1.0 };
            for r in 0..rows {
                let weight = if per_cell_ladder { ladders[r][k] } else { shared[k] };
                cells[k * rows + r] =
                    libm::rint(sign * unit * weight * common * row_gains[r] * (1.0 + errors[r])) as i16;
            }
        }
        let slots = (0..self.spec.conversions_per_output())
            .map(|s| {
                let columns = if merged { 0..self.layout.len() } else { s..s + 1 };
                let adc = adc_of(first_slot + s);
                SlotModel {
                    digital_weight: if merged { 1 } else { self.layout[s].digital_weight },
                    transfer: self.transfer(gains[columns.start], first_slot + s, adc),
                    adc: adc - first_adc,
                    noise: self.noise(first_slot + s, adc),
                    plane_weights: self.plane_weights(adc),
                    columns,
                }
            })
            .collect();
        OutputModel { cells, slots }
    }

    /// Successive charge redistribution (the serial DAC of Suarez, Gray and Hodges, JSSC 10(6), 1975): each step mixes the new plane in
    /// with `lambda = C_s / (C_a + C_s) = (1 + epsilon) / 2`, so `epsilon` is half the difference of the two relative errors; a row DAC weighs
    /// its planes exactly, its gain error is the row's.
    fn plane_weights(&self, adc: usize) -> Vec<f32> {
        match self.spec.input.combine {
            InputCombine::BitSerial => vec![1.0],
            InputCombine::Dac { bits, .. } => (0..bits).map(|i| (1u32 << i) as f32).collect(),
            InputCombine::SerialShare { mismatch_pct } => {
                let mut draws = self.normals(Domain::SerialShare, adc as u32, 0);
                let epsilon = 0.5 * mismatch_pct / 100.0 * (draws.next_sigmas() - draws.next_sigmas());
                serial_share_weights(self.spec.input.bits, epsilon)
                    .iter()
                    .map(|w| *w as f32)
                    .collect()
            }
        }
    }
}

/// Plane weights of successive charge redistribution with ratio error `epsilon`, LSB first, in units of the ideal LSB: ideally `2^i`.
#[must_use]
pub fn serial_share_weights(bits: u32, epsilon: f64) -> Vec<f64> {
    let lambda = 0.5 * (1.0 + epsilon);
    (0..bits)
        .map(|i| {
            let later_steps = f64::from(bits - 1 - i);
            libm::exp2(f64::from(bits)) * lambda * libm::pow(1.0 - lambda, later_steps)
        })
        .collect()
}

/// Weights of a C-2C ladder, LSB first, as fractions of the input: ideally `2^i / 2^legs`. `capacitor(nominal)` yields each
/// capacitor in units of C. Exact recursion from the terminated end: with L the capacitance that a node sees on the LSB side,
/// `T = L + C_i + C_node`, `V <- (L V + C_i b_i V_in) / T`, and through the series capacitor D `L <- D T / (D + T)`.
pub fn c2c_weights(legs: usize, node_parasitic: f64, capacitor: &mut dyn FnMut(f64) -> f64) -> Vec<f64> {
    let mut weights = vec![0.0; legs];
    let mut left = capacitor(1.0);
    for i in 0..legs {
        let leg = capacitor(1.0);
        let total = left + leg + node_parasitic;
        weights[..i].iter_mut().for_each(|w| *w *= left / total);
        weights[i] = leg / total;
        let series = capacitor(2.0);
        left = series * total / (series + total);
    }
    weights
}
