//! One recipe, followed to its end, with what it tells on the way.

use crate::failure::Failure;
use crate::progress;
use crate::terminal::Terminal;
use farad_report::training::{Epoch, Training, Width};
use farad_report::{OutputDir, ReportError};
use farad_train::graph::{Graph, Op};
use farad_train::prune::LOG_ALPHA_BIN;
use farad_train::recipe::Kind;
use farad_train::{Event, NETWORK, Recipe, Row, Run, TrainError};
use indicatif::ProgressBar;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// File of a run's folder that has all of it.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";

/// File that a process holds while it is at work in the folder.
const LOCK: &str = ".train.lock";

/// Follows `recipe` in the folder `out`, from its checkpoint if there is one, with the images of `data` if they are not
/// to be the recipe's. Returns all that was measured; None if stopped before the end.
pub(super) fn follow(
    mut recipe: Recipe,
    data: Option<&str>,
    out: &Path,
    terminal: &Terminal,
    stop: &AtomicBool,
) -> Result<Option<Training>, Failure> {
    if let Some(data) = data {
        // A checkpoint, and the exported network, then say which images they are of.
        data.clone_into(&mut recipe.dataset);
    }
    let load = |split: &str| farad_data::load(&format!("{}:{split}", recipe.dataset)).map_err(Failure::from_input);
    let (train, test) = (load("train")?, load("test")?);
    let mut journal = Journal {
        training: Training {
            dataset: train.name.clone(),
            stages: recipe.stages.len(),
            log_alpha_bin: LOG_ALPHA_BIN,
            ..Training::default()
        },
        groups: Vec::new(),
    };
    let mut run = Run::new(recipe, train, test, &out.join(CHECKPOINT)).map_err(Failure::from_input)?;
    // Last, so that wrong input leaves no folder behind.
    let folder = out;
    let out = OutputDir::create(folder).map_err(Failure::from_input)?;
    let _lock = lock(folder)?;
    journal.describe(run.model().graph());
    if let Some(row) = run.rows().last() {
        terminal.note(&format!("going on after stage {}, epoch {}", row.stage, row.epoch));
    }
    run.rows().iter().for_each(|row| journal.add(row));
    let bar = Bar::new(terminal);
    // A recipe whose results cannot be written stops: its checkpoint has them.
    let mut unwritten: Option<ReportError> = journal.training.write(&out).err();
    let failed = AtomicBool::new(unwritten.is_some());
    let stopped = || stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
    let finished = run.follow(&stopped, &mut |event| match event {
        Event::Step { .. } => bar.step(&event),
        Event::Row(row) => {
            bar.row(terminal, row);
            journal.add(row);
            if let Some(note) = loss_of_accuracy(&journal.training.epochs) {
                bar.note(terminal, &note);
            }
            if let Err(error) = journal.training.write(&out) {
                unwritten = Some(error);
                failed.store(true, Ordering::Relaxed);
            }
        }
    });
    match (finished, unwritten) {
        (Err(error @ TrainError::Budget(_)), _) => Err(Failure::from_input(error)),
        (Err(error), _) => Err(Failure::Other(error.into())),
        (_, Some(error)) => Err(Failure::Other(error.into())),
        (Ok(finished), None) => {
            let exported = journal
                .training
                .epochs
                .last()
                .is_some_and(|e| e.kind == Kind::Export.as_str());
            if finished && exported {
                terminal.note(&format!(
                    "the int8 network is {}; `farad run` takes it",
                    folder.join(NETWORK).display()
                ));
            }
            Ok(finished.then_some(journal.training))
        }
    }
}

/// Holds the folder of a run until it ends: of two processes in one folder, each would write into the other's checkpoint.
fn lock(folder: &Path) -> Result<Option<File>, Failure> {
    // A file system without locks is no reason not to train.
    let Ok(file) = File::create(folder.join(LOCK)) else {
        return Ok(None);
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Failure::input(format!(
            "another `farad train` is at work in `{}`",
            folder.display()
        ))),
        _ => Ok(Some(file)),
    }
}

/// A word when the last epoch, of int8 training, is the first one to have lost half of the accuracy that there was: a rate
/// that is too high ends in guessing there, and not in a loss that is no number.
fn loss_of_accuracy(epochs: &[Epoch]) -> Option<String> {
    let (last, before) = epochs.split_last()?;
    let now = last.accuracy.filter(|_| last.kind == Kind::Qat.as_str())?;
    let measured = || before.iter().filter_map(|e| Some((e.accuracy?, e)));
    let best = measured().map(|(accuracy, _)| accuracy).fold(0.0, f64::max);
    let is_low = |accuracy: f64| accuracy < best / 2.0;
    let was_low = measured()
        .next_back()
        .is_some_and(|(accuracy, e)| e.kind == last.kind && is_low(accuracy));
    (is_low(now) && !was_low).then(|| {
        format!(
            "stage {} qat: accuracy was {:.2} % before and is {:.2} % now; if it does not come back, the stage's `rate` is too high, \
             or its macro too coarse",
            last.stage,
            100.0 * best,
            100.0 * now
        )
    })
}

/// What the run has told, as a report.
struct Journal {
    training: Training,
    /// Of each layer, the number of its group among those that can be pruned.
    groups: Vec<usize>,
}

impl Journal {
    fn describe(&mut self, graph: &Graph) {
        let full = graph.total_cost(&graph.full_widths());
        self.training.network.clone_from(&graph.name);
        (self.training.full_macs, self.training.full_params) = (full.macs as u64, full.params as u64);
        for node in graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv(_))) {
            let group = &graph.groups[node.group];
            if group.prunable {
                let before = graph.groups[..node.group].iter();
                self.groups.push(before.filter(|g| g.prunable).count());
                self.training.layers.push(Width {
                    name: node.name.clone(),
                    full: group.full as u64,
                    channels: group.channels as u64,
                });
            }
        }
    }

    fn add(&mut self, row: &Row) {
        for (layer, &group) in self.training.layers.iter_mut().zip(&self.groups) {
            layer.channels = row.widths[group] as u64;
        }
        self.training.epochs.push(Epoch {
            stage: row.stage,
            kind: row.kind.as_str().to_owned(),
            epoch: row.epoch,
            rate: row.rate,
            loss: row.loss,
            accuracy: row.accuracy,
            integer: matches!(row.kind, Kind::Qat | Kind::Export),
            macs: row.macs as u64,
            params: row.params as u64,
            seconds: row.seconds,
            widths: row.widths.iter().map(|&w| w as u64).collect(),
            log_alpha: row.log_alpha.clone(),
        });
    }
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
        let accuracy = row
            .accuracy
            .map_or_else(String::new, |accuracy| format!("accuracy {:.2} %, ", 100.0 * accuracy));
        let line = format!(
            "stage {} {} epoch {}: loss {:.4}, {accuracy}{:.2} M MACs, {:.3} M parameters, {:.0} s",
            row.stage,
            row.kind.as_str(),
            row.epoch,
            row.loss,
            row.macs as f64 / 1e6,
            row.params as f64 / 1e6,
            row.seconds
        );
        self.note(terminal, &line);
    }

    fn note(&self, terminal: &Terminal, line: &str) {
        self.0.suspend(|| terminal.note(line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_accuracy_is_told_once() {
        /// Of no accuracy: not measured.
        fn epochs(rows: &[(Kind, f64)]) -> Vec<Epoch> {
            let epoch = |&(kind, accuracy): &(Kind, f64)| Epoch {
                kind: kind.as_str().to_owned(),
                accuracy: Some(accuracy).filter(|&accuracy| accuracy > 0.0),
                ..Epoch::default()
            };
            rows.iter().map(epoch).collect()
        }
        use Kind::{Dense, Prune, Qat};
        let note = loss_of_accuracy(&epochs(&[(Dense, 0.9), (Qat, 0.1)])).unwrap();
        assert!(
            note.contains("90.00 %") && note.contains("10.00 %") && note.contains("`rate`"),
            "{note}"
        );
        for quiet in [
            &[][..],
            &[(Qat, 0.1)],
            &[(Dense, 0.9), (Prune, 0.1)],
            &[(Dense, 0.9), (Qat, 0.8)],
            &[(Dense, 0.9), (Qat, 0.1), (Qat, 0.1)],
            &[(Dense, 0.9), (Qat, 0.1), (Qat, 0.0)],
            &[(Dense, 0.9), (Qat, 0.1), (Qat, 0.0), (Qat, 0.1)],
        ] {
            assert_eq!(loss_of_accuracy(&epochs(quiet)), None, "{quiet:?}");
        }
    }
}
