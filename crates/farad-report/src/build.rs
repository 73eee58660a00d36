//! From counts to a report: divides by images, multiplies by constants, and nothing else.

use crate::error::ReportError;
use crate::report::*;
use farad_core::EventCounts;
use farad_hw::MacroSpec;
use farad_hw::cost::{self, Area, Energy};
use farad_map::{Cells, LayerSchedule, Mapping, totals};
use farad_net::{MacLayer, Network, bops, bops_uniq};
use farad_sim::statistics::{mean, percentile, sample_std};
use farad_sim::{LayerOutcome, RunOutcome};

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// What was run.
    pub(crate) network: &'a Network,
    /// What it was run on, overrides included.
    pub(crate) spec: &'a MacroSpec,
    /// Where it comes from.
    pub(crate) hw: &'a MacroInfo,
    /// Where the weights sit.
    pub(crate) mapping: &'a Mapping,
    /// One per multiply-accumulate layer.
    pub(crate) schedule: &'a [LayerSchedule],
    /// Chips that were asked for.
    pub(crate) chips_requested: u32,
    /// What was measured.
    pub(crate) outcome: &'a RunOutcome,
    /// Name of the dataset.
    pub(crate) dataset: &'a str,
    /// Split of the dataset.
    pub(crate) split: &'a str,
    /// Seed of the run.
    pub(crate) seed: u64,
    /// `fast` or `reference`.
    pub(crate) engine: &'a str,
    /// Wall time of the run, s.
    pub(crate) wall_s: f64,
    /// Largest resident memory, bytes; 0 if unknown.
    pub(crate) peak_rss_bytes: u64,
}

impl Report {
    /// The report of a run.
    ///
    /// # Errors
    /// [`ReportError::Layers`] if network, schedule and outcome do not have the same number of layers.
    pub(crate) fn build(run: &Run<'_>) -> Result<Self, ReportError> {
        let mac_layers = run.network.mac_layers();
        let measured = run.outcome.chips.iter().map(|c| c.layers.len());
        if let Some(layers) = measured
            .chain([run.schedule.len()])
            .find(|layers| *layers != mac_layers.len())
        {
            return Err(ReportError::Layers {
                found: layers,
                network: mac_layers.len(),
            });
        }
        let layers: Vec<LayerReport> = mac_layers
            .iter()
            .zip(run.schedule)
            .enumerate()
            .map(|(i, (layer, s))| layer_report(run, i, layer, s))
            .collect();
        let sum = totals(run.mapping, run.schedule);
        let by_component = layers
            .iter()
            .fold(ComponentEnergy::default(), |all, l| all.plus(&l.energy_j));
        let operations = 2.0 * run.network.macs() as f64;
        Ok(Self {
            schema: SCHEMA.into(),
            farad_version: env!("CARGO_PKG_VERSION").into(),
            semantics: SEMANTICS,
            partial: run.outcome.images < run.outcome.images_requested
                || run.outcome.chips.len() < run.chips_requested as usize,
            network: NetworkInfo {
                name: run.network.name().into(),
                sha256: run.network.sha256().into(),
                params: run.network.params(),
                macs: run.network.macs(),
                bops: run.network.bops(),
                bops_uniq: run.network.bops_uniq(),
            },
            hw: run.hw.clone(),
            dataset: DatasetInfo {
                name: run.dataset.into(),
                split: run.split.into(),
                images: run.outcome.images,
                images_requested: run.outcome.images_requested,
            },
            seed: run.seed,
            engine: run.engine.into(),
            accuracy: accuracy(run.outcome, run.chips_requested),
            per_image: PerImage {
                energy_j: by_component.total(),
                energy_by_component_j: by_component,
                latency_s: sum.latency_s,
                cycles: sum.cycles,
                conversions: sum.conversions,
            },
            totals: Totals {
                area_mm2: 1e-6 * macro_area(&cost::area(run.spec)).total() * sum.instances as f64,
                macro_area_um2: macro_area(&cost::area(run.spec)),
                tops_per_watt: 1e-12 * ratio(operations, by_component.total()),
                tops: 1e-12 * ratio(operations, sum.latency_s),
                tiles: sum.tiles as u64,
                instances: sum.instances as u64,
                utilization: sum.utilization,
            },
            layers,
            attribution: None,
            host: host(run, sum.conversions),
        })
    }
}

fn layer_report(run: &Run<'_>, index: usize, layer: &MacLayer, schedule: &LayerSchedule) -> LayerReport {
    let mut all = LayerOutcome::default();
    for outcome in run.outcome.chips.iter().map(|chip| &chip.layers[index]) {
        all.events += &outcome.events;
        all.signal += outcome.signal;
        all.error += outcome.error;
        all.lsb_counts += outcome.lsb_counts;
    }
    // The whole system leaks while one of its layers runs.
    let seconds = schedule.latency_s * all.events.images as f64;
    let energy = cost::energy(run.spec, &all.events, seconds, run.mapping.instances);
    let sqnr_db = all.sqnr_db();
    LayerReport {
        name: layer.name.clone(),
        op: layer.op.into(),
        macs: layer.shape.macs(),
        params: layer.shape.params(),
        bops: bops(layer),
        bops_uniq: bops_uniq(layer),
        tiles: schedule.tiles as u64,
        rows_used: schedule.rows_used,
        columns_used: schedule.columns_used,
        utilization: schedule.utilization,
        lost: lost(&schedule.cells),
        conversions: schedule.conversions,
        cycles: schedule.cycles,
        latency_s: schedule.latency_s,
        energy_j: component_energy(&energy.per(all.events.images)),
        sqnr_db: sqnr_db.is_finite().then_some(sqnr_db),
        clip_rate: sampled_rate(all.events.clipped_in_sample, &all.events),
        skip_rate: sampled_rate(all.events.skipped_in_sample, &all.events),
        lsb_counts: ratio(all.lsb_counts, run.outcome.chips.len() as f64),
        code_histogram: all.events.code_histogram,
    }
}

fn lost(cells: &Cells) -> UtilizationLost {
    let share = |lost: u64| ratio(lost as f64, cells.total() as f64);
    UtilizationLost {
        rows_unused: share(cells.lost.rows_unused),
        columns_unused: share(cells.lost.columns_unused),
        columns_leftover: share(cells.lost.columns_leftover),
        block_diagonal: share(cells.lost.block_diagonal_zero),
    }
}

fn sampled_rate(hits: u64, events: &EventCounts) -> f64 {
    ratio(hits as f64, events.sampled() as f64)
}

/// In the report's names.
pub(crate) fn component_energy(energy: &Energy) -> ComponentEnergy {
    ComponentEnergy {
        array: energy.array_j,
        adc: energy.adc_j,
        driver: energy.driver_j,
        accumulator: energy.accumulator_j,
        digital: energy.digital_j,
        buffer: energy.buffer_j,
        weight_load: energy.weight_load_j,
        leakage: energy.leakage_j,
    }
}

/// In the report's names.
pub(crate) fn macro_area(area: &Area) -> MacroArea {
    MacroArea {
        array: area.array_um2,
        drivers: area.drivers_um2,
        adc: area.adc_um2,
        digital: area.digital_um2,
        other: area.other_um2,
    }
}

fn accuracy(outcome: &RunOutcome, chips_requested: u32) -> Accuracy {
    let share = |hits: u64, images: u64| ratio(hits as f64, images as f64);
    let chips: Vec<ChipAccuracy> = outcome
        .chips
        .iter()
        .map(|c| ChipAccuracy {
            chip: c.chip,
            images: c.images,
            top1: share(c.top1, c.images),
            top5: share(c.top5, c.images),
        })
        .collect();
    let images = outcome.chips.iter().map(|c| c.images).sum();
    let mut top1: Vec<f64> = chips.iter().map(|c| c.top1).collect();
    top1.sort_by(f64::total_cmp);
    Accuracy {
        top1: share(outcome.chips.iter().map(|c| c.top1).sum(), images),
        top1_digital: share(outcome.digital_top1, outcome.images),
        top5: share(outcome.chips.iter().map(|c| c.top5).sum(), images),
        top5_digital: share(outcome.digital_top5, outcome.images),
        chips,
        chips_requested: chips_requested.into(),
        mean: mean(&top1),
        std: sample_std(&top1),
        p05: percentile(&top1, 0.05),
        by_image: ByImage::new(&outcome.verdicts),
    }
}

fn host(run: &Run<'_>, conversions: u64) -> HostInfo {
    let image_runs = run.outcome.chips.iter().map(|c| c.images).sum::<u64>() as f64;
    let images_per_s = ratio(image_runs, run.wall_s);
    HostInfo {
        wall_s: run.wall_s,
        images_per_s,
        macs_per_s: images_per_s * run.network.macs() as f64,
        conversions_per_s: images_per_s * conversions as f64,
        threads: run.outcome.threads as u64,
        isa: run.outcome.isa.into(),
        peak_rss_bytes: run.peak_rss_bytes,
    }
}

/// `part / whole`, 0 of nothing: a run that was stopped at once has seen nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farad_sim::ChipOutcome;

    #[test]
    fn top1_pools_chips_and_the_mean_does_not() {
        let chip = |chip, images, top1| ChipOutcome {
            chip,
            images,
            top1,
            top5: images,
            layers: Vec::new(),
        };
        let outcome = RunOutcome {
            images: 100,
            images_requested: 100,
            digital_top1: 91,
            digital_top5: 99,
            chips: vec![chip(0, 100, 90), chip(1, 50, 40)],
            ..RunOutcome::default()
        };
        let accuracy = accuracy(&outcome, 2);
        assert_eq!(accuracy.top1, 130.0 / 150.0);
        assert!((accuracy.mean - 0.85).abs() < 1e-12);
        assert_eq!(accuracy.top1_digital, 0.91);
        assert_eq!(accuracy.top5, 1.0);
        assert!((accuracy.p05 - (0.8 + 0.05 * 0.1)).abs() < 1e-12);
    }

    #[test]
    fn a_run_stopped_at_once_has_no_accuracy() {
        let accuracy = accuracy(
            &RunOutcome {
                images_requested: 10,
                ..RunOutcome::default()
            },
            0,
        );
        assert_eq!(accuracy, Accuracy::default());
    }
}
