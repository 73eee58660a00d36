//! The program as its users meet it: arguments in, streams, files and an exit code out.

mod bad_inputs;
mod harness;
mod results;
mod streams;
