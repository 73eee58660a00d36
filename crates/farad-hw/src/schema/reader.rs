//! Typed reading of a two-level TOML document that goes on after a problem and collects them all.

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Table and key; the table of a top-level key is empty.
pub(super) type Key = (&'static str, &'static str);

/// `table.key` as people write it.
pub(super) fn path((table, key): (&str, &str)) -> String {
    if table.is_empty() {
        key.to_owned()
    } else {
        format!("{table}.{key}")
    }
}

/// A value without its punctuation.
enum Value {
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

    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Real(_) => "a number",
            Value::Flag(_) => "a boolean",
            Value::Other(kind) => kind,
        }
    }
}

struct Entry {
    value: Value,
    key: Place,
    at: Place,
}

/// Entries of the file with every `--set` laid over them, and what was found wrong so far.
pub(super) struct Reader {
    entries: BTreeMap<(String, String), Entry>,
    /// Headers of the tables that are present.
    headers: BTreeMap<String, Place>,
    /// Keys that were asked for, so all there are.
    known: Vec<Key>,
    /// Where the value of a key was given.
    given: BTreeMap<Key, Place>,
    /// Keys whose value was refused: rules about them would only repeat the complaint.
    bad: BTreeSet<Key>,
    list: Vec<Diagnostic>,
}

impl Reader {
    /// Lays the sources over each other: the first is a document, each other one `path=value`.
    pub(super) fn new(sources: &[Source]) -> Self {
        let mut reader = Self {
            entries: BTreeMap::new(),
            headers: BTreeMap::new(),
            known: Vec::new(),
            given: BTreeMap::new(),
            bad: BTreeSet::new(),
            list: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(&sources[0].text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = Place {
                source: 0,
                start: span.start,
                end: span.end,
            };
            reader.list.push(Diagnostic {
                code: "E0001",
                message: "this is not TOML".to_owned(),
                labels: vec![(place, error.message().to_owned())],
                help: None,
            });
        }
        for (key, value) in table.get_ref() {
            reader.insert_top(
                key.get_ref(),
                place(0, 0, key),
                place(0, 0, value),
                value.get_ref(),
                0,
                0,
            );
        }
        for (i, source) in sources.iter().enumerate().skip(1) {
            reader.insert_set(i, &source.text);
        }
        reader
    }

    /// Whether the document itself could not be read.
    pub(super) fn is_unreadable(&self) -> bool {
        self.list.iter().any(|d| d.code == "E0001")
    }

    /// What is wrong with a document that could not be read; its content is not judged.
    pub(super) fn unreadable(mut self, sources: Vec<Source>) -> Diagnostics {
        self.list.retain(|d| d.code == "E0001");
        Diagnostics {
            sources,
            list: self.list,
        }
    }

    fn insert_top(
        &mut self,
        name: &str,
        key: Place,
        at: Place,
        value: &DeValue<'_>,
        source: usize,
        offset: usize,
    ) {
        match value {
            DeValue::Table(table) => {
                self.headers.insert(name.to_owned(), key);
                for (key, value) in table {
                    let (key_at, value_at) =
                        (place(source, offset, key), place(source, offset, value));
                    self.insert(
                        name,
                        key.get_ref(),
                        Entry {
                            value: Value::new(value.get_ref()),
                            key: key_at,
                            at: value_at,
                        },
                    );
                }
            }
            _ => self.insert(
                "",
                name,
                Entry {
                    value: Value::new(value),
                    key,
                    at,
                },
            ),
        }
    }

    fn insert(&mut self, table: &str, key: &str, entry: Entry) {
        self.entries
            .insert((table.to_owned(), key.to_owned()), entry);
    }

    /// `path=value`; a value that is not TOML is taken as a bare string.
    fn insert_set(&mut self, source: usize, text: &str) {
        let split = text.find('=').unwrap_or(text.len());
        let (name, value_text) = (&text[..split], text.get(split + 1..).unwrap_or(""));
        let key = Place {
            source,
            start: 0,
            end: split,
        };
        let at = Place {
            source,
            start: (split + 1).min(text.len()),
            end: text.len(),
        };
        let parsed = DeValue::parse(value_text)
            .map_or_else(|_| DeValue::String(value_text.into()), Spanned::into_inner);
        match name.split('.').collect::<Vec<_>>()[..] {
            [name] => self.insert_top(name, key, at, &parsed, source, split + 1),
            [table, name] => {
                self.headers.entry(table.to_owned()).or_insert(Place {
                    source,
                    start: 0,
                    end: table.len(),
                });
                self.insert(
                    table,
                    name,
                    Entry {
                        value: Value::new(&parsed),
                        key,
                        at,
                    },
                );
            }
            _ => self.list.push(Diagnostic {
                code: "E0109",
                message: format!("`{}` is not a setting", name.escape_debug()),
                labels: vec![(key, "expected `table.key`".to_owned())],
                help: Some("write for example `adc.bits=6`".to_owned()),
            }),
        }
    }

    fn take(&mut self, key: Key) -> Option<Entry> {
        self.known.push(key);
        let entry = self.entries.remove(&(key.0.to_owned(), key.1.to_owned()))?;
        self.given.insert(key, entry.at.clone());
        Some(entry)
    }

    fn refuse(
        &mut self,
        key: Key,
        code: &'static str,
        message: String,
        at: Place,
        label: &str,
        help: Option<String>,
    ) {
        self.bad.insert(key);
        self.list.push(Diagnostic {
            code,
            message,
            labels: vec![(at, label.to_owned())],
            help,
        });
    }

    fn wrong_type(&mut self, key: Key, expected: &str, entry: &Entry) {
        let message = format!(
            "`{}` must be {expected}, not {}",
            path(key),
            entry.value.kind()
        );
        self.refuse(
            key,
            "E0103",
            message,
            entry.at.clone(),
            &format!("expected {expected}"),
            None,
        );
    }

    fn missing(&mut self, key: Key, hint: &str) {
        let at = self.headers.get(key.0).cloned().unwrap_or(Place {
            source: 0,
            start: 0,
            end: 0,
        });
        self.refuse(
            key,
            "E0107",
            format!("`{}` is missing", path(key)),
            at,
            "it is required here",
            Some(hint.to_owned()),
        );
    }

    /// Whether the text gives this key.
    pub(super) fn is_given(&self, key: Key) -> bool {
        self.given.contains_key(&key)
    }

    /// A finite number within `bounds`.
    pub(super) fn real(&mut self, key: Key, default: f64, bounds: RangeInclusive<f64>) -> f64 {
        let Some(entry) = self.take(key) else {
            return default;
        };
        let value = match entry.value {
            Value::Real(x) => x,
            Value::Integer(x) => x.map_or(f64::INFINITY, |x| x as f64),
            _ => {
                self.wrong_type(key, "a number", &entry);
                return default;
            }
        };
        let (lo, hi) = bounds.clone().into_inner();
        if matches!(entry.value, Value::Real(x) if !x.is_finite()) {
            let help = format!("give a value between {lo} and {hi}");
            self.refuse(
                key,
                "E0106",
                format!("`{}` must be finite", path(key)),
                entry.at,
                "not a finite number",
                Some(help),
            );
        } else if !bounds.contains(&value) {
            let message = format!("`{}` must be between {lo} and {hi}", path(key));
            self.refuse(key, "E0105", message, entry.at, "out of range", None);
        } else {
            return value;
        }
        default
    }

    /// An integer within `bounds`; without a default it is required.
    pub(super) fn count(
        &mut self,
        key: Key,
        default: Option<u64>,
        bounds: RangeInclusive<u64>,
    ) -> u64 {
        let fallback = default.unwrap_or(*bounds.start());
        let (lo, hi) = bounds.clone().into_inner();
        let Some(entry) = self.take(key) else {
            if default.is_none() {
                self.missing(key, &format!("give an integer between {lo} and {hi}"));
            }
            return fallback;
        };
        let Value::Integer(value) = entry.value else {
            self.wrong_type(key, "an integer", &entry);
            return fallback;
        };
        match value
            .and_then(|x| u64::try_from(x).ok())
            .filter(|x| bounds.contains(x))
        {
            Some(x) => x,
            None => {
                let message = format!("`{}` must be between {lo} and {hi}", path(key));
                self.refuse(key, "E0105", message, entry.at, "out of range", None);
                fallback
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: Key, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Entry {
                value: Value::Flag(x),
                ..
            }) => x,
            Some(entry) => {
                self.wrong_type(key, "a boolean", &entry);
                default
            }
        }
    }

    /// A string; without a default it is required and not empty.
    pub(super) fn text(&mut self, key: Key, default: Option<&str>) -> String {
        match self.take(key) {
            Some(Entry {
                value: Value::Text(x),
                ..
            }) if default.is_some() || !x.trim().is_empty() => return x,
            Some(entry) => self.wrong_type(
                key,
                if default.is_some() {
                    "a string"
                } else {
                    "a string with something in it"
                },
                &entry,
            ),
            None if default.is_none() => self.missing(key, "give a string"),
            None => {}
        }
        default.unwrap_or_default().to_owned()
    }

    /// One of the named alternatives; the first is taken when a required one is missing or unknown.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: Key,
        default: Option<T>,
        options: &[(&str, T)],
    ) -> T {
        let fallback = default.unwrap_or(options[0].1);
        let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
        let Some(entry) = self.take(key) else {
            if default.is_none() {
                self.missing(key, &format!("choose one of: {}", names.join(", ")));
            }
            return fallback;
        };
        let Value::Text(text) = &entry.value else {
            self.wrong_type(key, "a string", &entry);
            return fallback;
        };
        if let Some((_, value)) = options.iter().find(|(name, _)| name == text) {
            return *value;
        }
        let help = match nearest(text, names.iter().copied()) {
            Some(name) => format!(
                "did you mean `{name}`? The choices are: {}",
                names.join(", ")
            ),
            None => format!("the choices are: {}", names.join(", ")),
        };
        let message = format!("`{}` cannot be `{}`", path(key), text.escape_debug());
        self.refuse(
            key,
            "E0104",
            message,
            entry.at,
            "unknown choice",
            Some(help),
        );
        fallback
    }

    /// Refuses `key` if it is given although it has a meaning only with `needs = choice`.
    pub(super) fn only_with(&mut self, applies: bool, key: Key, needs: Key, choice: &str) {
        if !applies && self.is_given(key) {
            self.conflict(
                "E0108",
                format!(
                    "`{}` has no meaning without `{} = \"{choice}\"`",
                    path(key),
                    path(needs)
                ),
                &[(key, "given here"), (needs, "because of this choice")],
                "remove it, or change the choice",
            );
        }
    }

    /// Reports a contradiction between keys, unless one of them was already refused. A key that is not given points at
    /// its table.
    pub(super) fn conflict(
        &mut self,
        code: &'static str,
        message: String,
        labels: &[(Key, &str)],
        help: &str,
    ) {
        if labels.iter().any(|(key, _)| self.bad.contains(key)) {
            return;
        }
        let labels = labels.iter().map(|(key, text)| match self.given.get(key) {
            Some(place) => (place.clone(), (*text).to_owned()),
            None => {
                let place = self.headers.get(key.0).cloned().unwrap_or(Place {
                    source: 0,
                    start: 0,
                    end: 0,
                });
                (place, format!("{text} (`{}` by default)", path(*key)))
            }
        });
        let labels = labels.collect();
        self.list.push(Diagnostic {
            code,
            message,
            labels,
            help: Some(help.to_owned()),
        });
    }

    /// Reports what nobody asked for, and hands over everything that was found, in the order of the text.
    pub(super) fn finish(mut self, sources: Vec<Source>) -> Result<(), Diagnostics> {
        let tables = self.tables();
        for ((table, key), entry) in std::mem::take(&mut self.entries) {
            if table.is_empty() || tables.contains(&table.as_str()) {
                let diagnostic = self.unknown(&table, &key, entry.key);
                self.list.push(diagnostic);
            }
        }
        for (table, at) in self.headers {
            if !tables.contains(&table.as_str()) {
                self.list.push(Diagnostic {
                    code: "E0101",
                    message: format!("unknown table `{}`", table.escape_debug()),
                    labels: vec![(at, "not a table of a macro".to_owned())],
                    help: Some(suggestion(nearest(&table, tables.iter().copied()), &tables)),
                });
            }
        }
        if self.list.is_empty() {
            return Ok(());
        }
        self.list.sort_by(|a, b| a.labels[0].0.cmp(&b.labels[0].0));
        Err(Diagnostics {
            sources,
            list: self.list,
        })
    }

    fn tables(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = Vec::new();
        for (table, _) in &self.known {
            if !table.is_empty() && !names.contains(table) {
                names.push(table);
            }
        }
        names
    }

    fn unknown(&self, table: &str, key: &str, at: Place) -> Diagnostic {
        let here: Vec<&str> = self
            .known
            .iter()
            .filter(|k| k.0 == table)
            .map(|k| k.1)
            .collect();
        let elsewhere = self.known.iter().find(|k| k.1 == key).map(|k| path(*k));
        let near = nearest(key, here.iter().copied())
            .map(|k| path((table, k)))
            .or(elsewhere);
        Diagnostic {
            code: "E0102",
            message: format!("unknown key `{}`", path((table, key)).escape_debug()),
            labels: vec![(at, "not a key of this table".to_owned())],
            help: Some(suggestion(near.as_deref(), &here)),
        }
    }
}

/// Span of `item`, which was parsed from the bytes of `source` that begin at `offset`.
fn place<T>(source: usize, offset: usize, item: &Spanned<T>) -> Place {
    Place {
        source,
        start: offset + item.span().start,
        end: offset + item.span().end,
    }
}

fn suggestion(near: Option<&str>, all: &[&str]) -> String {
    match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", all.join(", ")),
    }
}

/// The most similar name, if any is similar enough to be a slip.
fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(score, _)| *score > 0.8);
    scored
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
