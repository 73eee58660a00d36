//! Who works on what, when several processes share a store.
//!
//! A worker holds an operating-system lock on a file of its own for as long as it lives. Its claims count while the lock
//! is held: there is no clock, nothing to renew, and a process that was killed has let go the moment it is gone.
//! Everything about workers happens inside write transactions, so nobody meets a worker half made.

use super::Store;
use super::error::{StoreError, at};
use crate::run::{Sink, SweepError};
use crate::settings::Settings;
use farad_report::Report;
use rusqlite::{Transaction, TransactionBehavior, params};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// A process at work on a store.
#[derive(Debug)]
pub struct Worker<'a> {
    store: &'a Store,
    id: i64,
    lock_file: PathBuf,
    /// Locked until it is closed.
    _lock: File,
}

/// What came of asking for a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is this worker's.
    Ours,
    /// It has a result.
    Done,
    /// Another worker, alive, is at it.
    Others,
}

impl Store {
    /// Registers this process, and forgets workers that are gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn worker(&self) -> Result<Worker<'_>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(at(&self.path))?;
        self.forget_the_dead(&transaction)?;
        let id: i64 = transaction
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM worker", [], |row| row.get(0))
            .map_err(at(&self.path))?;
        let name = format!(".worker-{id}.lock");
        let lock_file = self.beside(&name);
        let lock = locked(&lock_file)?;
        transaction
            .execute("INSERT INTO worker (id, lock_file) VALUES (?, ?)", params![id, name])
            .and_then(|_| transaction.commit())
            .map_err(at(&self.path))?;
        Ok(Worker {
            store: self,
            id,
            lock_file,
            _lock: lock,
        })
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    /// Removes workers whose lock is free, with their claims.
    fn forget_the_dead(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let list = || {
            let mut query = transaction.prepare("SELECT id, lock_file FROM worker")?;
            let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        for (id, name) in list().map_err(at(&self.path))? {
            let path = self.beside(&name);
            let alive = File::open(&path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
            if !alive {
                transaction
                    .execute("DELETE FROM worker WHERE id = ?", [id])
                    .map_err(at(&self.path))?;
                // One that stays behind is taken over by the next worker of this number.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}

fn locked(path: &Path) -> Result<File, StoreError> {
    let wrong = |source| StoreError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(wrong)?;
    file.try_lock().map_err(|error| wrong(error.into()))?;
    Ok(file)
}

impl Sink for Worker<'_> {
    fn claim(&self, key: &str) -> Result<Claim, SweepError> {
        Ok(self.ask(key)?)
    }

    fn put(&self, key: &str, settings: &Settings, report: &Report) -> Result<(), SweepError> {
        Ok(self.store.put(key, settings, report)?)
    }

    fn release(&self, key: &str) -> Result<(), SweepError> {
        Ok(self.give_up(key)?)
    }
}

impl Worker<'_> {
    fn ask(&self, key: &str) -> Result<Claim, StoreError> {
        let path = &self.store.path;
        let mut connection = self.store.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(at(path))?;
        let exists = |sql: &str| transaction.query_row(sql, [key], |row| row.get::<_, bool>(0));
        if exists("SELECT count(*) > 0 FROM point WHERE key = ?").map_err(at(path))? {
            return Ok(Claim::Done);
        }
        if exists("SELECT count(*) > 0 FROM claim WHERE key = ?").map_err(at(path))? {
            self.store.forget_the_dead(&transaction)?;
        }
        let claimed = transaction
            .execute(
                "INSERT OR IGNORE INTO claim (key, worker) VALUES (?, ?)",
                params![key, self.id],
            )
            .map_err(at(path))?;
        transaction.commit().map_err(at(path))?;
        Ok(if claimed == 1 { Claim::Ours } else { Claim::Others })
    }

    fn give_up(&self, key: &str) -> Result<(), StoreError> {
        let connection = self.store.lock();
        connection
            .execute("DELETE FROM claim WHERE key = ? AND worker = ?", params![key, self.id])
            .map(|_| ())
            .map_err(at(&self.store.path))
    }
}

impl Drop for Worker<'_> {
    /// Best effort: what is left behind is found dead by the next worker.
    fn drop(&mut self) {
        let gone = self.store.lock().execute("DELETE FROM worker WHERE id = ?", [self.id]);
        if gone.is_ok() {
            let _ = std::fs::remove_file(&self.lock_file);
        }
    }
}
