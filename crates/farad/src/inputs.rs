//! From names and paths to networks, macros and images that are known to be sound and to fit together.

use crate::cli::{MacroArgs, PreprocessArgs};
use crate::failure::Failure;
use anyhow::Context;
use farad_data::Dataset;
use farad_hw::{MacroSpec, models, schema};
use farad_net::{Network, Preprocess};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The macro of a command without `--macro`.
pub(crate) const DEFAULT_MACRO: &str = "ncku-charge-redistribution";
/// The network of a command without one.
pub(crate) const DEFAULT_NETWORK: &str = "fashion-mnist-cnn-int8";

/// A network inside the program.
pub(crate) struct BundledNetwork {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    bytes: &'static [u8],
}

/// All networks inside the program.
pub(crate) const BUNDLED_NETWORKS: &[BundledNetwork] = &[BundledNetwork {
    name: DEFAULT_NETWORK,
    about: "small channel-pruned CNN for Fashion-MNIST, int8 ONNX QDQ",
    bytes: include_bytes!("../../../networks/pretrained/fashion-mnist-cnn-int8.onnx"),
}];

/// The bundled network of this name, or else the file.
pub(crate) fn network(name: &str) -> Result<Network, Failure> {
    if let Some(bundled) = BUNDLED_NETWORKS.iter().find(|n| n.name == name) {
        return Network::parse(name, bundled.bytes).map_err(Failure::from_input);
    }
    let path = Path::new(name);
    if !path.exists() {
        return Err(not_found("network", name, BUNDLED_NETWORKS.iter().map(|n| n.name)));
    }
    Network::load(path)
        .with_context(|| format!("network `{name}`"))
        .map_err(Failure::Input)
}

/// A checked macro, with what a report says about where it came from.
pub(crate) struct Macro {
    pub(crate) spec: MacroSpec,
    /// SHA-256 of the description, before overrides.
    pub(crate) sha256: String,
}

/// The macro of `--macro`, with `--set` applied.
pub(crate) fn hw(args: &MacroArgs) -> Result<Macro, Failure> {
    hw_by_name(&args.hw, &args.set)
}

/// The bundled macro called `name`, or else the file, with `set` applied.
pub(crate) fn hw_by_name(name: &str, set: &[(String, String)]) -> Result<Macro, Failure> {
    if let Some(model) = models::find(name) {
        return Ok(Macro {
            spec: model.spec(set)?,
            sha256: sha256(model.text.as_bytes()),
        });
    }
    let path = Path::new(name);
    if !path.exists() {
        return Err(not_found("macro", name, models::list().iter().map(|m| m.name)));
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read macro `{name}`"))
        .map_err(Failure::Input)?;
    Ok(Macro {
        spec: schema::parse(name, &text, set)?,
        sha256: sha256(text.as_bytes()),
    })
}

fn not_found<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    Failure::input(format!(
        "no {what} `{name}`: neither a file nor one of {}",
        known.join(", ")
    ))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives `network` the normalisation of the flags; refuses a network that needs one and has none.
pub(crate) fn set_preprocess(network: &mut Network, args: &PreprocessArgs) -> Result<(), Failure> {
    if let Some(pixel_max) = args.pixel_max {
        let preprocess = Preprocess {
            pixel_max,
            mean: args.mean.clone(),
            std: args.std.clone(),
        };
        return network.set_preprocess(preprocess).map_err(Failure::from_input);
    }
    if network.needs_preprocess() {
        let channels = vec!["0.5"; network.input_shape()[2]].join(",");
        return Err(Failure::input(format!(
            "network `{}` takes real numbers and does not say how pixels become them; give for example \
             --pixel-max 1 --mean {channels} --std {channels} (real = (pixel * PIXEL_MAX / 255 - MEAN) / STD)",
            network.name()
        )));
    }
    Ok(())
}

/// The images of `--data`, or those that the network names; of the network's size, and at most `limit`.
pub(crate) fn dataset(network: &Network, data: Option<&str>, limit: Option<u32>) -> Result<Dataset, Failure> {
    let Some(spec) = data.or(network.dataset()) else {
        return Err(Failure::input(format!(
            "network `{}` does not say which images it was made for; give --data NAME or --data DIR (see `farad list dataset`)",
            network.name()
        )));
    };
    let mut data = farad_data::load(spec).map_err(Failure::from_input)?;
    let [height, width, channels] = network.input_shape();
    if (data.height, data.width, data.channels) != (height, width, channels) {
        return Err(Failure::input(format!(
            "network `{}` takes images of {height}x{width}x{channels}, those of `{}` are {}x{}x{}",
            network.name(),
            data.name,
            data.height,
            data.width,
            data.channels
        )));
    }
    if data.classes > network.classes() {
        return Err(Failure::input(format!(
            "network `{}` knows {} classes, `{}` has {}",
            network.name(),
            network.classes(),
            data.name,
            data.classes
        )));
    }
    if let Some(limit) = limit.map(|n| n as usize) {
        if limit > data.len() {
            return Err(Failure::input(format!(
                "--images {limit}: `{} {}` has {} images",
                data.name,
                data.split,
                data.len()
            )));
        }
        data.pixels.truncate(limit * height * width * channels);
        data.labels.truncate(limit);
    }
    Ok(data)
}
