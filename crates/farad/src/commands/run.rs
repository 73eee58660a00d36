//! `farad run`

use super::trace::TraceFile;
use crate::cli::{Engine, RunArgs};
use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal::Terminal;
use crate::{host, inputs, interrupt};
use farad_report::{OutputDir, Report, Run};
use farad_sim::{EngineKind, ImageSet, Isa, RunConfig};
use std::time::Instant;

/// Images that calibrated ranges are taken from.
const CALIBRATION_IMAGES: usize = 32;

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw(&args.hw)?;
    let mut network = inputs::network(&args.network.network)?;
    inputs::set_preprocess(&mut network, &args.preprocess)?;
    let data = inputs::dataset(&network, args.data.as_deref(), args.images)?;
    let mapping = farad_map::map(&hw.spec, network.mac_layers()).map_err(Failure::from_input)?;
    let schedule = farad_map::schedule(&hw.spec, network.mac_layers(), &mapping);
    let trace = TraceFile::new(&args.trace, &network, &hw.spec, &mapping, data.len())?;
    // Last, so that wrong input leaves no directory behind; before the run, so that the run is not lost.
    let out = args
        .out
        .as_deref()
        .map(OutputDir::create)
        .transpose()
        .map_err(Failure::from_input)?;
    let stop = interrupt::stop_flag(*terminal)?;
    terminal.detail(&format!(
        "{} on {}: {} layers on {} instances, {} images of {} {}",
        network.name(),
        hw.spec.name,
        schedule.len(),
        mapping.instances,
        data.len(),
        data.name,
        data.split
    ));

    let images = ImageSet {
        height: data.height,
        width: data.width,
        channels: data.channels,
        pixels: &data.pixels,
        labels: &data.labels,
    };
    let (engine, engine_name) = match args.engine {
        Engine::Fast => (EngineKind::Fast(Isa::detect()), "fast"),
        Engine::Reference => (EngineKind::Reference, "reference"),
    };
    let config = RunConfig {
        engine,
        chips: args.chips,
        seed: args.seed,
        threads: args.threads as usize,
        calibration_images: CALIBRATION_IMAGES,
    };
    let progress = Progress::new(terminal, data.len());
    let update = |done, total| progress.update(done, total);
    let started = Instant::now();
    let outcome = farad_sim::run(&network, &hw.spec, &mapping, &images, &config, &update, &stop)
        .map_err(|e| Failure::Other(e.into()))?;
    let wall_s = started.elapsed().as_secs_f64();
    drop(progress);
    if outcome.images == 0 {
        return Err(Failure::Other(anyhow::anyhow!(
            "interrupted before the first images were done"
        )));
    }

    if let Some(trace) = trace {
        trace.write(&network, &hw.spec, &mapping, &schedule, &images, &config, terminal)?;
    }
    let report = Report::build(&Run {
        network: &network,
        spec: &hw.spec,
        macro_sha256: &hw.sha256,
        set: &args.hw.set,
        mapping: &mapping,
        schedule: &schedule,
        chips_requested: args.chips,
        outcome: &outcome,
        dataset: &data.name,
        split: &data.split,
        seed: args.seed,
        engine: engine_name,
        wall_s,
        peak_rss_bytes: host::peak_rss_bytes(),
    })
    .map_err(|e| Failure::Other(e.into()))?;
    finish(&report, args.json, out.as_ref(), terminal)
}

/// Files first: a reader of standard output that has gone must not cost them.
fn finish(report: &Report, json: bool, out: Option<&OutputDir>, terminal: &Terminal) -> Result<Status, Failure> {
    if let Some(out) = out {
        let written = out.write(report).map_err(|e| Failure::Other(e.into()))?;
        for path in written {
            terminal.detail(&format!("wrote {}", path.display()));
        }
    }
    let text = if json {
        report.json().map_err(|e| Failure::Other(e.into()))?
    } else {
        report.text(terminal.look())
    };
    terminal.print(&text)?;
    match report.partial_warning() {
        None => Ok(Status::Done),
        Some(warning) => {
            terminal.note(&format!("interrupted: {warning}; the results are partial"));
            Ok(Status::Failed)
        }
    }
}
