//! Reading results, also from a medium that cannot be written and from a file that is damaged.

use super::error::{StoreError, at};
use super::{BUSY, Store};
use crate::settings::Settings;
use farad_report::Report;
use flate2::read::ZlibDecoder;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Of the point.
    pub key: String,
    /// What was run.
    pub settings: Settings,
    /// What came of it.
    pub report: Report,
}

/// What could be read of a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salvage {
    /// Rows that are whole.
    pub rows: u64,
    /// Row numbers at which nothing could be read.
    pub lost: u64,
}

/// A report of a sound store unpacks to less than this; more is damage.
const LARGEST_REPORT: u64 = 1 << 28;

/// For reading alone. A file in WAL mode needs others beside it also for that, which the last connection removes if it may
/// write; so a file on a medium that cannot be written is opened as one that nobody changes.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let writable = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let open = |mode: OpenFlags, suffix: &str| {
        let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(path, suffix), flags)?;
        connection.busy_timeout(BUSY)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        connection.pragma_update(None, "query_only", "ON")?;
        Ok(connection)
    };
    let unwritable = |error: &rusqlite::Error| {
        use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
        matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
    };
    match open(writable, "") {
        Err(error) if unwritable(&error) => open(OpenFlags::SQLITE_OPEN_READ_ONLY, "?immutable=1").map_err(at(path)),
        opened => opened.map_err(at(path)),
    }
}

/// <https://sqlite.org/uri.html>: what has a meaning there is escaped.
fn uri(path: &Path, suffix: &str) -> String {
    let path = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    format!("file:{path}{suffix}")
}

impl Store {
    /// Whether a point has a result.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn has(&self, key: &str) -> Result<bool, StoreError> {
        self.lock()
            .query_row("SELECT count(*) > 0 FROM point WHERE key = ?", [key], |row| row.get(0))
            .map_err(at(&self.path))
    }

    /// The report of a point, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn report(&self, key: &str) -> Result<Option<Report>, StoreError> {
        let packed: Option<Vec<u8>> = self
            .lock()
            .query_row("SELECT report FROM point WHERE key = ?", [key], |row| row.get(0))
            .optional()
            .map_err(at(&self.path))?;
        packed
            .map(|packed| unpack(&packed).ok_or_else(|| self.unreadable()))
            .transpose()
    }

    /// Number of results, of all versions.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn len(&self) -> Result<u64, StoreError> {
        self.lock()
            .query_row("SELECT count(*) FROM point", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(at(&self.path))
    }

    /// Whether there is no result.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Hands out every row that is whole, in the order they were written, whatever is damaged in between.
    ///
    /// # Errors
    /// [`StoreError`] if not even the table's beginning can be read, and what `take` returns.
    pub fn salvage<E: From<StoreError>>(&self, mut take: impl FnMut(Row) -> Result<(), E>) -> Result<Salvage, E> {
        let mut salvage = Salvage::default();
        let last = self.last_id().map_err(|error| match error {
            // To salvage is what its message says to do.
            StoreError::Damaged { path, problem } => StoreError::Lost { path, problem },
            error => error,
        })?;
        let mut id = 0;
        while let Some(next) = self.next_id(id, last) {
            id = next;
            match self.row(id) {
                Some(Some(row)) => {
                    take(row)?;
                    salvage.rows += 1;
                }
                Some(None) => {}
                None => salvage.lost += 1,
            }
        }
        Ok(salvage)
    }

    fn last_id(&self) -> Result<i64, StoreError> {
        self.lock()
            .query_row("SELECT coalesce(max(id), 0) FROM point", [], |row| row.get(0))
            .map_err(at(&self.path))
    }

    /// The next row number; where the pages in between are damaged, simply the next.
    fn next_id(&self, id: i64, last: i64) -> Option<i64> {
        let next = self
            .lock()
            .query_row("SELECT min(id) FROM point WHERE id > ?", [id], |row| {
                row.get::<_, Option<i64>>(0)
            });
        match next {
            Ok(next) => next,
            Err(_) if id < last => Some(id + 1),
            Err(_) => None,
        }
    }

    /// A row: `None` if it cannot be read, `Some(None)` if there is none.
    fn row(&self, id: i64) -> Option<Option<Row>> {
        let connection = self.lock();
        let columns = connection
            .query_row("SELECT key, settings, report FROM point WHERE id = ?", [id], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Vec<u8>>(2)?,
                ))
            })
            .optional()
            .ok()?;
        let Some((key, settings, report)) = columns else {
            return Some(None);
        };
        Some(Some(Row {
            key,
            settings: serde_json::from_str(&settings).ok()?,
            report: unpack(&report)?,
        }))
    }

    fn unreadable(&self) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            problem: "a report in it cannot be unpacked".to_owned(),
        }
    }
}

/// The report in a packed row, if its checksum holds.
fn unpack(packed: &[u8]) -> Option<Report> {
    let mut json = Vec::new();
    ZlibDecoder::new(packed)
        .take(LARGEST_REPORT)
        .read_to_end(&mut json)
        .ok()?;
    serde_json::from_slice(&json).ok()
}
