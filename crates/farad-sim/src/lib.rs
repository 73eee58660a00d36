//! Runs a mapped network on a chip.
pub mod outcome;
pub use outcome::{ChipOutcome, LayerOutcome, RunOutcome};
