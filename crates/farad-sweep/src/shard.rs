//! Results on their way from a cluster's nodes to the store: files that only one process writes.
//!
//! A shard is a sequence of gzip members, one for each result: a line of JSON with key, settings and report (`zcat` shows
//! it). A result is appended in one write and is there when its member is whole; what a killed process left half written
//! is cut off by the next one.

use crate::run::{Sink, SweepError};
use crate::settings::Settings;
use crate::store::{Claim, Row, Store, StoreError};
use farad_report::Report;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How shards' names end.
pub const SHARD_SUFFIX: &str = ".shard.gz";

/// Rows of one transaction while shards are merged.
const BATCH: usize = 256;

/// Why a shard cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The file.
    #[error("shard `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is something else, or from another version of Farad.
    #[error("`{}` is not a shard that this Farad can read: {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The store that shards are merged into, or that is merged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> ShardError {
    let path = path.to_owned();
    move |source| ShardError::File {
        path: path.clone(),
        source,
    }
}

/// A shard that this process writes.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    file: Mutex<File>,
    done: Mutex<BTreeSet<String>>,
}

impl Shard {
    /// Opens a shard to go on with it, or makes one.
    ///
    /// # Errors
    /// [`ShardError`], also if another process writes it.
    pub fn open(path: &Path) -> Result<Self, ShardError> {
        let wrong = file_error(path);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(&wrong)?;
        file.try_lock().map_err(|error| wrong(error.into()))?;
        let mut done = BTreeSet::new();
        let whole = read(path, &mut |row| {
            done.insert(row.key);
            Ok(())
        })?;
        file.set_len(whole.bytes).map_err(&wrong)?;
        (&file).seek(std::io::SeekFrom::End(0)).map_err(&wrong)?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            done: Mutex::new(done),
        })
    }

    fn has(&self, key: &str) -> bool {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn append(&self, key: &str, settings: &Settings, report: &Report) -> Result<(), ShardError> {
        let wrong = file_error(&self.path);
        let record = Row {
            key: key.to_owned(),
            settings: settings.clone(),
            report: report.clone(),
        };
        let mut line = serde_json::to_vec(&record).map_err(StoreError::Json)?;
        line.push(b'\n');
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let member = encoder
            .write_all(&line)
            .and_then(|()| encoder.finish())
            .map_err(&wrong)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // On the medium before the point counts as done: a node may lose its power.
        file.write_all(&member)
            .and_then(|()| file.sync_data())
            .map_err(&wrong)?;
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned());
        Ok(())
    }
}

impl Sink for Shard {
    fn claim(&self, key: &str) -> Result<Claim, SweepError> {
        Ok(if self.has(key) { Claim::Done } else { Claim::Ours })
    }

    fn put(&self, key: &str, settings: &Settings, report: &Report) -> Result<(), SweepError> {
        Ok(self.append(key, settings, report)?)
    }

    fn release(&self, _: &str) -> Result<(), SweepError> {
        Ok(())
    }
}

/// What was read of a shard.
struct Whole {
    /// Its beginning up to the last whole member.
    bytes: u64,
    /// Whether there is something behind that.
    torn: bool,
}

/// Hands out every record of a shard, up to its end or to where it was torn.
fn read(path: &Path, take: &mut dyn FnMut(Row) -> Result<(), ShardError>) -> Result<Whole, ShardError> {
    let wrong = file_error(path);
    let mut reader = BufReader::new(File::open(path).map_err(&wrong)?);
    let mut bytes = 0;
    loop {
        let beginning = reader.fill_buf().map_err(&wrong)?;
        if beginning.is_empty() {
            return Ok(Whole { bytes, torn: false });
        }
        // gzip's magic number, RFC 1952.
        if bytes == 0 && !b"\x1f\x8b".starts_with(&beginning[..beginning.len().min(2)]) {
            return Err(ShardError::Foreign {
                path: path.to_owned(),
                problem: "it does not begin as one".to_owned(),
            });
        }
        let mut line = Vec::new();
        let mut decoder = GzDecoder::new(&mut reader);
        if decoder.read_to_end(&mut line).is_err() {
            return Ok(Whole { bytes, torn: true });
        }
        let row = serde_json::from_slice(&line).map_err(|error| ShardError::Foreign {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        take(row)?;
        bytes = reader.stream_position().map_err(&wrong)?;
    }
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Files that were read.
    pub files: u64,
    /// Results in them.
    pub rows: u64,
    /// Those that the store did not have yet.
    pub new: u64,
    /// Results that could not be read: torn ends of shards, damaged rows of stores.
    pub lost: u64,
}

/// Takes shards, and other stores, into a store. A folder stands for the store and all shards in it.
///
/// # Errors
/// [`ShardError`]; what was merged before is kept, and merging again does no harm.
pub fn merge(store: &Store, sources: &[PathBuf]) -> Result<Merged, ShardError> {
    let mut merged = Merged::default();
    let mut batch = Vec::new();
    for path in sources {
        if path.is_dir() {
            if path.join(crate::STORE_FILE).is_file() {
                merge_store(store, path, &mut batch, &mut merged)?;
            }
            let mut shards = Vec::new();
            for entry in std::fs::read_dir(path).map_err(file_error(path))? {
                let entry = entry.map_err(file_error(path))?;
                if entry.file_name().to_string_lossy().ends_with(SHARD_SUFFIX) {
                    shards.push(entry.path());
                }
            }
            shards.sort();
            for shard in shards {
                merge_shard(store, &shard, &mut batch, &mut merged)?;
            }
        } else {
            merge_shard(store, path, &mut batch, &mut merged)?;
        }
    }
    flush(store, &mut batch, &mut merged)?;
    Ok(merged)
}

fn merge_shard(store: &Store, path: &Path, batch: &mut Vec<Row>, merged: &mut Merged) -> Result<(), ShardError> {
    let whole = read(path, &mut |row| add(store, row, batch, merged))?;
    merged.files += 1;
    merged.lost += u64::from(whole.torn);
    Ok(())
}

fn merge_store(store: &Store, folder: &Path, batch: &mut Vec<Row>, merged: &mut Merged) -> Result<(), ShardError> {
    let other = Store::open_to_read(folder)?;
    let salvage = other.salvage(|row| add(store, row, batch, merged))?;
    merged.files += 1;
    merged.lost += salvage.lost;
    Ok(())
}

fn add(store: &Store, row: Row, batch: &mut Vec<Row>, merged: &mut Merged) -> Result<(), ShardError> {
    merged.rows += 1;
    batch.push(row);
    if batch.len() >= BATCH {
        flush(store, batch, merged)?;
    }
    Ok(())
}

fn flush(store: &Store, batch: &mut Vec<Row>, merged: &mut Merged) -> Result<(), ShardError> {
    merged.new += store.put_all(batch)?;
    batch.clear();
    Ok(())
}
