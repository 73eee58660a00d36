//! `report.html`: one file that needs nothing else, for a browser and for paper.

mod comparison;
pub(crate) mod page;
mod training;

use crate::plot::Plot;
use crate::report::{LayerReport, Report};
use crate::units::{count, digits, percent, prefix, rate, short_name, si};
use page::{escape, push};

impl Report {
    /// The page with `plots` inlined.
    #[must_use]
    pub fn html(&self, plots: &[Plot]) -> String {
        let title = format!("{} on {}", self.network.name, self.hw.name);
        let figures: String = plots.iter().map(page::figure).collect();
        let partial = self.partial_warning().map_or(String::new(), |warning| {
            page::warning(&format!(
                "Partial report: the run was {warning}. All figures are over what was run."
            ))
        });
        let effects = self.attribution.as_ref().map_or(String::new(), |attribution| {
            format!("<h2>Effects</h2>\n{}", page::table(&attribution.effect_table(self)))
        });
        let body = format!(
            "{partial}{header}{cards}<h2>Layers</h2>\n{layers}{effects}{figures}<h2>Macro area</h2>\n{area}<h2>Details</h2>\n{details}",
            header = page::header(&title, &self.subtitle()),
            cards = page::cards(&self.cards()),
            layers = layer_table(&self.layers),
            area = self.area_table(),
            details = page::details(&self.details()),
        );
        page::page(&title, &body)
    }

    fn subtitle(&self) -> String {
        let chips = self.accuracy.chips.len();
        format!(
            "{} images of {} {}, {chips} {}, seed {}",
            count(self.dataset.images),
            self.dataset.name,
            self.dataset.split,
            if chips == 1 { "chip" } else { "chips" },
            self.seed
        )
    }

    fn cards(&self) -> Vec<(String, String)> {
        let a = &self.accuracy;
        let spread = if a.chips.len() > 1 {
            format!(
                "; over chips sigma {}, 5th percentile {}\u{a0}%",
                percent(a.std, 2),
                percent(a.p05, 2)
            )
        } else {
            String::new()
        };
        vec![
            (
                format!("{} %", percent(a.top1, 2)),
                format!("top-1; digital {}\u{a0}%{spread}", percent(a.top1_digital, 2)),
            ),
            (si(self.per_image.energy_j, "J"), "energy per image".to_string()),
            (
                si(self.per_image.latency_s, "s"),
                format!("latency per image, {} clocks", count(self.per_image.cycles)),
            ),
            (
                format!("{} TOPS/W", digits(self.totals.tops_per_watt)),
                format!("at {} TOPS; a MAC is two operations", digits(self.totals.tops)),
            ),
            (
                format!("{} %", percent(self.totals.utilization, 1)),
                format!("of the cells in use, {} tiles", count(self.totals.tiles)),
            ),
            (
                format!("{} mm²", digits(self.totals.area_mm2)),
                format!("{} macro instances", count(self.totals.instances)),
            ),
        ]
    }

    fn area_table(&self) -> String {
        let area = &self.totals.macro_area_um2;
        let parts = [
            ("array", area.array),
            ("row drivers", area.drivers),
            ("ADCs", area.adc),
            ("digital", area.digital),
            ("other", area.other),
        ];
        let total = area.total();
        let mut out = String::from("<table>\n<tr><th class=\"name\">one macro</th><th>µm²</th><th>%</th></tr>\n");
        for (name, um2) in parts.into_iter().chain([("total", total)]) {
            let share = if total > 0.0 { um2 / total } else { 0.0 };
            push(
                &mut out,
                format_args!(
                    "<tr><td class=\"name\">{name}</td><td>{um2:.0}</td><td>{}</td></tr>\n",
                    percent(share, 1)
                ),
            );
        }
        out + "</table>\n"
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let set: Vec<String> = self
            .hw
            .set
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut details = vec![
            (
                "network",
                format!("{}, SHA-256 {}", self.network.name, self.network.sha256),
            ),
            (
                "size",
                format!(
                    "{} parameters, {} MACs, {} BOPs ({} by UNIQ)",
                    count(self.network.params),
                    count(self.network.macs),
                    count(self.network.bops),
                    count(self.network.bops_uniq)
                ),
            ),
            ("macro", format!("{}, SHA-256 {}", self.hw.name, self.hw.sha256)),
            ("overrides", if set.is_empty() { "none".into() } else { set.join(", ") }),
            (
                "top-5",
                format!(
                    "{} %, digital {} %",
                    percent(self.accuracy.top5, 2),
                    percent(self.accuracy.top5_digital, 2)
                ),
            ),
            (
                "engine",
                format!("{}, {} threads, {}", self.engine, self.host.threads, self.host.isa),
            ),
            (
                "simulated in",
                format!(
                    "{}, {} images/s, {}, {}, peak memory {}",
                    si(self.host.wall_s, "s"),
                    digits(self.host.images_per_s),
                    si(self.host.macs_per_s, "MAC/s"),
                    si(self.host.conversions_per_s, "conversions/s"),
                    si(self.host.peak_rss_bytes as f64, "B")
                ),
            ),
            (
                "written by",
                format!(
                    "Farad {}, semantics {}, {}",
                    self.farad_version, self.semantics, self.schema
                ),
            ),
        ];
        details.extend(self.hw.files().map(|(what, file)| (what, file.with_digest())));
        details
    }
}

fn layer_table(layers: &[LayerReport]) -> String {
    let largest_j = layers.iter().map(|l| l.energy_j.total()).fold(0.0, f64::max);
    let (unit_j, unit) = prefix(largest_j);
    let mut out = String::from("<div class=\"scroll\">\n<table>\n<tr>");
    for (i, title) in [
        "layer",
        "op",
        "MACs",
        "params",
        "tiles",
        "rows",
        "columns",
        "used %",
        "conversions",
        "clocks",
    ]
    .into_iter()
    .enumerate()
    {
        let class = if i < 2 { " class=\"name\"" } else { "" };
        push(&mut out, format_args!("<th{class}>{title}</th>"));
    }
    push(
        &mut out,
        format_args!("<th>energy {unit}J</th><th>SQNR dB</th><th>clip %</th><th>skip %</th></tr>\n"),
    );
    for l in layers {
        push(
            &mut out,
            format_args!(
                "<tr><td class=\"name\" title=\"{}\">{}</td><td class=\"name\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&l.name),
                escape(&short_name(&l.name, 32)),
                escape(&l.op),
                count(l.macs),
                count(l.params),
                count(l.tiles),
                count(l.rows_used),
                count(l.columns_used),
                percent(l.utilization, 1),
                count(l.conversions),
                count(l.cycles),
                digits(l.energy_j.total() / unit_j),
                l.sqnr_db.map_or("exact".into(), |db| format!("{db:.1}")),
                rate(l.clip_rate).replace('<', "&lt;"),
                rate(l.skip_rate).replace('<', "&lt;"),
            ),
        );
    }
    out + "</table>\n</div>\n"
}
