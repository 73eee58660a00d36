//! Typed reading of an experiment's TOML, which goes on after a problem and collects them all.

use super::Given;
use crate::value::{Parameter, Value};
use farad_hw::diagnostic::{Diagnostic, Place, did_you_mean};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key with its value and their places.
pub(super) struct Entry<'a> {
    pub(super) key: String,
    pub(super) key_at: Place,
    pub(super) value: DeValue<'a>,
    pub(super) at: Place,
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) list: Vec<Diagnostic>,
}

/// A problem with all that can be said about it.
pub(super) struct Problem<'a> {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) at: &'a Place,
    pub(super) label: &'a str,
    pub(super) help: Option<&'a str>,
    pub(super) also: Option<(&'a Place, &'a str)>,
}

/// The only text of an experiment's own problems.
fn place<T>(item: &Spanned<T>) -> Place {
    Place::new(0, item.span())
}

/// Entries of a table in the order of the text.
pub(super) fn entries<'a>(table: DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: place(&key),
            at: place(&value),
            value: value.into_inner(),
        })
        .collect();
    entries.sort_by(|a, b| a.key_at.cmp(&b.key_at));
    entries
}

impl Reader {
    pub(super) fn problem(&mut self, problem: Problem<'_>) {
        let main = (problem.at.clone(), problem.label.to_owned());
        let also = problem.also.map(|(at, label)| (at.clone(), label.to_owned()));
        self.list.push(Diagnostic {
            code: problem.code,
            message: problem.message,
            labels: [Some(main), also].into_iter().flatten().collect(),
            help: problem.help.map(str::to_owned),
        });
    }

    pub(super) fn refuse(&mut self, code: &'static str, message: String, at: &Place, label: &str) {
        self.problem(Problem {
            code,
            message,
            at,
            label,
            help: None,
            also: None,
        });
    }

    /// An unknown name, with the most similar one there is.
    pub(super) fn unknown<'a>(&mut self, name: &str, what: &str, at: &Place, known: impl Iterator<Item = &'a str>) {
        let known: Vec<&str> = known.collect();
        let help = did_you_mean(name, &known);
        self.problem(Problem {
            code: "S0101",
            message: format!("unknown {what} `{}`", name.escape_debug()),
            at,
            label: &format!("no such {what}"),
            help: Some(&help),
            also: None,
        });
    }

    /// The entries of the whole text; `None` if it is not TOML.
    pub(super) fn document<'a>(&mut self, text: &'a str) -> Option<Vec<Entry<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = Place::new(0, error.span().unwrap_or(0..0));
            self.refuse("S0001", "this is not TOML".to_owned(), &at, error.message());
        }
        errors.is_empty().then(|| entries(table.into_inner()))
    }

    fn wrong_type(&mut self, entry: &Entry<'_>, expected: &str) {
        let message = format!("`{}` must be {expected}", entry.key);
        self.refuse("S0102", message, &entry.at, &format!("expected {expected}"));
    }

    pub(super) fn text(&mut self, entry: &Entry<'_>) -> Option<String> {
        match &entry.value {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong_type(entry, "a string");
                None
            }
        }
    }

    /// A text that files are named after.
    pub(super) fn name(&mut self, entry: &Entry<'_>) -> Option<String> {
        let name = self.text(entry)?;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            self.refuse(
                "S0102",
                format!("`{}` is not a name", name.escape_debug()),
                &entry.at,
                "results are kept in a folder of this name",
            );
            return None;
        }
        Some(name)
    }

    /// Texts of an array, each with its place.
    pub(super) fn texts(&mut self, entry: &Entry<'_>) -> Vec<(String, Place)> {
        let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Some((text.to_string(), place(item))),
            _ => None,
        };
        let texts = match &entry.value {
            DeValue::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        texts.unwrap_or_else(|| {
            self.wrong_type(entry, "an array of strings");
            Vec::new()
        })
    }

    pub(super) fn count(&mut self, entry: &Entry<'_>) -> Option<u64> {
        let count = match Value::from_toml(&entry.value) {
            Ok(Value::Integer(i)) => u64::try_from(i).ok(),
            _ => None,
        };
        if count.is_none() {
            self.wrong_type(entry, "an integer from 0");
        }
        count
    }

    pub(super) fn table<'a>(&mut self, entry: &Entry<'a>) -> Vec<Entry<'a>> {
        match &entry.value {
            DeValue::Table(table) => entries(table.clone()),
            _ => {
                self.wrong_type(entry, "a table");
                Vec::new()
            }
        }
    }

    /// Values for the base.
    pub(super) fn base(&mut self, entry: &Entry<'_>) -> Vec<Given> {
        let mut given = Vec::new();
        for (parameter, entry) in self.parameters(entry) {
            match Value::from_toml(&entry.value) {
                Ok(value) => given.push(Given {
                    parameter,
                    value,
                    at: entry.at,
                }),
                Err(kind) => {
                    let message = format!("`{}` must be one value, not {kind}", parameter.name());
                    self.refuse("S0102", message, &entry.at, "expected one value");
                }
            }
        }
        given
    }

    /// A table's entries as parameters: `adc.bits = 6` and `"adc.bits" = 6` mean the same.
    pub(super) fn parameters<'a>(&mut self, table: &Entry<'a>) -> Vec<(Parameter, Entry<'a>)> {
        let mut found = Vec::new();
        for entry in self.table(table) {
            match (Parameter::named(&entry.key), &entry.value) {
                (Some(parameter), _) => found.push((parameter, entry)),
                (None, DeValue::Table(inner)) if !is_range(inner) => {
                    for inner in entries(inner.clone()) {
                        found.push((Parameter::Set(format!("{}.{}", entry.key, inner.key)), inner));
                    }
                }
                _ => self.unknown(&entry.key, "parameter", &entry.key_at, Parameter::names()),
            }
        }
        found.sort_by(|a, b| a.1.key_at.cmp(&b.1.key_at));
        found
    }
}

/// Whether a table is a range of values, and not a table of the macro.
fn is_range(table: &DeTable<'_>) -> bool {
    table.iter().any(|(key, _)| key.get_ref() == "from")
}
