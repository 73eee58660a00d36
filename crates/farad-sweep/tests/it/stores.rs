//! A store loses nothing and doubles nothing.

use crate::plan;
use farad_report::Report;
use farad_sweep::{Claim, Event, Plan, Point, RunOptions, STORE_FILE, Settings, Shard, Sink, Store, StoreError, merge};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const OPTIONS: RunOptions = RunOptions { jobs: 2, threads: 1 };

fn small() -> Plan {
    plan("[base]\nimages = 2\n[axes]\nadc.bits = [5, 6, 7, 8]\nchips = [1, 2]\n").unwrap()
}

fn run(plan: &Plan, folder: &Path) -> usize {
    let store = Store::open(folder).unwrap();
    let missing = plan.missing(&store).unwrap();
    let worker = store.worker().unwrap();
    let summary = plan
        .sweep(&missing, &worker, OPTIONS, &AtomicBool::new(false), &|_| {})
        .unwrap();
    assert_eq!((summary.failed, summary.left), (0, 0));
    summary.done
}

/// All of a report but the machine that made it.
fn numbers(mut report: Report) -> Report {
    report.host = Default::default();
    report
}

#[test]
fn a_sweep_gives_what_single_runs_give_and_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small();
    assert_eq!(run(&plan, folder.path()), 8);
    assert_eq!(run(&plan, folder.path()), 0);
    let store = Store::open_to_read(folder.path()).unwrap();
    let workloads = plan.workloads().unwrap();
    for point in &plan.points {
        let alone = plan
            .run(&workloads, point, 2, &|_, _| {}, &AtomicBool::new(false))
            .unwrap();
        let kept = store.report(&point.key).unwrap().unwrap();
        assert_eq!(numbers(kept), numbers(alone), "{}", plan.title(point));
    }
    let results = plan.results(&store).unwrap();
    assert_eq!(results.rows.len(), 8);
    assert_eq!(results.csv().unwrap().iter().filter(|b| **b == b'\n').count(), 9);
    assert_eq!(results.json()[7]["axes"]["adc.bits"], 8);
    // Closed without a worker left: one file.
    drop(store);
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(files, [STORE_FILE]);
}

#[test]
fn a_larger_experiment_runs_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    run(
        &plan("[base]\nimages = 1\n[axes]\nadc.bits = [5, 6]\n").unwrap(),
        folder.path(),
    );
    let larger = plan("[base]\nimages = 1\n[axes]\nchips = [1, 2]\nadc.bits = [5, 6]\n").unwrap();
    assert_eq!(run(&larger, folder.path()), 2);
}

#[test]
fn a_stopped_sweep_keeps_what_it_has_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let store = Store::open(folder.path()).unwrap();
    let missing = plan.missing(&store).unwrap();
    let worker = store.worker().unwrap();
    let summary = plan
        .sweep(&missing, &worker, RunOptions { jobs: 1, ..OPTIONS }, &stop, &|event| {
            if matches!(event, Event::Done(..)) && done.fetch_add(1, Ordering::Relaxed) == 2 {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    assert_eq!((summary.done, summary.left), (3, 5));
    drop(worker);
    assert_eq!(run(&plan, folder.path()), 5);
}

/// Two workers ask for the same points in the same order: every point is run by one of them.
#[test]
fn two_stores_on_one_file_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small();
    let sweep = || {
        let store = Store::open(folder.path()).unwrap();
        let worker = store.worker().unwrap();
        let points: Vec<_> = plan.points.iter().collect();
        plan.sweep(&points, &worker, OPTIONS, &AtomicBool::new(false), &|_| {})
            .unwrap()
            .done
    };
    let done = std::thread::scope(|scope| {
        let first = scope.spawn(sweep);
        let second = scope.spawn(sweep);
        first.join().unwrap() + second.join().unwrap()
    });
    assert_eq!(done, 8);
    assert_eq!(Store::open_to_read(folder.path()).unwrap().len().unwrap(), 8);
}

#[test]
fn claims_count_while_their_worker_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    let first = a.worker().unwrap();
    let second = b.worker().unwrap();
    assert_eq!(first.claim("k").unwrap(), Claim::Ours);
    assert_eq!(second.claim("k").unwrap(), Claim::Others);
    first.release("k").unwrap();
    assert_eq!(second.claim("k").unwrap(), Claim::Ours);
    assert_eq!(first.claim("k").unwrap(), Claim::Others);
    drop(second);
    assert_eq!(first.claim("k").unwrap(), Claim::Ours);
}

fn one_report() -> (Plan, Report) {
    let plan = plan("[base]\nimages = 1\n").unwrap();
    let workloads = plan.workloads().unwrap();
    let report = plan
        .run(&workloads, &plan.points[0], 1, &|_, _| {}, &AtomicBool::new(false))
        .unwrap();
    drop(workloads);
    (plan, report)
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path()).unwrap_err().to_string();
    assert!(matches!(
        Store::open_to_read(folder.path()),
        Err(StoreError::Missing { .. })
    ));

    std::fs::write(
        folder.path().join(STORE_FILE),
        "not a database, but long enough to have a header of one".repeat(9),
    )
    .unwrap();
    assert!(open().contains("is not a store of Farad"), "{}", open());

    std::fs::remove_file(folder.path().join(STORE_FILE)).unwrap();
    let other = rusqlite::Connection::open(folder.path().join(STORE_FILE)).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(open().contains("is not a store of Farad"), "{}", open());
    other.execute_batch("DROP TABLE t").unwrap();
    drop(other);

    drop(Store::open(folder.path()).unwrap());
    let newer = rusqlite::Connection::open(folder.path().join(STORE_FILE)).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    assert!(
        open().contains("has version 99, this Farad reads version 1"),
        "{}",
        open()
    );
    assert!(matches!(
        Store::open_to_read(folder.path()),
        Err(StoreError::Version { found: 99, .. })
    ));
}

/// Rows behind damaged pages are lost, the others are read.
#[test]
fn a_damaged_store_gives_what_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let (_, report) = one_report();
    let store = Store::open(folder.path()).unwrap();
    for i in 0..64 {
        store.put(&format!("{i:02}"), &Settings::default(), &report).unwrap();
    }
    drop(store);
    let path = folder.path().join(STORE_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 8192].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();

    let store = Store::open_to_read(folder.path()).unwrap();
    let mut rows = Vec::new();
    let salvage = store
        .salvage(|row| {
            rows.push(row);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(salvage.rows, rows.len() as u64);
    assert!(salvage.rows > 32 && salvage.rows < 64, "{salvage:?}");
    assert!(rows.iter().all(|row| row.report == report));
    drop(store);

    // Nothing is left of a store whose every page is damaged but the first.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open_to_read(folder.path()).unwrap();
    let error = store.salvage(|_| Ok::<_, StoreError>(())).unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
}

/// A shard that was torn goes on, and its results are those of the store.
#[test]
fn shards_go_on_and_merge() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small();
    let path = folder.path().join("1.shard.gz");
    let points: Vec<_> = plan.points.iter().collect();
    let fill = |points: &[&Point]| {
        let shard = Shard::open(&path).unwrap();
        assert!(Shard::open(&path).is_err(), "two writers");
        plan.sweep(points, &shard, OPTIONS, &AtomicBool::new(false), &|_| {})
            .unwrap()
            .done
    };
    assert_eq!(fill(&points[..5]), 5);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();

    let store = Store::open(&folder.path().join("a")).unwrap();
    let merged = merge(&store, std::slice::from_ref(&path)).unwrap();
    assert_eq!((merged.rows, merged.new, merged.lost), (4, 4, 1));

    assert_eq!(fill(&points), 4);
    let merged = merge(&store, &[folder.path().to_owned()]).unwrap();
    assert_eq!((merged.files, merged.rows, merged.new, merged.lost), (1, 8, 4, 0));
    let alone = folder.path().join("b");
    run(&plan, &alone);
    let alone = Store::open_to_read(&alone).unwrap();
    for point in &plan.points {
        let report = |store: &Store| numbers(store.report(&point.key).unwrap().unwrap());
        assert_eq!(report(&store), report(&alone));
    }
    // A store is merged as a shard is.
    let other = Store::open(&folder.path().join("c")).unwrap();
    assert_eq!(merge(&other, &[folder.path().join("b")]).unwrap().new, 8);

    std::fs::write(&path, "something else").unwrap();
    let error = merge(&store, &[path]).unwrap_err().to_string();
    assert!(error.contains("is not a shard"), "{error}");
}
