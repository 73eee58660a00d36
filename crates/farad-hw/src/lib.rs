//! The macro: its description, its components, its chips, and what they cost.
pub mod adc;
pub mod spec;
pub use spec::MacroSpec;
