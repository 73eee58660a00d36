//! `training.html`: how a training run goes.

use super::page;
use crate::plot::Plot;
use crate::text::{Align, TextTable};
use crate::training::Training;
use crate::units::{count, digits, percent, si};

impl Training {
    /// The page with `plots` inlined.
    #[must_use]
    pub fn html(&self, plots: &[Plot]) -> String {
        let title = format!("{} on {}", self.network, self.dataset);
        let subtitle = match self.epochs.last() {
            Some(last) => {
                let epoch = if last.epoch > 0 {
                    format!("epoch {} of ", last.epoch)
                } else {
                    String::new()
                };
                format!(
                    "after {epoch}stage {} of {} ({}), {} of training",
                    last.stage,
                    self.stages,
                    last.kind,
                    si(last.seconds, "s")
                )
            }
            None => "before the first epoch".into(),
        };
        let body = format!(
            "{}{}{}<h2>Stages</h2>\n{}",
            page::header(&title, &subtitle),
            self.summary(),
            plots.iter().map(page::figure).collect::<String>(),
            page::table(&self.stages())
        );
        page::page(&title, &body)
    }

    fn summary(&self) -> String {
        let part = |now: u64, full: u64| percent(now as f64 / full.max(1) as f64, 2);
        let mut shown = Vec::new();
        if let Some(accuracy) = self.last_accuracy(false) {
            shown.push((percent(accuracy, 2), "top-1 on the test images".to_owned()));
        }
        if let Some(e) = self.epochs.iter().rev().find(|e| !e.integer) {
            shown.extend([
                (
                    part(e.params, self.full_params),
                    format!("of the parameters left, {}", count(e.params)),
                ),
                (
                    part(e.macs, self.full_macs),
                    format!("of the MACs left, {}", count(e.macs)),
                ),
            ]);
        }
        if let Some(accuracy) = self.last_accuracy(true) {
            shown.push((percent(accuracy, 2), "top-1 in int8, exact integers".to_owned()));
        }
        let with_sign = shown.into_iter().map(|(value, caption)| (value + " %", caption));
        page::cards(&with_sign.collect::<Vec<_>>())
    }

    /// The end of each stage.
    fn stages(&self) -> TextTable {
        let mut table = TextTable::new([
            ("stage", Align::Left),
            ("epochs", Align::Right),
            ("loss", Align::Right),
            ("top-1 %", Align::Right),
            ("MACs", Align::Right),
            ("parameters", Align::Right),
            ("seconds so far", Align::Right),
        ]);
        for (i, e) in self.epochs.iter().enumerate() {
            let next = self.epochs.get(i + 1);
            if next.is_some_and(|next| next.stage == e.stage) {
                continue;
            }
            let trained = |text: String| if e.epoch > 0 { text } else { "-".into() };
            table.row([
                format!("{} {}", e.stage, e.kind),
                trained(e.epoch.to_string()),
                trained(digits(e.loss)),
                e.accuracy.map_or_else(|| "-".into(), |accuracy| percent(accuracy, 2)),
                count(e.macs),
                count(e.params),
                digits(e.seconds),
            ]);
        }
        table
    }
}
