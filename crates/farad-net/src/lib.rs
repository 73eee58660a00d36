//! Int8 networks: import, exact integer execution, bit operations.
//!
//! The one decision of this crate: **all arithmetic is settled at import**. What a source tool does between two 8-bit
//! tensors, however it rounds, becomes integers, tables and index lists once, and running is the same for every source.
//! So equality with a tool is a property of an importer, and everything behind it (a macro, a fast engine, a report)
//! sees one kind of network: unsigned bytes in NHWC, and [`MacLayer`]s.
//!
//! A [`Network`] runs its MAC layers on any [`MacEngine`]; [`ExactEngine`] is the readable exact one. A [`QdqGraph`] writes
//! a network that was trained here, in the form that the import reads.

pub mod bops;
mod error;
mod exact;
mod fixed_point;
mod graph;
mod kernel;
pub mod layer;
mod network;
mod onnx;
mod preprocess;
mod requant;
mod run;
mod tflite;
mod view;

pub use bops::{bops, bops_uniq};
pub use error::NetError;
pub use exact::ExactEngine;
pub use layer::{Activations, MacEngine, MacLayer};
pub use network::{Network, NodeInfo, TensorView};
pub use onnx::export::{
    ExportError, QdqGraph, QdqTensor, Quantisation, QuantisedWeights, StoredGraph, StoredWeights, Window,
};
pub use preprocess::Preprocess;
