//! Which channels a network can do without.
//!
//! A [`Criterion`] gives every channel of every group a score; [`plan()`] turns scores and a [`Budget`] into the channels
//! that stay; [`shrink()`] makes the network that has only those. A criterion that needs training brings a mask, a penalty
//! or a rule for after each step or epoch. Adding one is one file and one line in [`CRITERIA`].

mod controls;
mod fpgm;
mod group_norm;
mod hrank;
mod magnitude;
mod oscp;
mod plan;
mod polarization;
mod shrink;
mod slimming;
mod soft;
mod taylor;
#[cfg(test)]
mod tests;
mod variational;
mod vcnnp;

pub use controls::Random;
pub use fpgm::GeometricMedian;
pub use group_norm::GroupNorm;
pub use hrank::HighRank;
pub use magnitude::L1Norm;
pub use oscp::OperationAware;
pub use plan::{Budget, plan};
pub use polarization::Polarization;
pub use shrink::shrink;
pub use slimming::NetworkSlimming;
pub use soft::SoftFilter;
pub use taylor::{Taylor, gate_energy};
pub use variational::{Divergence, VariationalMask};
pub use vcnnp::Vcnnp;

use crate::Model;
use candle_core::{Result, Tensor};

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
    /// Adds what it trains to the model.
    ///
    /// # Errors
    /// If a parameter cannot be made.
    fn attach(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
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
    /// Makes one; `seed` is the run's.
    pub new: fn(seed: u64) -> Box<dyn Criterion>,
}

/// All criteria.
pub const CRITERIA: &[Entry] = &[
    Entry {
        name: "variational-mask",
        about: "log alpha of a Gaussian mask on the batch norm's output, trained by variational dropout (Fang, 2022)",
        new: |_| Box::new(VariationalMask::default()),
    },
    Entry {
        name: "l1-norm",
        about: "sum of a filter's absolute weights (Li et al., 2017)",
        new: |_| Box::new(L1Norm),
    },
    Entry {
        name: "taylor",
        about: "mean square of the gradient with respect to a gate on the channel (Molchanov et al., 2019)",
        new: |_| Box::new(Taylor),
    },
    Entry {
        name: "network-slimming",
        about: "absolute scale of the batch norm, trained with an L1 penalty (Liu et al., 2017)",
        new: |_| Box::new(NetworkSlimming::default()),
    },
    Entry {
        name: "polarization",
        about: "absolute scale of the batch norm, trained to gather at two ends (Zhuang et al., 2020)",
        new: |_| Box::new(Polarization::default()),
    },
    Entry {
        name: "vcnnp",
        about: "second moment of the batch norm's scale, trained as a distribution (Zhao et al., 2019)",
        new: |_| Box::new(Vcnnp::default()),
    },
    Entry {
        name: "oscp",
        about: "probability that the batch norm's output passes the relu, trained as a mask (Kang & Han, 2020)",
        new: |_| Box::new(OperationAware::default()),
    },
    Entry {
        name: "sfp",
        about: "length of a filter; the shortest are set to zero after each epoch (He et al., 2018)",
        new: |_| Box::new(SoftFilter::default()),
    },
    Entry {
        name: "fpgm",
        about: "distance of a filter from the others of its layer, trained as sfp (He et al., 2019)",
        new: |_| Box::new(GeometricMedian::default()),
    },
    Entry {
        name: "group-sparsity",
        about: "length of all weights of a channel, trained with a decay that favours the long (Fang et al., 2023)",
        new: |_| Box::new(GroupNorm::default()),
    },
    Entry {
        name: "hrank",
        about: "mean rank of the channel's feature maps (Lin et al., 2020)",
        new: |_| Box::new(HighRank),
    },
    Entry {
        name: "random",
        about: "a random number for each channel: the control",
        new: |seed| Box::new(Random { seed }),
    },
];

/// The criterion of this name.
#[must_use]
pub fn criterion(name: &str) -> Option<&'static Entry> {
    CRITERIA.iter().find(|entry| entry.name == name)
}
