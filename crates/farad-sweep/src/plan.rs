//! An experiment as points that are known to run.

use crate::calibration::CalibrationText;
use crate::check::Checker;
use crate::experiment::Experiment;
use crate::expression::Condition;
use crate::inputs::{self, MacroText};
use crate::key;
use crate::numbers::Numbers;
use crate::profile::ProfileText;
use crate::settings::Settings;
use crate::value::Value;
use farad_data::Dataset;
use farad_hw::MacroSpec;
use farad_hw::diagnostic::Diagnostics;
use farad_map::MapError;
use farad_net::Network;
use farad_report::report::MacroInfo;
use farad_report::{Job, JobInputs, Report, ReportError};
use farad_sim::{Looks, RunConfig, SimError, Workload};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

/// Points of an experiment; more are a slip of the pen.
const MOST_POINTS: u64 = 10_000_000;

/// One design point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Number among all points of the experiment, from 0.
    pub index: usize,
    /// Row of each group of axes.
    pub(crate) rows: Vec<u32>,
    /// SHA-256 of everything that determines the result, in hexadecimal: semantics, macro after defaults with its profile and calibration, network, images,
    /// chips, seed, engine. Names and paths are not part of it.
    pub key: String,
    /// Images that it runs.
    pub images: usize,
    /// Chips that it runs.
    pub chips: u32,
    /// It has fewer images than the experiment says.
    pub(crate) shortened: bool,
    /// Index into the plan's workloads.
    pub(crate) workload: usize,
}

impl Point {
    /// Its work, in images times chips.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.images as u64 * u64::from(self.chips)
    }
}

/// What to take of an experiment.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only points where all of these hold.
    pub filters: Vec<Condition>,
    /// Only points with these numbers.
    pub numbers: Option<Numbers>,
}

/// Checked points with the networks and images that they need.
#[derive(Debug)]
pub struct Plan {
    /// What was planned.
    pub experiment: Experiment,
    /// Points of the experiment, whatever was selected.
    pub all: usize,
    /// The selected points, in the order of their numbers; the last axis varies fastest.
    pub points: Vec<Point>,
    pub(crate) networks: Vec<Network>,
    pub(crate) datasets: Vec<Dataset>,
    /// Network and dataset of each workload.
    pub(crate) workloads: Vec<(usize, usize)>,
    pub(crate) macros: BTreeMap<String, MacroText>,
    pub(crate) profiles: BTreeMap<String, ProfileText>,
    pub(crate) calibrations: BTreeMap<String, CalibrationText>,
    /// Of the first images of a dataset, by dataset and number.
    pub(crate) digests: Mutex<BTreeMap<(usize, usize), String>>,
}

/// Why a point that was planned did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// Its settings have become wrong since they were checked.
    #[error("{0}")]
    Settings(String),
    /// Its network does not go on its macro.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] ReportError),
}

impl Plan {
    /// Loads what the experiment names and checks every selected point.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, each with the place in the experiment that causes it.
    pub fn new(experiment: Experiment, selection: &Selection) -> Result<Self, Box<Diagnostics>> {
        Checker::new(experiment, MOST_POINTS)?.plan(selection).map_err(Box::new)
    }

    /// Networks with their images, for [`run`](Self::run).
    ///
    /// # Errors
    /// None, since the points were checked.
    pub fn workloads(&self) -> Result<Vec<Workload<'_>>, SimError> {
        self.workloads
            .iter()
            .map(|&(network, dataset)| inputs::workload(&self.networks[network], &self.datasets[dataset]))
            .collect()
    }

    /// Everything that `farad run` would be given for a point.
    #[must_use]
    pub fn settings(&self, point: &Point) -> Settings {
        let settings = self.experiment.settings(&point.rows).unwrap_or_default();
        match point.shortened {
            true => Settings {
                images: Some(point.images as u32),
                ..settings
            },
            false => settings,
        }
    }

    /// The same point on its first `images` images alone; the point itself where it has no more.
    pub(crate) fn shortened(&self, point: &Point, images: usize) -> Result<Point, PointError> {
        if images >= point.images {
            return Ok(point.clone());
        }
        let mut short = Point {
            images,
            shortened: true,
            ..point.clone()
        };
        let (network, dataset) = self.workloads[point.workload];
        let settings = self.settings(&short);
        let (spec, _) = self.hw(&settings, &self.networks[network])?;
        let digest = self.digest(dataset, images);
        short.key = key::point(&self.networks[network], &spec, &digest, &settings);
        Ok(short)
    }

    fn digest(&self, dataset: usize, images: usize) -> String {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = digests.entry((dataset, images));
        digest
            .or_insert_with(|| key::images(&self.datasets[dataset], images))
            .clone()
    }

    /// The value of a point on each axis, in the order of [`Experiment::axes`].
    #[must_use]
    pub fn values(&self, point: &Point) -> Vec<&Value> {
        self.experiment.values(&point.rows)
    }

    /// A point in words: its value on each axis.
    #[must_use]
    pub fn title(&self, point: &Point) -> String {
        self.experiment.title(&point.rows)
    }

    /// The macro of these settings, from the files as they were when they were checked.
    pub(crate) fn hw(&self, settings: &Settings, network: &Network) -> Result<(MacroSpec, MacroInfo), PointError> {
        let missing = |what, name: &str| PointError::Settings(format!("{what} `{name}` was not loaded"));
        let text = self
            .macros
            .get(&settings.hw)
            .ok_or_else(|| missing("macro", &settings.hw))?;
        let set: Vec<(String, String)> = settings.set.clone().into_iter().collect();
        let mut spec = text.spec(&set).map_err(|d| PointError::Settings(d.to_string()))?;
        let profile = match &settings.profile {
            Some(name) => Some(self.profiles.get(name).ok_or_else(|| missing("profile", name))?),
            None => None,
        };
        if let Some(profile) = profile {
            profile
                .apply(&mut spec)
                .map_err(|e| PointError::Settings(e.to_string()))?;
        }
        let mut info = text.info(&spec, &set, profile);
        if let Some(name) = &settings.calibration {
            let calibration = self
                .calibrations
                .get(name)
                .ok_or_else(|| missing("calibration", name))?;
            let applied = calibration.apply(network, &mut spec, settings.chips);
            applied.map_err(|e| PointError::Settings(e.to_string()))?;
            info.calibration = Some(calibration.info());
        }
        Ok((spec, info))
    }

    /// Runs a point on `threads` threads. `workloads` are this plan's.
    ///
    /// # Errors
    /// [`PointError`]; a run that `stop` cut short is [`ReportError::Interrupted`] only if nothing was done, else its
    /// report is marked as partial.
    pub fn run(
        &self,
        workloads: &[Workload<'_>],
        point: &Point,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<Report, PointError> {
        self.run_until(workloads, point, threads, &Looks::default(), progress, stop)
    }

    /// As [`run`](Self::run), but the run may end at a look.
    pub(crate) fn run_until(
        &self,
        workloads: &[Workload<'_>],
        point: &Point,
        threads: usize,
        looks: &Looks<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<Report, PointError> {
        let settings = self.settings(point);
        let (network, data) = self.workloads[point.workload];
        let (network, data) = (&self.networks[network], &self.datasets[data]);
        let (spec, hw) = self.hw(&settings, network)?;
        let job = Job::new(JobInputs {
            workload: &workloads[point.workload],
            dataset: &data.name,
            split: &data.split,
            spec: &spec,
            hw: &hw,
        })?;
        let config = RunConfig {
            engine: settings.engine.kind(),
            images: point.images,
            chips: settings.chips,
            seed: settings.seed,
            threads,
        };
        Ok(job.run_until(&config, looks, progress, stop)?)
    }
}
