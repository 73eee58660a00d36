//! Whole runs of small recipes.
#![allow(clippy::unwrap_used)]

mod recipes;
