//! What can go wrong in training.

use farad_hw::diagnostic::Diagnostics;
use std::path::PathBuf;

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A network file that is none.
    #[error("network {file}: {problem}")]
    Architecture {
        /// Name or file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A recipe that cannot be followed.
    #[error(transparent)]
    Recipe(Box<Diagnostics>),
    /// A criterion that cannot be made.
    #[error("stage {stage}: {problem}")]
    Criterion {
        /// Stage of the recipe, from 1.
        stage: usize,
        /// What is wrong with its settings.
        problem: String,
    },
    /// The images do not fit the network.
    #[error("dataset {name}: {problem}")]
    Data {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// No way to prune that far.
    #[error("budget cannot be met: {0}")]
    Budget(String),
    /// The loss or a weight is no number any more.
    #[error(
        "{problem} at step {step} of stage {stage} ({kind}): lower its `rate`, and begin {}",
        match .before { Some(before) => format!("the stage anew with {} in the place of the checkpoint", before.display()), None => "anew".to_owned() }
    )]
    Diverged {
        /// Stage of the recipe, from 1.
        stage: usize,
        /// Its kind.
        kind: &'static str,
        /// Step of the stage, from 1.
        step: u64,
        /// What is no number.
        problem: String,
        /// The checkpoint from before the stage.
        before: Option<PathBuf>,
    },
    /// A checkpoint or result file.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The datasets.
    #[error(transparent)]
    Dataset(#[from] farad_data::DataError),
    /// A tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A macro that the network cannot run on.
    #[error("macro {name}: {problem}")]
    Macro {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}
