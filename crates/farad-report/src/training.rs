//! What a training run says: `metrics.csv` and `training.html`.

use crate::error::ReportError;
use crate::output::OutputDir;
use std::path::PathBuf;

/// A training run until now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Training {
    /// The architecture.
    pub network: String,
    /// The images that it trains on.
    pub dataset: String,
    /// Stages of the recipe.
    pub stages: usize,
    /// Multiply-accumulates of one image before pruning.
    pub full_macs: u64,
    /// Parameters before pruning.
    pub full_params: u64,
    /// The layers whose channels can be pruned, in the order of the network.
    pub layers: Vec<Width>,
    /// Width of a bin of [`Epoch::log_alpha`].
    pub log_alpha_bin: f64,
    /// What was measured, in the order of time.
    pub epochs: Vec<Epoch>,
}

/// A layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Width {
    /// Its name.
    pub name: String,
    /// Channels before pruning.
    pub full: u64,
    /// Channels now.
    pub channels: u64,
}

/// An epoch, or a stage that does not train.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epoch {
    /// Stage of the recipe, from 1.
    pub stage: usize,
    /// Its kind.
    pub kind: String,
    /// Epochs of the stage; 0 for a stage that does not train.
    pub epoch: u32,
    /// Learning rate at its end.
    pub rate: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Share of the test images that are right, where the epoch was measured.
    pub accuracy: Option<f64>,
    /// Whether it is the network in integers.
    pub integer: bool,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Parameters.
    pub params: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Channels of each group that is pruned together.
    pub widths: Vec<u64>,
    /// Channels by log alpha, in bins around 0; empty without masks.
    pub log_alpha: Vec<u32>,
}

impl Training {
    /// The last accuracy that was measured of the network in integers, or in float.
    #[must_use]
    pub fn last_accuracy(&self, integer: bool) -> Option<f64> {
        let mut of_kind = self.epochs.iter().rev().filter(|e| e.integer == integer);
        of_kind.find_map(|e| e.accuracy)
    }

    /// `metrics.csv`: a line for each epoch, without an accuracy where none was measured. Lists are separated by spaces.
    #[must_use]
    pub fn metrics_csv(&self) -> String {
        let mut text = String::from("stage,kind,epoch,rate,loss,accuracy,macs,params,seconds,widths,log_alpha\n");
        for e in &self.epochs {
            text += &format!(
                "{},{},{},{},{},{},{},{},{:.1},{},{}\n",
                e.stage,
                e.kind,
                e.epoch,
                e.rate,
                e.loss,
                e.accuracy.map_or_else(String::new, |accuracy| accuracy.to_string()),
                e.macs,
                e.params,
                e.seconds,
                list(&e.widths),
                list(&e.log_alpha)
            );
        }
        text
    }

    /// Writes `metrics.csv` and `training.html`, each whole or not at all; returns their paths.
    ///
    /// # Errors
    /// What [`Training::plots`] returns, and [`ReportError::Write`].
    pub fn write(&self, out: &OutputDir) -> Result<Vec<PathBuf>, ReportError> {
        let files = vec![
            ("metrics.csv".into(), self.metrics_csv().into_bytes()),
            ("training.html".into(), self.html(&self.plots()?).into_bytes()),
        ];
        out.write_all(files, Vec::new())
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(" ")
}
