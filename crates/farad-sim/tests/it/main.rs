//! Laws of the simulator.

mod characterize;
mod engines;
mod fixture;
mod lossless;
mod peers;
mod physics;
mod physics_outputs;
