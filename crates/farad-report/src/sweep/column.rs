//! Axes, metrics and relative numbers as columns with names and units.

use super::{Sweep, relative};
use crate::metric::{METRICS, Metric, metric_named};
use crate::plot::tick;
use crate::units::prefix;
use std::collections::BTreeSet;

/// A value of one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// As people read it.
    pub text: String,
    /// If it is a number.
    pub number: Option<f64>,
}

/// One quantity of every point.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name in the experiment.
    pub name: String,
    /// What it is, with its unit.
    pub title: String,
    /// One for each point.
    pub cells: Vec<Cell>,
}

impl Column {
    /// Numbers at every point.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        self.cells.iter().map(|cell| cell.number).collect()
    }

    /// Its different values: numbers in their order, texts in the order of the points.
    pub(super) fn distinct(&self) -> Vec<Cell> {
        let mut seen = BTreeSet::new();
        let mut cells: Vec<Cell> = Vec::new();
        for cell in &self.cells {
            if seen.insert(&cell.text) {
                cells.push(cell.clone());
            }
        }
        if cells.iter().all(|cell| cell.number.is_some()) {
            cells.sort_by(|a, b| a.number.unwrap_or(0.0).total_cmp(&b.number.unwrap_or(0.0)));
        }
        cells
    }

    /// Numbers without their common unit's size.
    pub(super) fn of(name: &str, title: &str, unit: &str, is_share: bool, values: &[f64]) -> Self {
        let largest = values
            .iter()
            .map(|x| x.abs())
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max);
        let (scale, unit) = match (is_share, unit) {
            (true, _) => (0.01, "%".to_owned()),
            (false, "J" | "s") => {
                let (factor, prefix) = prefix(largest);
                (factor, format!("{prefix}{unit}"))
            }
            (false, "mm2") => (1.0, "mm²".to_owned()),
            (false, "") if largest >= 1e4 => {
                let (factor, prefix) = prefix(largest);
                let words = [("k", "thousands"), ("M", "millions"), ("G", "billions")];
                let word = words.iter().find(|(p, _)| *p == prefix);
                (
                    if word.is_some() { factor } else { 1.0 },
                    word.map_or("", |w| w.1).to_owned(),
                )
            }
            (false, unit) => (1.0, unit.to_owned()),
        };
        let cell = |x: &f64| Cell {
            text: tick(&(x / scale)),
            number: x.is_finite().then_some(x / scale),
        };
        Self {
            name: name.to_owned(),
            title: if unit.is_empty() {
                title.to_owned()
            } else {
                format!("{title} ({unit})")
            },
            cells: values.iter().map(cell).collect(),
        }
    }

    /// What all points have in common with the same values on these columns, as one column.
    pub(super) fn joined(columns: &[Self], points: usize) -> Self {
        let cell = |i: usize| {
            let words: Vec<String> = columns
                .iter()
                .map(|column| format!("{} = {}", column.name, column.cells[i].text))
                .collect();
            Cell {
                text: words.join(", "),
                number: None,
            }
        };
        Self {
            name: String::new(),
            title: String::new(),
            cells: (0..points).map(cell).collect(),
        }
    }
}

impl Sweep {
    /// The column of this name: an axis, a metric, or one of [`RELATIVE`](super::RELATIVE).
    #[must_use]
    pub fn column(&self, name: &str) -> Option<Column> {
        if let Some(axis) = self.axes.iter().position(|(axis, _)| axis == name) {
            return Some(self.axis(axis));
        }
        if let Some(metric) = metric_named(name) {
            return Some(self.metric(metric));
        }
        relative::column(self, name)
    }

    pub(super) fn axis(&self, axis: usize) -> Column {
        let mut cells: Vec<Cell> = self.points.iter().map(|point| point.values[axis].clone()).collect();
        if cells.iter().any(|cell| cell.number.is_none()) {
            shorten(&mut cells);
        }
        let name = &self.axes[axis].0;
        Column {
            name: name.clone(),
            title: match name.rsplit_once('_') {
                Some((_, "lsb")) => format!("{name} (LSB)"),
                Some((_, "mv")) => format!("{name} (mV)"),
                _ => name.clone(),
            },
            cells,
        }
    }

    pub(super) fn metric(&self, metric: &Metric) -> Column {
        let values = self.values(metric);
        Column::of(metric.name, metric.about, metric.unit, metric.is_share, &values)
    }

    /// A metric of every point, in its own unit.
    pub(super) fn values(&self, metric: &Metric) -> Vec<f64> {
        let at = METRICS.iter().position(|m| m == metric);
        self.points
            .iter()
            .map(|p| at.map_or(f64::NAN, |i| p.metrics[i]))
            .collect()
    }

    /// Groups with more than one value among the results, each with its first axis; repetitions with other seeds are none.
    pub(super) fn dimensions(&self) -> Vec<usize> {
        let mut groups = BTreeSet::new();
        let varies = |axis: usize| {
            let first = self.points.first().map(|p| &p.values[axis]);
            self.points.iter().any(|p| Some(&p.values[axis]) != first)
        };
        (0..self.axes.len())
            .filter(|&axis| self.axes[axis].0 != "seed" && varies(axis) && groups.insert(self.axes[axis].1))
            .collect()
    }
}

/// Files without their folder, or by the folder that tells them apart where their names do not; names without the words
/// that all begin and end with.
fn shorten(cells: &mut [Cell]) {
    let part = |text: &str, from_end: usize| {
        let part = text.rsplit(['/', '\\']).nth(from_end).unwrap_or(text);
        let endings = [".onnx", ".tflite", ".toml"];
        let stem = endings.iter().find_map(|ending| part.strip_suffix(ending));
        stem.unwrap_or(part).to_owned()
    };
    let distinct = |name: &dyn Fn(&str) -> String| cells.iter().map(|c| name(&c.text)).collect::<BTreeSet<_>>().len();
    let all = distinct(&str::to_owned);
    let deepest = cells
        .iter()
        .map(|c| c.text.matches(['/', '\\']).count())
        .max()
        .unwrap_or(0);
    match (0..=deepest).find(|&k| distinct(&|text| part(text, k)) == all) {
        Some(k) => cells.iter_mut().for_each(|c| c.text = part(&c.text, k)),
        // No one folder tells all of them apart.
        None => return,
    }
    let names: BTreeSet<String> = cells.iter().map(|cell| cell.text.clone()).collect();
    let words: Vec<Vec<&str>> = names.iter().map(|name| name.split('-').collect()).collect();
    let fewest = words.iter().map(Vec::len).min().unwrap_or(0);
    let common = |from_end: bool| {
        (0..fewest)
            .take_while(|i| {
                let word = |w: &Vec<&str>| {
                    if from_end {
                        w[w.len() - 1 - i].to_owned()
                    } else {
                        w[*i].to_owned()
                    }
                };
                words.iter().all(|w| word(w) == word(&words[0]))
            })
            .count()
    };
    let before = common(false);
    let after = common(true).min(fewest.saturating_sub(before + 1));
    // A name that has nothing else keeps all.
    if names.len() < 2 || before + after >= fewest {
        return;
    }
    for cell in cells.iter_mut() {
        let words: Vec<&str> = cell.text.split('-').collect();
        cell.text = words[before..words.len() - after].join("-");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(names: &[&str]) -> Vec<String> {
        let mut cells: Vec<Cell> = names
            .iter()
            .map(|name| Cell {
                text: (*name).to_owned(),
                number: None,
            })
            .collect();
        shorten(&mut cells);
        cells.into_iter().map(|cell| cell.text).collect()
    }

    #[test]
    fn networks_are_called_by_what_they_differ_in() {
        let files = [
            "../n/resnet20-cifar10-dense-int8.onnx",
            "../n/resnet20-cifar10-50-int8.onnx",
        ];
        assert_eq!(shortened(&files), ["dense", "50"]);
        assert_eq!(
            shortened(&["a/vgg16-int8.onnx", "resnet20-int8.onnx"]),
            ["vgg16", "resnet20"]
        );
        assert_eq!(shortened(&["net-a", "net"]), ["net-a", "net"]);
        assert_eq!(shortened(&["full", "clip"]), ["full", "clip"]);
        assert_eq!(shortened(&["n/one.onnx", "n/one.onnx"]), ["one", "one"]);
        let trained = ["t/criterion=a/network.onnx", "t/criterion=b/network.onnx"];
        assert_eq!(shortened(&trained), ["criterion=a", "criterion=b"]);
        let crossed = ["a/x.onnx", "a/y.onnx", "b/x.onnx"];
        assert_eq!(shortened(&crossed), crossed);
    }

    #[test]
    fn numbers_have_their_unit_in_the_title() {
        let energy = Column::of("energy_j", "energy per image", "J", false, &[1.5e-6, 3e-7]);
        assert_eq!(
            (energy.title.as_str(), energy.cells[1].text.as_str()),
            ("energy per image (µJ)", "0.3")
        );
        let share = Column::of("top1", "top-1", "", true, &[0.915, f64::NAN]);
        assert_eq!((share.cells[0].number, share.cells[1].number), (Some(91.5), None));
        let bops = Column::of("bops", "bit operations", "", false, &[5.8e7]);
        assert_eq!(
            (bops.title.as_str(), bops.cells[0].number),
            ("bit operations (millions)", Some(58.0))
        );
    }
}
