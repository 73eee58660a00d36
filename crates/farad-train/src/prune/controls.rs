//! The control that every comparison needs.

use super::{Batch, Criterion};
use crate::Model;
use crate::rng::{Purpose, Rng};
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// A random score for each channel. Whatever a criterion gains over this, it has earned.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Random {
    /// Of the scores: the run's, and so no setting.
    #[serde(skip)]
    pub seed: u64,
}

impl Criterion for Random {
    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let groups = model.graph().groups.iter().enumerate();
        Ok(groups
            .map(|(g, group)| {
                let mut rng = Rng::new(self.seed, Purpose::Score, g as u32, 0);
                let channels = if group.prunable { group.channels } else { 0 };
                (0..channels).map(|_| rng.uniform() as f32).collect()
            })
            .collect())
    }
}
