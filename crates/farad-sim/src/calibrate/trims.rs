//! Trims of offset and gain, from what each ADC made of a network's own charges.
//!
//! A straight line is laid through code over exact charge, both in LSB from zero charge: from mid-scale where charges have signs. Its slope is the
//! gain, and the offset is what codes are off where the charges are. A conversion counts as much as its code does in the output: planes of high bits
//! have few ones, and what is off there matters most.

use super::{CalibrateConfig, look};
use crate::SimError;
use crate::plan::plan;
use crate::reference::Drive;
use crate::workload::Workload;
use farad_hw::MacroSpec;
use farad_hw::calibration::{Calibration, Trim};
use farad_hw::chip::SiteModel;
use farad_hw::scale::ChargeStats;
use farad_hw::spec::NoiseSpec;
use farad_map::Mapping;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Conversions that a line is laid through, at least.
const LEAST: f64 = 16.0;
/// Charges this near to an end of the range (or an eighth of it) are left out, LSB: their codes may be clipped.
const MARGIN_LSB: f64 = 4.0;

/// A gain is off for certain if its error is so many of its standard errors.
const CERTAIN: f64 = 2.0;
/// Variance of the rounding to codes.
const ROUNDING_LSB2: f64 = 1.0 / 12.0;

/// Trims by chip and instance, for ranges that follow `charges`.
pub(super) fn measure(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    charges: &[Vec<ChargeStats>],
    images: (&[u8], &[u32]),
    config: &CalibrateConfig,
) -> Result<BTreeMap<(u32, u32), Vec<Trim>>, SimError> {
    let layers = plan(spec, workload.network.mac_layers(), mapping, charges, config.seed);
    let tiles = || layers.iter().flat_map(|l| &l.copies).flat_map(|c| &c.tiles);
    let untrimmed: BTreeMap<(u32, u32), Vec<Trim>> = (0..config.chips)
        .flat_map(|chip| tiles().map(move |tile| (chip, tile.site.instance)))
        .map(|place| (place, vec![Trim::default(); spec.adcs()]))
        .collect();
    // As the chips come out of the fab: all trims in the middle.
    let raw = &MacroSpec {
        calibration: Some(Arc::new(Calibration {
            trims: untrimmed.clone(),
            ..Calibration::default()
        })),
        ..spec.clone()
    };
    let mut trims = untrimmed;
    for chip in 0..config.chips {
        let lower = |tile: &crate::plan::TilePlan| tile.site.lower(raw, chip, &tile.scale);
        let models: Vec<Vec<Vec<SiteModel>>> = layers
            .iter()
            .map(|layer| {
                let copies = layer.copies.iter();
                copies.map(|copy| copy.tiles.par_iter().map(lower).collect()).collect()
            })
            .collect();
        let see = |fits: &mut Fits, look: super::Look<'_>| {
            let model = &models[look.layer][look.copy][look.number];
            let drive = Drive {
                spec: raw,
                tile: look.tile,
                model,
                x: look.rows,
                position: look.position,
                image: look.image,
            };
            let slots = raw.conversions_per_output();
            let of_evaluation = look.tile.outputs.len() * slots;
            let first = look.tile.site.first_column as usize / raw.columns_per_output() * slots;
            for (i, &charge) in look.charges.iter().enumerate() {
                let scale = &look.tile.scale;
                let charge_lsb = f64::from(charge) / scale.lsb_counts;
                if !is_inside(raw, scale.signed, charge_lsb) {
                    continue;
                }
                let (evaluation, slot) = (i / of_evaluation, i % of_evaluation);
                let (seen, _) = drive.convert(slot / slots, slot % slots, evaluation, &mut |_| {});
                let middle = if scale.signed {
                    raw.adc.codes() as f64 / 2.0
                } else {
                    0.0
                };
                let adc = (first + slot) / raw.adc.columns_per_adc;
                let model = &model.outputs[slot / slots].slots[slot % slots];
                let plane = libm::exp2((evaluation * model.plane_weights.len()) as f64);
                let weight = plane * f64::from(model.digital_weight.abs());
                let fit: &mut Fit = fits.entry((look.tile.site.instance, adc)).or_default();
                fit.add(weight, charge_lsb, seen.conversion.code as f64 - middle);
            }
        };
        let per_image = look(raw, workload.network, &layers, images, Fits::new, see)?;
        // In the order of the images, so that the sums do not depend on threads.
        let mut all = Fits::new();
        for (place, fit) in per_image.iter().flatten() {
            all.entry(*place).or_default().merge(fit);
        }
        for ((instance, adc), fit) in all {
            if let Some(trims) = trims.get_mut(&(chip, instance)) {
                trims[adc] = fit.trim(&raw.noise);
            }
        }
    }
    Ok(trims)
}

/// By instance and ADC.
type Fits = BTreeMap<(u32, usize), Fit>;

/// Whether a charge is far enough from the ends of the range.
fn is_inside(spec: &MacroSpec, signed: bool, charge_lsb: f64) -> bool {
    let codes = spec.adc.codes() as f64;
    let margin = MARGIN_LSB.min(codes / 8.0);
    let (low, high) = if signed {
        (-codes / 2.0, codes / 2.0 - 1.0)
    } else {
        (0.0, codes - 1.0)
    };
    (low + margin..=high - margin).contains(&charge_lsb)
}

/// Sums over conversions of one ADC: charge x, code y, both in LSB, each with its weight.
#[derive(Debug, Clone, Copy, Default)]
struct Fit {
    n: f64,
    w: f64,
    ww: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Fit {
    fn add(&mut self, w: f64, x: f64, y: f64) {
        self.merge(&Self {
            n: 1.0,
            w,
            ww: w * w,
            x: w * x,
            y: w * y,
            xx: w * x * x,
            xy: w * x * y,
            yy: w * y * y,
        });
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.w += other.w;
        self.ww += other.ww;
        self.x += other.x;
        self.y += other.y;
        self.xx += other.xx;
        self.xy += other.xy;
        self.yy += other.yy;
    }

    /// The steps that bring the line back. The gain is left alone where its error may be chance; the offset is taken out where the charges are, after
    /// the gain's steps.
    fn trim(&self, noise: &NoiseSpec) -> Trim {
        if self.n < LEAST {
            return Trim::default();
        }
        let mean = |sum: f64| sum / self.w;
        let (x, y) = (mean(self.x), mean(self.y));
        let (xx, xy, yy) = (mean(self.xx) - x * x, mean(self.xy) - x * y, mean(self.yy) - y * y);
        let slope = xy / xx;
        // So many conversions of equal weight tell as much. A code is off by its rounding at least.
        let conversions = self.w * self.w / self.ww;
        let residual = (yy - slope * xy).max(ROUNDING_LSB2);
        let slope_error = (residual / xx / conversions).sqrt();
        let gain = if slope > 0.0 && (slope - 1.0).abs() > CERTAIN * slope_error {
            noise.gain_trim.against(1.0 - 1.0 / slope)
        } else {
            0
        };
        let y = if gain == 0 {
            y
        } else {
            y + slope * noise.gain_trim.of(gain) * x
        };
        Trim {
            offset: noise.offset_trim.against(y - x),
            gain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(points: impl Iterator<Item = (f64, f64)>) -> Fit {
        let mut fit = Fit::default();
        points.for_each(|(x, y)| fit.add(1.0, x, y));
        fit
    }

    fn noise(set: &[(&str, &str)]) -> NoiseSpec {
        let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let model = farad_hw::models::find("ideal").expect("bundled");
        model.spec(&set).expect("sound").noise
    }

    #[test]
    fn a_line_is_brought_back_by_whole_steps() {
        let noise = noise(&[("noise.offset_trim_lsb", "0.5"), ("noise.gain_trim_pct", "1")]);
        // Charges around -10: after the gain's steps the codes are 2 too many there.
        let line = fit((-40..20).map(|x| (f64::from(x), 1.25 * f64::from(x) + 2.0)));
        assert_eq!(line.trim(&noise), Trim { offset: -4, gain: -20 });
        // All at one place: no slope, only an offset.
        assert_eq!(
            fit((0..50).map(|_| (10.0, 7.0))).trim(&noise),
            Trim { offset: 6, gain: 0 }
        );
        assert_eq!(fit((0..9).map(|x| (f64::from(x), 9.0))).trim(&noise), Trim::default());
    }

    /// What is off by 1 in a conversion that counts 128 times, and by -8 in one that counts once, is off by 1 where it matters.
    #[test]
    fn a_conversion_counts_as_its_code_does() {
        let noise = noise(&[("noise.offset_trim_lsb", "0.5")]);
        let mut fit = Fit::default();
        for _ in 0..40 {
            fit.add(128.0, 2.0, 3.0);
            fit.add(1.0, 30.0, 22.0);
        }
        assert_eq!(fit.trim(&noise).offset, -2);
    }

    #[test]
    fn trims_end_where_their_steps_do() {
        let set = [
            ("noise.offset_trim_lsb", "0.5"),
            ("noise.offset_trim_steps", "2"),
            ("noise.gain_trim_pct", "1"),
            ("noise.gain_trim_steps", "5"),
        ];
        let line = fit((-40..=40).map(|x| (f64::from(x), 1.25 * f64::from(x) + 2.0)));
        assert_eq!(line.trim(&noise(&set)), Trim { offset: -2, gain: -5 });
    }
}
