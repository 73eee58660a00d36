//! The macro: its description, its components, its chips, and what they cost.
pub mod adc;
pub mod check;
pub mod chip;
pub mod cost;
pub mod diagnostic;
pub mod encoding;
pub mod limits;
pub mod models;
pub mod netlist;
pub mod peers;
pub mod scale;
pub mod schema;
pub mod silicon;
pub mod spec;
pub mod technology;
pub mod timing;
pub use spec::MacroSpec;
