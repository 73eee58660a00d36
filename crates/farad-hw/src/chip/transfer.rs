//! From charge to the ADC's input: static gain, static offset and noise of a conversion, drawn or measured.

use super::{Lowering, Site, quanta_per_unit};
use crate::adc::ideal_level;
use crate::calibration::Trim;
use crate::encoding::columns;
use crate::noise::TemporalNoise;
use crate::profile::{Amount, Measured, Profile};
use crate::scale::Scale;
use crate::spec::{MacroSpec, NoiseDraws, NoiseSpec};
use farad_core::axis::{Transfer, lsb_steps};
use farad_core::draw::Domain;

impl Lowering<'_> {
    /// What was measured at a conversion, or at an ADC.
    fn measured(&self, slot: usize) -> Option<&Measured> {
        self.spec.profile.as_ref()?.column(self.site.instance, slot)
    }

    /// See [`Self::measured`].
    pub(super) fn measured_adc(&self, adc: usize) -> Option<&Measured> {
        self.spec.profile.as_ref()?.adc(self.site.instance, adc)
    }

    /// Temporal noise of a conversion: the column's, the ADC's, or what the macro's physics says.
    pub(super) fn noise(&self, slot: usize, adc: usize) -> TemporalNoise {
        let measured = [self.measured(slot), self.measured_adc(adc)];
        let noise = measured.into_iter().flatten().find_map(|m| m.noise);
        noise.map_or_else(
            || self.scale.noise.clone(),
            |noise| TemporalNoise::constant(self.spec, noise.lsb(self.scale.lsb_v)),
        )
    }

    /// Static gain and offset in LSB that are drawn for a conversion, capacitors apart.
    fn drawn_column(&self, slot: usize) -> (f64, f64) {
        let noise = &self.spec.noise;
        let mut column = self.normals(Domain::Column, slot as u32, 0);
        let gain = 1.0 + noise.column_gain_pct / 100.0 * column.next_sigmas();
        (gain, noise.column_offset_lsb * column.next_sigmas())
    }

    /// Offset of a comparator as drawn, mV.
    fn drawn_offset_mv(&self, adc: usize) -> f64 {
        self.spec.noise.offset_mv * self.normals(Domain::Offset, adc as u32, 0).next_sigmas()
    }

    /// Gain of a conversion apart from its capacitors and its trim.
    fn gain(&self, slot: usize, adc: usize) -> f64 {
        let column = self.measured(slot).and_then(|m| m.gain);
        let column = column.unwrap_or_else(|| self.drawn_column(slot).0);
        column * self.measured_adc(adc).and_then(|m| m.gain).unwrap_or(1.0)
    }

    /// Steps of an ADC's trims: those that were set on this chip, or those of a perfect bench, which takes out the comparator's offset and the
    /// mean gain of the columns.
    fn trim(&self, adc: usize, comparator_lsb: f64) -> Trim {
        let calibration = self.spec.calibration.as_ref();
        let set = calibration.and_then(|c| c.trim(self.chip, self.site.instance, adc));
        set.unwrap_or_else(|| {
            let NoiseSpec {
                offset_trim, gain_trim, ..
            } = self.spec.noise;
            let gain = if gain_trim.size > 0.0 {
                let first = adc * self.spec.adc.columns_per_adc;
                let slots = first..(first + self.spec.adc.columns_per_adc).min(self.spec.conversions());
                slots.clone().map(|slot| self.gain(slot, adc)).sum::<f64>() / slots.len() as f64
            } else {
                1.0
            };
            Trim {
                offset: offset_trim.against(comparator_lsb),
                gain: gain_trim.against(1.0 - 1.0 / gain),
            }
        })
    }

    /// Gain and offset in LSB between a conversion's plate and its ADC's levels, apart from those of the capacitors. What was measured
    /// takes the place of what is drawn.
    pub(super) fn lumped(&self, slot: usize, adc: usize) -> (f64, f64) {
        let lsb_v = self.scale.lsb_v;
        let (column, converter) = (self.measured(slot), self.measured_adc(adc));
        let (_, drawn_offset_lsb) = self.drawn_column(slot);
        let gain = self.gain(slot, adc);
        let column_offset = column.and_then(|m| m.offset);
        let comparator_lsb = match (converter.and_then(|m| m.offset), column_offset) {
            (Some(offset), _) => offset.lsb(lsb_v),
            // A column is measured through its converter, whose offset is in the figure.
            (None, Some(_)) => 0.0,
            (None, None) => Amount::Millivolts(self.drawn_offset_mv(adc)).lsb(lsb_v),
        };
        let trim = self.trim(adc, comparator_lsb);
        let gain = gain * (1.0 + self.spec.noise.gain_trim.of(trim.gain));
        let trimmed_lsb = comparator_lsb + self.spec.noise.offset_trim.of(trim.offset);
        let offset_lsb = column_offset.map_or(drawn_offset_lsb, |offset| offset.lsb(lsb_v))
            + trimmed_lsb
            + self
                .scale
                .nominal_offset_lsb((slot % self.spec.adc.columns_per_adc) as u64);
        (gain, offset_lsb)
    }

    pub(super) fn transfer(&self, column_gain: f64, slot: usize, adc: usize) -> Transfer {
        let (lumped_gain, static_offset_lsb) = self.lumped(slot, adc);
        let steps = f64::from(lsb_steps(self.spec.adc.bits));
        let unit = f64::from(quanta_per_unit(self.spec));
        let gain = column_gain * lumped_gain * self.scale.nominal_gain / (self.scale.lsb_counts * unit);
        let quadratic = self.scale.quadratic_lsb / (unit * unit);
        Transfer {
            offset: (steps * (static_offset_lsb - self.scale.middle_lsb)) as f32,
            gain: (steps * (gain + self.scale.linear_lsb / unit)) as f32,
            quadratic: (steps * quadratic) as f32,
        }
    }
}

impl Profile {
    /// What a bench would find on `chip` of `spec`, on its first `instances` macros: the profile that gives the same codes. Noise is there where
    /// it is the same for every conversion; kT/C, the reference's and that of single decisions follow from the wordlines and the level.
    /// A profile that `spec` has is put aside: what is drawn is measured.
    #[must_use]
    pub fn of_chip(spec: &MacroSpec, chip: u32, instances: u32) -> Self {
        let spec = &MacroSpec {
            profile: None,
            calibration: None,
            ..spec.clone()
        };
        let scale = Scale::new(spec, spec.array.rows, None);
        let layout = columns(spec);
        let noise = &spec.noise;
        let noise_is_constant = !noise.ktc
            && noise.reference_lsb == 0.0
            && noise.injection_sigma_mv == 0.0
            && noise.draws == NoiseDraws::PerConversion
            && !spec.noise_of_peer();
        let constant_noise = match (noise.comparator_lsb, noise.comparator_mv) {
            _ if !noise_is_constant => None,
            (lsb, 0.0) => Some(Amount::Lsb(lsb)),
            (0.0, mv) => Some(Amount::Millivolts(mv)),
            // It depends on the range, and not in proportion.
            _ => None,
        };
        let mut profile = Self::new(chip);
        for instance in 0..instances {
            let site = Site {
                instance,
                first_column: 0,
                rows: spec.array.rows,
                outputs: spec.outputs(),
            };
            let lowering = Lowering::new(spec, chip, &site, &scale, &layout);
            for slot in 0..spec.conversions() {
                let (gain, offset_lsb) = lowering.drawn_column(slot);
                let column = Measured {
                    offset: Some(Amount::Lsb(offset_lsb)),
                    gain: Some(gain),
                    noise: constant_noise,
                    inl_lsb: None,
                };
                profile.insert(true, (Some(instance), slot as u32), column);
            }
            for adc in 0..spec.adcs() {
                let levels = lowering.adc(adc as u32).levels;
                let steps = f64::from(lsb_steps(spec.adc.bits));
                let inl = |(k, level): (usize, &i32)| f64::from(*level) / steps - ideal_level(&spec.adc, k);
                let converter = Measured {
                    offset: Some(Amount::Millivolts(lowering.drawn_offset_mv(adc))),
                    inl_lsb: Some((1..).zip(&levels).map(inl).collect()),
                    ..Measured::default()
                };
                profile.insert(false, (Some(instance), adc as u32), converter);
            }
        }
        profile
    }
}
