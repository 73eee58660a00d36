//! Ctrl-C: once to stop after the running batch, twice to abort.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The shell's code for a process ended by SIGINT: 128 + 2.
const ABORTED: i32 = 130;

/// A flag that the first Ctrl-C raises; the second ends the process.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(ABORTED);
        }
    })?;
    Ok(stop)
}
