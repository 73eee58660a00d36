//! Datasets from their publishers, with checksums.
//!
//! What is fetched becomes visible when it is whole and its checksum is right, and not before: a fetch that was stopped
//! goes on where it ended, and files that are here already are verified and used. Nothing that is here under a published
//! name is overwritten.

mod download;
mod error;
mod published;
#[cfg(test)]
mod tests;
mod unpack;

use crate::locate::Places;
use md5::{Digest, Md5};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use error::FetchError;
use published::{DATASETS, File, Published};

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file on its way.
    pub file: &'a str,
    /// Bytes of it that are here, those of an earlier attempt included.
    pub done: u64,
    /// All its bytes, if the server says.
    pub total: Option<u64>,
}

/// A published file and what is here under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Where it is or would be.
    pub path: PathBuf,
    /// What is there.
    pub state: FileState,
}

/// What a checksum says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// The published file.
    Verified,
    /// Nothing.
    Missing,
    /// Something else. So is an unpacked file whose gzipped form has the checksum: readers prefer it.
    Other,
}

/// Fetches what is missing of a published dataset into the folder where [`load`](crate::load) finds it by its name, and
/// returns that folder: the first that is there, else one in `$FARAD_DATA` or in the user's cache directory. `from` is the
/// address of a mirror's folder, in place of the publisher's.
///
/// # Errors
///
/// Returns [`FetchError`] for an unknown name, an address that does not give the file, a file with another checksum, and
/// where the disk fails. What was fetched completely, and the beginning of what was not, stays for the next attempt.
pub fn fetch(name: &str, from: Option<&str>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, FetchError> {
    let dataset = published(name)?;
    let dir = Places::from_env().keep(name).ok_or(FetchError::NoPlace)?;
    fetch_into(dataset, from.unwrap_or(dataset.address), &dir, progress)?;
    Ok(dir)
}

/// Compares the files of a published dataset with their checksums, in the folder where [`load`](crate::load) finds it.
///
/// # Errors
///
/// Returns [`FetchError`] for an unknown name, and for a file that cannot be read; a file that is missing or another one is
/// a result.
pub fn verify(name: &str) -> Result<Vec<FileCheck>, FetchError> {
    let dataset = published(name)?;
    let dir = Places::from_env().keep(name).ok_or(FetchError::NoPlace)?;
    check_all(dataset, &dir)
}

fn published(name: &str) -> Result<&'static Published, FetchError> {
    DATASETS
        .iter()
        .find(|d| d.name == name)
        .ok_or_else(|| FetchError::Unknown {
            name: name.to_owned(),
            known: DATASETS.iter().map(|d| d.name).collect(),
        })
}

fn fetch_into(
    dataset: &Published,
    base: &str,
    dir: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), FetchError> {
    let checks = check_all(dataset, dir)?;
    if let Some(other) = checks.iter().find(|c| c.state == FileState::Other) {
        return Err(FetchError::Other {
            path: other.path.clone(),
        });
    }
    let here = checks.iter().map(|c| c.state == FileState::Verified);
    let missing: Vec<File> = dataset
        .files
        .iter()
        .zip(here)
        .filter_map(|(&file, here)| (!here).then_some(file))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(FetchError::io(dir))?;
    let Some(archive) = &dataset.archive else {
        return missing
            .iter()
            .try_for_each(|file| download::download(file, base, dir, progress));
    };
    let path = dir.join(archive.file.name);
    match check(&archive.file, dir)?.state {
        FileState::Verified => {}
        FileState::Missing => download::download(&archive.file, base, dir, progress)?,
        FileState::Other => return Err(FetchError::Other { path }),
    }
    unpack::unpack(&path, &missing, &home(dataset, dir))?;
    fs::remove_file(&path).map_err(FetchError::io(&path))
}

fn check_all(dataset: &Published, dir: &Path) -> Result<Vec<FileCheck>, FetchError> {
    let home = home(dataset, dir);
    dataset.files.iter().map(|file| check(file, &home)).collect()
}

/// Where the files lie: in the dataset's folder, or, if none does, in the archive's folder in it where that is there.
fn home(dataset: &Published, dir: &Path) -> PathBuf {
    let inner = dataset
        .archive
        .map(|a| dir.join(a.folder))
        .filter(|inner| inner.is_dir());
    match inner {
        Some(inner) if dataset.files.iter().all(|f| !dir.join(f.name).exists()) => inner,
        _ => dir.to_owned(),
    }
}

fn check(file: &File, dir: &Path) -> Result<FileCheck, FetchError> {
    let path = dir.join(file.name);
    // An IDX file that somebody unpacked; a tar never lies here under such a name.
    let plain = path.with_extension("");
    if path.extension().is_some_and(|e| e == "gz") && plain.is_file() {
        return Ok(FileCheck {
            path: plain,
            state: FileState::Other,
        });
    }
    let state = match path.exists() {
        false => FileState::Missing,
        true if md5_of(&path)? == file.md5 => FileState::Verified,
        true => FileState::Other,
    };
    Ok(FileCheck { path, state })
}

/// MD5 sum of a file in hexadecimal.
fn md5_of(path: &Path) -> Result<String, FetchError> {
    let mut file = fs::File::open(path).map_err(FetchError::io(path))?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(FetchError::io(path))? {
            0 => break,
            read => md5.update(&buffer[..read]),
        }
    }
    Ok(md5.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
