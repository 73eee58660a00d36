//! The measurement's plots.

use super::CharacterizeReport;
use super::text::scheme_name;
use crate::error::ReportError;
use crate::plot::bars::{Bars, Series};
use crate::plot::chart::{Chart, Layer, Mark};
use crate::plot::{PALETTE, Plot, tick};
use crate::units::{percent, prefix, si};
use farad_sim::characterize::{Band, ColumnPoint, Scheme};
use plotters::style::RGBColor;

/// Colours of the three schemes, and of this macro.
const SCHEMES: [usize; 3] = [0, 2, 1];
const OWN: usize = 5;
/// Of what has any colour, in a legend.
const GREY: RGBColor = PALETTE[7];

impl CharacterizeReport {
    /// Every plot that there is data for, in the order of the page.
    ///
    /// # Errors
    /// [`ReportError::Plot`] if the plotting library refuses, which no report built by Farad makes it do.
    pub fn plots(&self) -> Result<Vec<Plot>, ReportError> {
        let mut plots = Vec::new();
        if !self.transfer_lsb.p50.is_empty() {
            plots.extend([self.transfer()?, self.deviation()?]);
        }
        if !self.dnl_lsb.p50.is_empty() {
            let transition = "code that begins";
            plots.push(band_plot(
                "inl",
                "Integral nonlinearity of the converters",
                (transition, "INL (LSB)"),
                &self.inl_lsb,
            )?);
            plots.push(band_plot(
                "dnl",
                "Differential nonlinearity of the converters",
                ("code", "DNL (LSB)"),
                &self.dnl_lsb,
            )?);
        }
        if !self.noise.counts.is_empty() {
            plots.push(self.noise_histogram()?);
        }
        plots.extend([self.resolution()?, self.rows()?, self.energy()?]);
        if self.cost.conversion_j.windows(2).any(|pair| pair[0] != pair[1]) {
            plots.push(self.conversion_energy()?);
        }
        plots.push(self.area()?);
        Ok(plots)
    }

    /// Charge of an ideal transition to code `k + 1`, LSB.
    fn ideal(&self, k: usize) -> f64 {
        let middle = if self.adc.signed {
            (1u32 << (self.adc.bits - 1)).into()
        } else {
            0.0
        };
        k as f64 + 0.5 - middle
    }

    fn transfer(&self) -> Result<Plot, ReportError> {
        let band = &self.transfer_lsb;
        let staircase = |deviation: &[f64]| {
            let step = |(k, d): (usize, &f64)| {
                let x = self.ideal(k) + d;
                [(x, k as f64), (x, k as f64 + 1.0)]
            };
            deviation.iter().enumerate().flat_map(step).collect::<Vec<_>>()
        };
        let extremes = [staircase(&band.min), staircase(&band.max)];
        let ends = [self.ideal(0), self.ideal(band.p50.len() - 1)];
        let straight = vec![(ends[0] - 0.5, 0.0), (ends[1] + 0.5, band.p50.len() as f64)];
        let layers = vec![
            Layer::new("all chips and conversions", PALETTE[3], Mark::Area(extremes)),
            Layer::new("ideal line", GREY, Mark::Dashed(straight)),
            Layer::new("median", PALETTE[0], Mark::Line(staircase(&band.p50))),
        ];
        let title = "Transfer of a conversion";
        Ok(Plot {
            name: "transfer".into(),
            title: title.into(),
            svg: Chart::new(title, "charge (ideal LSB)", "code", layers).draw()?,
        })
    }

    fn deviation(&self) -> Result<Plot, ReportError> {
        let title = "Deviation of the transfer";
        let axes = ("code that begins", "transition less ideal (LSB of charge)");
        band_plot("deviation", title, axes, &self.transfer_lsb)
    }

    fn noise_histogram(&self) -> Result<Plot, ReportError> {
        let noise = &self.noise;
        let width = match noise.bins_lsb[..] {
            [first, second, ..] => second - first,
            _ => 1.0,
        };
        let total: u64 = noise.counts.iter().sum();
        let density = |count: f64| count / total.max(1) as f64 / width;
        let measured = noise.bins_lsb.iter().zip(&noise.counts);
        let expected = noise.bins_lsb.iter().zip(&noise.gaussian);
        let layers = vec![
            Layer::new(
                format!("drawn, {total} conversions, {} LSB rms", tick(&noise.rms_lsb)),
                PALETTE[3],
                Mark::Bars(measured.map(|(&x, &n)| (x, density(n as f64))).collect(), 0.9 * width),
            ),
            Layer::new(
                format!("Gaussian of {} LSB", tick(&noise.sigma_lsb)),
                PALETTE[5],
                Mark::Line(expected.map(|(&x, &n)| (x, density(n))).collect()),
            ),
        ];
        let title = "Temporal noise at zero input";
        Ok(Plot {
            name: "noise".into(),
            title: title.into(),
            svg: Chart::new(title, "input-referred noise (LSB)", "density (1/LSB)", layers).draw()?,
        })
    }

    fn resolution(&self) -> Result<Plot, ReportError> {
        let mut layers = Vec::new();
        let at = |bits: u32, db: Option<f64>| db.map(|db| (f64::from(bits), db));
        for (i, scheme) in Scheme::ALL.into_iter().enumerate() {
            let of = |exact: bool| {
                self.resolutions
                    .iter()
                    .filter_map(|r| {
                        let s = &r.schemes[i];
                        at(r.adc_bits, if exact { s.closed_form_db } else { s.sqnr_db })
                    })
                    .collect::<Vec<_>>()
            };
            let color = PALETTE[SCHEMES[i]];
            layers.push(Layer::new(
                format!("{}, closed form", scheme_name(scheme)),
                color,
                Mark::Line(of(true)),
            ));
            layers.push(Layer::new("", color, Mark::Dots(of(false))));
        }
        layers.push(Layer::new("error-free, simulated", GREY, Mark::Dots(Vec::new())));
        let own: Vec<(f64, f64)> = (self.resolutions.iter())
            .filter_map(|r| at(r.adc_bits, r.macro_db))
            .collect();
        layers.push(Layer::new("", PALETTE[OWN], Mark::Dashed(own.clone())));
        layers.push(Layer::new("this macro, all errors", PALETTE[OWN], Mark::Rings(own)));
        let title = "Signal to error of whole outputs";
        let chart = Chart::new(title, "bits of the ADC", "SQNR (dB)", layers);
        Ok(Plot {
            name: "resolution".into(),
            title: title.into(),
            svg: Chart { x_ticks: 12, ..chart }.draw()?,
        })
    }

    fn rows(&self) -> Result<Plot, ReportError> {
        let mut activities: Vec<f64> = self.columns.iter().map(|p| p.activity).collect();
        activities.sort_by(f64::total_cmp);
        activities.dedup();
        let mut layers = Vec::new();
        for (i, &activity) in activities.iter().enumerate() {
            let color = PALETTE[SCHEMES[i % SCHEMES.len()]];
            let of = |db: fn(&ColumnPoint) -> Option<f64>| {
                let points = self.columns.iter().filter(|p| p.activity == activity);
                points
                    .filter_map(|p| db(p).map(|db| ((p.rows as f64).log2(), db)))
                    .collect::<Vec<_>>()
            };
            let name = format!("{} % ones, closed form", percent(activity, 1));
            layers.push(Layer::new(name, color, Mark::Line(of(|p| p.closed_form_db))));
            layers.push(Layer::new("", color, Mark::Dots(of(|p| p.sqnr_db))));
            layers.push(Layer::new("", color, Mark::Rings(of(|p| p.csnr_db))));
        }
        layers.push(Layer::new("SQNR, error-free", GREY, Mark::Dots(Vec::new())));
        layers.push(Layer::new("CSNR, all errors", GREY, Mark::Rings(Vec::new())));
        let title = "Signal to error of single conversions";
        let chart = Chart::new(title, "rows in use", "signal to error (dB)", layers);
        Ok(Plot {
            name: "rows".into(),
            title: title.into(),
            svg: Chart {
                x_tick: |log2| format!("{:.0}", log2.exp2()),
                x_ticks: 4,
                ..chart
            }
            .draw()?,
        })
    }

    fn energy(&self) -> Result<Plot, ReportError> {
        let title = "Energy of one input vector";
        let parts = self.cost.vector_j.named();
        let (unit_j, unit) = prefix(parts.iter().map(|part| part.1).fold(0.0, f64::max));
        let scaled = parts.map(|(name, joules)| (name, joules / unit_j));
        Ok(Plot {
            name: "energy".into(),
            title: title.into(),
            svg: breakdown(title, "energy", &format!("{unit}J"), &scaled, |value| {
                si(value * unit_j, "J")
            })?,
        })
    }

    fn area(&self) -> Result<Plot, ReportError> {
        let title = "Area of one macro";
        let a = &self.cost.area_um2;
        let parts = [
            ("array", a.array),
            ("row drivers", a.drivers),
            ("ADCs", a.adc),
            ("digital", a.digital),
            ("other", a.other),
        ];
        Ok(Plot {
            name: "area".into(),
            title: title.into(),
            svg: breakdown(title, "area", "µm²", &parts, |um2| format!("{um2:.0} µm²"))?,
        })
    }

    fn conversion_energy(&self) -> Result<Plot, ReportError> {
        let joules = &self.cost.conversion_j;
        let (unit_j, unit) = prefix(joules.iter().copied().fold(0.0, f64::max));
        let curve = joules
            .iter()
            .enumerate()
            .flat_map(|(code, j)| [code as f64 - 0.5, code as f64 + 0.5].map(|x| (x, j / unit_j)))
            .collect();
        let mean = self.cost.mean_conversion_j / unit_j;
        let ends = [-0.5, joules.len() as f64 - 0.5];
        let layers = vec![
            Layer::new(
                format!("mean of the simulated codes, {}", si(self.cost.mean_conversion_j, "J")),
                PALETTE[5],
                Mark::Dashed(ends.map(|x| (x, mean)).to_vec()),
            ),
            Layer::new("by code", PALETTE[0], Mark::Line(curve)),
        ];
        let most = joules.iter().copied().fold(0.0, f64::max) / unit_j;
        let title = "Energy of one conversion";
        let y = format!("energy ({unit}J)");
        let chart = Chart::new(title, "code", &y, layers);
        Ok(Plot {
            name: "conversion".into(),
            title: title.into(),
            svg: Chart {
                y_range: Some(0.0..1.1 * most),
                ..chart
            }
            .draw()?,
        })
    }
}

/// A curve over codes from 1 on, with how it spreads.
fn band_plot(name: &'static str, title: &'static str, (x, y): (&str, &str), band: &Band) -> Result<Plot, ReportError> {
    let between = |low: &[f64], high: &[f64]| {
        let pairs = low.iter().zip(high).enumerate();
        Mark::Band(pairs.map(|(k, (&low, &high))| (1.0 + k as f64, low, high)).collect())
    };
    let curve = band.p50.iter().enumerate().map(|(k, &v)| (1.0 + k as f64, v)).collect();
    let layers = vec![
        Layer::new("least to greatest", PALETTE[3], between(&band.min, &band.max)),
        Layer::new("5 % to 95 %", PALETTE[0], between(&band.p05, &band.p95)),
        Layer::new("median", PALETTE[5], Mark::Line(curve)),
    ];
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg: Chart::new(title, x, y, layers).draw()?,
    })
}

/// A bar for each part with its share; `text` says a value with its unit.
fn breakdown(
    title: &str,
    quantity: &str,
    unit: &str,
    parts: &[(&'static str, f64)],
    text: impl Fn(f64) -> String,
) -> Result<String, ReportError> {
    let total: f64 = parts.iter().map(|p| p.1).sum();
    let share = |value: f64| percent(if total > 0.0 { value / total } else { 0.0 }, 1);
    Bars {
        title,
        axis: &format!("{quantity} ({unit})"),
        names: parts.iter().map(|p| p.0).collect(),
        series: vec![Series {
            name: quantity,
            color: PALETTE[0],
            values: parts.iter().map(|p| p.1).collect(),
        }],
        labels: parts
            .iter()
            .map(|p| format!("{}, {} %", text(p.1), share(p.1)))
            .collect(),
        full_scale: None,
    }
    .draw()
}
