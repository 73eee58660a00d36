//! Ctrl-C: once to stop after what is in hand, twice to abort.

use crate::failure::Failure;
use crate::terminal::Terminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The shell's code for a process ended by SIGINT: 128 + 2.
const ABORTED: i32 = 130;

/// A flag that the first Ctrl-C raises, with a word about what is still finished; the second ends the process.
pub(crate) fn stop_flag(terminal: Terminal, in_hand: &'static str) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(ABORTED);
        }
        terminal.note(&format!("stopping after the running {in_hand}; once more aborts"));
    })
    .map_err(|e| Failure::Other(e.into()))?;
    Ok(stop)
}
