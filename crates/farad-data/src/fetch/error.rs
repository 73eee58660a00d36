//! Why a dataset could not be fetched or verified.

use std::io;
use std::path::{Path, PathBuf};

/// Why a dataset could not be fetched or verified: names the address or the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A name that no publisher is known for.
    #[error("no dataset `{name}` to fetch; there are {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The datasets that can be fetched.
        known: Vec<&'static str>,
    },
    /// Neither `$FARAD_DATA` nor a home directory says where datasets are kept.
    #[error("nowhere to keep datasets; set FARAD_DATA to a folder")]
    NoPlace,
    /// The address does not answer, or not with the file.
    #[error("{url}: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The connection ended before the file did; what came is kept.
    #[error("{url}: cut off after {received} bytes ({reason}); fetch again to go on from there")]
    CutOff {
        /// The address.
        url: String,
        /// Bytes that are here, earlier attempts included.
        received: u64,
        /// What went wrong.
        reason: String,
    },
    /// What came is not what was published; it was thrown away.
    #[error("{url}: what came has the MD5 sum {found}; expected {expected}")]
    Checksum {
        /// The address.
        url: String,
        /// Sum of what came.
        found: String,
        /// The published sum.
        expected: &'static str,
    },
    /// A file of that name is here and is another one; it was left alone.
    #[error("{}: not the published file; move it away to fetch that", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// An archive that lacks a file, or holds one that is not what its publisher's was.
    #[error("{}: {reason}", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl FetchError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}
