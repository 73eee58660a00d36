//! Network x macro -> tiles, schedule, utilisation.
//!
//! A mapping is decided once, for a whole network, and everything else is derived from it: the simulator computes the
//! tiles of [`Mapping`], [`schedule()`] counts their clocks and how full the arrays are, [`static_events`] counts what they
//! do to the hardware whatever the data, and [`events`] spells the schedule out phase by phase.
//!
//! Clocks never depend on the data. The ADCs of a macro convert in lockstep, so one that skips decisions saves
//! energy and waits for the others; and every ADC goes through its whole multiplexing sequence, used columns or not.

mod counts;
mod error;
mod map;
pub mod mapper;
mod schedule;
pub mod tile;
mod trace;
mod utilization;

pub use counts::static_events;
pub use error::MapError;
pub use map::{Demand, MAX_TILES, demand, map};
pub use schedule::{LayerSchedule, Totals, schedule, totals};
pub use tile::{LayerMapping, Mapping, Segment, Tile};
pub use trace::{Event, Phase, TileClocks, events};
pub use utilization::{Cells, UtilizationLoss};
