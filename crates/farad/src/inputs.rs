//! The inputs of a command, as its flags name them.

use crate::cli::{MacroArgs, PreprocessArgs};
use crate::failure::Failure;
use farad_hw::MacroSpec;
use farad_net::{Network, Preprocess};
use farad_sweep::inputs::{self, MacroText};
use std::path::Path;

/// Paths of the command line are seen from the working directory.
pub(crate) fn here() -> &'static Path {
    Path::new("")
}

/// The bundled network of this name, or else the file.
pub(crate) fn network(name: &str) -> Result<Network, Failure> {
    Ok(inputs::network(name, here())?)
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
    let text = MacroText::load(name, here())?;
    Ok(Macro {
        spec: text.spec(set)?,
        sha256: text.sha256(),
    })
}

/// The normalisation of the flags, if they give one.
pub(crate) fn preprocess(args: &PreprocessArgs) -> Option<Preprocess> {
    Some(Preprocess {
        pixel_max: args.pixel_max?,
        mean: args.mean.clone(),
        std: args.std.clone(),
    })
}
