//! What trained networks are worth, on the macro that the recipe names.

use crate::failure::Failure;
use crate::inputs;
use crate::progress::Progress;
use crate::terminal::Terminal;
use farad_data::Dataset;
use farad_net::Network;
use farad_report::comparison::{Candidate, Measured, OnTarget};
use farad_report::report::SEMANTICS;
use farad_report::{Comparison, Job, JobInputs, OutputDir, Report, ReportError, Training};
use farad_sim::{EngineKind, Isa, RunConfig};
use farad_sweep::inputs::{check_images, dataset, workload};
use farad_train::vary::{self, Point, Setting};
use farad_train::{NETWORK, Plan};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The macro of a recipe's `[target]`.
pub(super) struct Target {
    hw: inputs::Macro,
    chips: u32,
    /// None for all.
    images: Option<u32>,
}

impl Target {
    pub(super) fn new(target: &vary::Target) -> Result<Self, Failure> {
        Ok(Self {
            hw: inputs::hw_by_name(&target.hw, &[], None)?,
            chips: target.chips,
            images: (target.images > 0).then_some(target.images),
        })
    }

    /// Refuses more images than there are.
    pub(super) fn check(&self, test: &Dataset) -> Result<(), Failure> {
        match self.images {
            Some(images) if images as usize > test.len() => Err(Failure::input(format!(
                "[target]: {images} images are asked for, {} has {} for testing",
                test.name,
                test.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Whether `report` says what this target makes of `network`: a run need not be done twice.
    fn is_of(&self, report: &Report, network: &Network, images: usize) -> bool {
        !report.partial
            && report.semantics == SEMANTICS
            && report.network.sha256 == network.sha256()
            && report.hw.sha256 == self.hw.info.sha256
            && report.dataset.images == images as u64
            && report.accuracy.chips_requested == u64::from(self.chips)
    }
}

/// The setting of the plan's points, and nothing compared yet.
pub(super) fn empty(plan: &Plan, trained: &[Option<Training>], target: Option<&Target>) -> Comparison {
    // Every point has the same axes.
    let keys: Vec<&str> = plan
        .points
        .iter()
        .take(1)
        .flat_map(axes)
        .map(|s| s.key.as_str())
        .collect();
    let network = trained.iter().flatten().next();
    let subtitle = network.map_or(String::new(), |t| format!("{} on {}", t.network, t.dataset));
    Comparison {
        title: if keys.is_empty() {
            "Training".into()
        } else {
            format!("Comparison by {}", keys.join(", "))
        },
        subtitle: match target {
            Some(target) => format!(
                "{subtitle}; macro {}, {} chips, {}",
                target.hw.spec.name,
                target.chips,
                target
                    .images
                    .map_or("all test images".into(), |n| format!("{n} test images"))
            ),
            None => subtitle,
        },
        candidates: Vec::new(),
    }
}

/// What is compared: all settings but the seed.
fn axes(point: &Point) -> impl Iterator<Item = &Setting> {
    point.settings.iter().filter(|s| s.key != "seed")
}

/// The candidate that the point is a run of.
pub(super) fn candidate<'a>(comparison: &'a mut Comparison, point: &Point) -> &'a mut Candidate {
    let axes: Vec<&Setting> = axes(point).collect();
    let name = match &axes[..] {
        [] => point.recipe.network.clone(),
        // One axis: its values tell the candidates apart.
        [setting] => setting.value.clone(),
        _ => vary::name(&axes.into_iter().cloned().collect::<Vec<_>>()),
    };
    let candidates = &mut comparison.candidates;
    let i = candidates.iter().position(|c| c.name == name).unwrap_or_else(|| {
        candidates.push(Candidate {
            name,
            ..Candidate::default()
        });
        candidates.len() - 1
    });
    &mut candidates[i]
}

/// Measures the network in `folder`; None if stopped.
pub(super) fn measure(
    folder: &Path,
    training: &Training,
    target: Option<&Target>,
    data: Option<&str>,
    terminal: &Terminal,
    stop: &AtomicBool,
) -> Result<Option<Measured>, Failure> {
    let end = training.epochs.last();
    let mut measured = Measured {
        accuracy_float: training.last_accuracy(false),
        accuracy_int8: training.last_accuracy(true),
        params: end.map_or(0, |e| e.params),
        macs: end.map_or(0, |e| e.macs),
        bops: None,
        target: None,
    };
    let file = folder.join(NETWORK);
    if file.exists() {
        let network = Network::load(&file).map_err(Failure::from_input)?;
        measured.bops = Some(network.bops());
        if let Some(target) = target {
            let Some(report) = on_target(&network, target, folder, data, terminal, stop)? else {
                return Ok(None);
            };
            measured.target = Some(OnTarget {
                accuracy: report.accuracy.mean,
                tiles: report.totals.tiles,
                utilization: report.totals.utilization,
                energy_j: report.per_image.energy_j,
            });
        }
    }
    Ok(Some(measured))
}

/// The report of the network on the macro: the one in `folder` if it is still true, else a new one, which goes there.
fn on_target(
    network: &Network,
    target: &Target,
    folder: &Path,
    data: Option<&str>,
    terminal: &Terminal,
    stop: &AtomicBool,
) -> Result<Option<Report>, Failure> {
    let data = dataset(network, data, inputs::here())?;
    let images = check_images(network, &data, target.images)?;
    let before = std::fs::read(folder.join("report.json")).ok();
    let before = before.and_then(|bytes| serde_json::from_slice::<Report>(&bytes).ok());
    if let Some(report) = before.filter(|report| target.is_of(report, network, images)) {
        return Ok(Some(report));
    }
    terminal.detail(&format!("{} on {}", folder.display(), target.hw.spec.name));
    let workload = workload(network, &data).map_err(Failure::from_input)?;
    let job = Job::new(JobInputs {
        workload: &workload,
        dataset: &data.name,
        split: &data.split,
        spec: &target.hw.spec,
        hw: &target.hw.info,
    })
    .map_err(Failure::from_input)?;
    let config = RunConfig {
        engine: EngineKind::Fast(Isa::detect()),
        images,
        chips: target.chips,
        seed: 0,
        threads: 0,
    };
    let progress = Progress::new(terminal, images);
    let update = |done, total| progress.update(done, total);
    let report = match job.run(&config, &update, stop) {
        Ok(report) => report,
        Err(ReportError::Interrupted) => return Ok(None),
        Err(error) => return Err(Failure::Other(error.into())),
    };
    if report.partial {
        return Ok(None);
    }
    let out = OutputDir::create(folder).map_err(|e| Failure::Other(e.into()))?;
    out.write(&report).map_err(|e| Failure::Other(e.into()))?;
    Ok(Some(report))
}
