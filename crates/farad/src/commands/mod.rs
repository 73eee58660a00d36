//! One file for each command: what it needs, what it does, what it prints.

pub(crate) mod calibrate;
pub(crate) mod characterize;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod profile;
pub(crate) mod run;
pub(crate) mod spice;
pub(crate) mod sweep;
pub(crate) mod trace;
pub(crate) mod train;
