//! Runs a mapped network on a chip.
//!
//! The decision of this crate: **two engines, one chip**. [`farad_hw::chip`] says what a chip is in numbers; `reference` executes those numbers the
//! way the circuit does, cell by cell and decision by decision, and `fast` executes them from tables on packed bits. They must agree to the
//! last bit for every macro, which is what the tests in `tests/` are for.

mod attribute;
mod calibrate;
pub mod characterize;
pub mod conversions;
mod digital;
mod error;
mod fast;
mod geometry;
mod outcome;
mod plan;
mod probe;
mod reference;
mod run;
mod simulator;
pub mod statistics;
mod workload;

pub use attribute::{AttributionOutcome, EffectOutcome, attribute};
pub use calibrate::{CalibrateConfig, calibrate, charge_statistics};
pub use digital::{DigitalEngine, DigitalNetwork};
pub use error::SimError;
pub use farad_kernels::Isa;
pub use outcome::{ChipOutcome, LayerOutcome, RunOutcome, Verdict};
pub use run::{CALIBRATION_IMAGES, COMPARED_IMAGES, Looks, RunConfig, run, run_until};
pub use simulator::{Chip, EngineKind, Probes, Session, Simulator, Wanted};
pub use workload::{ImageSet, Workload, accuracy};
