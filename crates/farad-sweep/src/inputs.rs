//! From names and paths to networks, macros and images that are known to be sound and to fit together.

use crate::profile::ProfileText;
use farad_data::{DataError, Dataset};
use farad_hw::diagnostic::Diagnostics;
use farad_hw::{MacroSpec, models, schema};
use farad_net::{NetError, Network, Preprocess};
use farad_report::report::MacroInfo;
use farad_sim::{ImageSet, Workload};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The macro of a run that names none.
pub const DEFAULT_MACRO: &str = "ncku-charge-redistribution";
/// The network of a run that names none.
pub const DEFAULT_NETWORK: &str = "fashion-mnist-cnn-int8";

/// A network inside the program.
#[derive(Debug, Clone, Copy)]
pub struct BundledNetwork {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    bytes: &'static [u8],
}

/// All networks inside the program.
pub const BUNDLED_NETWORKS: &[BundledNetwork] = &[BundledNetwork {
    name: DEFAULT_NETWORK,
    about: "small channel-pruned CNN for Fashion-MNIST, int8 ONNX QDQ",
    bytes: include_bytes!("../../../networks/pretrained/fashion-mnist-cnn-int8.onnx"),
}];

/// What a run cannot be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// An experiment's file that cannot be read.
    #[error("cannot read experiment `{}`: {source}", file.display())]
    ReadExperiment {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name that is neither a file nor known.
    #[error("no {what} `{name}`: neither a file nor one of {known}")]
    NotFound {
        /// `network` or `macro`.
        what: &'static str,
        /// As given.
        name: String,
        /// What there is by name.
        known: String,
    },
    /// A macro's file that cannot be read.
    #[error("cannot read macro `{name}`: {source}")]
    ReadMacro {
        /// As given.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file beside the macro that cannot be read.
    #[error("cannot read {what} `{name}`: {source}")]
    ReadFile {
        /// `profile` or `calibration`.
        what: &'static str,
        /// As given.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A profile's file that is no table.
    #[error("profile `{name}`: {problem}")]
    Profile {
        /// As given.
        name: String,
        /// What it is instead.
        problem: String,
    },
    /// A calibration that is none, or was made for something else.
    #[error("calibration `{name}`: {problem}")]
    Calibration {
        /// As given.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A file of settings that is wrong.
    #[error(transparent)]
    Text(Box<Diagnostics>),
    /// A network's file that is wrong.
    #[error("network `{name}`: {source}")]
    Network {
        /// As given.
        name: String,
        /// Why.
        source: NetError,
    },
    /// A normalisation that does not fit the network.
    #[error(transparent)]
    Preprocess(NetError),
    /// A network with a float input of unknown scale.
    #[error(
        "network `{name}` takes real numbers and does not say how pixels become them; give for example {example} (real = (pixel * \
         PIXEL_MAX / 255 - MEAN) / STD)"
    )]
    NeedsPreprocess {
        /// Of the network.
        name: String,
        /// Flags that would do.
        example: String,
    },
    /// No images are named anywhere.
    #[error(
        "network `{0}` does not say which images it was made for; give --data NAME or --data DIR (see `farad list dataset`)"
    )]
    NoDataset(String),
    /// Images that are not there or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images of another size.
    #[error("network `{network}` takes images of {takes}, those of `{data}` are {are}")]
    ImageShape {
        /// Of the network.
        network: String,
        /// Height x width x channels.
        takes: String,
        /// Of the images.
        data: String,
        /// Height x width x channels.
        are: String,
    },
    /// More classes than the network tells apart.
    #[error("network `{network}` knows {knows} classes, `{data}` has {has}")]
    Classes {
        /// Of the network.
        network: String,
        /// Its classes.
        knows: usize,
        /// Of the images.
        data: String,
        /// Their classes.
        has: usize,
    },
    /// More images are asked for than there are.
    #[error("{asked} images are asked for, `{data}` has {has} images")]
    Images {
        /// As given.
        asked: u32,
        /// Name and split.
        data: String,
        /// How many there are.
        has: usize,
    },
}

impl From<Diagnostics> for InputError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Text(Box::new(diagnostics))
    }
}

/// The bundled network of this name, or else the file, whose path is seen from `folder`.
///
/// # Errors
/// [`InputError::NotFound`] and [`InputError::Network`].
pub fn network(name: &str, folder: &Path) -> Result<Network, InputError> {
    let wrong = |source| InputError::Network {
        name: name.to_owned(),
        source,
    };
    if let Some(bundled) = BUNDLED_NETWORKS.iter().find(|n| n.name == name) {
        return Network::parse(name, bundled.bytes).map_err(wrong);
    }
    let path = existing("network", name, folder, BUNDLED_NETWORKS.iter().map(|n| n.name))?;
    Network::load(&path).map_err(wrong)
}

/// The text of a macro, not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroText {
    /// The file, as messages call it.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl MacroText {
    /// The bundled macro of this name, or else the file, whose path is seen from `folder`.
    ///
    /// # Errors
    /// [`InputError::NotFound`] and [`InputError::ReadMacro`].
    pub fn load(name: &str, folder: &Path) -> Result<Self, InputError> {
        if let Some(model) = models::find(name) {
            return Ok(Self {
                file: model.file(),
                text: model.text.to_owned(),
            });
        }
        let path = existing("macro", name, folder, models::list().iter().map(|m| m.name))?;
        let text = std::fs::read_to_string(path).map_err(|source| InputError::ReadMacro {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self {
            file: name.to_owned(),
            text,
        })
    }

    /// The macro with `set` laid over it.
    ///
    /// # Errors
    /// Everything that is wrong with the file and with `set`.
    pub fn spec(&self, set: &[(String, String)]) -> Result<MacroSpec, Diagnostics> {
        schema::parse(&self.file, &self.text, set)
    }

    /// What a report says about the macro after `set`.
    #[must_use]
    pub fn info(&self, spec: &MacroSpec, set: &[(String, String)], profile: Option<&ProfileText>) -> MacroInfo {
        MacroInfo {
            name: spec.name.clone(),
            sha256: hex(&Sha256::digest(self.text.as_bytes())),
            set: set.iter().cloned().collect(),
            profile: profile.map(ProfileText::info),
            calibration: None,
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn existing<'a>(
    what: &'static str,
    name: &str,
    folder: &Path,
    known: impl Iterator<Item = &'a str>,
) -> Result<PathBuf, InputError> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    Err(InputError::NotFound {
        what,
        name: name.to_owned(),
        known: known.collect::<Vec<_>>().join(", "),
    })
}

/// Gives `network` a normalisation; refuses a network that needs one and has none.
///
/// # Errors
/// [`InputError::Preprocess`] and [`InputError::NeedsPreprocess`].
pub fn set_preprocess(network: &mut Network, preprocess: Option<Preprocess>) -> Result<(), InputError> {
    if let Some(preprocess) = preprocess {
        return network.set_preprocess(preprocess).map_err(InputError::Preprocess);
    }
    if network.needs_preprocess() {
        let channels = vec!["0.5"; network.input_shape()[2]].join(",");
        return Err(InputError::NeedsPreprocess {
            name: network.name().to_owned(),
            example: format!("--pixel-max 1 --mean {channels} --std {channels}"),
        });
    }
    Ok(())
}

/// The images called `data`, or those that the network names. A folder's path is seen from `folder`.
///
/// # Errors
/// [`InputError::NoDataset`] and [`InputError::Data`].
pub fn dataset(network: &Network, data: Option<&str>, folder: &Path) -> Result<Dataset, InputError> {
    let Some(spec) = data.or(network.dataset()) else {
        return Err(InputError::NoDataset(network.name().to_owned()));
    };
    // A name has no separator; what has one is a folder.
    if spec.contains(std::path::is_separator) {
        return Ok(farad_data::load(&folder.join(spec).to_string_lossy())?);
    }
    Ok(farad_data::load(spec)?)
}

/// How many images of `data` a run of `network` takes: `limit`, or all.
///
/// # Errors
/// [`InputError::ImageShape`], [`InputError::Classes`] and [`InputError::Images`]: they do not fit together.
pub fn check_images(network: &Network, data: &Dataset, limit: Option<u32>) -> Result<usize, InputError> {
    let shape = [data.height, data.width, data.channels];
    if shape != network.input_shape() {
        let show = |[height, width, channels]: [usize; 3]| format!("{height}x{width}x{channels}");
        return Err(InputError::ImageShape {
            network: network.name().to_owned(),
            takes: show(network.input_shape()),
            data: data.name.clone(),
            are: show(shape),
        });
    }
    if data.classes > network.classes() {
        return Err(InputError::Classes {
            network: network.name().to_owned(),
            knows: network.classes(),
            data: data.name.clone(),
            has: data.classes,
        });
    }
    match limit {
        Some(asked) if asked as usize > data.len() => Err(InputError::Images {
            asked,
            data: format!("{} {}", data.name, data.split),
            has: data.len(),
        }),
        Some(limit) => Ok(limit as usize),
        None => Ok(data.len()),
    }
}

/// Network and images as one workload. They must have passed [`check_images`].
///
/// # Errors
/// What [`Workload::new`] returns.
pub fn workload<'a>(network: &'a Network, data: &'a Dataset) -> Result<Workload<'a>, farad_sim::SimError> {
    let images = ImageSet {
        height: data.height,
        width: data.width,
        channels: data.channels,
        pixels: &data.pixels,
        labels: &data.labels,
    };
    Workload::new(network, images)
}
