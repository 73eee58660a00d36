//! What is seen of a sweep while it runs.

use crate::progress;
use crate::terminal::Terminal;
use farad_sweep::{Event, Plan};
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bar of images, and a line for each point for who wants to know more.
pub(super) struct Watch<'a> {
    plan: &'a Plan,
    terminal: &'a Terminal,
    bar: ProgressBar,
    points: usize,
    done: AtomicUsize,
}

impl<'a> Watch<'a> {
    /// For `points` points of `images` images altogether, chips counted.
    pub(super) fn new(plan: &'a Plan, terminal: &'a Terminal, points: usize, images: u64) -> Self {
        let bar = progress::bar(
            terminal,
            "{prefix} {wide_bar} {percent} % of the images, {per_sec}, {eta} left",
        );
        bar.set_length(images);
        bar.set_prefix(format!("0/{points}"));
        Self {
            plan,
            terminal,
            bar,
            points,
            done: AtomicUsize::new(0),
        }
    }

    pub(super) fn see(&self, event: Event<'_>) {
        match event {
            Event::Images(n) => self.bar.inc(n),
            Event::Done(point, report) => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                self.bar.set_prefix(format!("{done}/{}", self.points));
                self.bar.suspend(|| {
                    self.terminal.detail(&format!(
                        "point {} {}: top-1 {:.2} % on {} images, {:.2} s",
                        point.index,
                        self.plan.title(point),
                        100.0 * report.accuracy.top1,
                        report.dataset.images,
                        report.host.wall_s
                    ));
                });
            }
            Event::Failed(point, error) => self.bar.suspend(|| {
                let title = self.plan.title(point);
                self.terminal
                    .note(&format!("point {} {title} failed: {error}", point.index));
            }),
            Event::Waiting => self.bar.set_prefix("waiting for other processes"),
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
