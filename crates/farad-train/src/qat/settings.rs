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
    /// Steps on one chip before the next.
    pub steps_per_chip: u64,
    /// Training images that set ADC ranges and recalibrate channels.
    pub images: usize,
    /// Chips over which channels are recalibrated before training; 0 for no recalibration.
    pub recalibrate_chips: u32,
    /// Finds the ranges of activations.
    pub observer: Observer,
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
        }
    }
}

impl QatSettings {
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
