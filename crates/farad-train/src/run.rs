//! Follows a recipe.

mod prune;
mod qat;
mod start;

pub(crate) use qat::{Quantised, Teacher};
pub(crate) use start::preprocess;
use start::{adopt, check_recipe, first, from_checkpoint, from_network, keep, trained};

use crate::batches::{Images, channel_statistics};
use crate::checkpoint::{self, Kept, Position};
use crate::evaluate::{float_accuracy, integer_accuracy, reestimate};
use crate::ops::with_slice;
use crate::optimizer::{Average, Optimizer, Rule};
use crate::prune::{Batch, Budget, Criterion, Progress, log_alpha_histogram};
use crate::qat::{Forward, target_macro};
use crate::recipe::{Kind, Recipe, Stage};
use crate::{Architecture, Graph, Model, Pass, Statistics, TrainError, cross_entropy};
use candle_core::{Device, Tensor, Var};
use farad_data::Dataset;
use farad_hw::MacroSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// File beside the checkpoint that an `export` stage writes.
pub const NETWORK: &str = "network.onnx";

/// Weight of a batch in the running moments of batch norm.
const NORM_MOMENTUM: f32 = 0.1;

/// One line of the metrics: an epoch, or a stage that does not train.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Row {
    /// Stage of the recipe, from 1.
    pub stage: usize,
    /// Its kind.
    pub kind: Kind,
    /// Epochs of the stage.
    pub epoch: u32,
    /// Learning rate at its end.
    pub rate: f64,
    /// Mean training loss of the epoch.
    pub loss: f64,
    /// Part of the test images that are right, where the epoch was measured.
    pub accuracy: Option<f64>,
    /// Multiply-accumulates of one image.
    pub macs: usize,
    /// Parameters.
    pub params: usize,
    /// Channels of each prunable group.
    pub widths: Vec<usize>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Channels by log alpha after the epoch, before any was removed: see [`log_alpha_histogram`]. Empty without masks.
    #[serde(default)]
    pub log_alpha: Vec<u32>,
}

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step is done.
    Step {
        /// The stage, from 1, and how many there are.
        stage: (usize, usize),
        /// Its kind.
        kind: Kind,
        /// Steps done and all steps of the stage.
        step: (u64, u64),
        /// Loss of the step.
        loss: f32,
    },
    /// An epoch, or a stage, is done.
    Row(&'a Row),
}

/// A recipe that is being followed.
#[derive(Debug)]
pub struct Run {
    recipe: Recipe,
    train: Dataset,
    test: Dataset,
    model: Model,
    optimizer: Optimizer,
    average: Average,
    /// The int8 network, once there is one.
    quantised: Option<Quantised>,
    position: Position,
    checkpoint: PathBuf,
    /// The macro of each stage that trains on one.
    targets: Vec<Option<MacroSpec>>,
    /// The mean and standard deviation of each channel of the training images.
    statistics: (Vec<f32>, Vec<f32>),
}

impl Run {
    /// Prepares `recipe` on its datasets; goes on from `checkpoint` if that file is there.
    ///
    /// # Errors
    /// If network, data or checkpoint do not fit the recipe.
    pub fn new(recipe: Recipe, train: Dataset, test: Dataset, checkpoint: &Path) -> Result<Self, TrainError> {
        farad_kernels::dense::retain_memory();
        let graph = Graph::new(&Architecture::load(&recipe.network)?)?;
        let mut model = Model::new(graph, recipe.seed, &Device::Cpu)?;
        let cut = |data: Dataset| {
            if recipe.images > 0 {
                first(data, recipe.images)
            } else {
                data
            }
        };
        let (train, test) = (cut(train), cut(test));
        model.check_data(&train)?;
        model.check_data(&test)?;
        let mut sizes = recipe.stages.iter().filter_map(|stage| stage.size);
        sizes.try_for_each(|size| model.graph.check_size(size))?;
        if train.len() < recipe.batch {
            return Err(TrainError::Data {
                name: train.name,
                problem: format!(
                    "{} training images are less than a batch of {}",
                    train.labels.len(),
                    recipe.batch
                ),
            });
        }
        let text = serde_json::to_string(&recipe).map_err(|e| TrainError::File {
            path: checkpoint.to_owned(),
            problem: e.to_string(),
        })?;
        let target = |stage: &Stage| {
            let of = |name| target_macro(name, &stage.qat.overrides());
            stage.qat.target.as_deref().map(of).transpose()
        };
        let targets = recipe.stages.iter().map(target).collect::<Result<_, _>>()?;
        let mut statistics = channel_statistics(&train);
        let kept = if checkpoint.exists() {
            let mut kept = checkpoint::read(checkpoint, &mut model, &statistics)?;
            check_recipe(&kept.position, &recipe, checkpoint)?;
            kept.position.recipe = text;
            kept
        } else {
            let mut kept = match (&recipe.from, recipe.network_file()) {
                (_, Some(file)) => from_network(file, &mut model, recipe.seed)?,
                (Some(from), None) => from_checkpoint(Path::new(from), &mut model, &statistics)?,
                (None, None) => Kept::default(),
            };
            kept.position.recipe = text;
            kept
        };
        if let Some(own) = &kept.position.statistics {
            statistics = own.clone();
        }
        let left = recipe.stages.iter().skip(kept.position.stage);
        Budget::check_all(&model.graph, left.map(|stage| stage.budget.as_ref())).map_err(|(_, error)| error)?;
        Ok(Self {
            recipe,
            train,
            test,
            model,
            optimizer: kept.optimizer,
            average: kept.average,
            quantised: kept.quantised,
            position: kept.position,
            targets,
            checkpoint: checkpoint.to_owned(),
            statistics,
        })
    }

    /// The network as it is now.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What has been measured.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.position.rows
    }

    /// Follows the recipe to its end, or until `stop` says so; the checkpoint then has all of it. True at the end.
    ///
    /// # Errors
    /// If the loss or a weight is no number, a budget cannot be met, or a checkpoint cannot be written.
    pub fn follow(&mut self, stop: &dyn Fn() -> bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<bool, TrainError> {
        while self.position.stage < self.recipe.stages.len() {
            let stage = self.recipe.stages[self.position.stage].clone();
            let began = Instant::now();
            let done = match stage.stage {
                Kind::Prune => {
                    self.prune(&stage)?;
                    true
                }
                Kind::Export => {
                    self.export(&stage, &self.checkpoint.with_file_name(NETWORK), tell)?;
                    true
                }
                Kind::Dense | Kind::Variational | Kind::Finetune | Kind::Qat => self.train(&stage, stop, tell)?,
            };
            if stage.stage == Kind::Prune {
                self.position.seconds += began.elapsed().as_secs_f64();
                self.measure(&stage, 0, 0.0, Vec::new(), tell)?;
            }
            self.check_parameters(self.position.step)?;
            if !done {
                self.save()?;
                return Ok(false);
            }
            self.position.stage += 1;
            self.position.step = 0;
            self.position.begun = false;
            self.position.masked = false;
            self.save()?;
        }
        Ok(true)
    }

    fn save(&self) -> Result<(), TrainError> {
        checkpoint::write(
            &self.checkpoint,
            &self.position,
            &self.model,
            &self.optimizer,
            &self.average,
            self.quantised.as_ref(),
        )
    }

    /// What trains.
    fn parameters(&self) -> &BTreeMap<String, Var> {
        trained(&self.model, self.quantised.as_ref())
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.train.len() / self.recipe.batch) as u64
    }

    /// Epochs of the stages before this one.
    fn epochs_before(&self) -> u32 {
        self.recipe.stages[..self.position.stage].iter().map(|s| s.epochs).sum()
    }

    /// Epochs of all stages so far.
    fn epochs_done(&self) -> u32 {
        self.epochs_before() + (self.position.step / self.steps_per_epoch()) as u32
    }

    fn images<'a>(data: &'a Dataset, statistics: &(Vec<f32>, Vec<f32>)) -> Images<'a> {
        Images::new(data, &statistics.0, &statistics.1)
    }

    /// Trains for the rest of the stage; false if stopped before its end.
    fn train(
        &mut self,
        stage: &Stage,
        stop: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, TrainError> {
        let mut criterion = self.criterion(stage)?;
        let per_epoch = self.steps_per_epoch();
        let steps = per_epoch * u64::from(stage.epochs);
        if self.position.step == 0 && !self.position.begun {
            keep(&self.checkpoint);
            let began = Instant::now();
            self.begin(stage, criterion.as_deref_mut())?;
            self.position.begun = true;
            self.position.seconds += began.elapsed().as_secs_f64();
            if steps == 0 {
                self.measure(stage, 0, 0.0, Vec::new(), tell)?;
            }
        }
        let mut order = Vec::new();
        let mut saved = Instant::now();
        let mut began = Instant::now();
        while self.position.step < steps {
            if stop() {
                self.position.seconds += began.elapsed().as_secs_f64();
                return Ok(false);
            }
            let step = self.position.step;
            if order.is_empty() || step.is_multiple_of(per_epoch) {
                order = Self::images(&self.train, &self.statistics).order(self.recipe.seed, self.epochs_done());
            }
            let loss = self.step(stage, &mut criterion, &order, step)?;
            tell(Event::Step {
                stage: (self.position.stage + 1, self.recipe.stages.len()),
                kind: stage.stage,
                step: (step + 1, steps),
                loss,
            });
            if (step + 1).is_multiple_of(per_epoch) {
                let epoch = ((step + 1) / per_epoch) as u32;
                if let Some(criterion) = criterion.as_mut().filter(|_| self.position.masked) {
                    criterion.after_epoch(&mut self.model)?;
                }
                let log_alpha = log_alpha_histogram(&self.model)?;
                self.shrink_after(stage, criterion.as_deref_mut(), epoch)?;
                self.position.seconds += began.elapsed().as_secs_f64();
                if stage.stage == Kind::Qat {
                    self.end_qat_epoch(stage, epoch)?;
                }
                let loss = self.position.loss_sum / per_epoch as f64;
                self.position.loss_sum = 0.0;
                if stage.is_measured(epoch) {
                    self.measure(stage, epoch, loss, log_alpha, tell)?;
                } else {
                    self.record(stage, epoch, loss, None, log_alpha, tell);
                }
                began = Instant::now();
            }
            if saved.elapsed().as_secs_f64() > self.recipe.checkpoint_s {
                self.position.seconds += began.elapsed().as_secs_f64();
                began = Instant::now();
                self.check_parameters(self.position.step)?;
                self.save()?;
                saved = Instant::now();
            }
        }
        Ok(true)
    }

    /// What a stage does once, before its first step.
    fn begin(&mut self, stage: &Stage, criterion: Option<&mut (dyn Criterion + 'static)>) -> Result<(), TrainError> {
        if stage.fresh {
            // Other weights than those that the recipe began with, had the widths been the same.
            let seed = self.recipe.seed ^ (self.position.stage as u64 + 1) << 32;
            self.model = Model::new(self.model.graph.clone(), seed, &Device::Cpu)?;
        } else if let Some(criterion) = criterion {
            let batches = self.calibration()?;
            criterion.attach(&mut self.model, &batches)?;
            self.position.masked = true;
        } else if stage.stage == Kind::Qat {
            self.begin_qat(stage)?;
        } else {
            return Ok(());
        }
        // The network is another one, or expressed otherwise: what was remembered of it before means nothing now.
        self.optimizer = Optimizer::default();
        self.average = Average::default();
        Ok(())
    }

    fn step(
        &mut self,
        stage: &Stage,
        criterion: &mut Option<Box<dyn Criterion>>,
        order: &[u32],
        step: u64,
    ) -> Result<f32, TrainError> {
        let recipe = &self.recipe;
        let per_epoch = self.steps_per_epoch();
        let begin = (step % per_epoch) as usize * recipe.batch;
        let indices = &order[begin..begin + recipe.batch];
        let size = stage.size.unwrap_or(self.train.height);
        let images = Self::images(&self.train, &self.statistics);
        let epochs = self.epochs_done();
        let batch = images.augmented(indices, recipe.augment, recipe.seed, epochs, size, self.model.device())?;
        let epoch = step as f64 / per_epoch as f64;
        let progress = Progress {
            step: u64::from(self.epochs_before()) * per_epoch + step,
            epoch,
            seed: recipe.seed,
        };
        let mut active = criterion.as_deref_mut().filter(|_| self.position.masked);
        self.change_chip(stage)?;
        let (loss, gradients) = match &self.quantised {
            Some(quantised) => self.qat_gradients(quantised, stage, &batch, indices, progress)?,
            None => self.float_gradients(active.as_deref(), &batch, progress)?,
        };
        if !loss.is_finite() {
            return Err(self.diverged(step + 1, format!("the loss is {loss}")));
        }
        let parameters = trained(&self.model, self.quantised.as_ref());
        for (name, gradient) in &gradients {
            let (rule, rate) = if name.starts_with("mask.") {
                (Rule::ADAM, stage.mask_rate_at(epoch))
            } else {
                let decay = if name.ends_with(".weight") {
                    self.recipe.weight_decay
                } else {
                    0.0
                };
                let momentum = self.recipe.momentum;
                (Rule::Nesterov { momentum, decay }, stage.rate_at(epoch))
            };
            self.optimizer
                .step(name, &parameters[name], gradient, rule, rate as f32)?;
        }
        if self.quantised.is_some() {
            // Stored as integers they would be numbers again, and the loss with them.
            self.check_parameters(step + 1)?;
        }
        if let Some(criterion) = active.as_mut() {
            criterion.after_step(&mut self.model)?;
        }
        self.cut_weights(stage)?;
        if let Some(decay) = self.recipe.average {
            let parameters = trained(&self.model, self.quantised.as_ref());
            self.average.update(parameters, decay)?;
        }
        self.position.step += 1;
        self.position.loss_sum += f64::from(loss);
        Ok(loss)
    }

    /// That all parameters are numbers: others are not for a checkpoint.
    fn check_parameters(&self, step: u64) -> Result<(), TrainError> {
        for (name, parameter) in self.parameters() {
            if !with_slice(parameter, |values| values.iter().all(|v| v.is_finite()))? {
                return Err(self.diverged(step, format!("`{name}` is no number")));
            }
        }
        Ok(())
    }

    fn diverged(&self, step: u64, problem: String) -> TrainError {
        TrainError::Diverged {
            stage: self.position.stage + 1,
            kind: self.recipe.stages[self.position.stage].stage.as_str(),
            step,
            problem,
            before: start::kept(&self.checkpoint),
        }
    }

    /// Loss of a batch, and its gradients by parameter.
    fn float_gradients(
        &mut self,
        criterion: Option<&dyn Criterion>,
        (x, labels): &Batch,
        progress: Progress,
    ) -> Result<(f32, BTreeMap<String, Tensor>), TrainError> {
        let masks = match criterion {
            Some(criterion) => criterion.masks(&self.model, x.dim(0)?, progress)?,
            None => Vec::new(),
        };
        let pass = Pass {
            statistics: Statistics::Batch {
                momentum: NORM_MOMENTUM,
            },
            masks: &masks,
            precision: self.recipe.precision.into(),
        };
        let logits = self.model.forward(x, pass)?;
        let mut loss = cross_entropy(&logits, labels, self.recipe.label_smoothing)?;
        if let Some(penalty) = criterion
            .map(|c| c.penalty(&self.model, progress))
            .transpose()?
            .flatten()
        {
            loss = (loss + penalty)?;
        }
        let value = loss.to_scalar::<f32>()?;
        let mut gradients = BTreeMap::new();
        if value.is_finite() {
            let mut of = loss.backward()?;
            for (name, parameter) in &self.model.parameters {
                if let Some(gradient) = of.remove(parameter) {
                    gradients.insert(name.clone(), gradient);
                }
            }
        }
        Ok((value, gradients))
    }

    /// Writes the int8 network, and measures it in exact integers.
    fn export(&mut self, stage: &Stage, file: &Path, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        let error = |problem: String| TrainError::File {
            path: file.to_owned(),
            problem,
        };
        let metadata = [
            ("farad.dataset", self.train.name.clone()),
            ("farad.recipe", self.position.recipe.clone()),
        ];
        let onnx = match &self.quantised {
            Some(quantised) => {
                quantised.check_bits(stage)?;
                quantised.model.export(&metadata)?
            }
            None => self.quantise(stage)?.export(&metadata)?,
        };
        let network = farad_net::Network::parse(&self.model.graph.name, &onnx).map_err(|e| error(e.to_string()))?;
        let accuracy = integer_accuracy(&network, &self.test, 0, Forward::Exact)?;
        checkpoint::replace(file, |part| std::fs::write(part, onnx).map_err(|e| e.to_string())).map_err(error)?;
        self.record(stage, 0, 0.0, Some(accuracy), Vec::new(), tell);
        Ok(())
    }

    /// Eight plain training batches.
    fn calibration(&self) -> Result<Vec<Batch>, TrainError> {
        let images = Self::images(&self.train, &self.statistics);
        let order = images.order(self.recipe.seed, u32::MAX);
        let batches = order.chunks_exact(self.recipe.batch).take(8);
        batches
            .map(|indices| Ok(images.plain(indices, self.model.device())?))
            .collect()
    }

    /// Measures the network, with averaged weights where the recipe keeps them, and adds a row.
    fn measure(
        &mut self,
        stage: &Stage,
        epoch: u32,
        loss: f64,
        log_alpha: Vec<u32>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let own = self.exchange_average()?;
        let accuracy = match &self.quantised {
            Some(quantised) => self.evaluate_quantised(stage, quantised),
            None => self.evaluate(),
        };
        if let Some(own) = own {
            self.restore(&own)?;
        }
        self.record(stage, epoch, loss, Some(accuracy?), log_alpha, tell);
        Ok(())
    }

    fn record(
        &mut self,
        stage: &Stage,
        epoch: u32,
        loss: f64,
        accuracy: Option<f64>,
        log_alpha: Vec<u32>,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let graph = &self.model.graph;
        let cost = graph.total_cost(&graph.widths());
        let row = Row {
            stage: self.position.stage + 1,
            kind: stage.stage,
            epoch,
            rate: stage.rate_at(f64::from(epoch)),
            loss,
            accuracy,
            macs: cost.macs,
            params: cost.params,
            widths: graph.groups.iter().filter(|g| g.prunable).map(|g| g.channels).collect(),
            seconds: self.position.seconds,
            log_alpha,
        };
        tell(Event::Row(&row));
        self.position.rows.push(row);
    }

    /// Puts the averaged weights into the model, and returns its own.
    fn exchange_average(&self) -> Result<Option<BTreeMap<String, Tensor>>, TrainError> {
        if self.average.values.is_empty() {
            return Ok(None);
        }
        let mut own = BTreeMap::new();
        for (name, parameter) in self.parameters() {
            own.insert(name.clone(), parameter.as_tensor().copy()?);
        }
        adopt(self.parameters(), &self.average)?;
        Ok(Some(own))
    }

    fn restore(&self, own: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        for (name, parameter) in self.parameters() {
            if let Some(value) = own.get(name) {
                parameter.set(value)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<f64, TrainError> {
        self.reestimate()?;
        let test = Self::images(&self.test, &self.statistics);
        float_accuracy(&mut self.model, &test, self.recipe.precision.into())
    }

    /// Finds the moments of batch norm anew.
    fn reestimate(&mut self) -> Result<(), TrainError> {
        let train = Self::images(&self.train, &self.statistics);
        let recipe = &self.recipe;
        reestimate(
            &mut self.model,
            &train,
            recipe.seed,
            recipe.batch,
            recipe.precision.into(),
        )
    }
}
