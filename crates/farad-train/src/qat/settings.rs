//! What a recipe says of quantisation-aware training.

use super::Observer;
use serde::{Deserialize, Serialize};

/// Settings of a stage of quantisation-aware training, and of an export without one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QatSettings {
    /// Bundled macro or file whose chips compute the forward pass; none: exact integers.
    #[serde(rename = "macro")]
    pub target: Option<String>,
    /// Laid over the macro, key by key, as `--set` does.
    pub set: toml::Table,
    /// What computes the forward pass; without it the macro, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Through>,
    /// Bits of weights, 8 or 4; without a number those that the network has, at first 8. Not of the first and the last layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<u32>,
    /// Bits of the activations that layers multiply, 8 or 4, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activations: Option<u32>,
    /// Bits of weights and inputs of the first and the last layer, so also of pixels, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<u32>,
    /// Where step sizes come from; without it they are learned where a tensor has 4 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Steps>,
    /// Steps on one chip before the next.
    pub steps_per_chip: u64,
    /// Training images that fit ranges and recalibrate channels; the first of them set ADC ranges in training.
    pub images: usize,
    /// Whether the ranges of activations are cut to what suits the macro before training.
    pub fit_ranges: bool,
    /// Weights are held within so many times the root mean square of their channel, from before the first step on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_weights: Option<f32>,
    /// Chips over which channels are recalibrated before training; 0 for no recalibration.
    pub recalibrate_chips: u32,
    /// Whether weights learn at the rate times the squared length of their channel, as before batch norm.
    pub relative_rates: bool,
    /// Finds the ranges of activations.
    pub observer: Observer,
    /// Test images that an epoch is measured with; 0 for all.
    pub test_images: usize,
    /// Part of the loss that is the cross entropy with what the network gave, in exact integers, before the stage.
    pub distil: f64,
}

/// Where the step sizes of weights and activations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Steps {
    /// A channel's largest weight, and the observer's ranges of activations.
    Observed,
    /// Parameters that train with the weights.
    Learned,
}

/// What computes the forward pass of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// Chips of the macro, conversion by conversion.
    Macro,
    /// Exact integers with the errors that each chip's conversions were found to make.
    Surrogate,
    /// Exact integers.
    Digital,
}

impl Default for QatSettings {
    fn default() -> Self {
        Self {
            target: None,
            set: toml::Table::new(),
            weights: None,
            activations: None,
            ends: None,
            steps: None,
            steps_per_chip: 4,
            images: 128,
            fit_ranges: true,
            cut_weights: None,
            recalibrate_chips: 8,
            relative_rates: true,
            observer: Observer::default(),
            forward: None,
            test_images: 0,
            distil: 0.0,
        }
    }
}

impl QatSettings {
    /// What computes the forward pass.
    #[must_use]
    pub fn through(&self) -> Through {
        let default = match self.target {
            Some(_) => Through::Macro,
            None => Through::Digital,
        };
        self.forward.unwrap_or(default)
    }

    /// `weights`, `activations` and `ends`.
    pub(crate) fn bits(&self) -> [Option<u32>; 3] {
        [self.weights, self.activations, self.ends]
    }

    /// Those that an export of a float network uses, the others at their defaults.
    pub(crate) fn of_export(&self) -> Self {
        Self {
            weights: self.weights,
            activations: self.activations,
            ends: self.ends,
            observer: self.observer,
            ..Self::default()
        }
    }

    /// These settings, with those that only training uses at their defaults.
    pub(crate) fn without_training(&self) -> Self {
        let Self {
            forward,
            steps_per_chip,
            relative_rates,
            distil,
            ..
        } = Self::default();
        Self {
            forward,
            steps_per_chip,
            relative_rates,
            distil,
            ..self.clone()
        }
    }

    /// [Bits](Self::bits) that cannot be stored, or are not `first`, where the network was quantised before, as far as known.
    pub(crate) fn width_problems(&self, first: Option<[Option<u32>; 3]>) -> Vec<String> {
        let mut problems = Vec::new();
        for (k, key) in ["weights", "activations", "ends"].into_iter().enumerate() {
            let Some(bits) = self.bits()[k] else { continue };
            let before = first.and_then(|first| first[k]);
            if !matches!(bits, 4 | 8) {
                problems.push(format!(
                    "`{key}` must be 8 or 4, the bits of an exported network, not {bits}"
                ));
            } else if let Some(before) = before.filter(|&before| before != bits) {
                problems.push(format!(
                    "`{key}` is {before} since the stage that quantised the network, {bits} cannot follow"
                ));
            }
        }
        problems
    }

    /// What is wrong with them, in a stage that trains.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(self.steps_per_chip > 0, "`steps_per_chip` is at least 1");
        check(self.images > 0, "needs `images`");
        check(
            self.target.is_some() || self.through() == Through::Digital,
            "a `forward` through a macro needs the `macro`",
        );
        check(
            self.target.is_some() || self.set.is_empty(),
            "`set` changes a `macro`, and there is none",
        );
        let of_macro = |s: &Self| (s.steps_per_chip, s.images, s.fit_ranges, s.recalibrate_chips);
        check(
            self.target.is_some() || of_macro(self) == of_macro(&Self::default()),
            "`steps_per_chip`, `images`, `fit_ranges` and `recalibrate_chips` are about a `macro`, and there is none",
        );
        check(
            self.target.is_none()
                || self.through() != Through::Digital
                || self.steps_per_chip == Self::default().steps_per_chip,
            "`steps_per_chip` is about chips, and `forward` is `digital`",
        );
        check((0.0..=1.0).contains(&self.distil), "`distil` must be in 0..1");
        check(
            self.cut_weights
                .is_none_or(|times| (1.0..f32::INFINITY).contains(&times)),
            "`cut_weights` is a number from 1, the root mean square itself",
        );
        problems
    }

    /// [`set`](Self::set) as dotted keys and TOML values.
    #[must_use]
    pub fn overrides(&self) -> Vec<(String, String)> {
        fn walk(prefix: &str, table: &toml::Table, all: &mut Vec<(String, String)>) {
            for (key, value) in table {
                let key = format!("{prefix}{key}");
                match value {
                    toml::Value::Table(inner) => walk(&format!("{key}."), inner, all),
                    value => all.push((key, value.to_string())),
                }
            }
        }
        let mut all = Vec::new();
        walk("", &self.set, &mut all);
        all
    }
}
