//! `farad train`

use crate::cli::TrainArgs;
use crate::failure::{Failure, Status};
use crate::interrupt;
use crate::progress;
use crate::terminal::Terminal;
use anyhow::Context;
use farad_train::{Event, Recipe, Row, Run, TrainError};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

pub(crate) fn run(args: &TrainArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let recipe = Recipe::load(&args.recipe).map_err(Failure::from_input)?;
    let data = args.data.as_deref().unwrap_or(&recipe.dataset);
    let load = |split: &str| farad_data::load(&format!("{data}:{split}")).map_err(Failure::from_input);
    let (train, test) = (load("train")?, load("test")?);
    let out = args.out.clone().unwrap_or_else(|| default_folder(&args.recipe));
    std::fs::create_dir_all(&out)
        .with_context(|| out.display().to_string())
        .map_err(Failure::Other)?;
    let checkpoint = out.join("checkpoint.safetensors");
    let mut run = Run::new(recipe, train, test, &checkpoint).map_err(Failure::from_input)?;
    if let Some(row) = run.rows().last() {
        terminal.note(&format!("going on after stage {}, epoch {}", row.stage, row.epoch));
    }
    let stop = interrupt::stop_flag(*terminal, "batch")?;
    let bar = Bar::new(terminal);
    let metrics = out.join("metrics.csv");
    let mut rows = run.rows().to_vec();
    let finished = run.follow(&|| stop.load(Ordering::Relaxed), &mut |event| match event {
        Event::Step { .. } => bar.step(&event),
        Event::Row(row) => {
            bar.row(terminal, row);
            rows.push(row.clone());
        }
    });
    // The metrics are also in the checkpoint: this file is for reading.
    std::fs::write(&metrics, csv(&rows))
        .with_context(|| metrics.display().to_string())
        .map_err(Failure::Other)?;
    match finished {
        Ok(true) => Ok(Status::Done),
        Ok(false) => {
            terminal.note("stopped; the same command goes on from here");
            Ok(Status::Failed)
        }
        Err(error @ TrainError::Budget(_)) => Err(Failure::from_input(error)),
        Err(error) => Err(Failure::Other(error.into())),
    }
}

fn default_folder(recipe: &Path) -> PathBuf {
    Path::new("train").join(recipe.file_stem().unwrap_or_default())
}

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("stage,kind,epoch,rate,loss,accuracy,macs,params,seconds,widths\n");
    for row in rows {
        let widths: Vec<String> = row.widths.iter().map(ToString::to_string).collect();
        text += &format!(
            "{},{},{},{},{},{},{},{},{:.1},{}\n",
            row.stage,
            row.kind.as_str(),
            row.epoch,
            row.rate,
            row.loss,
            row.accuracy,
            row.macs,
            row.params,
            row.seconds,
            widths.join(" ")
        );
    }
    text
}

/// A bar for the steps of a stage, and a line for each epoch.
struct Bar(ProgressBar);

impl Bar {
    fn new(terminal: &Terminal) -> Self {
        Self(progress::bar(
            terminal,
            "{prefix} {wide_bar} {pos}/{len} steps, {msg}, {eta} left",
        ))
    }

    fn step(&self, event: &Event<'_>) {
        if let Event::Step {
            stage,
            kind,
            step,
            loss,
        } = event
        {
            if step.0 == 1 {
                self.0.reset();
            }
            self.0.set_prefix(format!("{}/{} {}", stage.0, stage.1, kind.as_str()));
            self.0.set_message(format!("loss {loss:.3}"));
            self.0.set_length(step.1);
            self.0.set_position(step.0);
        }
    }

    fn row(&self, terminal: &Terminal, row: &Row) {
        let line = format!(
            "stage {} {} epoch {}: loss {:.4}, accuracy {:.2} %, {:.2} M MACs, {:.3} M parameters, {:.0} s",
            row.stage,
            row.kind.as_str(),
            row.epoch,
            row.loss,
            100.0 * row.accuracy,
            row.macs as f64 / 1e6,
            row.params as f64 / 1e6,
            row.seconds
        );
        self.0.suspend(|| terminal.note(&line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
