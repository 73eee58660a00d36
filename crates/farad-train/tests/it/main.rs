//! Whole runs of small recipes.

mod recipes;
