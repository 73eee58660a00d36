//! Laws of the simulator.

mod engines;
mod fixture;
mod lossless;
mod physics;
mod physics_outputs;
