//! The text as entries: the file's keys with every `--set` laid over them, each with its place.

use crate::diagnostic::{Diagnostic, Place, Source};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value without its punctuation.
pub(super) enum Value {
    Text(String),
    /// `None` when even 128 bits do not hold it.
    Integer(Option<i128>),
    Real(f64),
    Flag(bool),
    Other(&'static str),
}

impl Value {
    fn new(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(s) => Value::Text(s.to_string()),
            DeValue::Integer(i) => Value::Integer(i128::from_str_radix(i.as_str(), i.radix()).ok()),
            DeValue::Float(f) => Value::Real(f.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(b) => Value::Flag(*b),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(_) => Value::Other("an array"),
            DeValue::Table(_) => Value::Other("a table"),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Real(_) => "a number",
            Value::Flag(_) => "a boolean",
            Value::Other(kind) => kind,
        }
    }
}

/// A key and its value.
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) key: Place,
    pub(super) at: Place,
}

/// A two-level document: entries by table (empty at the top level) and key.
pub(super) struct Document {
    pub(super) entries: BTreeMap<(String, String), Entry>,
    /// What the document itself says where a `--set` says something else.
    pub(super) replaced: BTreeMap<(String, String), Value>,
    /// Headers of the tables that are present.
    pub(super) headers: BTreeMap<String, Place>,
    /// What is wrong with the form.
    pub(super) problems: Vec<Diagnostic>,
}

impl Document {
    /// Lays the sources over each other: the first is a TOML document, each other one `path=value`.
    pub(super) fn new(sources: &[Source]) -> Self {
        let (table, errors) = DeTable::parse_recoverable(&sources[0].text);
        let syntax = |error: &toml::de::Error| Diagnostic {
            code: "E0001",
            message: "this is not TOML".to_owned(),
            labels: vec![(Place::new(0, error.span().unwrap_or(0..0)), error.message().to_owned())],
            help: None,
        };
        let mut document = Self {
            entries: BTreeMap::new(),
            replaced: BTreeMap::new(),
            headers: BTreeMap::new(),
            problems: errors.iter().map(syntax).collect(),
        };
        // A document that is not TOML is not judged further.
        if document.problems.is_empty() {
            for (key, value) in table.get_ref() {
                document.insert_top(key.get_ref(), place(0, 0, key), value.get_ref(), place(0, 0, value), 0);
            }
            for (i, source) in sources.iter().enumerate().skip(1) {
                document.insert_set(&source.text, i);
            }
        }
        document
    }

    /// Whether the text is not TOML at all.
    pub(super) fn is_unreadable(&self) -> bool {
        self.problems.iter().any(|problem| problem.code == "E0001")
    }

    /// The header of a table, or the beginning of the file if it has none.
    pub(super) fn header(&self, table: &str) -> Place {
        self.headers.get(table).cloned().unwrap_or(Place::new(0, 0..0))
    }

    /// A top-level value, or all entries of a table; `offset` is where the parsed text begins in its source.
    fn insert_top(&mut self, name: &str, key: Place, value: &DeValue<'_>, at: Place, offset: usize) {
        let DeValue::Table(table) = value else {
            self.insert(
                "",
                name,
                Entry {
                    value: Value::new(value),
                    key,
                    at,
                },
            );
            return;
        };
        let source = key.source;
        self.headers.insert(name.to_owned(), key);
        for (key, value) in table {
            let entry = Entry {
                value: Value::new(value.get_ref()),
                key: place(source, offset, key),
                at: place(source, offset, value),
            };
            self.insert(name, key.get_ref(), entry);
        }
    }

    fn insert(&mut self, table: &str, key: &str, entry: Entry) {
        let name = (table.to_owned(), key.to_owned());
        let is_set = entry.at.source > 0;
        if let Some(before) = self
            .entries
            .insert(name.clone(), entry)
            .filter(|e| is_set && e.at.source == 0)
        {
            self.replaced.insert(name, before.value);
        }
    }

    /// `path=value`; a value that is not TOML is taken as a bare string.
    fn insert_set(&mut self, text: &str, source: usize) {
        let (name, value_text) = text.split_once('=').unwrap_or((text, ""));
        let offset = text.len() - value_text.len();
        let key = Place::new(source, 0..name.len());
        let at = Place::new(source, offset..text.len());
        let value = DeValue::parse(value_text).map_or_else(|_| DeValue::String(value_text.into()), Spanned::into_inner);
        match name.split('.').collect::<Vec<_>>()[..] {
            [name] => self.insert_top(name, key, &value, at, offset),
            [table, name] => {
                let header = Place::new(source, 0..table.len());
                self.headers.entry(table.to_owned()).or_insert(header);
                self.insert(
                    table,
                    name,
                    Entry {
                        value: Value::new(&value),
                        key,
                        at,
                    },
                );
            }
            _ => self.problems.push(Diagnostic {
                code: "E0109",
                message: format!("`{}` is not a setting", name.escape_debug()),
                labels: vec![(key, "expected `table.key`".to_owned())],
                help: Some("write for example `adc.bits=6`".to_owned()),
            }),
        }
    }
}

/// Span of `item`, which was parsed from the bytes of `source` that begin at `offset`.
fn place<T>(source: usize, offset: usize, item: &Spanned<T>) -> Place {
    Place::new(source, offset + item.span().start..offset + item.span().end)
}
