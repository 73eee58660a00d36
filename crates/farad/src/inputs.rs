//! The inputs of a command, as its flags name them.

use crate::cli::{MacroArgs, PreprocessArgs};
use crate::failure::Failure;
use farad_hw::MacroSpec;
use farad_net::{Network, Preprocess};
use farad_report::report::MacroInfo;
use farad_sweep::calibration::CalibrationText;
use farad_sweep::inputs::{self, MacroText};
use farad_sweep::profile::ProfileText;
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
    pub(crate) info: MacroInfo,
}

/// The macro of `--macro`, with `--set` applied.
pub(crate) fn hw(args: &MacroArgs) -> Result<Macro, Failure> {
    hw_by_name(&args.hw, &args.set, None)
}

/// The bundled macro called `name`, or else the file, with `set` and then the file of a profile applied.
pub(crate) fn hw_by_name(name: &str, set: &[(String, String)], profile: Option<&str>) -> Result<Macro, Failure> {
    let text = MacroText::load(name, here())?;
    let mut spec = text.spec(set)?;
    let profile = profile.map(|name| ProfileText::load(name, here())).transpose()?;
    if let Some(profile) = &profile {
        profile.apply(&mut spec)?;
    }
    Ok(Macro {
        info: text.info(&spec, set, profile.as_ref()),
        spec,
    })
}

impl Macro {
    /// Applies the file of `--calibration`, if there is one, for a run of `network` on so many chips.
    pub(crate) fn calibrate(&mut self, name: Option<&str>, network: &Network, chips: u32) -> Result<(), Failure> {
        if let Some(name) = name {
            let calibration = CalibrationText::load(name, here())?;
            calibration.apply(network, &mut self.spec, chips)?;
            self.info.calibration = Some(calibration.info());
        }
        Ok(())
    }
}

/// The normalisation of the flags, if they give one.
pub(crate) fn preprocess(args: &PreprocessArgs) -> Option<Preprocess> {
    Some(Preprocess {
        pixel_max: args.pixel_max?,
        mean: args.mean.clone(),
        std: args.std.clone(),
    })
}
