//! Text files in a directory that the user names.

use crate::failure::Failure;
use crate::terminal::Terminal;
use farad_report::OutputDir;
use std::path::Path;

/// A directory that can be written into.
pub(crate) struct Folder(OutputDir);

impl Folder {
    /// Makes it if it is missing, and tries it before anything is computed.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        OutputDir::create(path).map(Self).map_err(Failure::from_input)
    }

    /// Writes `text` and notes where.
    pub(crate) fn write(&self, name: &str, text: &str, terminal: &Terminal) -> Result<(), Failure> {
        let path = self.0.write_file(name, text).map_err(|e| Failure::Other(e.into()))?;
        terminal.note(&format!("wrote {}", path.display()));
        Ok(())
    }
}
