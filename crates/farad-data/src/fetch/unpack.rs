//! The wanted files of an archive.

use super::download::part_of;
use super::error::FetchError;
use super::md5_of;
use super::published::File;
use flate2::read::GzDecoder;
use std::fs;
use std::io;
use std::path::Path;
use tar::{Archive, EntryType};

/// Writes those of `files` that lie anywhere in the gzipped tar `archive` into `dir`, each under its own name and when its
/// checksum is right. Nothing else of the archive is looked at, so no path of it leads anywhere.
pub(super) fn unpack(archive: &Path, files: &[File], dir: &Path) -> Result<(), FetchError> {
    let damaged = |e: io::Error| wrong(archive, e.to_string());
    let stream = fs::File::open(archive).map_err(FetchError::io(archive))?;
    let mut tar = Archive::new(GzDecoder::new(io::BufReader::new(stream)));
    let mut missing = files.to_vec();
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let wanted = missing
            .iter()
            .position(|f| path.file_name().is_some_and(|name| name == f.name));
        let Some(at) = wanted.filter(|_| entry.header().entry_type() == EntryType::Regular) else {
            continue;
        };
        let file = missing.swap_remove(at);
        let part = part_of(&dir.join(file.name));
        let mut out = fs::File::create(&part).map_err(FetchError::io(&part))?;
        // Whether it was reading or writing that failed is in the system's words.
        io::copy(&mut entry, &mut out)
            .and_then(|_| out.sync_all())
            .map_err(FetchError::io(&part))?;
        if md5_of(&part)? != file.md5 {
            return Err(wrong(archive, format!("{} in it is not the published file", file.name)));
        }
        fs::rename(&part, dir.join(file.name)).map_err(FetchError::io(&part))?;
    }
    match missing.first() {
        None => Ok(()),
        Some(file) => Err(wrong(archive, format!("there is no {} in it", file.name))),
    }
}

fn wrong(archive: &Path, reason: String) -> FetchError {
    FetchError::Archive {
        path: archive.to_owned(),
        reason,
    }
}
