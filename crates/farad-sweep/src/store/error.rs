//! What can be wrong with a store, in words that say what to do.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why a store cannot be read or written. What was committed before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("cannot make the folder `{}`: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no store.
    #[error("there is no store `{}`; `farad sweep` makes one", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An SQLite file of something else.
    #[error("`{}` is not a store of Farad", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Tables of another version.
    #[error("the store `{}` has version {found}, this Farad reads version {}; take a newer Farad, or another --out", path.display(), super::STORE_SCHEMA)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// The file's pages are damaged.
    #[error(
        "the store `{}` is damaged ({problem}); `farad sweep merge NEW-DIR OLD-DIR` takes the readable points into a new store", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// Not even the beginning of its table can be read.
    #[error("nothing can be read of the store `{}`: {problem}", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The medium is full.
    #[error("no space left for the store `{}`; what was done before is kept, and the same command goes on from there", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("the store `{}` cannot be written: it or its folder is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("the store `{}`: {error}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
    /// A worker's lock file cannot be made.
    #[error("cannot lock `{}`: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A report cannot be packed.
    #[error("cannot pack a report: {0}")]
    Pack(std::io::Error),
    /// A report or settings cannot be written as JSON.
    #[error("cannot write a report as JSON: {0}")]
    Json(serde_json::Error),
}

/// Puts an error of SQLite on the file at `path` into words.
pub(super) fn at(path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
            path,
            problem: error.to_string(),
        },
        Some(ErrorCode::NotADatabase) => StoreError::Foreign { path },
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
        // A medium that is read-only has no place for the log beside the file.
        Some(ErrorCode::CannotOpen) if path.is_file() => StoreError::ReadOnly { path },
        _ => StoreError::Sqlite { path, error },
    }
}
