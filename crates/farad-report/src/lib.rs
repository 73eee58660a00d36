//! What a run or a measurement says, in every form that people and programs read it: text, JSON, CSV, SVG and one HTML page.
//!
//! The decision of this crate is that there is one [`Report`] (and one [`CharacterizeReport`]), plain data with the names of `report.json`, and
//! that all forms are functions of it alone: what a page shows can be recomputed from the JSON, and nothing is printed here.

mod build;
pub mod characterize;
mod error;
mod html;
mod layers_csv;
mod output;
mod plot;
pub mod report;
mod summary;
pub mod text;
pub mod trace;
pub mod units;

pub use build::Run;
pub use characterize::CharacterizeReport;
pub use error::ReportError;
pub use output::OutputDir;
pub use plot::{Plot, silicon as silicon_plot};
pub use report::Report;
