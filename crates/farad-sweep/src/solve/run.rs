//! Runs the searches of a plan.

use super::{Judged, Search, looks, next};
use crate::plan::{Plan, Point, PointError};
use crate::run::{Event, LOOK_AGAIN, RunOptions, Sink, Summary, SweepError, locked};
use crate::store::{Claim, Store};
use farad_sim::{Looks, Workload};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

impl Plan {
    /// Runs what the searches need and the store does not have, several searches at a time; processes may share the store. Raising
    /// `stop` ends it when the points in hand are done. The summary counts points, and searches that are left.
    ///
    /// # Errors
    /// [`SweepError`]: nothing can be kept any more. Every result before is kept.
    pub fn solve(
        &self,
        store: &Store,
        sink: &dyn Sink,
        options: RunOptions,
        stop: &AtomicBool,
        notify: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Summary, SweepError> {
        let searches = self.searches();
        let solver = Solver {
            plan: self,
            workloads: self.workloads()?,
            store,
            sink,
            // Cores that have no search of their own help the others.
            threads: options.threads.max(options.jobs / searches.len().max(1)),
            stop,
            notify,
            summary: Mutex::new(Summary::default()),
        };
        let queue: Mutex<VecDeque<Search<'_>>> = Mutex::new(searches.into());
        let broken = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..options.jobs.max(1) {
                scope.spawn(|| {
                    while locked(&broken).is_none() {
                        let Some(search) = locked(&queue).pop_front() else {
                            break;
                        };
                        if let Err(error) = solver.search(&search) {
                            locked(&broken).get_or_insert(error);
                        }
                    }
                });
            }
        });
        if let Some(error) = locked(&broken).take() {
            return Err(error);
        }
        let summary = *locked(&solver.summary);
        Ok(summary)
    }
}

struct Solver<'a> {
    plan: &'a Plan,
    workloads: Vec<Workload<'a>>,
    store: &'a Store,
    sink: &'a dyn Sink,
    threads: usize,
    stop: &'a AtomicBool,
    notify: &'a (dyn Fn(Event<'_>) + Sync),
    summary: Mutex<Summary>,
}

impl Solver<'_> {
    fn search(&self, search: &Search<'_>) -> Result<(), SweepError> {
        let mut judged = BTreeMap::new();
        while let super::Step::Ask(value) = next(search, &judged) {
            if self.stop.load(Ordering::Relaxed) {
                locked(&self.summary).left += 1;
                return Ok(());
            }
            let point = search.points[value];
            let found = match self.plan.stored(search, point, self.store)? {
                Some(found) => found,
                None => match self.ask(search, point)? {
                    Answer::Judged(found) => found,
                    Answer::Failed => return Ok(()),
                    Answer::Later => continue,
                },
            };
            (self.notify)(Event::Images(point.work()));
            judged.insert(value, found);
        }
        Ok(())
    }

    /// Runs a point until its images decide.
    fn ask(&self, search: &Search<'_>, point: &Point) -> Result<Answer, SweepError> {
        // The point is claimed as a whole: nobody knows yet how many of its images it takes.
        match self.sink.claim(&point.key)? {
            Claim::Ours => {}
            Claim::Done => {
                let old = "its result is from before images were kept one by one; take another folder".to_owned();
                return Ok(match self.plan.stored(search, point, self.store)? {
                    Some(found) => Answer::Judged(found),
                    None => self.fail(point, &PointError::Settings(old)),
                });
            }
            Claim::Others => {
                (self.notify)(Event::Waiting);
                std::thread::sleep(LOOK_AGAIN);
                return Ok(Answer::Later);
            }
        }
        let ran = self.run(search, point);
        let answer = match &ran {
            Ok((short, report)) => {
                self.sink.put(&short.key, &self.plan.settings(short), report)?;
                locked(&self.summary).done += 1;
                (self.notify)(Event::Done(short, report));
                let verdicts = report.accuracy.by_image.verdicts();
                self.plan
                    .judge(search, point, &verdicts)
                    .map_or(Answer::Later, Answer::Judged)
            }
            Err(error) => self.fail(point, error),
        };
        self.sink.release(&point.key)?;
        Ok(answer)
    }

    fn fail(&self, point: &Point, error: &PointError) -> Answer {
        locked(&self.summary).failed += 1;
        (self.notify)(Event::Failed(point, error));
        Answer::Failed
    }

    fn run(&self, search: &Search<'_>, point: &Point) -> Result<(Point, farad_report::Report), PointError> {
        let at = looks(point.images);
        let looks = Looks {
            at: &at,
            enough: &|verdicts| self.plan.judge(search, point, verdicts).is_some(),
        };
        // Stopping lets running points finish.
        let never = AtomicBool::new(false);
        let report = self
            .plan
            .run_until(&self.workloads, point, self.threads, &looks, &|_, _| {}, &never)?;
        let short = self.plan.shortened(point, report.dataset.images as usize)?;
        Ok((short, report))
    }
}

enum Answer {
    Judged(Judged),
    /// It cannot be run: there is no solution.
    Failed,
    /// Ask again.
    Later,
}
