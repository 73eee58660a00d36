//! `farad train`

mod compare;
mod follow;

use crate::cli::TrainArgs;
use crate::failure::{Failure, Status};
use crate::interrupt;
use crate::terminal::Terminal;
use compare::Target;
use farad_report::{Comparison, OutputDir, Training};
use farad_train::vary::{self, Point};
use farad_train::{Plan, TrainError};
use follow::CHECKPOINT;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub(crate) fn run(args: &TrainArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let plan = Plan::load(&args.recipe)?;
    let target = plan.target.as_ref().map(Target::new).transpose()?;
    check_datasets(&plan, args.data.as_deref(), target.as_ref())?;
    let stop = interrupt::stop_flag(*terminal, "batch")?;
    let mut bench = Bench {
        plan: &plan,
        data: args.data.as_deref(),
        out: match &args.out {
            Some(out) => out.clone(),
            None => Path::new("train").join(args.recipe.file_stem().unwrap_or_default()),
        },
        terminal,
        stop: &stop,
        shared_done: vec![false; plan.shared.len()],
    };
    let Some(trained) = bench.train()? else {
        terminal.note("stopped; the same command goes on from here");
        return Ok(Status::Failed);
    };
    let failed = trained.iter().any(Option::is_none);
    if plan.points.len() > 1 || target.is_some() {
        let Some(comparison) = bench.compare(&trained, target.as_ref())? else {
            terminal.note("stopped; the same command goes on from here");
            return Ok(Status::Failed);
        };
        let out = OutputDir::create(&bench.out).map_err(|e| Failure::Other(e.into()))?;
        comparison.write(&out).map_err(|e| Failure::Other(e.into()))?;
        terminal.print(&comparison.text(terminal.look()))?;
    }
    Ok(if failed { Status::Failed } else { Status::Done })
}

/// Looks whether the images of all runs are there, and enough of them: a run that is the first of many can take hours.
fn check_datasets(plan: &Plan, data: Option<&str>, target: Option<&Target>) -> Result<(), Failure> {
    let of = |point: &'_ Point| data.unwrap_or(&point.recipe.dataset).to_owned();
    let names: BTreeSet<String> = plan.points.iter().map(of).collect();
    if names.len() == 1 && target.is_none() {
        // The run reads them at once.
        return Ok(());
    }
    for name in names {
        let test = farad_data::load(&format!("{name}:test")).map_err(Failure::from_input)?;
        if let Some(target) = target {
            target.check(&test)?;
        }
    }
    Ok(())
}

/// The runs of a recipe's file in one folder.
struct Bench<'a> {
    plan: &'a Plan,
    data: Option<&'a str>,
    out: PathBuf,
    terminal: &'a Terminal,
    stop: &'a AtomicBool,
    shared_done: Vec<bool>,
}

impl Bench<'_> {
    /// Trains one point after another. A point whose loss diverges is left out; what else goes wrong would strike the
    /// others too. None if stopped.
    fn train(&mut self) -> Result<Option<Vec<Option<Training>>>, Failure> {
        let points = &self.plan.points;
        let mut trained = Vec::new();
        for (i, point) in points.iter().enumerate() {
            if points.len() > 1 {
                let name = vary::name(&point.settings);
                self.terminal.note(&format!("{} of {}: {name}", i + 1, points.len()));
            }
            trained.push(match self.point(point) {
                Ok(None) => return Ok(None),
                Ok(training) => training,
                Err(Failure::Other(error)) if points.len() > 1 && diverged(&error) => {
                    self.terminal.report(&Failure::Other(error));
                    None
                }
                Err(error) => return Err(error),
            });
        }
        Ok(Some(trained))
    }

    /// Trains a point, after what it shares with others; None if stopped.
    fn point(&mut self, point: &Point) -> Result<Option<Training>, Failure> {
        let folder = self.folder(point);
        let checkpoint = folder.join(CHECKPOINT);
        if let Some(i) = point.shared.filter(|_| !checkpoint.exists()) {
            let shared = &self.plan.shared[i];
            let from = self.out.join("shared").join(vary::name(&shared.settings));
            if !self.shared_done[i] {
                self.terminal
                    .note(&format!("first what runs share, in {}", from.display()));
                let recipe = shared.recipe.clone();
                if follow::follow(recipe, self.data, &from, self.terminal, self.stop)?.is_none() {
                    return Ok(None);
                }
                self.shared_done[i] = true;
            }
            copy(&from.join(CHECKPOINT), &checkpoint)
                .map_err(|problem| Failure::Other(anyhow::anyhow!("{}: {problem}", checkpoint.display())))?;
        }
        follow::follow(point.recipe.clone(), self.data, &folder, self.terminal, self.stop)
    }

    fn folder(&self, point: &Point) -> PathBuf {
        match vary::name(&point.settings) {
            alone if alone.is_empty() => self.out.clone(),
            name => self.out.join(name),
        }
    }

    /// What the points are worth, those that differ in nothing but the seed together; None if stopped.
    fn compare(&self, trained: &[Option<Training>], target: Option<&Target>) -> Result<Option<Comparison>, Failure> {
        let mut comparison = compare::empty(self.plan, trained, target);
        for (point, training) in self.plan.points.iter().zip(trained) {
            let candidate = compare::candidate(&mut comparison, point);
            candidate.runs += 1;
            let Some(training) = training else { continue };
            let folder = self.folder(point);
            match compare::measure(&folder, training, target, self.data, self.terminal, self.stop)? {
                Some(measured) => candidate.measured.push(measured),
                None => return Ok(None),
            }
        }
        Ok(Some(comparison))
    }
}

/// Copies a file in one move, with its folder.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let problem = |e: std::io::Error| e.to_string();
    fs::create_dir_all(to.parent().unwrap_or(Path::new("."))).map_err(problem)?;
    farad_train::replace(to, |part| fs::copy(from, part).map(|_| ()).map_err(problem))
}

fn diverged(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Diverged { .. }))
}
