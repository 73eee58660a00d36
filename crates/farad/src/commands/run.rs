//! `farad run`

use super::trace::TraceFile;
use crate::cli::{Engine, RunArgs};
use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal::Terminal;
use crate::{files, inputs, interrupt};
use farad_report::{Job, JobInputs, OutputDir, Report};
use farad_sim::{EngineKind, Isa, RunConfig};
use farad_sweep::inputs::{check_images, dataset, set_preprocess, workload};

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let mut hw = inputs::hw_by_name(&args.hw.hw, &args.hw.set, args.profile.as_deref())?;
    let mut network = inputs::network(&args.network.network)?;
    set_preprocess(&mut network, inputs::preprocess(&args.preprocess))?;
    hw.calibrate(args.calibration.as_deref(), &network, args.chips)?;
    let trimmed = hw.spec.calibration.as_ref().is_some_and(|c| !c.trims.is_empty());
    if args.attribute && trimmed {
        return Err(Failure::input(
            "--attribute takes the errors of chips apart, and the trims of this calibration were set against all of them together",
        ));
    }
    let data = dataset(&network, args.data.data.as_deref(), inputs::here())?;
    let images = check_images(&network, &data, args.images)?;
    let workload = workload(&network, &data).map_err(Failure::from_input)?;
    let job = Job::new(JobInputs {
        workload: &workload,
        dataset: &data.name,
        split: &data.split,
        spec: &hw.spec,
        hw: &hw.info,
    })
    .map_err(Failure::from_input)?;
    let trace = TraceFile::new(&args.trace, &network, &hw.spec, job.mapping(), images)?;
    // Last, so that wrong input leaves no directory behind; before the run, so that the run is not lost.
    let out = files::output(args.out.as_deref())?;
    let stop = interrupt::stop_flag(*terminal, "batch")?;
    terminal.detail(&format!(
        "{} on {}: {} layers on {} instances, {} images of {} {}",
        network.name(),
        hw.spec.name,
        network.mac_layers().len(),
        job.mapping().instances,
        images,
        data.name,
        data.split
    ));

    let config = RunConfig {
        engine: match args.engine {
            Engine::Fast => EngineKind::Fast(Isa::detect()),
            Engine::Reference => EngineKind::Reference,
        },
        images,
        chips: args.chips,
        seed: args.seed,
        threads: args.threads.threads as usize,
    };
    let progress = Progress::new(terminal, images);
    let mut report = job
        .run(&config, &|done, total| progress.update(done, total), &stop)
        .map_err(|e| Failure::Other(e.into()))?;
    drop(progress);
    if args.attribute {
        let progress = Progress::new(terminal, images);
        job.attribute(&mut report, &config, &|done, total| progress.update(done, total), &stop)
            .map_err(|e| Failure::Other(e.into()))?;
    }
    if let Some(trace) = trace {
        trace.write(&workload, &hw.spec, job.mapping(), job.schedule(), &config, terminal)?;
    }
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
