//! The flags of `farad calibrate`.

use super::{DatasetArg, MacroArgs, NetworkArg, PreprocessArgs, ThreadsArg};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
What is set is a matter of the macro: `adc.range` (max, calibrated, clip, optimal, mse) and `adc.range_per` (layer, tile, network) say how ADC \
ranges follow the charges of the images, `noise.offset_trim_lsb` and `noise.gain_trim_pct` give each ADC trims.

Examples:
  farad calibrate --set adc.range=mse -o calibration.json
  farad run --set adc.range=mse --calibration calibration.json
  farad calibrate net.tflite --data cifar-10:train --images 256 --chips 8 \\
      --set noise.offset_trim_lsb=0.25 --set noise.gain_trim_pct=0.5 -o calibration.json")]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArg,
    #[command(flatten)]
    pub(crate) hw: MacroArgs,
    /// What was measured on a chip, as for `farad run`.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<String>,
    #[command(flatten)]
    pub(crate) data: DatasetArg,
    /// The first N images.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) images: u32,
    /// Chips to trim.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chips: u32,
    /// Seed of the noise that the trims' measurement has.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) threads: ThreadsArg,
    /// File.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) preprocess: PreprocessArgs,
}
