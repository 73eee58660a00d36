//! The progress bar.

use crate::terminal::Terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};

/// A bar on standard error that counts images; hidden when nobody watches.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(terminal: &Terminal) -> Self {
        let target = if terminal.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant; if it were wrong the default bar would do.
        if let Ok(style) = ProgressStyle::with_template(
            "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left {msg}",
        ) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// `done` of `total`; says so when the run is about to stop.
    pub(crate) fn update(&self, done: u64, total: u64, stop: &AtomicBool) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if stop.load(Ordering::Relaxed) {
            self.bar.set_message("(stopping)");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
