//! Files of calibrations: JSON that says what it was made for, so that it is not used for anything else.

use crate::inputs::{InputError, hex};
use crate::key;
use farad_hw::MacroSpec;
use farad_hw::calibration::{Calibration, Trim};
use farad_hw::scale::ChargeStats;
use farad_net::{Network, Preprocess};
use farad_report::report::{DatasetInfo, FileInfo, MacroInfo, SEMANTICS};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Name and version of the file's form.
pub const SCHEMA: &str = "farad.calibration/1";

/// A calibration with what it was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    schema: String,
    /// Version of the numbers.
    semantics: u32,
    network: Made,
    /// How its input follows from pixels.
    preprocess: Option<Preprocess>,
    #[serde(rename = "macro")]
    hw: MacroInfo,
    /// SHA-256 of the macro after defaults, `set` and profile.
    macro_key: String,
    /// Images whose charges were seen.
    dataset: DatasetInfo,
    layers: Vec<Layer>,
    trims: Vec<Trims>,
}

/// What it was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    name: String,
    sha256: String,
}

/// Charges of a layer, in product counts of one conversion: of all its tiles, or of each one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    name: String,
    charges: Vec<Charges>,
}

/// See [`ChargeStats`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Charges {
    mean: f64,
    sigma: f64,
    limit: f64,
}

/// Steps of the trims of one macro of a chip, by ADC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trims {
    chip: u32,
    instance: u32,
    offset: Vec<i32>,
    gain: Vec<i32>,
}

impl CalibrationFile {
    /// `calibration` of `spec` (`hw` to people) for `network`, made with these images.
    #[must_use]
    pub fn new(
        calibration: &Calibration,
        network: &Network,
        spec: &MacroSpec,
        hw: &MacroInfo,
        dataset: DatasetInfo,
    ) -> Self {
        let charges = |stats: &ChargeStats| Charges {
            mean: stats.mean,
            sigma: stats.sigma,
            limit: stats.limit,
        };
        let layers = network.mac_layers().iter().zip(&calibration.charges);
        let trims = calibration.trims.iter().map(|(&(chip, instance), trims)| Trims {
            chip,
            instance,
            offset: trims.iter().map(|trim| trim.offset).collect(),
            gain: trims.iter().map(|trim| trim.gain).collect(),
        });
        Self {
            schema: SCHEMA.to_owned(),
            semantics: SEMANTICS,
            network: Made {
                name: network.name().to_owned(),
                sha256: network.sha256().to_owned(),
            },
            preprocess: network.preprocess().cloned(),
            hw: hw.clone(),
            macro_key: key::macro_key(spec),
            dataset,
            layers: layers
                .map(|(layer, stats)| Layer {
                    name: layer.name.clone(),
                    charges: stats.iter().map(charges).collect(),
                })
                .collect(),
            trims: trims.collect(),
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that a calibration makes happen.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Why it is not for this network on this macro.
    fn misfit(&self, network: &Network, spec: &MacroSpec, chips: u32) -> Option<String> {
        if self.semantics != SEMANTICS {
            let made = self.semantics;
            return Some(format!(
                "its numbers are of version {made}, those of this program of version {SEMANTICS}"
            ));
        }
        if self.network.sha256 != network.sha256() {
            return Some(format!("it was made for another network, `{}`", self.network.name));
        }
        if self.preprocess.as_ref() != network.preprocess() {
            return Some("it was made for an input of another --pixel-max, --mean or --std".to_owned());
        }
        if self.macro_key != key::macro_key(spec) {
            return Some(format!(
                "it was made for another macro, `{}`{}; give the same --macro, --set and --profile",
                self.hw.name,
                self.hw.overrides()
            ));
        }
        let adcs = spec.adcs();
        let whole = |trims: &Trims| trims.offset.len() == adcs && trims.gain.len() == adcs;
        if self.layers.len() != network.mac_layers().len() || !self.trims.iter().all(whole) {
            return Some("it is not complete".to_owned());
        }
        let trimmed = self.trims.iter().map(|trims| trims.chip + 1).max();
        if let Some(trimmed) = trimmed.filter(|trimmed| *trimmed < chips) {
            return Some(format!("it has trims of {trimmed} chips, the run has {chips}"));
        }
        let numbers = self
            .layers
            .iter()
            .flat_map(|l| &l.charges)
            .flat_map(|c| [c.mean, c.sigma, c.limit]);
        let sound = |v: f64| v.is_finite();
        (!numbers.into_iter().all(sound)).then(|| "it has charges that are no numbers".to_owned())
    }

    fn calibration(&self) -> Calibration {
        let stats = |c: &Charges| ChargeStats {
            mean: c.mean,
            sigma: c.sigma,
            limit: c.limit,
        };
        let steps = |t: &Trims| {
            let both = t.offset.iter().zip(&t.gain);
            both.map(|(&offset, &gain)| Trim { offset, gain }).collect()
        };
        Calibration {
            charges: self
                .layers
                .iter()
                .map(|l| l.charges.iter().map(stats).collect())
                .collect(),
            trims: self.trims.iter().map(|t| ((t.chip, t.instance), steps(t))).collect(),
        }
    }
}

/// A calibration's file, read and not compared with anything yet.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationText {
    info: FileInfo,
    file: CalibrationFile,
}

impl CalibrationText {
    /// The file, whose path is seen from `folder`.
    ///
    /// # Errors
    /// [`InputError::ReadFile`] and [`InputError::Calibration`]: it cannot be read, or is none.
    pub fn load(name: &str, folder: &Path) -> Result<Self, InputError> {
        let bytes = std::fs::read(folder.join(name)).map_err(|source| InputError::ReadFile {
            what: "calibration",
            name: name.to_owned(),
            source,
        })?;
        let refuse = |problem: String| InputError::Calibration {
            name: name.to_owned(),
            problem,
        };
        let file: CalibrationFile = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if file.schema != SCHEMA {
            return Err(refuse(format!("its schema is `{}`, expected `{SCHEMA}`", file.schema)));
        }
        Ok(Self {
            info: FileInfo {
                name: name.to_owned(),
                sha256: hex(&Sha256::digest(&bytes)),
            },
            file,
        })
    }

    /// Gives the calibration to a macro that runs `network` on so many chips; `spec` has its profile already.
    ///
    /// # Errors
    /// [`InputError::Calibration`] if it was made for another network, another macro or fewer chips.
    pub fn apply(&self, network: &Network, spec: &mut MacroSpec, chips: u32) -> Result<(), InputError> {
        if let Some(problem) = self.file.misfit(network, spec, chips) {
            return Err(InputError::Calibration {
                name: self.info.name.clone(),
                problem,
            });
        }
        spec.calibration = Some(Arc::new(self.file.calibration()));
        Ok(())
    }

    /// What a report says about it.
    #[must_use]
    pub fn info(&self) -> FileInfo {
        self.info.clone()
    }
}
