//! `[solve]`: a requirement, and the axis on which its border is looked for.

use super::Axis;
use super::reader::{Entry, Reader};
use farad_hw::diagnostic::Place;
use farad_report::metric::{Metric, metric_named};
use toml::de::DeValue;

/// A border to find: how far an axis can go until a limit breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Solve {
    /// The last value of the axis that keeps the limit is wanted, or the first.
    pub largest: bool,
    /// What is limited: `top1` or `top1_lost`.
    pub metric: &'static Metric,
    /// It may be at most `limit`, or at least.
    pub at_most: bool,
    /// The limit.
    pub limit: f64,
    /// Probability with which both values of a solution are on their side of the border, at least.
    pub confidence: f64,
}

/// Metrics that are a mean over images, which single images can be counted for.
const LIMITED: [&str; 2] = ["top1", "top1_lost"];

impl Reader {
    /// `[solve]`, with its axis.
    pub(super) fn solve(&mut self, entry: &Entry<'_>) -> Option<(Solve, Axis)> {
        let before = self.list.len();
        let (mut axes, mut keep, mut confidence) = (Vec::new(), None, 0.95);
        for entry in self.table(entry) {
            match entry.key.as_str() {
                "largest" | "smallest" => {
                    let found = self.axes(&entry).into_iter();
                    axes.extend(found.map(|axis| (entry.key == "largest", axis)));
                }
                "keep" => keep = self.keep(&entry),
                "confidence" => confidence = self.confidence(&entry).unwrap_or(confidence),
                _ => {
                    let known = ["largest", "smallest", "keep", "confidence"];
                    self.unknown(&entry.key, "key of [solve]", &entry.key_at, known.into_iter());
                }
            }
        }
        if self.list.len() > before {
            return None;
        }
        let ([(largest, axis)], Some((metric, at_most, limit))) = (axes.as_slice(), keep) else {
            let message = "[solve] has one axis under `largest` or `smallest`, and a limit to `keep`".to_owned();
            self.refuse("S0112", message, &entry.key_at, "in this table");
            return None;
        };
        let numbers: Option<Vec<f64>> = axis.values.iter().map(|value| value.number()).collect();
        if numbers.is_some_and(|numbers| !numbers.is_sorted_by(|a, b| a < b)) {
            let message = format!("the values of `{}` must go up", axis.parameter.name());
            self.refuse("S0112", message, &axis.key, "its border is looked for");
            return None;
        }
        let solve = Solve {
            largest: *largest,
            metric,
            at_most,
            limit,
            confidence,
        };
        Some((solve, axis.clone()))
    }

    /// `top1_lost <= 0.01`
    fn keep(&mut self, entry: &Entry<'_>) -> Option<(&'static Metric, bool, f64)> {
        let text = self.text(entry)?;
        let parts = [("<=", true), (">=", false)]
            .into_iter()
            .find_map(|(sign, at_most)| Some((text.split_once(sign)?, at_most)));
        let Some(((name, limit), at_most)) = parts else {
            let message = format!("`{}` is not a limit", text.escape_debug());
            self.refuse("S0112", message, &entry.at, "expected such as \"top1_lost <= 0.01\"");
            return None;
        };
        let name = name.trim();
        let Some(metric) = metric_named(name) else {
            self.unknown(name, "metric of a limit", &entry.at, LIMITED.into_iter());
            return None;
        };
        if !LIMITED.contains(&name) {
            let message =
                format!("`{name}` cannot be limited: a [solve] counts images, and `{name}` is no mean over them");
            let [one, other] = LIMITED;
            self.refuse("S0112", message, &entry.at, &format!("expected `{one}` or `{other}`"));
            return None;
        }
        let (low, high) = bounds(metric);
        let number = limit.trim().parse::<f64>().ok();
        let found = number.filter(|limit| low < *limit && *limit < high);
        if found.is_none() {
            let message = format!("`{}` is not a limit that images can decide", text.escape_debug());
            let label = format!("expected a number above {low} and below {high}");
            self.refuse("S0112", message, &entry.at, &label);
        }
        found.map(|limit| (metric, at_most, limit))
    }

    fn confidence(&mut self, entry: &Entry<'_>) -> Option<f64> {
        let number = match &entry.value {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let found = number.filter(|c| (0.5..1.0).contains(c));
        if found.is_none() {
            let at: &Place = &entry.at;
            self.refuse(
                "S0112",
                "`confidence` is a probability".to_owned(),
                at,
                "expected 0.5 to 1, without 1",
            );
        }
        found
    }
}

/// Between what values single images have this metric.
pub(crate) fn bounds(metric: &Metric) -> (f64, f64) {
    if metric.name == "top1" { (0.0, 1.0) } else { (-1.0, 1.0) }
}

impl Solve {
    /// The requirement, as it is written.
    #[must_use]
    pub fn requirement(&self) -> String {
        let sign = if self.at_most { "<=" } else { ">=" };
        format!("{} {sign} {}", self.metric.name, self.limit)
    }
}
