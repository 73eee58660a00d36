//! Stages of quantisation-aware training: the run's network becomes its int8 network, and trains on as that.

use super::Run;
use super::start::{adopt, preprocess};
use crate::TrainError;
use crate::evaluate::integer_accuracy;
use crate::optimizer::Average;
use crate::prune::{Batch, Progress};
use crate::qat::{Forward, LayerErrors, Objective, QatModel, Steps, Through, cut, network_error, relative};
use crate::recipe::{Kind, Stage};
use candle_core::Tensor;
use farad_hw::MacroSpec;
use farad_hw::scale::ChargeStats;
use farad_net::Network;
use farad_sim::CALIBRATION_IMAGES;
use std::collections::BTreeMap;

/// Training meets chips from this number on: the chips 0, 1, 2, ... of a user's run are new to the network.
const FIRST_CHIP: u32 = 1 << 20;
/// Chips that ranges are tried on: what decides is noise, which all have.
const FIT_CHIPS: u32 = 2;

/// The int8 network of a run.
#[derive(Debug)]
pub(crate) struct Quantised {
    pub(crate) model: QatModel,
    /// What sets the ADC ranges of the macro, by layer, since the last change of chips.
    pub(crate) charges: Vec<Vec<ChargeStats>>,
    /// What the chip does to each layer, where it is drawn.
    pub(crate) errors: Vec<LayerErrors>,
    /// What the stage began with, where that teaches.
    pub(crate) teacher: Option<Teacher>,
}

/// A network whose probabilities are a target.
#[derive(Debug)]
pub(crate) struct Teacher {
    pub(crate) bytes: Vec<u8>,
    network: Network,
}

impl Teacher {
    /// Of the bytes of an export.
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Result<Self, TrainError> {
        let network = Network::parse(name, &bytes).map_err(|e| network_error(name, e))?;
        Ok(Self { bytes, network })
    }
}

impl From<QatModel> for Quantised {
    fn from(model: QatModel) -> Self {
        Self {
            model,
            charges: Vec::new(),
            errors: Vec::new(),
            teacher: None,
        }
    }
}

impl Quantised {
    /// That it has the bits that `stage` says.
    pub(super) fn check_bits(&self, stage: &Stage) -> Result<(), TrainError> {
        match self.model.has_bits_of(&stage.qat) {
            true => Ok(()),
            false => Err(TrainError::Data {
                name: self.model.graph().name.clone(),
                problem: "it has other bits than `weights`, `activations` and `ends` of the stage; leave them out to go on with its own"
                    .to_owned(),
            }),
        }
    }
}

impl Run {
    /// The int8 network of the averaged weights.
    pub(super) fn quantise(&mut self, stage: &Stage) -> Result<QatModel, TrainError> {
        adopt(&self.model.parameters, &self.average)?;
        self.average = Average::default();
        self.reestimate()?;
        let batches = self.calibration()?;
        QatModel::new(&mut self.model, &batches, &preprocess(&self.statistics), &stage.qat)
    }

    pub(super) fn begin_qat(&mut self, stage: &Stage) -> Result<(), TrainError> {
        if self.quantised.is_none() {
            self.quantised = Some(self.quantise(stage)?.into());
        }
        if let Some(quantised) = &mut self.quantised {
            quantised.check_bits(stage)?;
            quantised.model.learn_steps(stage.qat.steps)?;
            quantised.teacher = match stage.qat.distil > 0.0 {
                true => Some(Teacher::new(&self.model.graph.name, quantised.model.export(&[])?)?),
                false => None,
            };
        }
        let seed = self.recipe.seed;
        self.cut_weights(stage)?;
        if stage.qat.fit_ranges {
            self.on_target(stage, |quantised, x, spec| {
                quantised
                    .model
                    .fit_ranges(x, spec, FIRST_CHIP..FIRST_CHIP + FIT_CHIPS, seed)
            })?;
        }
        let chips = FIRST_CHIP..FIRST_CHIP + stage.qat.recalibrate_chips;
        if !chips.is_empty() {
            self.on_target(stage, |quantised, x, spec| {
                quantised.model.recalibrate(x, spec, chips, seed)
            })?;
        }
        self.meet_chip(stage)
    }

    /// Holds weights within the stage's limit.
    pub(super) fn cut_weights(&self, stage: &Stage) -> Result<(), TrainError> {
        match (&self.quantised, stage.qat.cut_weights) {
            (Some(quantised), Some(times)) => Ok(cut(quantised.model.parameters(), times)?),
            _ => Ok(()),
        }
    }

    /// At the end of the stage the averaged weights stay. What they give on chips is what they were trained for: there is
    /// nothing to recalibrate.
    pub(super) fn end_qat_epoch(&mut self, stage: &Stage, epoch: u32) -> Result<(), TrainError> {
        let is_last = epoch == stage.epochs;
        if is_last {
            adopt(self.parameters(), &self.average)?;
            self.average = Average::default();
        }
        // What no chip was met for is still measured on one.
        if is_last || (stage.is_measured(epoch) && stage.qat.through() == Through::Digital) {
            self.set_charges(stage)?;
        }
        Ok(())
    }

    /// Sets the macro's ADC ranges for the weights of now.
    fn set_charges(&mut self, stage: &Stage) -> Result<(), TrainError> {
        self.on_target(stage, |quantised, x, spec| {
            let few = x.narrow(0, 0, x.dim(0)?.min(CALIBRATION_IMAGES))?;
            quantised.charges = quantised.model.charges(&few, spec)?;
            Ok(())
        })
    }

    /// What a step on a new chip needs to know of it, for the weights of now.
    fn meet_chip(&mut self, stage: &Stage) -> Result<(), TrainError> {
        self.set_charges(stage)?;
        if stage.qat.through() != Through::Surrogate || stage.epochs == 0 {
            return Ok(());
        }
        let (chip, seed) = (self.chip_of(stage), self.recipe.seed);
        self.on_target(stage, |quantised, x, spec| {
            quantised.errors = quantised.model.errors(x, spec, &quantised.charges, chip, seed)?;
            Ok(())
        })
    }

    /// Number of the chip that the next step of the stage is for.
    fn chip_of(&self, stage: &Stage) -> u32 {
        let before = u64::from(self.epochs_before()) * self.steps_per_epoch();
        let chips = before.div_ceil(stage.qat.steps_per_chip) + self.position.step / stage.qat.steps_per_chip;
        FIRST_CHIP + chips as u32
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

    /// Goes to another chip when the next step is the first one on it.
    pub(super) fn change_chip(&mut self, stage: &Stage) -> Result<(), TrainError> {
        let step = self.position.step;
        let meets = stage.stage == Kind::Qat && stage.qat.through() != Through::Digital;
        if meets && step > 0 && step.is_multiple_of(stage.qat.steps_per_chip) {
            self.meet_chip(stage)?;
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
        let seed = (progress.seed << 32) ^ progress.step;
        let forward = match stage.qat.through() {
            Through::Digital => Forward::Exact,
            Through::Surrogate => Forward::Surrogate {
                errors: &quantised.errors,
                seed,
            },
            Through::Macro => {
                let spec = self.targets[self.position.stage].as_ref();
                chip(spec, &quantised.charges, self.chip_of(stage), seed)
            }
        };
        let objective = Objective {
            smoothing: self.recipe.label_smoothing,
            teacher: quantised.teacher.as_ref().map(|t| (&t.network, stage.qat.distil)),
            precision: self.recipe.precision.into(),
        };
        let gradients = quantised.model.gradients(batch, images, forward, objective)?;
        let mut of = gradients.of;
        if stage.qat.relative_rates {
            relative(&mut of, quantised.model.parameters())?;
        }
        if stage.qat.steps == Some(Steps::Observed) {
            // Those that an earlier stage learned stay.
            of.retain(|name, _| !name.ends_with(".step"));
        }
        Ok((gradients.loss, of))
    }

    /// Accuracy of the int8 network on the stage's test images: on chip 0 of its macro, or in exact integers.
    pub(super) fn evaluate_quantised(&self, stage: &Stage, quantised: &Quantised) -> Result<f64, TrainError> {
        let network = quantised.model.network()?;
        let spec = self.targets[self.position.stage].as_ref();
        let on = chip(spec, &quantised.charges, 0, 0);
        integer_accuracy(&network, &self.test, stage.qat.test_images, on)
    }

    /// The first of the training images in the order of the calibration, as they are.
    fn plain_images(&self, count: usize) -> Result<Tensor, TrainError> {
        let images = Self::images(&self.train, &self.statistics);
        let order = images.order(self.recipe.seed, u32::MAX);
        Ok(images.plain(&order[..count.min(order.len())], self.model.device())?.0)
    }
}

fn chip<'a>(spec: Option<&'a MacroSpec>, charges: &'a [Vec<ChargeStats>], chip: u32, seed: u64) -> Forward<'a> {
    spec.map_or(Forward::Exact, |spec| Forward::Macro {
        spec,
        charges,
        chip,
        seed,
    })
}
