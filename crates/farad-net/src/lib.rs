//! Int8 networks.
pub mod layer;
pub use layer::{Activations, MacEngine, MacLayer};
