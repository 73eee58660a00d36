//! Mappings, schedules and counts: worked examples and laws.
mod examples;
mod fixture;
mod laws;
