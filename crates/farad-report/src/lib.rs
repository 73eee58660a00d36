//! What a run or a measurement says, in every form that people and programs read it: text, JSON, CSV, SVG and one HTML page.
//!
//! The decision of this crate is that there is one [`Report`] (and one [`CharacterizeReport`]), plain data with the names of `report.json`; that a [`Job`]
//! is the one way from inputs to it; and that all forms are functions of it alone: what a page shows can be recomputed
//! from the JSON, and nothing is printed here.

pub mod attribution;
mod build;
pub mod characterize;
pub mod comparison;
mod error;
mod host;
mod html;
mod job;
mod layers_csv;
pub mod metric;
mod output;
mod plot;
pub mod report;
mod side_by_side;
mod silicon;
mod summary;
pub mod sweep;
pub mod text;
pub mod trace;
pub mod training;
pub mod units;

pub use characterize::CharacterizeReport;
pub use comparison::Comparison;
pub use error::ReportError;
pub use job::{Job, JobInputs};
pub use output::OutputDir;
pub use plot::Plot;
pub use report::Report;
pub use side_by_side::{number, side_by_side};
pub use silicon::{silicon_summary, silicon_table, write_silicon};
pub use sweep::Sweep;
pub use training::Training;
