//! An axis that knows its ticks: at the values of the data where these are few, else at round numbers.

use super::tick;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// More values than these are no ticks.
const MOST_TICKS: usize = 12;
/// Room beside the outermost values, as a share of the axis.
const MARGIN: f64 = 0.06;

/// A horizontal or vertical axis.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// As drawn: logarithms if `logarithmic`.
    from: f64,
    to: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    /// For ascending numbers with their texts; logarithmic if they lie evenly so.
    pub(crate) fn at_values(values: &[(f64, String)]) -> Self {
        let numbers: Vec<f64> = values.iter().map(|v| v.0).collect();
        let logarithmic = is_logarithmic(&numbers);
        let put = |x: f64| if logarithmic { x.ln() } else { x };
        let ends = |i: Option<&f64>| i.map_or(0.0, |x| put(*x));
        let (low, high) = (ends(numbers.first()), ends(numbers.last()));
        let margin = if high > low { MARGIN * (high - low) } else { 1.0 };
        let (from, to) = (low - margin, high + margin);
        let ticks = if values.len() <= MOST_TICKS {
            values.to_vec()
        } else if logarithmic {
            let step = values.len().div_ceil(MOST_TICKS);
            values.iter().step_by(step).cloned().collect()
        } else {
            round_ticks(from, to, 8)
        };
        Self {
            from,
            to,
            logarithmic,
            ticks,
        }
    }

    /// For names, one after the other at 0, 1, 2 ...
    pub(crate) fn of_names(names: &[String]) -> Self {
        Self {
            from: -0.5,
            to: names.len() as f64 - 0.5,
            logarithmic: false,
            ticks: names
                .iter()
                .enumerate()
                .map(|(i, name)| (i as f64, name.clone()))
                .collect(),
        }
    }

    /// For what lies between two numbers, at about `count` round ones.
    pub(crate) fn round(range: Range<f64>, count: usize) -> Self {
        Self {
            from: range.start,
            to: range.end,
            logarithmic: false,
            ticks: round_ticks(range.start, range.end, count),
        }
    }

    /// `x` moved by a share of the axis.
    pub(crate) fn moved(&self, x: f64, share: f64) -> f64 {
        let by = share * (self.to - self.from);
        if self.logarithmic { x * by.exp() } else { x + by }
    }

    /// The text of the tick at `x`.
    pub(crate) fn text(&self, x: f64) -> String {
        let near = |t: &&(f64, String)| (t.0 - x).abs() <= 1e-9 * x.abs().max(1e-9);
        self.ticks.iter().find(near).map_or_else(|| tick(&x), |t| t.1.clone())
    }

    /// Texts of all ticks.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.ticks.iter().map(|t| t.1.as_str())
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let x = if self.logarithmic { value.ln() } else { *value };
        let share = (x - self.from) / (self.to - self.from);
        low + (share * f64::from(high - low)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.iter().map(|t| t.0).collect()
    }

    fn range(&self) -> Range<f64> {
        if self.logarithmic {
            self.from.exp()..self.to.exp()
        } else {
            self.from..self.to
        }
    }
}

/// Whether steps grow as a geometric sequence's do: at least three values above 0, whose ratios vary less than their
/// differences.
fn is_logarithmic(values: &[f64]) -> bool {
    if values.len() < 3 || values[0] <= 0.0 || values[values.len() - 1] < 4.0 * values[0] {
        return false;
    }
    let spread = |steps: Vec<f64>| {
        let largest = steps.iter().copied().fold(f64::MIN, f64::max);
        largest / steps.iter().copied().fold(f64::MAX, f64::min)
    };
    let differences = spread(values.windows(2).map(|w| w[1] - w[0]).collect());
    spread(values.windows(2).map(|w| (w[1] / w[0]).ln()).collect()) < differences
}

/// Multiples of 1, 2 or 5 times a power of ten in a range, about `count` of them.
fn round_ticks(from: f64, to: f64, count: usize) -> Vec<(f64, String)> {
    let raw = (to - from) / count.max(1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|k| k * power)
        .find(|step| *step >= raw)
        .unwrap_or(power);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
    (first..=last)
        .map(|k| {
            let x = k as f64 * step;
            (x, format!("{x:.decimals$}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[f64]) -> Scale {
        Scale::at_values(&values.iter().map(|v| (*v, v.to_string())).collect::<Vec<_>>())
    }

    #[test]
    fn powers_of_two_are_evenly_apart_and_bits_too() {
        assert!(at(&[64.0, 128.0, 256.0, 512.0]).logarithmic);
        assert!(at(&[0.01, 0.1, 1.0]).logarithmic);
        assert!(!at(&[4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).logarithmic);
        assert!(!at(&[0.0, 0.25, 0.5, 1.0]).logarithmic);
        let scale = at(&[64.0, 128.0, 256.0]);
        let middle = scale.map(&128.0, (0, 1000));
        assert_eq!(middle, 500);
        assert!((scale.moved(128.0, 0.5 / (1.0 + 2.0 * MARGIN)) - 256.0).abs() < 1e-9);
    }

    #[test]
    fn round_ticks_are_round() {
        let texts = |from, to| -> Vec<String> { round_ticks(from, to, 6).into_iter().map(|t| t.1).collect() };
        assert_eq!(texts(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(88.1, 93.2), ["89", "90", "91", "92", "93"]);
        assert_eq!(texts(-130.0, 390.0), ["-100", "0", "100", "200", "300"]);
    }
}
