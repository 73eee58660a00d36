//! Typed reading of a two-level TOML document that goes on after a problem and collects them all.

use super::document::{Document, Entry, Value};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, nearest, suggestion};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

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

/// Entries that nobody asked for yet, and what was found wrong so far.
pub(super) struct Reader {
    document: Document,
    /// Keys that were asked for, so all there are.
    known: Vec<Key>,
    /// Where the value of a key was given.
    given: BTreeMap<Key, Place>,
    /// Keys whose value was refused: rules about them would only repeat the complaint.
    bad: BTreeSet<Key>,
    list: Vec<Diagnostic>,
}

impl Reader {
    /// Nothing has been asked for yet.
    pub(super) fn new(mut document: Document) -> Self {
        Self {
            list: std::mem::take(&mut document.problems),
            document,
            known: Vec::new(),
            given: BTreeMap::new(),
            bad: BTreeSet::new(),
        }
    }

    fn take(&mut self, key: Key) -> Option<Entry> {
        self.known.push(key);
        let entry = self.document.entries.remove(&(key.0.to_owned(), key.1.to_owned()))?;
        self.given.insert(key, entry.at.clone());
        Some(entry)
    }

    fn refuse(&mut self, key: Key, code: &'static str, message: String, at: Place, label: &str, help: Option<String>) {
        self.bad.insert(key);
        self.list.push(Diagnostic {
            code,
            message,
            labels: vec![(at, label.to_owned())],
            help,
        });
    }

    fn wrong_type(&mut self, key: Key, expected: &str, entry: &Entry) {
        let message = format!("`{}` must be {expected}, not {}", path(key), entry.value.kind());
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
        let at = self.document.header(key.0);
        self.refuse(
            key,
            "E0107",
            format!("`{}` is missing", path(key)),
            at,
            "it is required here",
            Some(hint.to_owned()),
        );
    }

    /// The version of the schema that the text follows.
    pub(super) fn version(&mut self, supported: i128) {
        let key = ("", "schema");
        match self.take(key) {
            Some(Entry {
                value: Value::Integer(Some(version)),
                ..
            }) if version == supported => {}
            Some(entry) if matches!(entry.value, Value::Integer(_)) => {
                let message = format!("this program reads schema {supported} only");
                self.refuse(key, "E0002", message, entry.at, "another schema", None);
            }
            Some(entry) => self.wrong_type(key, "an integer", &entry),
            None => {}
        }
    }

    /// Whether the text gives this key.
    pub(super) fn is_given(&self, key: Key) -> bool {
        self.given.contains_key(&key)
    }

    /// Whether the document itself gives this key.
    pub(super) fn is_of_document(&self, key: Key) -> bool {
        self.given.get(&key).is_some_and(|place| place.source == 0)
    }

    /// Whether the document gives this key, and a `--set` has changed `choice`, for which it was given.
    pub(super) fn is_overtaken(&self, key: Key, choice: Key) -> bool {
        self.is_of_document(key) && self.given.get(&choice).is_some_and(|place| place.source > 0)
    }

    /// The document's own value of a key that a `--set` replaces.
    fn replaced(&self, (table, key): Key) -> Option<&Value> {
        self.document.replaced.get(&(table.to_owned(), key.to_owned()))
    }

    /// The same, of a [`Self::choice`].
    pub(super) fn replaced_choice<T: Copy>(&self, key: Key, options: &[(&str, T)]) -> Option<T> {
        let Some(Value::Text(text)) = self.replaced(key) else {
            return None;
        };
        options.iter().find(|(name, _)| name == text).map(|(_, value)| *value)
    }

    /// The same, of a [`Self::count`].
    pub(super) fn replaced_count(&self, key: Key, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Some(&Value::Integer(Some(value))) = self.replaced(key) else {
            return None;
        };
        u64::try_from(value).ok().filter(|value| bounds.contains(value))
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
    pub(super) fn count(&mut self, key: Key, default: Option<u64>, bounds: RangeInclusive<u64>) -> u64 {
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
        match value.and_then(|x| u64::try_from(x).ok()).filter(|x| bounds.contains(x)) {
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
                value: Value::Flag(x), ..
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
                value: Value::Text(text),
                at,
                ..
            }) => {
                if default.is_some() || !text.trim().is_empty() {
                    return text;
                }
                self.refuse(
                    key,
                    "E0105",
                    format!("`{}` must not be empty", path(key)),
                    at,
                    "empty",
                    None,
                );
            }
            Some(entry) => self.wrong_type(key, "a string", &entry),
            None if default.is_none() => self.missing(key, "give a string"),
            None => {}
        }
        default.unwrap_or_default().to_owned()
    }

    /// One of the named alternatives; the first is taken when a required one is missing or unknown.
    pub(super) fn choice<T: Copy>(&mut self, key: Key, default: Option<T>, options: &[(&str, T)]) -> T {
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
            Some(name) => format!("did you mean `{name}`? The choices are: {}", names.join(", ")),
            None => format!("the choices are: {}", names.join(", ")),
        };
        let message = format!("`{}` cannot be `{}`", path(key), text.escape_debug());
        self.refuse(key, "E0104", message, entry.at, "unknown choice", Some(help));
        fallback
    }

    /// Refuses `key` if it is given although it has a meaning only with `needs = choice`. A key of the file is put aside where a `--set`
    /// changes the choice.
    pub(super) fn only_with(&mut self, applies: bool, key: Key, needs: Key, choice: &str) {
        if !applies && self.is_given(key) && !self.is_overtaken(key, needs) {
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
    pub(super) fn conflict(&mut self, code: &'static str, message: String, labels: &[(Key, &str)], help: &str) {
        if labels.iter().any(|(key, _)| self.bad.contains(key)) {
            return;
        }
        let labels = labels.iter().map(|(key, text)| match self.given.get(key) {
            Some(place) => (place.clone(), (*text).to_owned()),
            None => {
                let place = self.document.header(key.0);
                (place, format!("{text} (`{}` is left at its default)", path(*key)))
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
        for ((table, key), entry) in std::mem::take(&mut self.document.entries) {
            if table.is_empty() || tables.contains(&table.as_str()) {
                let diagnostic = self.unknown(&table, &key, entry.key);
                self.list.push(diagnostic);
            }
        }
        for (table, at) in self.document.headers {
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
        names.sort_unstable();
        names
    }

    /// Suggests a similar key of the same table, or else the same key of other tables.
    fn unknown(&self, table: &str, key: &str, at: Place) -> Diagnostic {
        let here: Vec<&str> = self.known.iter().filter(|k| k.0 == table).map(|k| k.1).collect();
        let elsewhere: Vec<String> = self.known.iter().filter(|k| k.1 == key).map(|k| path(*k)).collect();
        let near = match nearest(key, here.iter().copied()) {
            Some(similar) => Some(path((table, similar))),
            None if elsewhere.is_empty() => None,
            None => Some(elsewhere.join("` or `")),
        };
        Diagnostic {
            code: "E0102",
            message: format!("unknown key `{}`", path((table, key)).escape_debug()),
            labels: vec![(at, "no such key".to_owned())],
            help: Some(suggestion(near.as_deref(), &here)),
        }
    }
}
