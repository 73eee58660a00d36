//! Every rule over the whole tree.
//!
//! # How to add a rule
//! Write a function in [`crates`] (about packages and their dependencies) or [`files`] (about the text of tracked
//! files) that returns violations, call it in [`check`], and test that it finds what it forbids.

mod crates;
mod files;
mod rust_text;

use anyhow::Context;
use std::fmt;
use std::path::Path;

/// A broken rule and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `file:line`, a file, or an edge between crates.
    place: String,
    /// What is wrong, and the rule.
    what: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the workspace at `root`.
///
/// # Errors
/// If its metadata or files cannot be read.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata --no-deps")?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    let lock = crates::Lock::parse(&lock)?;

    let mut violations = crates::edges(&metadata.packages);
    violations.extend(crates::candle(&lock));
    violations.extend(crates::sources(&lock));
    violations.extend(crates::docs(&metadata.packages)?);
    for path in files::tracked(root)? {
        // A file that is not text has no lines to break a rule with.
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            violations.extend(files::violations(&path, &text));
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        let violations = super::check(&crate::root().unwrap()).unwrap();
        let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(list.is_empty(), "\n{}", list.join("\n"));
    }
}
