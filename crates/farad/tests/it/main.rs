//! The program as its users meet it: arguments in, streams, files and an exit code out.
// What a test's helper cannot unwrap has failed the test.
#![allow(clippy::unwrap_used)]

mod attribute;
mod bad_inputs;
mod calibrate;
mod characterize;
mod data;
mod harness;
mod profile;
mod results;
mod streams;
mod sweep;
mod trace;
mod train;
