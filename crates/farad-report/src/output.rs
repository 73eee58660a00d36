//! Files of a report in a directory, whole or not at all.

use crate::error::ReportError;
use crate::plot::Plot;
use crate::report::Report;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that results can be written into; made and tried before a run, so that a long run is not lost to a
/// read-only disk.
#[derive(Debug, Clone)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Makes the directory with its parents if it is missing, and tries to write into it.
    ///
    /// # Errors
    /// [`ReportError::OutputDir`] if either fails.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        let dir = Self {
            path: path.to_path_buf(),
        };
        let refuse = |source| ReportError::OutputDir {
            path: path.to_path_buf(),
            source,
        };
        fs::create_dir_all(path).map_err(refuse)?;
        let probe = dir.temporary("probe");
        fs::write(&probe, b"").map_err(refuse)?;
        fs::remove_file(&probe).map_err(refuse)?;
        Ok(dir)
    }

    /// Writes `report.json`, `layers.csv`, `report.html`, `attribution.csv` if effects were told apart, and each plot as `NAME.svg`; returns their paths.
    ///
    /// # Errors
    /// What [`Report::plots`] and [`Report::layers_csv`] return, and [`ReportError::Write`].
    pub fn write(&self, report: &Report) -> Result<Vec<PathBuf>, ReportError> {
        let plots = report.plots()?;
        let mut files = vec![
            ("report.json".to_string(), report.json()?.into_bytes()),
            ("layers.csv".into(), report.layers_csv()?),
            ("report.html".into(), report.html(&plots).into_bytes()),
        ];
        if let Some(attribution) = &report.attribution {
            files.push(("attribution.csv".into(), attribution.csv(report)?));
        }
        self.write_all(files, plots)
    }

    /// Writes one file into the directory; returns its path.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn write_file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, ReportError> {
        Ok(self
            .write_all(vec![(name.into(), content.as_ref().to_vec())], Vec::new())?
            .remove(0))
    }

    /// Writes files of these names and contents, and each plot as `NAME.svg`; returns their paths. Every file is written under
    /// another name first, so that none is ever seen half written.
    pub(crate) fn write_all(
        &self,
        mut files: Vec<(String, Vec<u8>)>,
        plots: Vec<Plot>,
    ) -> Result<Vec<PathBuf>, ReportError> {
        files.extend(
            plots
                .into_iter()
                .map(|plot| (format!("{}.svg", plot.name), plot.svg.into_bytes())),
        );
        let result = self.replace(&files);
        if result.is_err() {
            for (name, _) in &files {
                // Best effort: the write's own error is the one to report.
                let _ = fs::remove_file(self.temporary(name));
            }
        }
        result
    }

    fn replace(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>, ReportError> {
        for (name, bytes) in files {
            let path = self.temporary(name);
            fs::write(&path, bytes).map_err(|source| ReportError::Write { path, source })?;
        }
        files
            .iter()
            .map(|(name, _)| {
                let path = self.path.join(name);
                match fs::rename(self.temporary(name), &path) {
                    Ok(()) => Ok(path),
                    Err(source) => Err(ReportError::Write { path, source }),
                }
            })
            .collect()
    }

    /// A hidden name that no other process uses.
    fn temporary(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.{}.tmp", std::process::id()))
    }
}

impl Report {
    /// `report.json`: indented, with a newline at the end.
    ///
    /// # Errors
    /// [`ReportError::Json`], which no report built by Farad makes happen.
    pub fn json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
