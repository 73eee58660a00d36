//! Successive halving: the front of the whole sweep, for a part of the work.

use crate::plan;
use farad_sweep::{Halving, Plan, ResultRow, RunOptions, Store};
use std::path::Path;
use std::sync::atomic::AtomicBool;

const OPTIONS: RunOptions = RunOptions { jobs: 2, threads: 1 };

/// Numbers of the points that none beats in accuracy at no more energy.
fn front(rows: &[ResultRow], plan: &Plan) -> Vec<usize> {
    let number = |row: &ResultRow, k: usize| row.metric(plan.experiment.objectives[k].0);
    let beaten = |row: &&ResultRow| {
        rows.iter().any(|other| {
            let (a, b) = (number(other, 0) - number(row, 0), number(row, 1) - number(other, 1));
            a >= 0.0 && b >= 0.0 && a + b > 0.0
        })
    };
    let front = rows.iter().filter(|row| !beaten(row));
    front.map(|row| row.index).collect()
}

fn sweep(plan: &Plan, folder: &Path, budget: Option<f64>) -> (u64, Vec<ResultRow>) {
    let store = Store::open(folder).unwrap();
    let worker = store.worker().unwrap();
    let never = AtomicBool::new(false);
    let halving = Halving::within(budget.unwrap_or(1.0));
    let halved = plan.halve(halving, &store, &worker, OPTIONS, &never, &|_| {}).unwrap();
    let work = halved.rungs.iter().map(|(_, images)| images).sum();
    (work, plan.results(&store).unwrap().rows)
}

#[test]
fn a_part_of_the_work_finds_the_front() {
    let text = "maximize = ['top1']\nminimize = ['energy_j']\n[base]\nimages = 128\n\
                [axes]\nadc.bits = [5, 6, 8]\nnoise.comparator_lsb = [1.0, 4.0, 16.0]\n";
    let plan = plan(text).unwrap();
    let (whole, part) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (all, rows) = sweep(&plan, whole.path(), None);
    let (work, found) = sweep(&plan, part.path(), Some(0.5));
    assert_eq!((all, rows.len()), (9 * 128, 9));
    assert!(
        found.len() <= 4 && work < all * 3 / 4,
        "{} points, {work} of {all} images",
        found.len()
    );
    assert_eq!(front(&found, &plan), front(&rows, &plan));
    // It is all there: again runs nothing, and finds the same.
    let (again, same) = sweep(&plan, part.path(), Some(0.5));
    assert_eq!((again, same.len()), (work, found.len()));
}
