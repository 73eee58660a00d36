//! Why a command ends without a result, and what the shell is told.

use farad_hw::diagnostic::Diagnostics;
use farad_sweep::{InputError, StoreError};
use farad_train::TrainError;
use std::fmt::Display;

/// How a command ended; the exit codes are in `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// With a full result.
    Done,
    /// With a partial result or none, through no fault of the input.
    Failed,
    /// The command line or a file is wrong.
    WrongInput,
    /// A check left its tolerance.
    OutOfTolerance,
}

/// No result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a file is wrong.
    Input(anyhow::Error),
    /// The text of a macro, a recipe or an experiment is wrong.
    Text(Box<Diagnostics>),
    /// Anything else: a full disk, a reader that has gone.
    Other(anyhow::Error),
}

impl Failure {
    /// Wrong input, as one sentence.
    pub(crate) fn input(message: impl Display) -> Self {
        Self::Input(anyhow::anyhow!("{message}"))
    }

    /// Wrong input, with the library's error as the cause.
    pub(crate) fn from_input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Input(_) | Self::Text(_) => Status::WrongInput,
            // A reader such as `head` that has seen enough is no error.
            Self::Other(error) if is_broken_pipe(error) => Status::Done,
            Self::Other(_) => Status::Failed,
        }
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.status() == Status::Done
    }

    /// One line: the error and its causes, each said once; or diagnostics with their source.
    pub(crate) fn text(&self, color: bool) -> String {
        let error = match self {
            Self::Text(diagnostics) => return diagnostics.render(color),
            Self::Input(error) | Self::Other(error) => error,
        };
        let mut line = String::new();
        for cause in error.chain().map(ToString::to_string) {
            if !line.contains(&cause) {
                if !line.is_empty() {
                    line.push_str(": ");
                }
                line.push_str(&cause);
            }
        }
        let tag = if color { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        format!("{tag}: {}", line.replace('\n', " "))
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Text(Box::new(diagnostics))
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Text(diagnostics) => Self::Text(diagnostics),
            error => Self::Input(error.into()),
        }
    }
}

/// Of a recipe, before anything is trained.
impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Recipe(diagnostics) => Self::Text(diagnostics),
            error => Self::Input(error.into()),
        }
    }
}

/// A store that is not there or not one is wrong input; a full disk is not.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { .. } | StoreError::Foreign { .. } | StoreError::Version { .. } => {
                Self::Input(error.into())
            }
            error => Self::Other(error.into()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_said_once_and_on_one_line() {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such\nfile");
        let error = Err::<(), _>(missing()).context("cannot read a.onnx").unwrap_err();
        assert_eq!(
            Failure::Input(error).text(false),
            "error: cannot read a.onnx: no such file"
        );
        let error = Err::<(), _>(missing())
            .context("cannot read a.onnx: no such\nfile")
            .unwrap_err();
        assert_eq!(
            Failure::Input(error).text(false),
            "error: cannot read a.onnx: no such file"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(gone.is_silent());
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.status(), Status::Failed);
    }
}
