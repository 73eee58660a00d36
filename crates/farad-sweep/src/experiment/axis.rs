//! Lists, ranges, zipped axes and samples.

use super::reader::{Entry, Problem, Reader, entries};
use super::{Axis, Group};
use crate::sample::{self, METHODS, Method, SOBOL_DIMENSIONS};
use crate::value::{Parameter, Value};
use farad_hw::diagnostic::Place;
use toml::de::DeValue;

/// Values of one axis; more are a slip of the pen.
const MOST_VALUES: u64 = 1_000_000;

/// A range of numbers.
struct Range {
    from: Value,
    to: Value,
    step: Option<f64>,
    points: Option<u64>,
    logarithmic: bool,
}

impl Reader {
    /// The axes of a table, each by itself.
    pub(super) fn axes(&mut self, table: &Entry<'_>) -> Vec<Axis> {
        let parameters = self.parameters(table);
        parameters
            .into_iter()
            .filter_map(|(parameter, entry)| self.axis(parameter, &entry))
            .collect()
    }

    /// `[[zip]]`: the axes of each table go together.
    pub(super) fn zip(&mut self, entry: &Entry<'_>) -> Vec<Group> {
        let DeValue::Array(tables) = &entry.value else {
            self.refuse(
                "S0102",
                "`zip` must be an array of tables".to_owned(),
                &entry.at,
                "write [[zip]]",
            );
            return Vec::new();
        };
        let mut groups = Vec::new();
        for table in tables {
            let group = self.axes(&Entry {
                key: "zip".to_owned(),
                key_at: Place::new(0, table.span()),
                value: table.get_ref().clone(),
                at: Place::new(0, table.span()),
            });
            let Some(first) = group.first() else { continue };
            let unequal = group.iter().find(|axis| axis.values.len() != first.values.len());
            if let Some(other) = unequal {
                self.problem(Problem {
                    code: "S0105",
                    message: format!(
                        "`{}` has {} values and `{}` has {}",
                        first.parameter.name(),
                        first.values.len(),
                        other.parameter.name(),
                        other.values.len()
                    ),
                    at: &other.key,
                    label: "zipped axes have as many values",
                    help: None,
                    also: Some((&first.key, "zipped with this")),
                });
            } else {
                groups.push(group);
            }
        }
        groups
    }

    fn axis(&mut self, parameter: Parameter, entry: &Entry<'_>) -> Option<Axis> {
        let (values, places) = match &entry.value {
            DeValue::Array(items) => {
                let mut values = Vec::new();
                for item in items {
                    let at = Place::new(0, item.span());
                    match Value::from_toml(item.get_ref()) {
                        Ok(value) => values.push((value, at)),
                        Err(kind) => {
                            let message = format!("a value of `{}` is {kind}", parameter.name());
                            self.refuse("S0102", message, &at, "expected a value");
                        }
                    }
                }
                values.into_iter().unzip()
            }
            DeValue::Table(_) => {
                let values = self.range(entry)?.values();
                let places = vec![entry.at.clone(); values.len()];
                (values, places)
            }
            value => (vec![Value::from_toml(value).ok()?], vec![entry.at.clone()]),
        };
        if values.is_empty() {
            let message = format!("`{}` has no values", parameter.name());
            self.refuse("S0104", message, &entry.at, "an axis needs at least one");
            return None;
        }
        Some(Axis {
            parameter,
            values,
            key: entry.key_at.clone(),
            places,
        })
    }

    /// `{ from, to, step, points, scale }`.
    fn range(&mut self, entry: &Entry<'_>) -> Option<Range> {
        let before = self.list.len();
        let (mut from, mut to, mut step, mut points, mut logarithmic) = (None, None, None, None, false);
        for entry in self.table(entry) {
            let number = Value::from_toml(&entry.value).ok().filter(|v| v.number().is_some());
            match entry.key.as_str() {
                "from" | "to" | "step" if number.is_none() => {
                    let message = format!("`{}` must be a number", entry.key);
                    self.refuse("S0102", message, &entry.at, "expected a number");
                }
                "from" => from = number,
                "to" => to = number,
                "step" => step = number,
                "points" => points = self.count(&entry),
                "scale" => match self.text(&entry).as_deref() {
                    Some("linear") | None => {}
                    Some("log") => logarithmic = true,
                    Some(other) => {
                        self.unknown(other, "scale", &entry.at, ["linear", "log"].into_iter());
                    }
                },
                _ => {
                    let known = ["from", "to", "step", "points", "scale"];
                    self.unknown(&entry.key, "key of a range", &entry.key_at, known.into_iter());
                }
            }
        }
        if self.list.len() > before {
            return None;
        }
        let (Some(from), Some(to)) = (from, to) else {
            self.refuse(
                "S0104",
                "a range has `from` and `to`".to_owned(),
                &entry.at,
                "one of them is missing",
            );
            return None;
        };
        let range = Range {
            from,
            to,
            step: step.as_ref().and_then(Value::number),
            points,
            logarithmic,
        };
        match range.problem() {
            None => Some(range),
            Some(problem) => {
                self.refuse("S0104", problem, &entry.at, "in this range");
                None
            }
        }
    }

    /// `[sample]`: one group of as many rows as there are points.
    pub(super) fn sample(&mut self, entry: &Entry<'_>) -> Option<Group> {
        let before = self.list.len();
        let (mut method, mut points, mut seed, mut axes) = (Method::Sobol, None, 0, Vec::new());
        for entry in self.table(entry) {
            match entry.key.as_str() {
                "method" => {
                    if let Some(name) = self.text(&entry) {
                        match METHODS.iter().find(|(n, _)| *n == name) {
                            Some((_, found)) => method = *found,
                            None => self.unknown(&name, "method", &entry.at, METHODS.iter().map(|(n, _)| *n)),
                        }
                    }
                }
                "points" => points = self.count(&entry),
                "seed" => seed = self.count(&entry).unwrap_or(0),
                "axes" => axes = self.parameters(&entry),
                _ => {
                    let known = ["method", "points", "seed", "axes"];
                    self.unknown(&entry.key, "key of [sample]", &entry.key_at, known.into_iter());
                }
            }
        }
        let points = points.unwrap_or(0);
        if points == 0 || points > MOST_VALUES {
            let message = format!("`sample.points` must be 1 to {MOST_VALUES}");
            self.refuse("S0104", message, &entry.key_at, "in this table");
        }
        if axes.is_empty() {
            let message = "a sample needs axes".to_owned();
            self.refuse("S0104", message, &entry.key_at, "there is no [sample.axes]");
        }
        if method == Method::Sobol && axes.len() > SOBOL_DIMENSIONS {
            let message = format!("a Sobol sequence has at most {SOBOL_DIMENSIONS} axes");
            self.refuse("S0104", message, &entry.key_at, "take method = \"latin-hypercube\"");
        }
        let spaces: Vec<_> = axes
            .into_iter()
            .filter_map(|(parameter, entry)| {
                let space = self.space(&parameter, &entry)?;
                Some((parameter, entry, space))
            })
            .collect();
        if self.list.len() > before {
            return None;
        }
        let samples = sample::sample(method, points as usize, spaces.len(), seed);
        let axis = |((parameter, entry, space), samples): ((Parameter, Entry<'_>, Space), Vec<f64>)| Axis {
            parameter,
            values: samples.into_iter().map(|u| space.at(u)).collect(),
            key: entry.key_at,
            places: vec![entry.at; points as usize],
        };
        Some(spaces.into_iter().zip(samples).map(axis).collect())
    }

    fn space(&mut self, parameter: &Parameter, entry: &Entry<'_>) -> Option<Space> {
        match &entry.value {
            DeValue::Table(table) => {
                if let Some(key) = entries(table.clone())
                    .iter()
                    .find(|e| e.key == "points" || e.key == "step")
                {
                    let message = format!("a sampled range has no `{}`", key.key);
                    self.refuse("S0104", message, &key.key_at, "[sample] says how many points");
                    return None;
                }
                self.range(entry).map(Space::Range)
            }
            _ => Some(Space::List(self.axis(parameter.clone(), entry)?.values)),
        }
    }
}

/// What a sample is taken from.
enum Space {
    Range(Range),
    List(Vec<Value>),
}

impl Space {
    /// The value at `u` in `[0, 1)`.
    fn at(&self, u: f64) -> Value {
        match self {
            Self::List(values) => values[(u * values.len() as f64) as usize].clone(),
            // Every integer takes an equal part of the range.
            Self::Range(range) => match (&range.from, &range.to) {
                (Value::Integer(from), Value::Integer(to)) if !range.logarithmic => {
                    Value::Integer(from + (u * (to - from + 1) as f64) as i64)
                }
                _ => range.at(u),
            },
        }
    }
}

impl Range {
    fn ends(&self) -> (f64, f64) {
        let end = |value: &Value| value.number().unwrap_or(0.0);
        (end(&self.from), end(&self.to))
    }

    fn is_integer(&self) -> bool {
        matches!((&self.from, &self.to), (Value::Integer(_), Value::Integer(_)))
    }

    fn problem(&self) -> Option<String> {
        let (from, to) = self.ends();
        let step = self.step.unwrap_or(1.0);
        if from > to {
            return Some(format!("a range goes up, not from {from} to {to}"));
        }
        if self.logarithmic && from <= 0.0 {
            return Some("a logarithmic range begins above 0".to_owned());
        }
        if !(step > 0.0 && step.is_finite()) {
            return Some("`step` must be above 0".to_owned());
        }
        if self.step.is_some() && (self.points.is_some() || self.logarithmic) {
            return Some("`step` goes with neither `points` nor `scale = \"log\"`".to_owned());
        }
        match self.points {
            Some(points) if points > MOST_VALUES => Some(format!("an axis has at most {MOST_VALUES} values")),
            Some(0) => Some("`points` must be at least 1".to_owned()),
            None if (to - from) / step >= MOST_VALUES as f64 => {
                Some(format!("an axis has at most {MOST_VALUES} values"))
            }
            _ => None,
        }
    }

    /// The values of an axis: `points` of them if it says so, else in steps, of 1 if it does not say.
    fn values(&self) -> Vec<Value> {
        let (from, to) = self.ends();
        let mut values: Vec<Value> = match self.points {
            Some(1) => vec![self.from.clone()],
            Some(points) => (0..points).map(|i| self.at(i as f64 / (points - 1) as f64)).collect(),
            None => {
                let step = self.step.unwrap_or(1.0);
                // A sliver more, so that 0.1 to 0.3 in steps of 0.1 has three values.
                let count = ((to - from) / step + 1e-9) as u64 + 1;
                (0..count).map(|i| self.number(from + i as f64 * step)).collect()
            }
        };
        // Integers that are too close for as many points.
        values.dedup();
        values
    }

    /// The value at `u` in `[0, 1]`.
    fn at(&self, u: f64) -> Value {
        let (from, to) = self.ends();
        if self.logarithmic {
            self.number((from.ln() + u * (to.ln() - from.ln())).exp())
        } else {
            self.number(from + u * (to - from))
        }
    }

    /// An integer where both ends are; else rounded to six digits, which are readable and the same on every machine.
    fn number(&self, x: f64) -> Value {
        if self.is_integer() && self.step.is_none_or(|step| step.fract() == 0.0) {
            Value::Integer(x.round() as i64)
        } else {
            Value::Real(format!("{x:.5e}").parse().unwrap_or(x))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Experiment;
    use crate::value::Value::{self, Integer, Real, Text};

    fn values(axes: &str) -> Vec<Vec<Value>> {
        let experiment = Experiment::parse("e.toml", axes, "".as_ref()).unwrap();
        experiment.axes().map(|axis| axis.values.clone()).collect()
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            (
                "{ from = 4, to = 7 }",
                vec![Integer(4), Integer(5), Integer(6), Integer(7)],
            ),
            (
                "{ from = 4, to = 9, step = 2 }",
                vec![Integer(4), Integer(6), Integer(8)],
            ),
            (
                "{ from = 0.1, to = 0.3, step = 0.1 }",
                vec![Real(0.1), Real(0.2), Real(0.3)],
            ),
            (
                "{ from = 64, to = 512, points = 4, scale = 'log' }",
                vec![Integer(64), Integer(128), Integer(256), Integer(512)],
            ),
            (
                "{ from = 0.01, to = 1.0, points = 3, scale = 'log' }",
                vec![Real(0.01), Real(0.1), Real(1.0)],
            ),
            (
                "{ from = 0.0, to = 1.0, points = 3 }",
                vec![Real(0.0), Real(0.5), Real(1.0)],
            ),
            ("{ from = 1, to = 2, points = 9 }", vec![Integer(1), Integer(2)]),
            ("['full', 'clip']", vec![Text("full".into()), Text("clip".into())]),
            ("6", vec![Integer(6)]),
        ] {
            assert_eq!(values(&format!("[axes]\nadc.x = {range}\n")), [expected], "{range}");
        }
    }

    #[test]
    fn axes_are_in_the_order_of_the_text_however_they_are_written() {
        let text = "[axes]\nseed = [1]\nadc.bits = [2]\narray.rows = [3]\n'adc.kind' = ['x']\n[[zip]]\nimages = [4]\nchips = [5]\n";
        let experiment = Experiment::parse("e.toml", text, "".as_ref()).unwrap();
        let names: Vec<&str> = experiment.axes().map(|axis| axis.parameter.name()).collect();
        assert_eq!(names, ["seed", "adc.bits", "array.rows", "adc.kind", "images", "chips"]);
        assert_eq!(experiment.groups.len(), 5);
    }

    #[test]
    fn samples_keep_to_their_ranges() {
        for method in ["sobol", "latin-hypercube"] {
            let text = format!(
                "[sample]\nmethod = '{method}'\npoints = 64\n[sample.axes]\nadc.bits = {{ from = 4, to = 7 }}\n\
                 noise.x = {{ from = 0.1, to = 10.0, scale = 'log' }}\nadc.range = ['full', 'clip']\n"
            );
            let axes = values(&text);
            for bits in 4..=7 {
                assert_eq!(axes[0].iter().filter(|v| **v == Integer(bits)).count(), 16, "{method}");
            }
            // Half of a logarithmic range lies below its geometric mean.
            let below = axes[1].iter().filter(|v| v.number().unwrap() < 1.0).count();
            assert_eq!(below, 32, "{method}");
            assert!(axes[1].iter().all(|v| (0.1..=10.0).contains(&v.number().unwrap())));
            assert_eq!(axes[2].iter().filter(|v| **v == Text("clip".into())).count(), 32);
        }
    }
}
