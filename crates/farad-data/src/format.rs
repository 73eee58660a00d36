//! The registry of formats, and how a folder's format is recognised.

use crate::dataset::{Samples, Split};
use crate::{DataError, cifar, folder, idx, npy};
use std::path::Path;

/// One way to lay a dataset out in a folder.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    /// Its files, for the message that nothing was recognised.
    pub(crate) files: &'static str,
    /// Whether the folder holds files of this format, of either split.
    pub(crate) is_in: fn(&Path) -> bool,
    /// Reads and checks one split.
    pub(crate) read: fn(&Path, Split) -> Result<Samples, DataError>,
}

/// Every format there is.
pub(crate) const FORMATS: [Format; 5] = [
    cifar::CIFAR_10,
    cifar::CIFAR_100,
    idx::FORMAT,
    npy::FORMAT,
    folder::FORMAT,
];

/// Reads a split of the dataset in `dir`, whose format is the one whose files are there.
pub(crate) fn read_folder(dir: &Path, split: Split) -> Result<Samples, DataError> {
    // Tells a missing or forbidden folder from one that holds nothing known.
    std::fs::read_dir(dir).map_err(|e| DataError::io(dir, e))?;
    let found: Vec<_> = FORMATS.iter().filter(|f| (f.is_in)(dir)).collect();
    match found[..] {
        [format] => (format.read)(dir, split),
        [] => Err(DataError::Unrecognised {
            folder: dir.to_owned(),
            known: FORMATS.iter().map(|f| f.files).collect(),
        }),
        _ => Err(DataError::Ambiguous {
            folder: dir.to_owned(),
            formats: found.iter().map(|f| f.name).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_empty_folder_names_every_format() {
        let dir = tempfile::tempdir().unwrap();
        let message = read_folder(dir.path(), Split::Test).unwrap_err().to_string();
        for format in &FORMATS {
            assert!(message.contains(format.files), "{message}");
        }
    }

    #[test]
    fn two_formats_in_one_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("test_batch.bin"), [0; 3073]).unwrap();
        fs::write(dir.path().join("images.npy"), []).unwrap();
        let error = read_folder(dir.path(), Split::Test).unwrap_err();
        assert!(
            matches!(&error, DataError::Ambiguous { formats, .. } if formats == &["CIFAR-10", "npy"]),
            "{error}"
        );
    }

    #[test]
    fn a_missing_folder_is_an_io_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_folder(&dir.path().join("nowhere"), Split::Test).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
    }
}
