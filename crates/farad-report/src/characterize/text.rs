//! The measurement as text for a terminal.

use super::CharacterizeReport;
use crate::text::{Align, Look, TextTable};
use crate::units::{digits, percent, si};
use farad_sim::characterize::Scheme;
use std::fmt::Write;

/// Name of a scheme in tables and plots.
pub(super) fn scheme_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::AllDigital => "all digital",
        Scheme::WeightsMerged => "weights merged",
        Scheme::OneConversion => "one conversion",
    }
}

/// A ratio in dB, or that there is no error.
fn db(value: Option<f64>) -> String {
    value.map_or("exact".into(), |db| format!("{db:.1}"))
}

/// The closed form, where it holds.
fn closed(value: Option<f64>) -> String {
    value.map_or("-".into(), |db| format!("{db:.1}"))
}

impl CharacterizeReport {
    /// The whole text, with a newline at the end.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        let mut out = self.headline();
        let tables = [Some(self.summary_table()), self.limit_table()]
            .into_iter()
            .chain([Some(self.column_table()), Some(self.resolution_table())]);
        for table in tables.flatten() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{}\n", table.render(look));
        }
        out
    }

    /// Name and value of each line of the head.
    pub(super) fn head(&self) -> Vec<(&'static str, String)> {
        let (adc, cost, noise) = (&self.adc, &self.cost, &self.noise);
        let (least, most) =
            (cost.conversion_j.iter()).fold((f64::INFINITY, 0.0_f64), |(a, b), &j| (a.min(j), b.max(j)));
        let by_code = if least < most {
            format!(" in the mean, {} to {} by code", si(least, "J"), si(most, "J"))
        } else {
            String::new()
        };
        let mut lines = vec![
            ("macro", format!("{}{}", self.hw.name, self.hw.overrides())),
            (
                "converter",
                format!(
                    "{}, {} bits, range {}; {} of {} measured on each chip",
                    adc.kind, adc.bits, adc.range, adc.measured, adc.count
                ),
            ),
            (
                "LSB",
                format!(
                    "{} at the column, {} product counts",
                    si(adc.lsb_v, "V"),
                    digits(adc.lsb_counts)
                ),
            ),
            (
                "noise",
                format!(
                    "{} LSB rms at zero, {} asked for; {} at full scale",
                    digits(noise.rms_lsb),
                    digits(noise.sigma_lsb),
                    digits(noise.full_scale_sigma_lsb)
                ),
            ),
            (
                "conversion",
                format!(
                    "{}{by_code}; {} clocks",
                    si(cost.mean_conversion_j, "J"),
                    cost.conversion_clocks
                ),
            ),
            (
                "input vector",
                format!(
                    "{}, {} clocks, {}; {} conversions",
                    si(cost.vector_j.total(), "J"),
                    cost.vector_clocks,
                    si(cost.vector_s, "s"),
                    cost.conversions
                ),
            ),
            ("area", format!("{} mm2", digits(1e-6 * cost.area_um2.total()))),
            (
                "peak",
                format!(
                    "{} TOPS, {} TOPS/W",
                    digits(cost.peak_tops),
                    digits(cost.peak_tops_per_watt)
                ),
            ),
            ("chips", format!("{}, seed {}", self.chips.len(), self.seed)),
        ];
        if let Some(share) = self.share {
            lines.push(("yield", format!("{} % within all limits", percent(share, 1))));
        }
        lines
    }

    fn headline(&self) -> String {
        let mut out = String::new();
        let warning = self.partial_warning().map(|warning| ("PARTIAL", warning));
        for (name, value) in warning.into_iter().chain(self.head()) {
            let _ = writeln!(out, "{name:<14}{value}");
        }
        out
    }

    pub(super) fn summary_table(&self) -> TextTable {
        let mut table = TextTable::new([
            ("figure of a chip", Align::Left),
            ("", Align::Left),
            ("unit", Align::Left),
            ("mean", Align::Right),
            ("sigma", Align::Right),
            ("5 %", Align::Right),
            ("median", Align::Right),
            ("95 %", Align::Right),
            ("worst", Align::Right),
        ]);
        for s in &self.summary {
            let values = [s.mean, s.std, s.p05, s.p50, s.p95, s.worst].map(|v| match s.chips {
                0 => "exact".to_string(),
                _ => digits(v),
            });
            let names = [s.metric, s.about, s.unit].map(String::from);
            table.row(names.into_iter().chain(values));
        }
        table
    }

    pub(super) fn limit_table(&self) -> Option<TextTable> {
        let mut table = TextTable::new([
            ("limit", Align::Left),
            ("chips within", Align::Right),
            ("yield %", Align::Right),
        ]);
        for l in &self.limits {
            let relation = if l.at_most { "at most" } else { "at least" };
            table.row([
                format!("{} {relation} {} {}", l.metric, l.limit, l.unit),
                l.chips.to_string(),
                percent(l.share, 1),
            ]);
        }
        (!self.limits.is_empty()).then_some(table)
    }

    pub(super) fn column_table(&self) -> TextTable {
        let mut table = TextTable::new([
            ("rows", Align::Right),
            ("activity", Align::Right),
            ("LSB counts", Align::Right),
            ("signal counts", Align::Right),
            ("SQNR dB", Align::Right),
            ("closed form dB", Align::Right),
            ("CSNR dB", Align::Right),
        ]);
        for p in &self.columns {
            table.row([
                p.rows.to_string(),
                p.activity.to_string(),
                digits(p.lsb_counts),
                digits(p.signal_counts),
                db(p.sqnr_db),
                closed(p.closed_form_db),
                db(p.csnr_db),
            ]);
        }
        table
    }

    pub(super) fn resolution_table(&self) -> TextTable {
        let mut columns = vec![
            ("ADC bits".to_string(), Align::Right),
            ("this macro dB".into(), Align::Right),
        ];
        for scheme in Scheme::ALL {
            columns.push((format!("{} dB", scheme_name(scheme)), Align::Right));
            columns.push(("closed form".into(), Align::Right));
        }
        let mut table = TextTable::new(columns);
        for r in &self.resolutions {
            let schemes = r.schemes.iter().flat_map(|s| [db(s.sqnr_db), closed(s.closed_form_db)]);
            table.row([r.adc_bits.to_string(), db(r.macro_db)].into_iter().chain(schemes));
        }
        table
    }
}
