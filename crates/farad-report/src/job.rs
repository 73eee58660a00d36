//! From sound inputs to a report: the one way in which a network is run.

use crate::attribution::Attribution;
use crate::build::Run;
use crate::error::ReportError;
use crate::host;
use crate::report::{MacroInfo, Report};
use farad_hw::MacroSpec;
use farad_map::{LayerSchedule, MapError, Mapping};
use farad_sim::{Looks, RunConfig, Workload};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What is run, and what the report says about where it came from.
#[derive(Debug, Clone, Copy)]
pub struct JobInputs<'a> {
    /// Network and images; jobs may share one.
    pub workload: &'a Workload<'a>,
    /// Name of the images.
    pub dataset: &'a str,
    /// Their split.
    pub split: &'a str,
    /// The macro, overrides included.
    pub spec: &'a MacroSpec,
    /// Where the macro comes from.
    pub hw: &'a MacroInfo,
}

/// Inputs that fit together: a network that is mapped on its macro.
#[derive(Debug)]
pub struct Job<'a> {
    inputs: JobInputs<'a>,
    mapping: Mapping,
    schedule: Vec<LayerSchedule>,
}

impl<'a> Job<'a> {
    /// Maps the network.
    ///
    /// # Errors
    /// [`MapError`] if the network does not go on the macro.
    pub fn new(inputs: JobInputs<'a>) -> Result<Self, MapError> {
        let layers = inputs.workload.network().mac_layers();
        let mapping = farad_map::map(inputs.spec, layers)?;
        let schedule = farad_map::schedule(inputs.spec, layers, &mapping);
        Ok(Self {
            inputs,
            mapping,
            schedule,
        })
    }

    /// Where the weights sit.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// One per multiply-accumulate layer.
    #[must_use]
    pub fn schedule(&self) -> &[LayerSchedule] {
        &self.schedule
    }

    /// Runs and reports. `progress` and `stop` are those of [`farad_sim::run`]; a run that was stopped after its first
    /// images gives a report marked as partial.
    ///
    /// # Errors
    /// [`ReportError::Run`] if the simulation refuses, [`ReportError::Interrupted`] if `stop` left nothing to report.
    pub fn run(
        &self,
        config: &RunConfig,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<Report, ReportError> {
        self.run_until(config, &Looks::default(), progress, stop)
    }

    /// As [`run`](Self::run), but the run may end at a look; then the report is that of a run over the images up to there.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until(
        &self,
        config: &RunConfig,
        looks: &Looks<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<Report, ReportError> {
        let JobInputs { workload, spec, .. } = self.inputs;
        let started = Instant::now();
        let outcome = farad_sim::run_until(workload, spec, &self.mapping, config, looks, progress, stop)?;
        let wall_s = started.elapsed().as_secs_f64();
        if outcome.images == 0 {
            return Err(ReportError::Interrupted);
        }
        Report::build(&Run {
            network: workload.network(),
            spec,
            hw: self.inputs.hw,
            mapping: &self.mapping,
            schedule: &self.schedule,
            chips_requested: config.chips,
            outcome: &outcome,
            dataset: self.inputs.dataset,
            split: self.inputs.split,
            seed: config.seed,
            engine: config.engine.name(),
            wall_s,
            peak_rss_bytes: host::peak_rss_bytes(),
        })
    }

    /// Adds to `report`, which is this job's with the same `config`, what each effect of the macro costs; nothing else of it changes but
    /// that it is partial if `stop` left effects out. A partial report gets nothing.
    ///
    /// # Errors
    /// [`ReportError::Run`] if the simulation refuses.
    pub fn attribute(
        &self,
        report: &mut Report,
        config: &RunConfig,
        progress: &(dyn Fn(u64, u64) + Sync),
        stop: &AtomicBool,
    ) -> Result<(), ReportError> {
        if report.partial {
            return Ok(());
        }
        let JobInputs { workload, spec, .. } = self.inputs;
        let outcome = farad_sim::attribute(workload, spec, &self.mapping, config, progress, stop)?;
        let attribution = Attribution::new(&outcome, report);
        report.partial = attribution.is_partial();
        report.attribution = Some(attribution);
        Ok(())
    }
}
