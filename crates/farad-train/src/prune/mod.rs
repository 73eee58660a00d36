//! Which channels a network can do without.
//!
//! A [`Criterion`] gives every channel of every group a score; [`plan()`] turns scores and a [`Budget`] into the channels
//! that stay; [`shrink()`] makes the network that has only those. A criterion that needs training brings a mask, a penalty
//! or a rule for after each step or epoch. Adding one is one file and one line in [`CRITERIA`].
//!
//! Two methods of the literature are not here. SCOP (Tang et al., NeurIPS 2020) scores a channel by how much of it survives
//! against a *knockoff* of it, which a generator trained for the dataset makes, and which is mixed into every layer of a
//! second pass through the frozen network; with a cheaper knockoff (shuffled or noisy images) the guarantee that the method
//! is built on is gone, and another method would stand under its name. DSA (Ning et al., ECCV 2020) does not score
//! channels: it learns how a budget is shared among layers. Here [`plan()`] shares every criterion's budget, so that
//! criteria are compared by their scores.

mod absorb;
mod budget;
mod controls;
mod fpgm;
mod group_norm;
mod histogram;
mod hrank;
mod magnitude;
mod oscp;
mod plan;
mod polarization;
mod settings;
mod shrink;
mod slimming;
mod soft;
mod taylor;
#[cfg(test)]
mod tests;
mod variational;
mod vcnnp;

pub use absorb::absorb;
pub use budget::Budget;
pub use controls::Random;
pub use fpgm::GeometricMedian;
pub use group_norm::GroupNorm;
pub use histogram::{LOG_ALPHA_BIN, log_alpha_histogram};
pub use hrank::HighRank;
pub use magnitude::L1Norm;
pub use oscp::OperationAware;
pub use plan::plan;
pub use polarization::Polarization;
pub use settings::{Checked, Settings};
pub use shrink::shrink;
pub use slimming::NetworkSlimming;
pub use soft::SoftFilter;
pub use taylor::{Taylor, gate_energy};
pub use variational::{Divergence, Equal, Lambda, Laplace, LogVariance, MacsWeight, VariationalMask};
pub use vcnnp::Vcnnp;

use crate::Model;
use candle_core::{Result, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Images and labels to measure with, `[n][h][w][c]` and `[n]`.
pub type Batch = (Tensor, Tensor);

/// Where a training run with a criterion is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps of the whole run so far: what the noise of masks belongs to.
    pub step: u64,
    /// Epochs of this stage so far, with fraction.
    pub epoch: f64,
    /// The seed of the run.
    pub seed: u64,
}

/// A measure of how much a network needs each of its channels.
pub trait Criterion: Send + std::fmt::Debug {
    /// Refuses settings that mean nothing.
    ///
    /// # Errors
    /// The setting, and what it must be.
    fn check(&self) -> Checked<()> {
        Ok(())
    }

    /// Adds what it trains to the model, which may be measured on `batches` for it.
    ///
    /// # Errors
    /// If a parameter cannot be made, or the model cannot run on the batches.
    fn attach(&mut self, model: &mut Model, batches: &[Batch]) -> Result<()> {
        let _ = (model, batches);
        Ok(())
    }

    /// A mask for each group, `[images][channels]`, for one training batch.
    ///
    /// # Errors
    /// If a mask cannot be computed.
    fn masks(&self, model: &Model, images: usize, progress: Progress) -> Result<Vec<Option<Tensor>>> {
        let _ = (model, images, progress);
        Ok(Vec::new())
    }

    /// What is added to the loss.
    ///
    /// # Errors
    /// If it cannot be computed.
    fn penalty(&self, model: &Model, progress: Progress) -> Result<Option<Tensor>> {
        let _ = (model, progress);
        Ok(None)
    }

    /// What it changes after each step of the optimiser.
    ///
    /// # Errors
    /// If a parameter cannot be changed.
    fn after_step(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// What it changes after each epoch, before channels are removed.
    ///
    /// # Errors
    /// If a parameter cannot be changed.
    fn after_epoch(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// The score of every channel of every group, higher for what should stay; nothing for groups that are not
    /// prunable.
    ///
    /// # Errors
    /// If the model cannot run on the batches.
    fn score(&mut self, model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>>;

    /// How much cheaper channels are favoured: the planner ranks by `score / cost^power`. 1 for scores that estimate a
    /// loss, 0 for scores that only compare.
    fn cost_power(&self) -> f64 {
        0.0
    }

    /// Removes from the model what it added, keeping the function that the network computes without noise.
    ///
    /// # Errors
    /// If a parameter cannot be changed.
    fn detach(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }
}

/// A criterion's line in the registry.
#[derive(Debug)]
pub struct Entry {
    /// Its name in recipes.
    pub name: &'static str,
    /// One line about it, with its source.
    pub about: &'static str,
    /// Makes one with these settings; `seed` is the run's.
    new: fn(seed: u64, settings: &Settings) -> Checked<Box<dyn Criterion>>,
    complete: fn(&Settings) -> Checked<Settings>,
}

impl Entry {
    const fn of<C>(name: &'static str, about: &'static str) -> Self
    where
        C: Criterion + Default + Serialize + DeserializeOwned + 'static,
    {
        Self {
            name,
            about,
            new: |_, settings| Ok(Box::new(settings::read::<C>(settings)?)),
            complete: settings::complete::<C>,
        }
    }

    /// A criterion with these settings; `seed` is the run's.
    ///
    /// # Errors
    /// The setting that it does not have, or cannot take.
    pub fn criterion(&self, seed: u64, settings: &Settings) -> Checked<Box<dyn Criterion>> {
        (self.new)(seed, settings).map_err(|e| format!("criterion `{}`: {e}", self.name))
    }

    /// These settings with all that they leave to the defaults.
    ///
    /// # Errors
    /// As [`criterion`](Self::criterion).
    pub fn complete(&self, settings: &Settings) -> Checked<Settings> {
        (self.complete)(settings)
    }
}

/// All criteria.
pub const CRITERIA: &[Entry] = &[
    Entry::of::<VariationalMask>(
        "variational-mask",
        "log alpha of a Gaussian mask on the batch norm's output, trained by variational dropout (Fang, 2022)",
    ),
    Entry::of::<L1Norm>("l1-norm", "sum of a filter's absolute weights (Li et al., 2017)"),
    Entry::of::<Taylor>(
        "taylor",
        "mean square of the gradient with respect to a gate on the channel (Molchanov et al., 2019)",
    ),
    Entry::of::<NetworkSlimming>(
        "network-slimming",
        "absolute scale of the batch norm, trained with an L1 penalty (Liu et al., 2017)",
    ),
    Entry::of::<Polarization>(
        "polarization",
        "absolute scale of the batch norm, trained to gather at two ends (Zhuang et al., 2020)",
    ),
    Entry::of::<Vcnnp>(
        "vcnnp",
        "second moment of the batch norm's scale, trained as a distribution (Zhao et al., 2019)",
    ),
    Entry::of::<OperationAware>(
        "oscp",
        "probability that the batch norm's output passes the relu, trained as a mask (Kang & Han, 2020)",
    ),
    Entry::of::<SoftFilter>(
        "sfp",
        "length of a filter; the shortest are set to zero after each epoch (He et al., 2018)",
    ),
    Entry::of::<GeometricMedian>(
        "fpgm",
        "distance of a filter from the others of its layer, trained as sfp (He et al., 2019)",
    ),
    Entry::of::<GroupNorm>(
        "group-sparsity",
        "length of all weights of a channel, trained with a decay that favours the long (Fang et al., 2023)",
    ),
    Entry::of::<HighRank>("hrank", "mean rank of the channel's feature maps (Lin et al., 2020)"),
    Entry {
        name: "random",
        about: "a random number for each channel: the control",
        new: |seed, settings| {
            settings::read::<Random>(settings)?;
            Ok(Box::new(Random { seed }))
        },
        complete: settings::complete::<Random>,
    },
];

/// The criterion of this name.
///
/// # Errors
/// If there is none: the names that there are.
pub fn criterion(name: &str) -> Checked<&'static Entry> {
    let found = CRITERIA.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = CRITERIA.iter().map(|c| c.name).collect();
        format!("there is no criterion `{name}`; there are {}", known.join(", "))
    })
}
