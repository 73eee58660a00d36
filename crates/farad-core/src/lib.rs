//! Vocabulary shared by every crate: layer shapes, event counts, and the random draws.
//!
//! The one decision of this crate: **a random number is a pure function of what it belongs to**.
//! Nothing holds generator state, so a result cannot depend on threads, batches, shards or the order
//! of work. See [`draw`].

pub mod axis;
pub mod draw;
pub mod events;
pub mod normal;
pub mod philox;
pub mod round;
pub mod shape;

pub use events::EventCounts;
pub use shape::MacShape;
