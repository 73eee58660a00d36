//! How far a run is.

use crate::terminal::Terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error; hidden when nobody watches.
pub(crate) fn bar(terminal: &Terminal, template: &str) -> ProgressBar {
    let target = if terminal.shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    // Templates are constants; if one were wrong the default bar would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A bar on standard error that counts images over all chips; hidden when nobody watches.
pub(crate) struct Progress<'a> {
    bar: ProgressBar,
    terminal: &'a Terminal,
    images_per_chip: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: &'a Terminal, images_per_chip: usize) -> Self {
        Self {
            bar: bar(terminal, "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left"),
            terminal,
            images_per_chip: images_per_chip as u64,
        }
    }

    /// `done` of `total` images, all chips counted; a line per chip for who wants to know more.
    pub(crate) fn update(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if done.is_multiple_of(self.images_per_chip) {
            self.bar
                .suspend(|| self.terminal.detail(&format!("{done} of {total} images")));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
