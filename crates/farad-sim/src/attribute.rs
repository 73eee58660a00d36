//! A run once more for every effect of the macro: with the effect alone, and with all but it.

use crate::SimError;
use crate::outcome::RunOutcome;
use crate::run::{Looks, Run, RunConfig, in_pool, statistics};
use crate::workload::Workload;
use farad_hw::MacroSpec;
use farad_hw::effects::{self, Effect};
use farad_map::Mapping;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What one effect does.
#[derive(Debug, Clone)]
pub struct EffectOutcome {
    /// The effect.
    pub effect: &'static Effect,
    /// The macro with no other effect.
    pub alone: RunOutcome,
    /// The macro with all effects but this.
    pub without: RunOutcome,
}

/// What the effects of a macro do, one by one.
#[derive(Debug, Clone, Default)]
pub struct AttributionOutcome {
    /// The macro without any effect; `None` if stopped before.
    pub none: Option<RunOutcome>,
    /// The effects that the macro has and that were run to their end.
    pub effects: Vec<EffectOutcome>,
    /// Effects that the macro has.
    pub effects_requested: usize,
}

/// Runs a workload without any effect of the macro, and with each alone and all but each, on the same pictures, chips and noise as
/// [`crate::run`]. The ADC's step is that of `spec` in all runs.
///
/// `progress(done, total)` counts pictures times chips times runs. Setting `stop` ends it; effects that are not done are left out.
///
/// # Errors
/// Those of [`crate::run`].
pub fn attribute(
    workload: &Workload<'_>,
    spec: &MacroSpec,
    mapping: &Mapping,
    config: &RunConfig,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &AtomicBool,
) -> Result<AttributionOutcome, SimError> {
    in_pool(mapping, config, || {
        let found = effects::of(spec);
        let stats = statistics(workload, spec, mapping, config)?;
        let runs = 1 + 2 * found.len() as u64;
        let before = AtomicU64::new(0);
        let run = |spec: &MacroSpec| {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let step = |done, total| progress(before.load(Ordering::Relaxed) * total + done, runs * total);
            let outcome =
                Run::calibrated(workload, spec, mapping, config, &stats).go(&Looks::default(), &step, stop)?;
            before.fetch_add(1, Ordering::Relaxed);
            let is_whole = outcome.images == outcome.images_requested && outcome.chips.len() == config.chips as usize;
            Ok::<_, SimError>(is_whole.then_some(outcome))
        };
        let mut attribution = AttributionOutcome {
            none: run(&effects::none(spec))?,
            effects: Vec::with_capacity(found.len()),
            effects_requested: found.len(),
        };
        for effect in found {
            let alone = run(&effect.alone(spec))?;
            let without = run(&effect.without(spec))?;
            let Some((alone, without)) = alone.zip(without) else {
                break;
            };
            attribution.effects.push(EffectOutcome { effect, alone, without });
        }
        Ok(attribution)
    })
}
