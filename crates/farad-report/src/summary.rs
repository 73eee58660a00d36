//! A report as text for a terminal: the answer, then a row per layer.

use crate::report::{LayerReport, Report};
use crate::text::{Align, Look, TextTable};
use crate::units::{count, digits, percent, prefix, rate, short_name, si};
use std::fmt::Write;

/// Longer names lose their beginning; `layers.csv` has them whole.
const NAME_CHARS: usize = 40;

impl Report {
    /// The whole text, with a newline at the end.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        let attribution = self.attribution.as_ref().map(|a| a.text(self, look));
        format!(
            "{}\n{}\n{}",
            self.headline(),
            layer_table(&self.layers).render(look),
            attribution.unwrap_or_default()
        )
    }

    /// What was run, and the figures of the whole network; ends with a newline.
    #[must_use]
    pub fn headline(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:<14}{value}");
        };
        if let Some(warning) = self.partial_warning() {
            line("PARTIAL", warning);
        }
        line("network", self.network.name.clone());
        line("macro", format!("{}{}", self.hw.name, self.hw.overrides()));
        line(
            "images",
            format!(
                "{} of {} {}",
                self.dataset.images, self.dataset.name, self.dataset.split
            ),
        );
        line(
            "chips",
            format!(
                "{}, seed {}, {} engine",
                self.accuracy.chips.len(),
                self.seed,
                self.engine
            ),
        );
        line("top-1", self.top1_text());
        if self.accuracy.chips.len() > 1 {
            let a = &self.accuracy;
            let text = format!(
                "mean {} %, sigma {} points, 5th percentile {} %",
                percent(a.mean, 2),
                percent(a.std, 2),
                percent(a.p05, 2)
            );
            line("over chips", text);
        }
        line("energy", format!("{} per image", si(self.per_image.energy_j, "J")));
        line(
            "latency",
            format!(
                "{} per image, {} clocks",
                si(self.per_image.latency_s, "s"),
                count(self.per_image.cycles)
            ),
        );
        line(
            "conversions",
            format!("{} per image", count(self.per_image.conversions)),
        );
        line(
            "efficiency",
            format!(
                "{} TOPS/W at {} TOPS",
                digits(self.totals.tops_per_watt),
                digits(self.totals.tops)
            ),
        );
        line(
            "macros",
            format!(
                "{} tiles on {} instances, {} % of the cells in use, {} mm2",
                count(self.totals.tiles),
                count(self.totals.instances),
                percent(self.totals.utilization, 1),
                digits(self.totals.area_mm2)
            ),
        );
        out
    }

    /// How far the run got, when it was interrupted.
    #[must_use]
    pub fn partial_warning(&self) -> Option<String> {
        self.partial.then(|| {
            format!(
                "stopped after {} of {} images on {} of {} chips",
                count(self.dataset.images),
                count(self.dataset.images_requested),
                count(self.accuracy.chips.len() as u64),
                count(self.accuracy.chips_requested)
            ) + &self.attribution.as_ref().map_or(String::new(), |attribution| {
                let (done, of) = (attribution.effects.len(), attribution.effects_requested);
                format!(", {done} of {of} effects")
            })
        })
    }

    /// The macro's and the digital top-1 with their difference.
    #[must_use]
    pub fn top1_text(&self) -> String {
        let (analog, digital) = (self.accuracy.top1, self.accuracy.top1_digital);
        format!(
            "{} % (digital {} %, {:+.2} points)",
            percent(analog, 2),
            percent(digital, 2),
            100.0 * (analog - digital)
        )
    }
}

/// A row per layer; energies share one unit, named in the header.
fn layer_table(layers: &[LayerReport]) -> TextTable {
    let largest_j = layers.iter().map(|l| l.energy_j.total()).fold(0.0, f64::max);
    let (unit_j, unit) = prefix(largest_j);
    let mut table = TextTable::new([
        ("layer".to_string(), Align::Left),
        ("op".into(), Align::Left),
        ("MACs".into(), Align::Right),
        ("params".into(), Align::Right),
        ("tiles".into(), Align::Right),
        ("used %".into(), Align::Right),
        ("conversions".into(), Align::Right),
        ("clocks".into(), Align::Right),
        (format!("energy {unit}J"), Align::Right),
        ("ADC %".into(), Align::Right),
        ("SQNR dB".into(), Align::Right),
        ("clip %".into(), Align::Right),
    ]);
    for l in layers {
        let energy_j = l.energy_j.total();
        let adc_share = if energy_j > 0.0 {
            percent(l.energy_j.adc / energy_j, 0)
        } else {
            "-".into()
        };
        table.row([
            short_name(&l.name, NAME_CHARS),
            l.op.clone(),
            l.macs.to_string(),
            l.params.to_string(),
            l.tiles.to_string(),
            percent(l.utilization, 1),
            l.conversions.to_string(),
            l.cycles.to_string(),
            digits(energy_j / unit_j),
            adc_share,
            l.sqnr_db.map_or("exact".into(), |db| format!("{db:.1}")),
            rate(l.clip_rate),
        ]);
    }
    table
}
