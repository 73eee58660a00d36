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
    /// Steps on one chip before the next.
    pub steps_per_chip: u64,
    /// Training images that set ADC ranges and recalibrate channels.
    pub images: usize,
    /// Chips over which channels are recalibrated before training; 0 for no recalibration.
    pub recalibrate_chips: u32,
    /// Finds the ranges of activations.
    pub observer: Observer,
    /// Test images that an epoch is measured with; 0 for all.
    pub test_images: usize,
    /// Part of the loss that is the cross entropy with what the network gave, in exact integers, before the stage.
    pub distil: f64,
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
            steps_per_chip: 4,
            images: 128,
            recalibrate_chips: 8,
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
        check((0.0..=1.0).contains(&self.distil), "`distil` must be in 0..1");
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
