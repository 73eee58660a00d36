//! Runs the points of a plan that have no result yet.

use crate::plan::{Plan, Point, PointError};
use crate::settings::Settings;
use crate::shard::ShardError;
use crate::store::{Claim, Store, StoreError};
use farad_report::Report;
use farad_sim::{SimError, Workload};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// Points at a time, at least 1.
    pub jobs: usize,
    /// Threads of a point.
    pub threads: usize,
}

/// What happens while a sweep runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// This many more images times chips are done.
    Images(u64),
    /// A point has its result.
    Done(&'a Point, &'a Report),
    /// A point cannot be run; the others go on.
    Failed(&'a Point, &'a PointError),
    /// All points that are left are with other processes.
    Waiting,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Points that this sweep ran.
    pub done: usize,
    /// Points that failed.
    pub failed: usize,
    /// Points without a result that were not tried, because the sweep was stopped.
    pub left: usize,
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shard.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Network and images.
    #[error(transparent)]
    Sim(#[from] SimError),
}

/// Where results go: a store, or a shard of one.
pub trait Sink: Sync {
    /// Asks for a point.
    ///
    /// # Errors
    /// [`SweepError`]: nothing can be kept any more.
    fn claim(&self, key: &str) -> Result<Claim, SweepError>;

    /// Keeps the result of a point that was claimed.
    ///
    /// # Errors
    /// [`SweepError`]: it was not kept.
    fn put(&self, key: &str, settings: &Settings, report: &Report) -> Result<(), SweepError>;

    /// Gives up a point that was claimed.
    ///
    /// # Errors
    /// [`SweepError`]
    fn release(&self, key: &str) -> Result<(), SweepError>;
}

/// How often a process that has nothing left looks for the others' results.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Plan {
    /// Points without a result, each key once.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn missing(&self, store: &Store) -> Result<Vec<&Point>, StoreError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for point in &self.points {
            if seen.insert(&point.key) && !store.has(&point.key)? {
                missing.push(point);
            }
        }
        Ok(missing)
    }

    /// Runs those of `points` that have no result, several at a time; processes may share a store. Raising `stop` ends the
    /// sweep when the points in hand are done.
    ///
    /// # Errors
    /// [`SweepError`]: nothing can be kept any more. Every result before is kept.
    pub fn sweep(
        &self,
        points: &[&Point],
        sink: &dyn Sink,
        options: RunOptions,
        stop: &AtomicBool,
        notify: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Summary, SweepError> {
        self.sweep_on(&self.workloads()?, points, sink, options, stop, notify)
    }

    /// As [`sweep`](Self::sweep), on workloads that are there already.
    pub(crate) fn sweep_on(
        &self,
        workloads: &[Workload<'_>],
        points: &[&Point],
        sink: &dyn Sink,
        options: RunOptions,
        stop: &AtomicBool,
        notify: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Summary, SweepError> {
        let sweep = Sweep {
            plan: self,
            workloads,
            sink,
            options,
            stop,
            notify,
            queue: Mutex::new(points.iter().copied().collect()),
            with_others: Mutex::new(Vec::new()),
            summary: Mutex::new(Summary::default()),
            broken: Mutex::new(None),
        };
        loop {
            sweep.work_off();
            if let Some(error) = locked(&sweep.broken).take() {
                return Err(error);
            }
            let others = std::mem::take(&mut *locked(&sweep.with_others));
            let stopped = stop.load(Ordering::Relaxed);
            if others.is_empty() || stopped {
                let mut summary = *locked(&sweep.summary);
                summary.left = locked(&sweep.queue).len() + others.len();
                return Ok(summary);
            }
            notify(Event::Waiting);
            std::thread::sleep(LOOK_AGAIN);
            locked(&sweep.queue).extend(others);
        }
    }
}

struct Sweep<'a> {
    plan: &'a Plan,
    workloads: &'a [Workload<'a>],
    sink: &'a dyn Sink,
    options: RunOptions,
    stop: &'a AtomicBool,
    notify: &'a (dyn Fn(Event<'_>) + Sync),
    queue: Mutex<VecDeque<&'a Point>>,
    with_others: Mutex<Vec<&'a Point>>,
    summary: Mutex<Summary>,
    /// Nothing can be kept: nobody begins another point.
    broken: Mutex<Option<SweepError>>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Sweep<'a> {
    fn work_off(&self) {
        std::thread::scope(|scope| {
            for _ in 0..self.options.jobs.max(1) {
                scope.spawn(|| {
                    while let Some(point) = self.next() {
                        if let Err(error) = self.point(point) {
                            locked(&self.broken).get_or_insert(error);
                        }
                    }
                });
            }
        });
    }

    fn next(&self) -> Option<&'a Point> {
        if self.stop.load(Ordering::Relaxed) || locked(&self.broken).is_some() {
            return None;
        }
        locked(&self.queue).pop_front()
    }

    fn point(&self, point: &'a Point) -> Result<(), SweepError> {
        match self.sink.claim(&point.key)? {
            Claim::Done => {
                (self.notify)(Event::Images(point.work()));
                return Ok(());
            }
            Claim::Others => {
                locked(&self.with_others).push(point);
                return Ok(());
            }
            Claim::Ours => {}
        }
        let seen = AtomicU64::new(0);
        let progress = |done: u64, _| {
            let before = seen.fetch_max(done, Ordering::Relaxed);
            (self.notify)(Event::Images(done.saturating_sub(before)));
        };
        // Stopping lets running points finish.
        let never = AtomicBool::new(false);
        let result = self
            .plan
            .run(self.workloads, point, self.options.threads, &progress, &never);
        match result {
            Ok(report) => {
                self.sink.put(&point.key, &self.plan.settings(point), &report)?;
                locked(&self.summary).done += 1;
                (self.notify)(Event::Done(point, &report));
            }
            Err(error) => {
                self.sink.release(&point.key)?;
                locked(&self.summary).failed += 1;
                (self.notify)(Event::Failed(point, &error));
            }
        }
        Ok(())
    }
}
