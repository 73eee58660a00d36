//! The shape of `report.json`. Fields may be added freely; renaming one raises [`SCHEMA`].

use crate::attribution::Attribution;
use farad_sim::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name and version of the JSON's shape.
pub const SCHEMA: &str = "farad.report/1";

/// Version of the numbers: raised whenever the same inputs give different results than before.
pub const SEMANTICS: u32 = 4;

/// One run of one network on one macro. Everything but `host` is a function of the inputs and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of Farad that wrote the report.
    pub farad_version: String,
    /// [`SEMANTICS`].
    pub semantics: u32,
    /// The run was interrupted: fewer images or fewer chips than asked for.
    pub partial: bool,
    /// What was run.
    pub network: NetworkInfo,
    /// What it was run on.
    #[serde(rename = "macro")]
    pub hw: MacroInfo,
    /// What it was fed.
    pub dataset: DatasetInfo,
    /// Seed of the temporal noise.
    pub seed: u64,
    /// `fast` or `reference`.
    pub engine: String,
    /// How many images were classified correctly.
    pub accuracy: Accuracy,
    /// Cost of one image.
    pub per_image: PerImage,
    /// The system of macros.
    pub totals: Totals,
    /// One entry per multiply-accumulate layer, in execution order.
    pub layers: Vec<LayerReport>,
    /// What each effect of the macro costs, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// The machine that simulated; the only part that differs between equal runs.
    pub host: HostInfo,
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// File stem, or the name of a bundled network.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Weights, without biases.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Sum of MACs x weight bits x input bits.
    pub bops: u64,
    /// Bit operations with the accumulator's width (Baskin et al., UNIQ).
    pub bops_uniq: u64,
}

/// The macro.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MacroInfo {
    /// Name in its description.
    pub name: String,
    /// SHA-256 of the description as read, before `set`.
    pub sha256: String,
    /// Keys that were overridden.
    pub set: BTreeMap<String, String>,
    /// What was measured on a chip and took the place of what is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<FileInfo>,
    /// What was set on its chips for the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<FileInfo>,
}

/// A file that a run was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its path, as given.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// The images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name, or the directory.
    pub name: String,
    /// Split, with a range where only a part of it is there.
    pub split: String,
    /// Images that were run.
    pub images: u64,
    /// Images that were asked for; more than `images` only in a partial report.
    pub images_requested: u64,
}

/// Shares of images, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The macro's top-1 over all chips' images.
    pub top1: f64,
    /// Top-1 of the same network in exact integer arithmetic.
    pub top1_digital: f64,
    /// The macro's top-5 over all chips' images.
    pub top5: f64,
    /// Digital top-5.
    pub top5_digital: f64,
    /// Every chip's.
    pub chips: Vec<ChipAccuracy>,
    /// Chips that were asked for; more than `chips` only in a partial report.
    pub chips_requested: u64,
    /// Mean of the chips' top-1.
    pub mean: f64,
    /// Sample standard deviation of the chips' top-1; 0 with one chip.
    pub std: f64,
    /// 5th percentile of the chips' top-1, linearly interpolated.
    pub p05: f64,
    /// Which images they were.
    #[serde(default)]
    pub by_image: ByImage,
}

/// Who was right on each image, in the order of the dataset: numbers in one text, separated by spaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ByImage {
    /// Chips with the right label first.
    pub chips: String,
    /// 1 where exact arithmetic has the right label first, else 0.
    pub digital: String,
}

/// One chip's accuracy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChipAccuracy {
    /// Chip number.
    pub chip: u32,
    /// Images it ran.
    pub images: u64,
    /// Share with the right label first.
    pub top1: f64,
    /// Share with the right label among the first five.
    pub top5: f64,
}

/// Cost of one image, mean over chips.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PerImage {
    /// Energy, J.
    pub energy_j: f64,
    /// The same by component, J.
    pub energy_by_component_j: ComponentEnergy,
    /// Time from first plane to last code, layer after layer, s.
    pub latency_s: f64,
    /// Macro clocks.
    pub cycles: u64,
    /// Analog-to-digital conversions.
    pub conversions: u64,
}

/// The system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Area of all instances, mm^2.
    pub area_mm2: f64,
    /// One instance's area by component, um^2.
    pub macro_area_um2: MacroArea,
    /// Operations per joule, 10^12; one multiply-accumulate is two operations.
    pub tops_per_watt: f64,
    /// Operations per second of one image after another, 10^12.
    pub tops: f64,
    /// Tiles.
    pub tiles: u64,
    /// Macro instances.
    pub instances: u64,
    /// Used cells over cells of the occupied arrays, all layers.
    pub utilization: f64,
}

/// Area of one macro by component, um^2.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MacroArea {
    /// Cells with their capacitors.
    pub array: f64,
    /// Row drivers.
    pub drivers: f64,
    /// ADCs.
    pub adc: f64,
    /// Digital periphery.
    pub digital: f64,
    /// Everything else.
    pub other: f64,
}

/// One multiply-accumulate layer; counts and energies are per image, mean over chips.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// The node's name.
    pub name: String,
    /// `conv2d`, `depthwise_conv2d` or `dense`.
    pub op: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights.
    pub params: u64,
    /// MACs x weight bits x input bits.
    pub bops: u64,
    /// Bit operations with the accumulator's width (Baskin et al., UNIQ).
    pub bops_uniq: u64,
    /// Tiles.
    pub tiles: u64,
    /// Wordlines in use, summed over tiles.
    pub rows_used: u64,
    /// Physical columns in use, summed over tiles.
    pub columns_used: u64,
    /// Used cells over cells of the occupied arrays.
    pub utilization: f64,
    /// Where the other cells went.
    pub lost: UtilizationLost,
    /// Conversions.
    pub conversions: u64,
    /// Macro clocks.
    pub cycles: u64,
    /// Time, s.
    pub latency_s: f64,
    /// Energy by component, J.
    pub energy_j: ComponentEnergy,
    /// Signal-to-error ratio of the accumulators, dB; null when the macro is exact.
    pub sqnr_db: Option<f64>,
    /// Share of sampled conversions outside the ADC's range.
    pub clip_rate: f64,
    /// Share of sampled conversions on the ADC's skip path.
    pub skip_rate: f64,
    /// Step of the ADC in product counts of one conversion.
    pub lsb_counts: f64,
    /// Sampled conversions by code, all images and chips.
    pub code_histogram: Vec<u64>,
}

/// Shares of the occupied arrays' cells that hold no weight, by cause; with `utilization` they make 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UtilizationLost {
    /// Below the tile's last row.
    pub rows_unused: f64,
    /// Beside the tile's last column.
    pub columns_unused: f64,
    /// Columns too few for one more output.
    pub columns_leftover: f64,
    /// Off the diagonal of packed groups.
    pub block_diagonal: f64,
}

/// Energy by component, J.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentEnergy {
    /// Cells and columns.
    pub array: f64,
    /// Converters.
    pub adc: f64,
    /// Row drivers and wordlines.
    pub driver: f64,
    /// Shift-and-add.
    pub accumulator: f64,
    /// Bias, requantisation, activation, control.
    pub digital: f64,
    /// Input and output buffers.
    pub buffer: f64,
    /// Writing weights.
    pub weight_load: f64,
    /// Leakage.
    pub leakage: f64,
}

impl ByImage {
    pub(crate) fn new(verdicts: &[Verdict]) -> Self {
        let text = |of: fn(&Verdict) -> u32| {
            let numbers: Vec<String> = verdicts.iter().map(|verdict| of(verdict).to_string()).collect();
            numbers.join(" ")
        };
        Self {
            chips: text(|verdict| verdict.chips),
            digital: text(|verdict| verdict.digital.into()),
        }
    }

    /// One per image; none if the report is from before they were kept.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let chips = self.chips.split_ascii_whitespace();
        let pairs = chips.zip(self.digital.split_ascii_whitespace());
        pairs
            .filter_map(|(chips, digital)| {
                Some(Verdict {
                    digital: digital == "1",
                    chips: chips.parse().ok()?,
                })
            })
            .collect()
    }
}

impl MacroInfo {
    /// What makes it another macro than the one in its file: overrides, profile, calibration.
    #[must_use]
    pub(crate) fn changes(&self) -> Vec<String> {
        let set = self.set.iter().map(|(key, value)| format!("{key}={value}"));
        let files = self.files().map(|(what, file)| format!("{what} {}", file.name));
        set.chain(files).collect()
    }

    /// The files beside its own that it was given.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &FileInfo)> {
        let profile = self.profile.iter().map(|file| ("profile", file));
        profile.chain(self.calibration.iter().map(|file| ("calibration", file)))
    }

    /// The changes, as text that follows the name.
    #[must_use]
    pub fn overrides(&self) -> String {
        let changes = self.changes();
        if changes.is_empty() {
            String::new()
        } else {
            format!(" with {}", changes.join(", "))
        }
    }
}

impl FileInfo {
    /// Both, for people.
    pub(crate) fn with_digest(&self) -> String {
        format!("{}, SHA-256 {}", self.name, self.sha256)
    }
}

impl MacroArea {
    /// Sum of the components, um^2.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.array + self.drivers + self.adc + self.digital + self.other
    }
}

impl ComponentEnergy {
    /// Sum with another, component by component.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            array: self.array + other.array,
            adc: self.adc + other.adc,
            driver: self.driver + other.driver,
            accumulator: self.accumulator + other.accumulator,
            digital: self.digital + other.digital,
            buffer: self.buffer + other.buffer,
            weight_load: self.weight_load + other.weight_load,
            leakage: self.leakage + other.leakage,
        }
    }

    /// Sum of the components, J.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.named().iter().map(|(_, joules)| joules).sum()
    }

    /// Components in a fixed order, with the names that tables and plots use.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("array", self.array),
            ("ADC", self.adc),
            ("driver", self.driver),
            ("accumulator", self.accumulator),
            ("digital", self.digital),
            ("buffer", self.buffer),
            ("weight load", self.weight_load),
            ("leakage", self.leakage),
        ]
    }
}

/// The simulating machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Wall time of the simulation, s.
    pub wall_s: f64,
    /// Image-chip pairs per second.
    pub images_per_s: f64,
    /// Simulated multiply-accumulates per second.
    pub macs_per_s: f64,
    /// Simulated conversions per second.
    pub conversions_per_s: f64,
    /// Threads.
    pub threads: u64,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Largest resident memory, bytes; 0 where the system does not say.
    pub peak_rss_bytes: u64,
}
