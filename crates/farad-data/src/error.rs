//! Why a dataset could not be loaded.

use crate::Split;
use std::io;
use std::path::{Path, PathBuf};

/// Why a dataset could not be loaded: names the file or folder, and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Neither a known name nor a folder.
    #[error(
        "no dataset `{name}`: looked for {}, and there is no bundled sample of that name{}",
        paths(.looked),
        crate::locate::fetch_hint(.name)
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// The folders that would have been it.
        looked: Vec<PathBuf>,
    },
    /// A word after the colon that is no split.
    #[error("`{spec}`: unknown split `{word}`; expected `train` or `test`")]
    UnknownSplit {
        /// The whole specification.
        spec: String,
        /// The word after the colon.
        word: String,
    },
    /// A folder that holds no files of a known format.
    #[error("{}: no dataset recognised; expected one of: {}", .folder.display(), .known.join("; "))]
    Unrecognised {
        /// The folder.
        folder: PathBuf,
        /// The files of each format.
        known: Vec<&'static str>,
    },
    /// A folder that holds files of two formats.
    #[error("{}: holds more than one dataset: {}; expected one", .folder.display(), .formats.join(" and "))]
    Ambiguous {
        /// The folder.
        folder: PathBuf,
        /// The names of the formats found.
        formats: Vec<&'static str>,
    },
    /// The dataset is there, the split is not.
    #[error("{place}: no `{split}` split; expected {expected}")]
    NoSplit {
        /// The folder, or the bundled sample.
        place: String,
        /// What was asked for.
        split: Split,
        /// What would be that split.
        expected: String,
    },
    /// A file that is missing or cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that is not what its name says.
    #[error("{}: {found}; expected {expected}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// What it should have been.
        expected: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}
