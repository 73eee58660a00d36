//! Laws of the simulator.

mod calibration;
mod characterize;
mod engines;
mod fixture;
mod lossless;
mod peers;
mod physics;
mod physics_outputs;
mod profiles;
