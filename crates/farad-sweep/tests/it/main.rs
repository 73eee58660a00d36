//! Experiments, their points and their store.
// What a test's helper cannot unwrap has failed the test.
#![allow(clippy::unwrap_used)]

mod experiments;
mod halving;
mod solve;
mod stores;

use farad_sweep::{Experiment, Plan, Selection};
use std::path::Path;

/// The plan of an experiment's text, or what is wrong with it, as it is printed.
fn plan(text: &str) -> Result<Plan, String> {
    plan_in(text, Path::new(""), &Selection::default())
}

fn plan_in(text: &str, folder: &Path, selection: &Selection) -> Result<Plan, String> {
    let experiment = Experiment::parse("e.toml", text, folder).map_err(|d| d.render(false))?;
    Plan::new(experiment, selection).map_err(|d| d.render(false))
}

/// Asserts that the text is refused with all these words.
#[track_caller]
fn refuses(text: &str, parts: &[&str]) {
    let error = plan(text).unwrap_err();
    assert!(parts.iter().all(|part| error.contains(part)), "{text}:\n{error}");
}
