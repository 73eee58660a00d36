//! What stages with a criterion remove, and when.

use super::Run;
use crate::TrainError;
use crate::optimizer::Average;
use crate::prune::{Batch, Criterion, absorb, plan, shrink};
use crate::recipe::Stage;

impl Run {
    pub(super) fn criterion(&self, stage: &Stage) -> Result<Option<Box<dyn Criterion>>, TrainError> {
        stage
            .criterion(self.recipe.seed)
            .map_err(|problem| TrainError::Criterion {
                stage: self.position.stage + 1,
                problem,
            })
    }

    /// What a pruning stage removes after `epoch` epochs.
    pub(super) fn shrink_after(
        &mut self,
        stage: &Stage,
        criterion: Option<&mut (dyn Criterion + 'static)>,
        epoch: u32,
    ) -> Result<(), TrainError> {
        let (Some(criterion), Some(budget), true) = (criterion, &stage.budget, self.position.masked) else {
            return Ok(());
        };
        let (from, until, threshold) = match stage.shrink {
            Some(shrink) => (shrink.from, shrink.until, shrink.threshold),
            None => (stage.epochs, stage.epochs, 0.0),
        };
        if epoch < from {
            return Ok(());
        }
        let batches = self.calibration()?;
        let scores = criterion.score(&mut self.model, &batches)?;
        let mut keep = plan(&self.model.graph, &scores, criterion.cost_power(), budget)?;
        if epoch < until {
            // Only what is noise already; the others get more time. A score is 1 / alpha.
            let limit = (-threshold).exp();
            for (keep, scores) in keep.iter_mut().zip(&scores) {
                keep.extend((0..scores.len()).filter(|&c| scores[c] > limit));
                keep.sort_unstable();
                keep.dedup();
            }
        }
        self.remove(stage, &keep, &batches)?;
        if epoch >= until || budget.holds(&self.model.graph, &self.model.graph.widths())? {
            criterion.detach(&mut self.model)?;
            self.optimizer.slots.retain(|name, _| !name.starts_with("mask."));
            // Averages of another parametrisation.
            self.average = Average::default();
            self.position.masked = false;
        }
        Ok(())
    }

    /// Removes channels without training.
    pub(super) fn prune(&mut self, stage: &Stage) -> Result<(), TrainError> {
        let (Some(mut criterion), Some(budget)) = (self.criterion(stage)?, &stage.budget) else {
            return Ok(());
        };
        let batches = self.calibration()?;
        criterion.attach(&mut self.model, &batches)?;
        let scores = criterion.score(&mut self.model, &batches)?;
        let keep = plan(&self.model.graph, &scores, criterion.cost_power(), budget)?;
        self.remove(stage, &keep, &batches)?;
        Ok(criterion.detach(&mut self.model)?)
    }

    /// Removes all channels that are not in `keep`.
    fn remove(&mut self, stage: &Stage, keep: &[Vec<usize>], batches: &[Batch]) -> Result<(), TrainError> {
        if stage.absorb {
            absorb(&mut self.model, &mut self.average, keep, batches)?;
        }
        Ok(shrink(&mut self.model, &mut self.optimizer, &mut self.average, keep)?)
    }
}
