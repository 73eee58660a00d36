//! Ctrl-C: once to stop after the running batch, twice to abort.

use crate::failure::Failure;
use crate::terminal::Terminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The shell's code for a process ended by SIGINT: 128 + 2.
const ABORTED: i32 = 130;

/// A flag that the first Ctrl-C raises; the second ends the process.
pub(crate) fn stop_flag(terminal: Terminal) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(ABORTED);
        }
        terminal.note("stopping after the running batch; once more aborts");
    })
    .map_err(|e| Failure::Other(e.into()))?;
    Ok(stop)
}
