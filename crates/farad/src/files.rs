//! Text files in a directory that the user names.

use crate::failure::Failure;
use crate::terminal::Terminal;
use farad_report::OutputDir;
use std::path::{Path, PathBuf};

/// A directory that can be written into.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it if it is missing, and tries it before anything is computed.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        OutputDir::create(path).map_err(Failure::from_input)?;
        Ok(Self(path.to_path_buf()))
    }

    /// Writes `text` and notes where.
    pub(crate) fn write(&self, name: &str, text: &str, terminal: &Terminal) -> Result<(), Failure> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        terminal.note(&format!("wrote {}", path.display()));
        Ok(())
    }
}
