//! `characterize.html`: one file that needs nothing else.

use super::CharacterizeReport;
use crate::html::page;
use crate::plot::Plot;
use crate::units::{count, digits, percent, si};

impl CharacterizeReport {
    /// The page with `plots` inlined.
    #[must_use]
    pub fn html(&self, plots: &[Plot]) -> String {
        let title = format!("{}, characterised", self.hw.name);
        let chips = self.chips.len();
        let subtitle = format!(
            "{}, {} bits, {} rows; {} {}, seed {}",
            self.adc.kind,
            self.adc.bits,
            count(self.adc.rows as u64),
            chips,
            if chips == 1 { "chip" } else { "chips" },
            self.seed
        );
        let mut body = self.partial_warning().map_or(String::new(), |warning| {
            page::warning(&format!("Partial: {warning}. All figures are over these."))
        });
        body += &page::header(&title, &subtitle);
        body += &page::cards(&self.cards());
        let mut section = |heading: &str, table: Option<crate::text::TextTable>, names: &[&str]| {
            let figures: String = plots
                .iter()
                .filter(|p| names.contains(&p.name.as_ref()))
                .map(page::figure)
                .collect();
            let table = table.as_ref().map(page::table).unwrap_or_default();
            if !table.is_empty() || !figures.is_empty() {
                body += &format!("<h2>{heading}</h2>\n{table}{figures}");
            }
        };
        section("Chips", Some(self.summary_table()), &[]);
        section("Limits", self.limit_table(), &[]);
        section(
            "Converters and conversions",
            None,
            &["transfer", "deviation", "inl", "dnl", "noise"],
        );
        section(
            "Whole outputs against the ADC's bits",
            Some(self.resolution_table()),
            &["resolution"],
        );
        section(
            "Single conversions against rows and activity",
            Some(self.column_table()),
            &["rows"],
        );
        section("Energy and area", None, &["energy", "conversion", "area"]);
        let mut details = self.head();
        details.push(("macro file", format!("SHA-256 {}", self.hw.sha256)));
        details.extend(self.hw.files().map(|(what, file)| (what, file.with_digest())));
        details.push((
            "written by",
            format!(
                "Farad {}, semantics {}, {}",
                self.farad_version, self.semantics, self.schema
            ),
        ));
        body += &format!("<h2>Details</h2>\n{}", page::details(&details));
        page::page(&title, &body)
    }

    fn cards(&self) -> Vec<(String, String)> {
        let median = |name: &str| {
            let found = self.summary.iter().find(|s| s.metric == name && s.chips > 0);
            found.map_or("exact".to_string(), |s| format!("{} {}", digits(s.p50), s.unit))
        };
        let mut cards = vec![
            (median("inl"), "largest INL of a chip, median".to_string()),
            (median("dnl"), "largest DNL of a chip, median".to_string()),
            (
                format!("{} LSB", digits(self.noise.rms_lsb)),
                "temporal noise, rms".into(),
            ),
            (median("enob"), "least effective bits of a chip, median".into()),
            (median("output_snr"), "signal to error of outputs, median".into()),
            (
                si(self.cost.mean_conversion_j, "J"),
                format!("per conversion, {} clocks", self.cost.conversion_clocks),
            ),
            (
                format!("{} mm²", digits(1e-6 * self.cost.area_um2.total())),
                format!("{} ADCs", count(self.adc.count as u64)),
            ),
        ];
        if let Some(share) = self.share {
            cards.insert(
                0,
                (
                    format!("{} %", percent(share, 1)),
                    "of the chips within all limits".into(),
                ),
            );
        }
        cards
    }
}
