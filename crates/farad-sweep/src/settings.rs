//! Everything that `farad run` takes.

use crate::value::{Parameter, Value};
use farad_net::Preprocess;
use farad_sim::{EngineKind, Isa};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run as it is asked for, in names; the defaults are those of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name or file of the network.
    pub network: String,
    /// Name or file of the macro.
    #[serde(rename = "macro")]
    pub hw: String,
    /// Keys of the macro that are changed, as `--set` takes them.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// File of the profile; none: everything is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// File of the calibration; none: ranges follow the first images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// Name or folder of the images; none: what the network was made for.
    #[serde(default)]
    pub data: Option<String>,
    /// Only the first images; none: all.
    #[serde(default)]
    pub images: Option<u32>,
    /// Chips.
    pub chips: u32,
    /// Seed of the temporal noise.
    pub seed: u64,
    /// Engine.
    pub engine: Engine,
    /// What pixel 255 becomes, for networks with a float input.
    #[serde(default)]
    pub pixel_max: Option<f32>,
    /// Mean of each channel.
    #[serde(default)]
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    #[serde(default)]
    pub std: Vec<f32>,
}

/// How to compute; both give the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Tables and packed bits.
    Fast,
    /// The circuit equations, cell by cell.
    Reference,
}

impl Engine {
    /// The simulator's engine, on this machine's instruction set.
    #[must_use]
    pub fn kind(self) -> EngineKind {
        match self {
            Self::Fast => EngineKind::Fast(Isa::detect()),
            Self::Reference => EngineKind::Reference,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: crate::inputs::DEFAULT_NETWORK.to_owned(),
            hw: crate::inputs::DEFAULT_MACRO.to_owned(),
            set: BTreeMap::new(),
            profile: None,
            calibration: None,
            data: None,
            images: None,
            chips: 1,
            seed: 0,
            engine: Engine::Fast,
            pixel_max: None,
            mean: Vec::new(),
            std: Vec::new(),
        }
    }
}

impl Settings {
    /// Sets one parameter.
    ///
    /// # Errors
    /// What the parameter's value has to be. A key of the macro takes anything here: the macro's own reader judges it.
    pub(crate) fn apply(&mut self, parameter: &Parameter, value: &Value) -> Result<(), &'static str> {
        let text = || match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err("a string"),
        };
        let positive = || match value {
            Value::Integer(i) => u32::try_from(*i).ok().filter(|i| *i > 0).ok_or("an integer from 1"),
            _ => Err("an integer from 1"),
        };
        let list = || match value {
            Value::List(numbers) => Ok(numbers.iter().map(|n| *n as f32).collect()),
            _ => Err("an array of numbers, one for each channel"),
        };
        match parameter {
            Parameter::Network => self.network = text()?,
            Parameter::Macro => self.hw = text()?,
            Parameter::Profile => self.profile = Some(text()?),
            Parameter::Calibration => self.calibration = Some(text()?),
            Parameter::Data => self.data = Some(text()?),
            Parameter::Images => self.images = Some(positive()?),
            Parameter::Chips => self.chips = positive()?,
            Parameter::Seed => match value {
                Value::Integer(i) => self.seed = u64::try_from(*i).map_err(|_| "an integer from 0")?,
                _ => return Err("an integer from 0"),
            },
            Parameter::Engine => match text()?.as_str() {
                "fast" => self.engine = Engine::Fast,
                "reference" => self.engine = Engine::Reference,
                _ => return Err("\"fast\" or \"reference\""),
            },
            Parameter::PixelMax => self.pixel_max = Some(value.number().ok_or("a number")? as f32),
            Parameter::Mean => self.mean = list()?,
            Parameter::Std => self.std = list()?,
            Parameter::Note => drop(text()?),
            Parameter::Set(key) => match value {
                Value::List(_) => return Err("one value"),
                _ => {
                    self.set.insert(key.clone(), value.setting());
                }
            },
        }
        Ok(())
    }

    /// The normalisation of a float input, if one is given.
    ///
    /// # Errors
    /// If only a part of it is given.
    pub(crate) fn preprocess(&self) -> Result<Option<Preprocess>, &'static str> {
        match (self.pixel_max, self.mean.is_empty(), self.std.is_empty()) {
            (None, true, true) => Ok(None),
            (Some(pixel_max), false, false) => Ok(Some(Preprocess {
                pixel_max,
                mean: self.mean.clone(),
                std: self.std.clone(),
            })),
            _ => Err("`pixel_max`, `mean` and `std` go together"),
        }
    }
}
