//! Directories that the user names, for results.

use crate::failure::Failure;
use crate::terminal::Terminal;
use farad_report::OutputDir;
use std::path::Path;

/// The directory of `--out`, made and tried before anything is computed; none without the flag.
pub(crate) fn output(path: Option<&Path>) -> Result<Option<OutputDir>, Failure> {
    path.map(OutputDir::create).transpose().map_err(Failure::from_input)
}

/// A directory for text files that are told one by one.
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
