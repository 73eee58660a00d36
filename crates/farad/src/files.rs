//! Directories that the user names, for results.

use crate::failure::Failure;
use crate::terminal::Terminal;
use farad_report::OutputDir;
use std::path::Path;

/// The directory of `--out`, made and tried before anything is computed; none without the flag.
pub(crate) fn output(path: Option<&Path>) -> Result<Option<OutputDir>, Failure> {
    path.map(OutputDir::create).transpose().map_err(Failure::from_input)
}

/// Writes one file that the user named, whole or not at all, and notes where.
pub(crate) fn write(path: &Path, bytes: &[u8], terminal: &Terminal) -> Result<(), Failure> {
    let wrong = |what: &str| Failure::input(format!("cannot write `{}`: {what}", path.display()));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| wrong("not a file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let out = OutputDir::create(folder.unwrap_or(Path::new("."))).map_err(Failure::from_input)?;
    out.write_file(name, bytes).map_err(|e| Failure::Other(e.into()))?;
    terminal.note(&format!("wrote {}", path.display()));
    Ok(())
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
