//! Problems of a macro description: all at once, each pointing at the text that causes it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// A text that was read: the macro file, or one `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A part of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into [`Diagnostics::sources`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Place {
    /// The bytes `span` of source `source`.
    #[must_use]
    pub fn new(source: usize, span: Range<usize>) -> Self {
        Self {
            source,
            start: span.start,
            end: span.end,
        }
    }

    /// Bytes of the source.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, explained at length by [`crate::schema::explain`].
    pub code: &'static str,
    /// What is wrong, one sentence.
    pub message: String,
    /// Where, the main place first; each with a short text.
    pub labels: Vec<(Place, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Every problem of a description, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// What was read.
    pub sources: Vec<Source>,
    /// What is wrong with it; never empty.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The text for people, as a compiler would print it; `color` for a terminal.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in &self.list {
            let mut group = Level::ERROR
                .primary_title(&diagnostic.message)
                .id(diagnostic.code)
                .elements(self.snippets(diagnostic));
            if let Some(help) = &diagnostic.help {
                group = group.element(Level::HELP.message(help));
            }
            out.push_str(&renderer.render(&[group]));
            out.push_str("\n\n");
        }
        let n = self.list.len();
        out.push_str(&format!(
            "{n} problem{} in {}",
            if n == 1 { "" } else { "s" },
            self.sources[0].name
        ));
        out
    }

    /// One snippet per source that the diagnostic points into, the main place's source first.
    fn snippets<'a>(&'a self, diagnostic: &'a Diagnostic) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let mut order: Vec<usize> = Vec::new();
        for (place, _) in &diagnostic.labels {
            if !order.contains(&place.source) {
                order.push(place.source);
            }
        }
        let snippet = |source: usize| {
            let annotations = diagnostic
                .labels
                .iter()
                .enumerate()
                .filter(move |(_, (place, _))| place.source == source);
            let annotations = annotations.map(|(i, (place, text))| {
                let kind = if i == 0 {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                kind.span(place.span()).label(text)
            });
            let Source { name, text } = &self.sources[source];
            Snippet::source(text)
                .path(name)
                .annotations(annotations.collect::<Vec<_>>())
        };
        order.into_iter().map(snippet).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// What to do about `typed`, which is none of the `known` names.
#[must_use]
pub fn did_you_mean(typed: &str, known: &[&str]) -> String {
    suggestion(nearest(typed, known.iter().copied()), known)
}

/// What to do about a name that does not exist.
pub(crate) fn suggestion(near: Option<&str>, all: &[&str]) -> String {
    match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", all.join(", ")),
    }
}

/// The most similar name, if any is similar enough to be a slip.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(score, _)| *score > 0.8);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
