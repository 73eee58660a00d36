//! What makes two points the same.

use crate::inputs::hex;
use crate::settings::Settings;
use farad_data::Dataset;
use farad_hw::MacroSpec;
use farad_net::Network;
use farad_report::report::SEMANTICS;
use sha2::{Digest, Sha256};

/// SHA-256 of the first `images` pictures with their labels.
pub(crate) fn images(data: &Dataset, images: usize) -> String {
    let [height, width, channels] = [data.height, data.width, data.channels];
    let mut digest = Sha256::new();
    digest.update(format!("{height} {width} {channels} {images}\n"));
    digest.update(&data.pixels[..images * height * width * channels]);
    for label in &data.labels[..images] {
        digest.update(label.to_le_bytes());
    }
    hex(&digest.finalize())
}

/// The macro as it is after defaults, in full (`Debug` shows every field and every digit), with its profile and its calibration, so that two
/// ways to write one macro are one; a field that a later version adds makes another one, never a wrong one.
fn macro_text(spec: &MacroSpec) -> String {
    let nameless = MacroSpec {
        name: String::new(),
        description: String::new(),
        ..spec.clone()
    };
    format!("{nameless:?}")
}

/// SHA-256 of a macro with its profile, calibration apart.
pub(crate) fn macro_key(spec: &MacroSpec) -> String {
    let uncalibrated = MacroSpec {
        calibration: None,
        ..spec.clone()
    };
    hex(&Sha256::digest(macro_text(&uncalibrated)))
}

/// SHA-256 of everything that determines a point's result.
pub(crate) fn point(network: &Network, spec: &MacroSpec, images: &str, settings: &Settings) -> String {
    let text = format!(
        "semantics {SEMANTICS}\nnetwork {}\npreprocess {:?}\nimages {images}\nchips {}\nseed {}\nengine {:?}\nmacro {}\n",
        network.sha256(),
        network.preprocess(),
        settings.chips,
        settings.seed,
        settings.engine,
        macro_text(spec),
    );
    hex(&Sha256::digest(text))
}
