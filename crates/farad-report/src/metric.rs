//! Numbers of a report by name, for what compares reports.

use crate::report::Report;

/// One number of a report.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name in experiments, tables and conditions.
    pub name: &'static str,
    /// What it is, for axes of plots.
    pub about: &'static str,
    /// Its unit, empty for counts and shares.
    pub unit: &'static str,
    /// A share from 0 to 1, which people read in percent.
    pub is_share: bool,
    /// Reads it.
    pub of: fn(&Report) -> f64,
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Metric {
    /// Whether it is counted over images, so that few of them know it badly. Costs are nearly the same for any images.
    #[must_use]
    pub fn counts_images(&self) -> bool {
        self.name.starts_with("top1") || self.name.starts_with("top5")
    }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    share("top1", "top-1 accuracy, mean over chips", |r| r.accuracy.top1),
    share("top1_digital", "top-1 accuracy in exact arithmetic", |r| {
        r.accuracy.top1_digital
    }),
    share("top1_lost", "top-1 accuracy lost to the macro", |r| {
        r.accuracy.top1_digital - r.accuracy.top1
    }),
    share("top1_std", "standard deviation of top-1 over chips", |r| r.accuracy.std),
    share("top1_p05", "5th percentile of top-1 over chips", |r| r.accuracy.p05),
    share("top5", "top-5 accuracy", |r| r.accuracy.top5),
    metric("energy_j", "energy per image", "J", |r| r.per_image.energy_j),
    metric("latency_s", "latency per image", "s", |r| r.per_image.latency_s),
    metric("cycles", "macro clocks per image", "", |r| r.per_image.cycles as f64),
    metric("conversions", "conversions per image", "", |r| {
        r.per_image.conversions as f64
    }),
    metric("area_mm2", "area", "mm2", |r| r.totals.area_mm2),
    metric("tops_per_watt", "efficiency", "TOPS/W", |r| r.totals.tops_per_watt),
    metric("tops", "throughput", "TOPS", |r| r.totals.tops),
    metric("tiles", "tiles", "", |r| r.totals.tiles as f64),
    metric("instances", "macro instances", "", |r| r.totals.instances as f64),
    share("utilization", "cells in use", |r| r.totals.utilization),
    metric("params", "weights", "", |r| r.network.params as f64),
    metric("macs", "multiply-accumulates per image", "", |r| r.network.macs as f64),
    metric("bops", "bit operations per image", "", |r| r.network.bops as f64),
    metric("bops_uniq", "bit operations per image (UNIQ)", "", |r| {
        r.network.bops_uniq as f64
    }),
];

const fn metric(name: &'static str, about: &'static str, unit: &'static str, of: fn(&Report) -> f64) -> Metric {
    Metric {
        name,
        about,
        unit,
        is_share: false,
        of,
    }
}

const fn share(name: &'static str, about: &'static str, of: fn(&Report) -> f64) -> Metric {
    Metric {
        is_share: true,
        ..metric(name, about, "", of)
    }
}

/// The metric of this name.
#[must_use]
pub fn metric_named(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.name == name)
}
