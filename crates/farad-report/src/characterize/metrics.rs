//! Figures of a chip that a limit may be set on, and the yield.

use farad_sim::characterize::ChipMeasure;
use farad_sim::statistics::{mean, percentile, sample_std};
use serde::Serialize;

/// One figure of a chip.
#[derive(Debug)]
pub struct Metric {
    /// Name, as in `--limit`.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Small is good, and a limit is a greatest value; otherwise it is a least one.
    pub at_most: bool,
    /// The figure; none if the chip is exact, which every limit allows.
    of: fn(&ChipMeasure) -> Option<f64>,
}

/// All figures, in the order of the table.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "inl",
        unit: "LSB",
        about: "largest |INL| of its converters",
        at_most: true,
        of: |chip| greatest(chip.adcs.iter().map(|a| a.inl_lsb)),
    },
    Metric {
        name: "dnl",
        unit: "LSB",
        about: "largest |DNL| of its converters",
        at_most: true,
        of: |chip| greatest(chip.adcs.iter().map(|a| a.dnl_lsb)),
    },
    Metric {
        name: "missing_codes",
        unit: "codes",
        about: "codes that no input gives, all converters",
        at_most: true,
        of: |chip| Some(chip.adcs.iter().map(|a| a.missing_codes).sum::<usize>() as f64),
    },
    Metric {
        name: "offset",
        unit: "LSB",
        about: "largest |offset| of its conversions",
        at_most: true,
        of: |chip| greatest(chip.conversions.iter().map(|c| c.offset_lsb.abs())),
    },
    Metric {
        name: "gain",
        unit: "%",
        about: "largest |gain error| of its conversions",
        at_most: true,
        of: |chip| greatest(chip.conversions.iter().map(|c| 100.0 * (c.gain - 1.0).abs())),
    },
    Metric {
        name: "enob",
        unit: "bits",
        about: "least effective bits of its converters",
        at_most: false,
        of: |chip| greatest(chip.adcs.iter().map(|a| -a.enob)).map(|enob| -enob),
    },
    Metric {
        name: "csnr",
        unit: "dB",
        about: "signal to error of conversions",
        at_most: false,
        of: |chip| chip.csnr_db,
    },
    Metric {
        name: "output_snr",
        unit: "dB",
        about: "signal to error of whole outputs",
        at_most: false,
        of: |chip| chip.output_db,
    },
];

fn greatest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

/// A limit on a figure.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The figure.
    pub metric: &'static Metric,
    /// Greatest or least value allowed, in the figure's unit.
    pub value: f64,
}

impl Limit {
    /// `inl=0.5`.
    ///
    /// # Errors
    /// What is wrong with the text, in one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as inl=0.5")?;
        let metric = METRICS.iter().find(|m| m.name == name.trim()).ok_or_else(|| {
            let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
            format!("no figure `{}`; there are {}", name.trim(), names.join(", "))
        })?;
        match value.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self { metric, value }),
            _ => Err(format!("`{}` is not a number", value.trim())),
        }
    }

    fn allows(&self, chip: &ChipMeasure) -> bool {
        (self.metric.of)(chip).is_none_or(|value| match self.metric.at_most {
            true => value <= self.value,
            false => value >= self.value,
        })
    }
}

/// A figure over the chips that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Name, as in `--limit`.
    pub metric: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Chips that have the figure; the others are exact.
    pub chips: usize,
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation; 0 with one chip.
    pub std: f64,
    /// 5th percentile, linearly interpolated.
    pub p05: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Of the worst chip.
    pub worst: f64,
}

/// How many chips keep a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitResult {
    /// The figure.
    pub metric: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// The limit is a greatest value.
    pub at_most: bool,
    /// The limit.
    pub limit: f64,
    /// Chips within it.
    pub chips: usize,
    /// The same as a share of all, 0 to 1.
    #[serde(rename = "yield")]
    pub share: f64,
}

/// Every figure over `chips`.
pub(super) fn summaries(chips: &[ChipMeasure]) -> Vec<Summary> {
    METRICS.iter().map(|metric| summary(metric, chips)).collect()
}

fn summary(metric: &Metric, chips: &[ChipMeasure]) -> Summary {
    let mut values: Vec<f64> = chips.iter().filter_map(metric.of).collect();
    values.sort_by(f64::total_cmp);
    Summary {
        metric: metric.name,
        unit: metric.unit,
        about: metric.about,
        chips: values.len(),
        mean: mean(&values),
        std: sample_std(&values),
        p05: percentile(&values, 0.05),
        p50: percentile(&values, 0.5),
        p95: percentile(&values, 0.95),
        worst: percentile(&values, if metric.at_most { 1.0 } else { 0.0 }),
    }
}

/// Each limit, and the share of chips within all of them (`None` without limits).
pub(super) fn yields(chips: &[ChipMeasure], limits: &[Limit]) -> (Vec<LimitResult>, Option<f64>) {
    let share = |n: usize| n as f64 / chips.len().max(1) as f64;
    let results = limits.iter().map(|limit| {
        let within = chips.iter().filter(|chip| limit.allows(chip)).count();
        LimitResult {
            metric: limit.metric.name,
            unit: limit.metric.unit,
            at_most: limit.metric.at_most,
            limit: limit.value,
            chips: within,
            share: share(within),
        }
    });
    let all = chips
        .iter()
        .filter(|chip| limits.iter().all(|l| l.allows(chip)))
        .count();
    (results.collect(), (!limits.is_empty()).then(|| share(all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use farad_sim::characterize::AdcMeasure;

    /// A chip of two converters, the second with `inl_lsb` and `enob`.
    fn chip(chip: u32, inl_lsb: f64, enob: f64, csnr_db: Option<f64>) -> ChipMeasure {
        let adc = |inl_lsb, enob| AdcMeasure {
            adc: 0,
            inl_lsb,
            dnl_lsb: 0.0,
            histogram_inl_lsb: 0.0,
            histogram_dnl_lsb: 0.0,
            missing_codes: 1,
            enob,
        };
        ChipMeasure {
            chip,
            csnr_db,
            output_db: None,
            adcs: vec![adc(0.1, 7.9), adc(inl_lsb, enob)],
            conversions: Vec::new(),
        }
    }

    #[test]
    fn a_chip_is_as_good_as_its_worst_converter() {
        let chips = [chip(0, 0.3, 7.5, Some(30.0)), chip(1, 0.05, 7.0, None)];
        let of = |name: &str| summaries(&chips).into_iter().find(|s| s.metric == name).unwrap();
        assert_eq!((of("inl").worst, of("inl").p50), (0.3, 0.2));
        assert_eq!((of("enob").worst, of("enob").p50), (7.0, 7.25));
        assert_eq!(of("missing_codes").worst, 2.0);
        // One chip is exact.
        assert_eq!((of("csnr").chips, of("csnr").worst), (1, 30.0));
        assert_eq!(of("output_snr").chips, 0);
    }

    #[test]
    fn a_yield_is_of_chips_within_all_limits() {
        let chips = [
            chip(0, 0.3, 7.5, Some(30.0)),
            chip(1, 0.05, 7.0, None),
            chip(2, 0.2, 7.6, Some(20.0)),
            chip(3, 0.2, 7.5, Some(40.0)),
        ];
        let limits = ["inl=0.2", "enob=7.5", "csnr=30"].map(|text| Limit::parse(text).unwrap());
        let (each, all) = yields(&chips, &limits);
        assert_eq!(each.iter().map(|l| l.chips).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!(all, Some(0.25));
        assert_eq!(yields(&chips, &[]), (Vec::new(), None));
    }
}
