//! Results on disk: one SQLite file (<https://sqlite.org/wal.html>), one row per point, one transaction per result.
//!
//! A row is found by the point's key alone, and the key holds the version of the numbers, so results of different
//! versions lie side by side and are never taken for each other. Rows are written once and never changed.

mod claim;
mod error;
mod read;

pub use claim::{Claim, Worker};
pub use error::StoreError;
pub use read::{Row, Salvage};

use crate::settings::Settings;
use error::at;
use farad_report::Report;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// File of the store in an output folder.
pub const STORE_FILE: &str = "sweep.sqlite";

/// "Frd1": tells a store from other SQLite files (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x4672_6431;

/// Version of the tables (`PRAGMA user_version`).
pub(crate) const STORE_SCHEMA: i32 = 1;

const TABLES: &str = "
CREATE TABLE point (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,      -- SHA-256 of everything that determines the report
    semantics INTEGER NOT NULL,    -- version of the numbers
    settings TEXT NOT NULL,        -- what farad run was given, JSON
    wall_s REAL NOT NULL,          -- time that the run took, s
    report BLOB NOT NULL           -- report.json, zlib
);
CREATE TABLE worker (id INTEGER PRIMARY KEY, lock_file TEXT NOT NULL);
CREATE TABLE claim (
    key TEXT PRIMARY KEY,
    worker INTEGER NOT NULL REFERENCES worker (id) ON DELETE CASCADE
) WITHOUT ROWID;
";

/// How long one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(60);

/// An open store. Threads may share it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the store of a folder for writing; makes folder and store where there are none.
    ///
    /// # Errors
    /// [`StoreError`]: the folder cannot be written, the file is no store, is damaged, or of a newer version.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(STORE_FILE);
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(at(&path))?;
        Self::prepare(&mut connection, &path)?;
        Ok(Self::new(path, connection))
    }

    /// Opens the store of a folder for reading alone; it may be on a medium that cannot be written.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; else as [`open`](Self::open).
    pub fn open_to_read(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(STORE_FILE);
        if !path.is_file() {
            return Err(StoreError::Missing { path });
        }
        let connection = read::connect(&path)?;
        check_version(&connection, &path)?;
        Ok(Self::new(path, connection))
    }

    fn new(path: PathBuf, connection: Connection) -> Self {
        Self {
            path,
            connection: Mutex::new(connection),
        }
    }

    fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
        connection.busy_timeout(BUSY).map_err(at(path))?;
        // A commit survives the process; after a loss of power the last few points may have to run again.
        for (pragma, value) in [
            ("journal_mode", "WAL"),
            ("synchronous", "NORMAL"),
            ("foreign_keys", "ON"),
        ] {
            connection.pragma_update(None, pragma, value).map_err(at(path))?;
        }
        // Two processes may meet here: the second waits and finds the tables made.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(at(path))?;
        let made: bool = transaction
            .query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| row.get(0))
            .map_err(at(path))?;
        if made {
            check_version(&transaction, path)?;
        } else {
            transaction.execute_batch(TABLES).map_err(at(path))?;
            for (pragma, value) in [("application_id", APPLICATION_ID), ("user_version", STORE_SCHEMA)] {
                transaction.pragma_update(None, pragma, value).map_err(at(path))?;
            }
        }
        transaction.commit().map_err(at(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A transaction that failed was rolled back, so a poisoned lock guards nothing half done.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result, and gives up the point's claim, in one transaction. A point that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]; then the store is as it was.
    pub fn put(&self, key: &str, settings: &Settings, report: &Report) -> Result<(), StoreError> {
        let packed = Packed::new(key, settings, report)?;
        self.write(&[packed]).map(|_| ())
    }

    /// Keeps many results in one transaction, and says how many of them are new.
    ///
    /// # Errors
    /// [`StoreError`]; then the store is as it was.
    pub fn put_all(&self, rows: &[Row]) -> Result<u64, StoreError> {
        let packed = rows.iter().map(|row| Packed::new(&row.key, &row.settings, &row.report));
        self.write(&packed.collect::<Result<Vec<_>, _>>()?)
    }

    fn write(&self, rows: &[Packed<'_>]) -> Result<u64, StoreError> {
        let mut connection = self.lock();
        let mut write = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut new = 0;
            {
                let mut insert = transaction.prepare(
                    "INSERT OR IGNORE INTO point (key, semantics, settings, wall_s, report) VALUES (?, ?, ?, ?, ?)",
                )?;
                let mut give_up = transaction.prepare("DELETE FROM claim WHERE key = ?")?;
                for row in rows {
                    new += insert.execute(params![row.key, row.semantics, row.settings, row.wall_s, row.report])?;
                    give_up.execute([row.key])?;
                }
            }
            transaction.commit()?;
            Ok(new as u64)
        };
        write().map_err(at(&self.path))
    }
}

/// A row as the table has it.
struct Packed<'a> {
    key: &'a str,
    semantics: u32,
    settings: String,
    wall_s: f64,
    report: Vec<u8>,
}

impl<'a> Packed<'a> {
    /// JSON of a few times ten thousand bytes, most of them histograms, shrinks to a tenth.
    fn new(key: &'a str, settings: &Settings, report: &Report) -> Result<Self, StoreError> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        let json = serde_json::to_vec(report).map_err(StoreError::Json)?;
        let packed = encoder.write_all(&json).and_then(|()| encoder.finish());
        Ok(Self {
            key,
            semantics: report.semantics,
            settings: serde_json::to_string(settings).map_err(StoreError::Json)?,
            wall_s: report.host.wall_s,
            report: packed.map_err(StoreError::Pack)?,
        })
    }
}

fn check_version(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
    if pragma("application_id").map_err(at(path))? != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found = pragma("user_version").map_err(at(path))?;
    if found == STORE_SCHEMA {
        return Ok(());
    }
    Err(StoreError::Version {
        path: path.to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Experiment, Plan, Selection};
    use std::sync::atomic::AtomicBool;

    /// A full medium, as SQLite sees it: no further page can be had.
    #[test]
    fn a_full_store_keeps_what_it_has() {
        let experiment = Experiment::parse("e.toml", "[base]\nimages = 1\n", Path::new("")).unwrap();
        let plan = Plan::new(experiment, &Selection::default()).unwrap();
        let workloads = plan.workloads().unwrap();
        let never = AtomicBool::new(false);
        let report = plan.run(&workloads, &plan.points[0], 1, &|_, _| {}, &never).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let limit = |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            store.lock().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap();
        };
        limit(40);
        let mut kept = 0;
        let error = loop {
            match store.put(&format!("{kept}"), &Settings::default(), &report) {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(kept > 0);
        assert_eq!(store.len().unwrap(), kept);
        limit(1000);
        store.put("more", &Settings::default(), &report).unwrap();
        assert_eq!(store.len().unwrap(), kept + 1);
    }
}
