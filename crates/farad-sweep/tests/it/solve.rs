//! Requirements: what a search finds, what it leaves in the store, and that it goes on.

use crate::{plan, refuses};
use farad_sweep::{Plan, RunOptions, Solution, Store, solutions_csv};
use std::path::Path;
use std::sync::atomic::AtomicBool;

const BITS: &str = "[base]\nimages = 128\n[axes]\nseed = [0, 1]\n\
                    [solve]\nsmallest.adc.bits = [3, 5, 8]\nkeep = 'top1_lost <= 0.3'\nconfidence = 0.9\n";

/// Points that were run, and what was found.
fn solve(plan: &Plan, folder: &Path, stop: bool) -> (usize, Vec<Solution>) {
    let store = Store::open(folder).unwrap();
    let worker = store.worker().unwrap();
    let options = RunOptions { jobs: 2, threads: 1 };
    let flag = AtomicBool::new(false);
    let summary = plan
        .solve(&store, &worker, options, &flag, &|event| {
            if stop && matches!(event, farad_sweep::Event::Done(..)) {
                flag.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        })
        .unwrap();
    assert_eq!((summary.failed, summary.left > 0), (0, stop));
    (summary.done, plan.solutions(&store).unwrap())
}

#[test]
fn a_search_finds_the_border_that_the_grid_has() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(BITS).unwrap();
    assert_eq!(plan.searches().len(), 2);
    let (ran, solutions) = solve(&plan, folder.path(), false);
    assert!(ran <= 4, "{ran} points for two searches among 3 values");
    let store = Store::open_to_read(folder.path()).unwrap();
    let results = plan.results(&store).unwrap();
    assert_eq!(results.rows.len(), ran);
    // All images, every value: the grid.
    let workloads = plan.workloads().unwrap();
    let lost = |index: usize| {
        let point = plan.points.iter().find(|point| point.index == index).unwrap();
        let never = AtomicBool::new(false);
        let report = plan.run(&workloads, point, 2, &|_, _| {}, &never).unwrap();
        report.accuracy.top1_digital - report.accuracy.top1
    };
    for solution in &solutions {
        assert!(solution.complete && solution.open == 0, "{solution:?}");
        let (kept, broken) = (solution.kept.as_ref().unwrap(), solution.broken.as_ref().unwrap());
        assert_eq!((kept.value.number(), broken.value.number()), (Some(5.0), Some(3.0)));
        assert!(lost(kept.index) <= 0.3 && lost(broken.index) > 0.3, "{solution:?}");
        assert!(kept.interval.1 <= 0.3 && broken.interval.0 >= 0.3, "{solution:?}");
        assert!(broken.images < 128, "{solution:?}");
    }
    let csv = String::from_utf8(solutions_csv(&plan, &solutions).unwrap()).unwrap();
    assert!(csv.starts_with("seed,kept_value,kept_point,kept_top1_lost,"), "{csv}");
    assert_eq!(csv.lines().count(), 3);
}

#[test]
fn a_search_that_was_stopped_goes_on() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = plan(BITS).unwrap();
    let (all, solutions) = solve(&plan, whole.path(), false);
    let (first, found) = solve(&plan, parts.path(), true);
    assert!(first < all && found.iter().any(|solution| !solution.complete));
    let (rest, found) = solve(&plan, parts.path(), false);
    assert_eq!(first + rest, all);
    assert_eq!(
        solutions_csv(&plan, &found).unwrap(),
        solutions_csv(&plan, &solutions).unwrap()
    );
    assert_eq!(solve(&plan, parts.path(), false).0, 0);
}

/// A run that its images ended is the point with that many images, bit for bit, under the key that this has anywhere.
#[test]
fn what_a_search_leaves_are_ordinary_points() {
    let folder = tempfile::tempdir().unwrap();
    let searched = plan(BITS).unwrap();
    let (_, solutions) = solve(&searched, folder.path(), false);
    let broken = solutions[1].broken.as_ref().unwrap();
    let text = format!(
        "[base]\nimages = {}\nseed = 1\nadc.bits = {}\n",
        broken.images, broken.value
    );
    let alone = plan(&text).unwrap();
    let store = Store::open_to_read(folder.path()).unwrap();
    let mut kept = store.report(&alone.points[0].key).unwrap().unwrap();
    let workloads = alone.workloads().unwrap();
    let mut report = alone
        .run(&workloads, &alone.points[0], 2, &|_, _| {}, &AtomicBool::new(false))
        .unwrap();
    (kept.host, report.host) = Default::default();
    assert_eq!(kept, report);
    assert!(!kept.partial && kept.accuracy.by_image.verdicts().len() == broken.images);
}

#[test]
fn wrong_requirements() {
    for (text, code, part) in [
        ("keep = 'top1 >= 0.9'\n", "S0112", "one axis"),
        ("largest.seed = [1]\n", "S0112", "a limit to `keep`"),
        (
            "largest.seed = [1]\nsmallest.chips = [1]\nkeep = 'top1 >= 0.9'\n",
            "S0112",
            "one axis",
        ),
        ("largest.seed = [2, 1]\nkeep = 'top1 >= 0.9'\n", "S0112", "must go up"),
        ("largest.seed = [1]\nkeep = 'top1 > 0.9'\n", "S0112", "not a limit"),
        (
            "largest.seed = [1]\nkeep = 'energy_j <= 1'\n",
            "S0112",
            "`energy_j` cannot be limited: a [solve] counts images",
        ),
        (
            "largest.seed = [1]\nkeep = 'top1 >= 90'\n",
            "S0112",
            "expected a number above 0 and below 1",
        ),
        ("largest.seed = [1]\nkeep = 'top2 >= 0.9'\n", "S0101", "did you mean"),
        (
            "largest.seed = [1]\nkeep = 'top1 >= 0.9'\nconfidence = 95\n",
            "S0112",
            "a probability",
        ),
        (
            "larges.seed = [1]\nkeep = 'top1 >= 0.9'\n",
            "S0101",
            "did you mean `largest`?",
        ),
        (
            "largest.adc.bits = [6, 99]\nkeep = 'top1 >= 0.9'\n",
            "E0105",
            "adc.bits = 99",
        ),
    ] {
        refuses(&format!("[base]\nimages = 5\n[solve]\n{text}"), &[code, part]);
    }
    let twice = "[axes]\nseed = [1]\n[solve]\nlargest.seed = [1, 2]\nkeep = 'top1 >= 0.9'\n";
    assert!(plan(twice).unwrap_err().contains("varied twice"));
}
