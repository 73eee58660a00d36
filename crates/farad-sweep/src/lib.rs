//! Sweeps: many runs, planned, kept and compared.
//!
//! The decision of this crate: **a point is what `farad run` runs**. [`Settings`] is everything that the command takes, in names; [`inputs`] turns
//! names into networks, macros and images, for the command and for sweeps alike; an [`Experiment`] varies settings, and a [`Plan`] has
//! looked at every point of it before the first one runs.

pub mod calibration;
mod check;
mod cluster;
mod codes;
mod estimate;
mod experiment;
mod expression;
mod halving;
pub mod inputs;
mod key;
mod numbers;
mod page;
mod parquet;
mod plan;
pub mod profile;
mod results;
mod run;
mod sample;
mod settings;
mod shard;
mod solve;
mod store;
mod value;

pub use cluster::{Chunk, ClusterJob, chunks};
pub use codes::explain;
pub use estimate::Estimate;
pub use experiment::{Axis, Experiment, Group, Solve};
pub use expression::Condition;
pub use halving::{Halved, Halving};
pub use inputs::InputError;
pub use numbers::Numbers;
pub use plan::{Plan, Point, PointError, Selection};
pub use results::{ResultRow, Results};
pub use run::{Event, RunOptions, Sink, Summary, SweepError};
pub use settings::{Engine, Settings};
pub use shard::{Merged, SHARD_SUFFIX, Shard, ShardError, merge};
pub use solve::{Judged, Search, Solution, solutions_csv};
pub use store::{Claim, Row, STORE_FILE, Salvage, Store, StoreError, Worker};
pub use value::{Parameter, Value};
