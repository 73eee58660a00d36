//! What each effect of a macro costs: the report's part, its tables and `attribution.csv`.
//!
//! A layer's SQNR is the report's: the errors that the layer itself makes, on the inputs that reach it in that run.

use crate::error::ReportError;
use crate::report::Report;
use crate::text::{Align, Look, TextTable};
use crate::units::{percent, short_name};
use farad_sim::{AttributionOutcome, LayerOutcome, RunOutcome};
use serde::{Deserialize, Serialize};

/// Longer names of layers lose their beginning.
const NAME_CHARS: usize = 28;

/// A macro's effects one by one, on the run's images, chips and noise; [`farad_hw::effects`] defines them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// Effects that the macro has; more than `effects` only if the run was interrupted.
    pub effects_requested: u64,
    /// Top-1 without any effect, as a share.
    pub top1_none: f64,
    /// SQNR of each layer without any effect, dB: what the rounding of the simulated ADC's input leaves. Null where nothing is lost.
    pub sqnr_none_db: Vec<Option<f64>>,
    /// In the order of [`farad_hw::effects::list`].
    pub effects: Vec<EffectReport>,
}

/// One effect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EffectReport {
    /// Name.
    pub name: String,
    /// The keys of the macro that say how strong it is.
    pub keys: Vec<String>,
    /// Top-1 with no other effect, as a share.
    pub top1_alone: f64,
    /// Top-1 with all effects but this, as a share.
    pub top1_without: f64,
    /// Error power of the effect alone over that of all effects, mean over the layers that have errors. Shares need not make 1.
    pub error_share: f64,
    /// One per layer.
    pub layers: Vec<EffectLayer>,
}

/// One effect in one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EffectLayer {
    /// SQNR with no other effect, dB; null if the layer is exact.
    pub sqnr_alone_db: Option<f64>,
    /// SQNR with all effects but this, dB; null if the layer is exact.
    pub sqnr_without_db: Option<f64>,
}

impl EffectLayer {
    /// Error power of the effect alone over that with all effects, whose SQNR is `all_db`; none where all effects together lose nothing.
    #[must_use]
    pub fn error_share(&self, all_db: Option<f64>) -> Option<f64> {
        let all_db = all_db?;
        Some(
            self.sqnr_alone_db
                .map_or(0.0, |alone_db| libm::exp10((all_db - alone_db) / 10.0)),
        )
    }

    /// What the layer gains without the effect, dB; infinite if it becomes exact, none if it was.
    #[must_use]
    pub fn gain_db(&self, all_db: Option<f64>) -> Option<f64> {
        Some(self.sqnr_without_db.unwrap_or(f64::INFINITY) - all_db?)
    }
}

impl Attribution {
    /// From what was run; `report` is that of the macro with all effects.
    pub(crate) fn new(outcome: &AttributionOutcome, report: &Report) -> Self {
        let effects = outcome.effects.iter().map(|found| {
            let layers: Vec<EffectLayer> = sqnr_db(&found.alone)
                .into_iter()
                .zip(sqnr_db(&found.without))
                .map(|(sqnr_alone_db, sqnr_without_db)| EffectLayer {
                    sqnr_alone_db,
                    sqnr_without_db,
                })
                .collect();
            let shares: Vec<f64> = layers
                .iter()
                .zip(&report.layers)
                .filter_map(|(layer, all)| layer.error_share(all.sqnr_db))
                .collect();
            EffectReport {
                name: found.effect.name.into(),
                keys: found.effect.keys.iter().map(|key| (*key).to_string()).collect(),
                top1_alone: top1(&found.alone),
                top1_without: top1(&found.without),
                error_share: farad_sim::statistics::mean(&shares),
                layers,
            }
        });
        Self {
            effects_requested: outcome.effects_requested as u64,
            top1_none: outcome.none.as_ref().map_or(0.0, top1),
            sqnr_none_db: outcome.none.as_ref().map(sqnr_db).unwrap_or_default(),
            effects: effects.collect(),
        }
    }

    /// Whether effects are missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.effects_requested > self.effects.len() as u64
    }

    /// A row per effect, the largest share of the errors first.
    pub(crate) fn effect_table(&self, report: &Report) -> TextTable {
        let mut table = TextTable::new([
            ("effect", Align::Left),
            ("error %", Align::Right),
            ("top-1 alone %", Align::Right),
            ("vs digital", Align::Right),
            ("top-1 without %", Align::Right),
            ("vs all", Align::Right),
            ("set by", Align::Left),
        ]);
        let mut effects: Vec<&EffectReport> = self.effects.iter().collect();
        effects.sort_by(|a, b| b.error_share.total_cmp(&a.error_share));
        let points = |share: f64| format!("{:+.2}", 100.0 * share + 0.0);
        for effect in effects {
            table.row([
                effect.name.clone(),
                percent(effect.error_share, 1),
                percent(effect.top1_alone, 2),
                points(effect.top1_alone - report.accuracy.top1_digital),
                percent(effect.top1_without, 2),
                points(effect.top1_without - report.accuracy.top1),
                effect.keys.join(", "),
            ]);
        }
        table
    }

    /// A row per layer and a column per effect: SQNR in dB, of which `part` is shown.
    pub(crate) fn layer_table(&self, report: &Report, part: fn(&EffectLayer) -> Option<f64>) -> TextTable {
        let names = self.effects.iter().map(|effect| effect.name.as_str());
        let mut table = TextTable::new(
            [("layer", Align::Left), ("all", Align::Right)]
                .into_iter()
                .chain(names.map(|name| (name, Align::Right))),
        );
        for (i, layer) in report.layers.iter().enumerate() {
            let effects = self.effects.iter().map(|effect| db(part(&effect.layers[i])));
            let row = [short_name(&layer.name, NAME_CHARS), db(layer.sqnr_db)];
            table.row(row.into_iter().chain(effects));
        }
        table
    }

    /// Tables for a terminal, with a newline at the end.
    pub(crate) fn text(&self, report: &Report, look: Look) -> String {
        if self.effects.is_empty() {
            return "\nno effects: the macro computes exactly\n".into();
        }
        let tables = [
            (ALONE, self.layer_table(report, |layer| layer.sqnr_alone_db)),
            (WITHOUT, self.layer_table(report, |layer| layer.sqnr_without_db)),
        ];
        let mut out = format!("\n{}\n", self.effect_table(report).render(look));
        for (title, table) in tables {
            out += &format!("\n{title}, dB\n{}\n", table.render(look));
        }
        out
    }

    /// `attribution.csv`: a line per effect with its top-1, and one per effect and layer.
    ///
    /// # Errors
    /// Never for a report built by Farad: `csv` fails only when writing fails.
    pub(crate) fn csv(&self, report: &Report) -> Result<Vec<u8>, ReportError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record([
            "effect",
            "layer",
            "error_share",
            "top1_alone",
            "top1_without",
            "sqnr_all_db",
            "sqnr_alone_db",
            "sqnr_without_db",
        ])?;
        let text = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        for effect in &self.effects {
            let [share, alone, without] =
                [effect.error_share, effect.top1_alone, effect.top1_without].map(|v| v.to_string());
            let none = String::new;
            out.write_record([
                effect.name.clone(),
                none(),
                share,
                alone,
                without,
                none(),
                none(),
                none(),
            ])?;
            for (layer, all) in effect.layers.iter().zip(&report.layers) {
                out.write_record([
                    effect.name.clone(),
                    all.name.clone(),
                    text(layer.error_share(all.sqnr_db)),
                    none(),
                    none(),
                    text(all.sqnr_db),
                    text(layer.sqnr_alone_db),
                    text(layer.sqnr_without_db),
                ])?;
            }
        }
        out.into_inner().map_err(|e| csv::Error::from(e.into_error()).into())
    }
}

/// Title of what an effect does by itself.
pub(crate) const ALONE: &str = "SQNR with the effect alone";
/// Title of what is left without it.
pub(crate) const WITHOUT: &str = "SQNR with all effects but this";

/// A level for people.
pub(crate) fn db(value: Option<f64>) -> String {
    value.map_or("exact".into(), |db| format!("{db:.1}"))
}

fn top1(outcome: &RunOutcome) -> f64 {
    let sum = |part: fn(&farad_sim::ChipOutcome) -> u64| outcome.chips.iter().map(part).sum::<u64>();
    sum(|chip| chip.top1) as f64 / sum(|chip| chip.images).max(1) as f64
}

/// SQNR of each layer over all chips, as the report has it.
fn sqnr_db(outcome: &RunOutcome) -> Vec<Option<f64>> {
    let layers = outcome.chips.first().map_or(0, |chip| chip.layers.len());
    (0..layers)
        .map(|i| {
            let mut all = LayerOutcome::default();
            for layer in outcome.chips.iter().map(|chip| &chip.layers[i]) {
                all.signal += layer.signal;
                all.error += layer.error;
            }
            Some(all.sqnr_db()).filter(|db| db.is_finite())
        })
        .collect()
}
