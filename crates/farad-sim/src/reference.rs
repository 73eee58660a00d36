//! The readable engine: cell by cell, phase by phase, decision by decision.
//!
//! Slow and plain on purpose. It shares with [`crate::fast`] only the description of the chip; everything that is executed is written twice, and
//! tests hold the two equal bit for bit.

use crate::plan::{LayerPlan, TilePlan};
use crate::probe::{Seen, TileProbe};
use farad_core::axis::{add_noise, add_noise_beyond};
use farad_hw::MacroSpec;
use farad_hw::adc::{Conversion, readout};
use farad_hw::chip::{AdcModel, SiteModel, SlotModel, quanta_per_unit};
use farad_hw::encoding::stored_bit;
use farad_hw::noise::TemporalNoise;
use farad_hw::spec::{Cell, InputCombine};

/// Accumulators of all outputs at one position of one image. `out[o]` has no bias.
pub(crate) fn position(
    spec: &MacroSpec,
    layer: &LayerPlan,
    models: &[Vec<SiteModel>],
    image: &[u8],
    at: (u32, u32),
    probes: &mut [Vec<TileProbe>],
    out: &mut [i32],
) {
    let (position, image_id) = at;
    let mut full = vec![0; layer.geometry.full_rows()];
    layer.geometry.gather(image, position as usize, &mut full);
    let mut sums = vec![0.0f64; layer.geometry.shape.out_c];
    for (copy, (plan, models)) in layer.copies.iter().zip(models).enumerate() {
        if !plan.positions.contains(&(position as usize)) {
            continue;
        }
        for (t, (tile, model)) in plan.tiles.iter().zip(models).enumerate() {
            let mut x = vec![0; tile.rows];
            tile.gather(&full, &mut x);
            let drive = Drive {
                spec,
                tile,
                model,
                x: &x,
                position,
                image: image_id,
            };
            let probe = &mut probes[copy][t];
            probe.drive(&x);
            for j in 0..tile.outputs.len() {
                sums[tile.outputs.start + j] += drive.output(j, probe);
            }
        }
    }
    for (o, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
        *out = (sum.round_ties_even() as i64 + layer.geometry.integer_term(o, &full)) as i32;
    }
}

/// One input vector on the wordlines of one tile.
pub(crate) struct Drive<'a> {
    /// Macro.
    pub(crate) spec: &'a MacroSpec,
    /// Tile.
    pub(crate) tile: &'a TilePlan,
    /// The tile's place on a chip.
    pub(crate) model: &'a SiteModel,
    /// Inputs, one per wordline.
    pub(crate) x: &'a [u8],
    /// Output position.
    pub(crate) position: u32,
    /// Dataset index of the image.
    pub(crate) image: u32,
}

/// One question to a comparator: was the input, with its noise, at least the level?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Input, steps of the axis.
    pub(crate) input: i16,
    /// Level, steps of the axis.
    pub(crate) level: i32,
}

impl Drive<'_> {
    /// The digital result of local output `j`: weighted codes, in product counts, with the scheme's corrections.
    fn output(&self, j: usize, probe: &mut TileProbe) -> f64 {
        let output = &self.model.outputs[j];
        let mut codes = 0i64;
        for (s, slot) in output.slots.iter().enumerate() {
            for evaluation in 0..self.spec.evaluations() {
                let (seen, value) = self.convert(j, s, evaluation, &mut |_| {});
                probe.converted(self.position, self.image, seen);
                let zero = readout::zero(&self.spec.adc, self.tile.scale.signed);
                let plane = evaluation * slot.plane_weights.len();
                codes += i64::from(slot.digital_weight) * ((i64::from(value) - zero) << plane);
            }
        }
        let c = &self.tile.correction;
        let weights: i64 = self.tile.weights_of(j).iter().map(|&w| i64::from(w)).sum();
        let inputs: i64 = self.x.iter().map(|&x| i64::from(x)).sum();
        codes as f64 * (self.tile.scale.lsb_counts * c.scale / readout::per_lsb(&self.spec.adc))
            + (c.per_weight * weights as f64 + c.per_input * inputs as f64 + c.constant)
    }

    /// Charge shared by the slot's columns when bit plane `plane` drives the wordlines.
    fn charge(&self, j: usize, slot: &SlotModel, plane: usize) -> i32 {
        let output = &self.model.outputs[j];
        let weights = self.tile.weights_of(j);
        let mut charge = 0;
        for k in slot.columns.clone() {
            for (row, (&x, &w)) in self.x.iter().zip(weights).enumerate() {
                let x = x >> plane & 1 == 1;
                let w = stored_bit(self.spec, k, w);
                let product = match self.spec.array.cell {
                    Cell::And => x && w,
                    Cell::Xnor => x == w,
                };
                if product {
                    charge += if self.model.uniform {
                        quanta_per_unit(self.spec)
                    } else {
                        i32::from(output.cells[k * self.tile.rows + row])
                    };
                }
            }
        }
        charge
    }

    /// Conversion `s` of local output `j` in one evaluation, and what the digital side is given of it: the code, or the reading of
    /// [`readout`]. `watch` sees every decision.
    pub(crate) fn convert(
        &self,
        j: usize,
        s: usize,
        evaluation: usize,
        watch: &mut dyn FnMut(Decision),
    ) -> (Seen, i32) {
        let slots = &self.model.outputs[j].slots;
        let slot = &slots[s];
        let slot_number = ((self.tile.outputs.start + j) * slots.len() + s) as u32;
        let planes = slot.plane_weights.len();
        let mut charge = 0.0f32;
        for (i, &weight) in slot.plane_weights.iter().enumerate() {
            let plane = evaluation * planes + i;
            if plane < self.spec.input.bits as usize {
                charge += weight * self.charge(j, slot, plane) as f32;
            }
        }
        debug_assert!(self.spec.input.combine != InputCombine::BitSerial || planes == 1);
        let clean = slot.transfer.apply(charge);
        let scale = &self.tile.scale;
        let draw =
            |block: u32, index: usize| self.tile.noise.draws(slot_number, self.position, self.image, block)[index];
        let bits = self.spec.adc.bits;
        let input = slot.noise.noisy(clean, bits, || draw(0, evaluation));
        let adc = &self.model.adcs[slot.adc];
        let draw_decision = |decision: usize| {
            // Decisions beyond the eighth draw from the slot's second stream.
            let slot = slot_number | u32::from(decision >= 8) << 31;
            self.tile
                .noise
                .draws(slot, self.position, self.image, 1 + evaluation as u32)[decision % 8]
        };
        let conversion = quantise(self.spec, scale.signed, &slot.noise, adc, input, draw_decision, watch);
        let value = if readout::is_used(&self.spec.adc) {
            let clean = slot.transfer.apply_within(charge, readout::LIMIT);
            let mut input = slot.noise.noisy_beyond(clean, bits, || draw(0, evaluation));
            if slot.noise.decision_sigma != 0 && !self.spec.adc.quantises {
                input = add_noise_beyond(input, |_| slot.noise.decision_sigma, draw_decision(0));
            }
            readout::reading(&self.spec.adc, &adc.staircase, conversion.code, input)
        } else {
            conversion.code as i32
        };
        (Seen { clean, conversion }, value)
    }
}

/// What `adc` makes of `input`, decision by decision: `draw` yields the uniform of a decision, `watch` sees them.
pub(crate) fn quantise(
    spec: &MacroSpec,
    signed: bool,
    noise: &TemporalNoise,
    adc: &AdcModel,
    input: i16,
    draw: impl Fn(usize) -> u16,
    watch: &mut dyn FnMut(Decision),
) -> Conversion {
    let mut decision = 0;
    spec.adc.model().convert(&spec.adc, signed, &adc.levels, &mut |level| {
        let noisy = if noise.decision_sigma == 0 {
            input
        } else {
            add_noise(input, noise.decision_sigma, draw(decision))
        };
        decision += 1;
        watch(Decision { input: noisy, level });
        i32::from(noisy) >= level
    })
}
