//! The text of a recipe: its keys with their places, so that every problem can be told at once and where it is.

use super::{Problem, Recipe};
use farad_hw::diagnostic::{Diagnostic, Diagnostics, Place, Source, did_you_mean};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

/// A text, and what was found wrong with it so far.
pub(crate) struct Document<'a> {
    source: Source,
    /// The text's keys, less those that no recipe can have.
    table: Spanned<DeTable<'a>>,
    /// Keys that were left out: rules about them would only repeat the complaint.
    bad: Vec<String>,
    list: Vec<Diagnostic>,
}

impl<'a> Document<'a> {
    /// Of the file `name`.
    pub(crate) fn new(name: &str, text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            source: Source {
                name: name.to_owned(),
                text: text.to_owned(),
            },
            table,
            bad: Vec::new(),
            list: Vec::new(),
        };
        for error in &errors {
            document.add(
                "T0001",
                "this is not TOML".to_owned(),
                span(error),
                error.message(),
                None,
            );
        }
        document
    }

    /// The recipe. What cannot be read is told and left out, and the rest read again, so that one problem does not hide
    /// the next. None if nothing is left that could be followed.
    pub(crate) fn recipe(&mut self) -> Option<Recipe> {
        if !self.list.is_empty() {
            return None;
        }
        let stages = self.stages();
        loop {
            match Recipe::deserialize(Deserializer::from(self.table.clone())) {
                // Without one of its stages it is another recipe.
                Ok(recipe) => return (self.stages() == stages).then_some(recipe),
                Err(error) => {
                    let key = cut(self.table.get_mut(), &span(&error));
                    self.unreadable(&error, key.as_deref());
                    self.bad.push(key?);
                }
            }
        }
    }

    /// What is left of the text, as values.
    pub(crate) fn values(&self) -> toml::Table {
        // Any TOML is a table of values.
        toml::Table::deserialize(Deserializer::from(self.table.clone())).unwrap_or_default()
    }

    fn stages(&self) -> Option<usize> {
        Some(self.table.get_ref().get("stage")?.get_ref().as_array()?.len())
    }

    /// Tells a problem at its key, or at the table that lacks the key.
    pub(crate) fn tell(&mut self, problem: &Problem) {
        let (span, found) = self.place(&problem.at);
        let key = problem.at.last().map_or("", String::as_str);
        if found || !self.bad.iter().any(|bad| bad == key) {
            let label = if found { "" } else { "in here" };
            self.add(problem.code, problem.message.clone(), span, label, None);
        }
    }

    /// What was made of the text, or all that is wrong with it, in its order.
    pub(crate) fn finish<T>(mut self, made: Option<T>) -> Result<T, Box<Diagnostics>> {
        if let (true, Some(made)) = (self.list.is_empty(), made) {
            return Ok(made);
        }
        self.list.sort_by(|a, b| a.labels[0].0.cmp(&b.labels[0].0));
        Err(Box::new(Diagnostics {
            sources: vec![self.source],
            list: self.list,
        }))
    }

    fn add(&mut self, code: &'static str, message: String, span: Range<usize>, label: &str, help: Option<String>) {
        self.list.push(Diagnostic {
            code,
            message,
            labels: vec![(Place::new(0, span), label.to_owned())],
            help,
        });
    }

    /// What the reader of the recipe's types said of the entry `key`, in words for people.
    fn unreadable(&mut self, error: &Error, key: Option<&str>) {
        let words = Words::new(error, key.unwrap_or("recipe"));
        // What was left out before is no new problem.
        if words.code != "T0103"
            || !self
                .bad
                .iter()
                .any(|bad| words.message.starts_with(&format!("`{bad}` ")))
        {
            self.add(words.code, words.message, span(error), &words.label, words.help);
        }
    }

    /// Where the key stands, or the last of the tables on the way to it that there is, and whether it is the key itself.
    fn place(&self, at: &[String]) -> (Range<usize>, bool) {
        let (mut span, mut table, mut items) = (0..0, Some(self.table.get_ref()), None::<&DeArray<'_>>);
        for key in at {
            let entry = match (table, items) {
                (Some(table), _) => table
                    .get_key_value(key.as_str())
                    .map(|(key, value)| (key.span(), value)),
                (None, Some(items)) => key
                    .parse()
                    .ok()
                    .and_then(|i: usize| Some((items.get(i)?.span(), items.get(i)?))),
                (None, None) => None,
            };
            let Some((key_span, value)) = entry else {
                return (span, false);
            };
            (table, items) = (value.get_ref().as_table(), value.get_ref().as_array());
            // What may be longer than a line is shown by its key or header.
            span = if table.is_some() || items.is_some() {
                key_span
            } else {
                value.span()
            };
        }
        (span, true)
    }
}

fn span(error: &Error) -> Range<usize> {
    error.span().unwrap_or(0..0)
}

/// Takes out the smallest entry that stands at `span`, or the table of a list that does, and returns its key.
fn cut(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (key, value) in table.iter_mut() {
        let within = match value.get_mut() {
            DeValue::Table(inner) => cut(inner, span),
            DeValue::Array(items) => cut_item(items, span, key.get_ref()),
            _ => None,
        };
        if within.is_some() {
            return within;
        }
    }
    let here = |(key, value): &(&Spanned<_>, &Spanned<_>)| key.span() == *span || is_at(value, span);
    let key = table.iter().find(here)?.0.clone();
    table.remove(&key);
    Some(key.into_inner().into_owned())
}

/// The same in the tables of the list `name`.
fn cut_item(items: &mut DeArray<'_>, span: &Range<usize>, name: &str) -> Option<String> {
    let tables = items.iter_mut().filter_map(|item| match item.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    });
    for table in tables {
        if let Some(key) = cut(table, span) {
            return Some(key);
        }
    }
    let whole = |item: &Spanned<DeValue<'_>>| item.get_ref().is_table() && item.span() == *span;
    let gone = items.iter().position(whole)?;
    let kept = std::mem::replace(items, DeArray::new())
        .into_iter()
        .enumerate()
        .filter(|(i, _)| *i != gone);
    *items = kept.map(|(_, item)| item).collect();
    Some(name.to_owned())
}

/// Whether the value, or one in its lists, stands at `span`.
fn is_at(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let inside = |item: &Spanned<DeValue<'_>>| !item.get_ref().is_table() && is_at(item, span);
    value.span() == *span || value.get_ref().as_array().is_some_and(|items| items.iter().any(inside))
}

/// An error of the reader of the recipe's types, in words for people.
pub(crate) struct Words {
    code: &'static str,
    pub(crate) message: String,
    label: String,
    pub(crate) help: Option<String>,
}

impl Words {
    /// `key` is the one whose value is wrong, if that is what is wrong.
    pub(crate) fn new(error: &Error, key: &str) -> Self {
        let message = error.message().trim();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let name = quoted.next().unwrap_or_default();
        if message.starts_with("missing field") {
            return Self {
                code: "T0103",
                message: format!("`{name}` is missing"),
                label: "it is required here".to_owned(),
                help: None,
            };
        }
        if message.starts_with("unknown ") {
            let what = match message.starts_with("unknown field") {
                true => "key",
                false => "choice",
            };
            return Self {
                code: "T0101",
                message: format!("unknown {what} `{name}`"),
                label: format!("no such {what}"),
                help: Some(did_you_mean(name, &quoted.collect::<Vec<_>>())),
            };
        }
        let (found, must) = match message.split_once(", expected ") {
            Some((found, expected)) => (found, format!("must be {}", plain(expected))),
            None => (message, "cannot be read".to_owned()),
        };
        Self {
            code: "T0102",
            message: format!("`{key}` {must}"),
            label: found.to_owned(),
            help: None,
        }
    }
}

/// What a reader expects, without the names of types.
fn plain(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "an integer from 0",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}
