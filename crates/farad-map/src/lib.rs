//! Network x macro -> tiles, schedule, utilisation.
pub mod tile;
pub use tile::{LayerMapping, Mapping, Segment, Tile};
