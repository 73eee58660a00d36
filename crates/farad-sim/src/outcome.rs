//! What a run measured, as counts and sums. Reports are derived from this.

use farad_core::EventCounts;

/// One chip's run over the images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChipOutcome {
    /// Chip seed.
    pub chip: u32,
    /// Images that were classified.
    pub images: u64,
    /// Images whose label had the largest logit.
    pub top1: u64,
    /// Images whose label was among the five largest logits.
    pub top5: u64,
    /// One entry per MAC layer.
    pub layers: Vec<LayerOutcome>,
}

/// What one MAC layer did on one chip.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerOutcome {
    /// Events over all images.
    pub events: EventCounts,
    /// Sum of squares of the exact accumulators, on the images where both were computed.
    pub signal: f64,
    /// Sum of squares of (macro - exact) accumulators for the same inputs.
    pub error: f64,
    /// Step of the ADC in product counts of one conversion (mean over the tiles).
    pub lsb_counts: f64,
}

impl LayerOutcome {
    /// Signal-to-error ratio of the layer's accumulators, dB; infinite when the macro is exact.
    #[must_use]
    pub fn sqnr_db(&self) -> f64 {
        if self.error == 0.0 {
            f64::INFINITY
        } else {
            10.0 * libm::log10(self.signal / self.error)
        }
    }
}

/// Who classified one picture correctly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Whether exact arithmetic did.
    pub digital: bool,
    /// Number of chips that did.
    pub chips: u32,
}

/// A run: the exact digital result and every chip's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunOutcome {
    /// Images that were run (fewer than asked for when interrupted).
    pub images: u64,
    /// Images that were asked for.
    pub images_requested: u64,
    /// Top-1 of the same network in exact integer arithmetic.
    pub digital_top1: u64,
    /// Top-5 likewise.
    pub digital_top5: u64,
    /// One entry per chip.
    pub chips: Vec<ChipOutcome>,
    /// One entry per picture that was run, in their order.
    pub verdicts: Vec<Verdict>,
    /// Threads used.
    pub threads: usize,
    /// Instruction set of the kernels: `scalar`, `avx2` or `avx512`.
    pub isa: &'static str,
}
