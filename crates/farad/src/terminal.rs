//! The two streams: results on standard output, the rest on standard error.

use crate::cli::Color;
use crate::failure::Failure;
use farad_report::text::Look;
use std::io::{self, IsTerminal, Write};

/// What the streams are and how much is said on them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    look: Look,
    stderr_color: bool,
    stderr_is_terminal: bool,
    quiet: bool,
    verbose: bool,
}

impl Terminal {
    pub(crate) fn new(color: Color, quiet: bool, verbose: bool) -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        // https://no-color.org; `dumb` is what editors set.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wants_color = |is_terminal: bool| match color {
            Color::Auto => is_terminal && !plain,
            Color::Always => true,
            Color::Never => false,
        };
        let look = match (stdout, wants_color(stdout)) {
            (false, false) => Look::Plain,
            (_, color) => Look::Ruled { color },
        };
        Self {
            look,
            stderr_color: wants_color(stderr),
            stderr_is_terminal: stderr,
            quiet,
            verbose,
        }
    }

    /// How tables on standard output look.
    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// Whether a moving progress bar makes sense.
    pub(crate) fn shows_progress(&self) -> bool {
        self.stderr_is_terminal && !self.quiet
    }

    /// Writes a result.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Says something that is not a result, unless `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says something that only `--verbose` wants to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            say(text);
        }
    }

    /// Says why there is no result.
    pub(crate) fn report(&self, failure: &Failure) {
        if !failure.is_silent() {
            say(&failure.text(self.stderr_color));
        }
    }
}

/// A line on standard error.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
