//! Development tasks: `cargo run -p xtask -- tidy` checks the rules that the compiler does not know.
//!
//! The decision of this crate: **a wall of the house is a check**. What ARCHITECTURE.md says is absent, [`tidy`] looks
//! for, and `cargo test` runs it, so that no rule rests on a reviewer's memory.

mod tidy;

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy";

#[expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]
fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["tidy"] {
        bail!(USAGE);
    }
    let violations = tidy::check(&root()?)?;
    for violation in &violations {
        println!("{violation}");
    }
    Ok(if violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The workspace, which is two folders above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .map(Path::to_owned)
        .context("xtask lies in crates/ of the workspace")
}
