//! What can go wrong while a report is made, drawn or written.

use plotters::drawing::DrawingAreaErrorKind;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The directory for results cannot be created or written.
    #[error("cannot write into `{}`", path.display())]
    OutputDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the results cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A plot cannot be drawn.
    #[error("cannot draw a plot: {0}")]
    Plot(String),
    /// A table cannot be written as CSV.
    #[error("cannot write a table as CSV")]
    Csv(#[from] csv::Error),
    /// The report cannot be written as JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] farad_sim::SimError),
    /// The run was stopped too early for any result.
    #[error("interrupted before the first images were done")]
    Interrupted,
    /// The run or the schedule does not belong to the network.
    #[error("{found} layers for a network with {network} multiply-accumulate layers")]
    Layers {
        /// Layers of the schedule or of a chip's outcome.
        found: usize,
        /// Layers of the network.
        network: usize,
    },
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for ReportError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Plot(error.to_string())
    }
}
