//! Whole runs of small recipes, and steps against PyTorch's.
#![allow(clippy::unwrap_used)]

mod measure;
mod pytorch;
mod recipes;
