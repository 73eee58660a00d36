//! Trains, prunes and quantises the networks that Farad runs.
//!
//! The decision of this crate: **nothing that training does has hidden state**. Every random number belongs to what it
//! is for ([`rng`]), every parameter, moment and optimiser slot has a name, and a checkpoint is all of them: a run that
//! was killed goes on as if it had not been.

pub mod architecture;
pub mod batches;
mod checkpoint;
mod error;
mod evaluate;
pub mod graph;
mod model;
mod ops;
pub mod optimizer;
pub mod prune;
pub mod qat;
pub mod recipe;
pub mod rng;
mod run;
pub mod vary;

pub use architecture::Architecture;
pub use checkpoint::replace;
pub use error::TrainError;
pub use farad_kernels::dense::Precision;
pub use graph::Graph;
pub use model::{Model, Pass, Statistics};
pub use ops::{correct, cross_entropy};
pub use recipe::{Recipe, explain};
pub use run::{Event, NETWORK, Row, Run};
pub use vary::Plan;
