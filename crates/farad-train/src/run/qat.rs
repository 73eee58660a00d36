//! Stages of quantisation-aware training: the run's network becomes its int8 network, and trains on as that.

use super::{Run, adopt, preprocess};
use crate::TrainError;
use crate::evaluate::integer_accuracy;
use crate::optimizer::Average;
use crate::prune::{Batch, Progress};
use crate::qat::{Forward, QatModel};
use crate::recipe::Stage;
use candle_core::Tensor;
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use std::collections::BTreeMap;

/// Training meets chips from this number on: the chips 0, 1, 2, ... of a user's run are new to the network.
const FIRST_CHIP: u32 = 1 << 20;

/// The int8 network of a run.
#[derive(Debug)]
pub(crate) struct Quantised {
    pub(crate) model: QatModel,
    /// What sets the ADC ranges of the macro, by layer, since the last change of chips.
    pub(crate) charges: Vec<Option<ChargeStats>>,
}

impl Run {
    /// The int8 network of the averaged weights.
    pub(super) fn quantise(&mut self, stage: &Stage) -> Result<QatModel, TrainError> {
        adopt(&self.model.parameters, &self.average)?;
        self.average = Average::default();
        // For the moments.
        self.evaluate()?;
        let batches = self.calibration()?;
        QatModel::new(
            &mut self.model,
            &batches,
            &preprocess(&self.statistics),
            stage.qat.observer,
        )
    }

    pub(super) fn begin_qat(&mut self, stage: &Stage) -> Result<(), TrainError> {
        if self.quantised.is_none() {
            let model = self.quantise(stage)?;
            let charges = Vec::new();
            self.quantised = Some(Quantised { model, charges });
        }
        let chips = FIRST_CHIP..FIRST_CHIP + stage.qat.recalibrate_chips;
        if !chips.is_empty() {
            let seed = self.recipe.seed;
            self.on_target(stage, |quantised, x, spec| {
                quantised.model.recalibrate(x, spec, chips, seed)
            })?;
        }
        self.set_charges(stage)
    }

    /// The averaged weights stay. What they give on chips is what they were trained for: there is nothing to recalibrate.
    pub(super) fn end_qat(&mut self, stage: &Stage) -> Result<(), TrainError> {
        adopt(self.parameters(), &self.average)?;
        self.average = Average::default();
        self.set_charges(stage)
    }

    /// Sets the macro's ADC ranges for the weights of now.
    fn set_charges(&mut self, stage: &Stage) -> Result<(), TrainError> {
        self.on_target(stage, |quantised, x, spec| {
            quantised.charges = quantised.model.charges(x, spec)?;
            Ok(())
        })
    }

    /// Does something with the int8 network, the stage's plain images and its macro, where it has one.
    fn on_target(
        &mut self,
        stage: &Stage,
        act: impl FnOnce(&mut Quantised, &Tensor, &MacroSpec) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let Some(spec) = &self.targets[self.position.stage] else {
            return Ok(());
        };
        let x = self.plain_images(stage.qat.images)?;
        match &mut self.quantised {
            Some(quantised) => act(quantised, &x, spec),
            None => Ok(()),
        }
    }

    /// Sets the ADC ranges anew when the next step is the first one on another chip.
    pub(super) fn change_chip(&mut self, stage: &Stage) -> Result<(), TrainError> {
        let step = self.position.step;
        if step > 0 && step.is_multiple_of(stage.qat.steps_per_chip) {
            self.set_charges(stage)?;
        }
        Ok(())
    }

    /// Loss and gradients of a batch, images of these numbers.
    pub(super) fn qat_gradients(
        &self,
        quantised: &Quantised,
        stage: &Stage,
        batch: &Batch,
        images: &[u32],
        progress: Progress,
    ) -> Result<(f32, BTreeMap<String, Tensor>), TrainError> {
        let spec = self.targets[self.position.stage].as_ref();
        let forward = chip(
            spec,
            &quantised.charges,
            FIRST_CHIP + (progress.step / stage.qat.steps_per_chip) as u32,
            (progress.seed << 32) ^ progress.step,
        );
        let precision = self.recipe.precision.into();
        let smoothing = self.recipe.label_smoothing;
        let gradients = quantised
            .model
            .gradients(batch, images, forward, smoothing, precision)?;
        Ok((gradients.loss, gradients.of))
    }

    /// Accuracy of the int8 network on the test images: on chip 0 of the stage's macro, or in exact integers.
    pub(super) fn evaluate_quantised(&self, quantised: &Quantised) -> Result<f64, TrainError> {
        let network = quantised.model.network()?;
        let spec = self.targets[self.position.stage].as_ref();
        integer_accuracy(&network, &self.test, chip(spec, &quantised.charges, 0, 0))
    }

    /// The first of the training images in the order of the calibration, as they are.
    fn plain_images(&self, count: usize) -> Result<Tensor, TrainError> {
        let images = Self::images(&self.train, &self.statistics);
        let order = images.order(self.recipe.seed, u32::MAX);
        Ok(images.plain(&order[..count.min(order.len())], self.model.device())?.0)
    }
}

fn chip<'a>(spec: Option<&'a MacroSpec>, charges: &'a [Option<ChargeStats>], chip: u32, seed: u64) -> Forward<'a> {
    spec.map_or(Forward::Exact, |spec| Forward::Macro {
        spec,
        charges,
        chip,
        seed,
    })
}
