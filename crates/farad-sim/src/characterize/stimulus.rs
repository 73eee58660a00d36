//! Random weights on one tile of a macro, and random inputs for it: a layer like any other, so that the macro under test is mapped, planned and
//! lowered as in a run.

use crate::SimError;
use crate::calibrate::{charges, stats};
use crate::plan::{TilePlan, plan};
use crate::simulator::Simulator;
use farad_core::MacShape;
use farad_core::draw::NoiseKey;
use farad_hw::MacroSpec;
use farad_hw::encoding::weight_range;
use farad_hw::scale::ChargeStats;
use farad_map::Mapping;
use farad_net::{Activations, ExactEngine, MacEngine, MacLayer};

/// How much is driven.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drive {
    /// Wordlines in use.
    pub(super) rows: usize,
    /// Output channels.
    pub(super) outputs: usize,
    /// Input vectors.
    pub(super) vectors: usize,
    /// Share of ones among input bits.
    pub(super) activity: f64,
}

/// One tile's work: uniform weights, input bits that are one with a given probability.
#[derive(Debug)]
pub(super) struct Stimulus {
    layer: MacLayer,
    mapping: Mapping,
    /// `[vector][row]`
    x: Vec<u8>,
    /// Of the tile, where the ADC range follows charges.
    stats: Vec<ChargeStats>,
    seed: u64,
}

impl Stimulus {
    /// Fails where not even one output fits on the macro.
    pub(super) fn new(spec: &MacroSpec, drive: Drive, seed: u64) -> Result<Self, SimError> {
        // The noise of a run has the seed itself.
        let draws = NoiseKey::new(!seed, 0, 0);
        let range = weight_range(spec);
        let values = (range.end() - range.start() + 1) as u32;
        let weights = (0..drive.outputs * drive.rows)
            .map(|i| {
                let u = draws.draws((i / 8) as u32, 0, 0, 0)[i % 8];
                (range.start() + ((u32::from(u) * values) >> 16) as i32) as i8
            })
            .collect();
        let one = libm::rint(drive.activity * 65_536.0) as u32;
        let input = |i: usize| {
            let bits = draws.draws((i % drive.rows) as u32, (i / drive.rows) as u32, 1, 0);
            let on = |&bit: &usize| u32::from(bits[bit]) < one;
            (0..spec.input.bits as usize).filter(on).map(|bit| 1 << bit).sum()
        };
        let layer = MacLayer {
            name: "random weights".into(),
            op: "dense",
            shape: MacShape::dense(drive.rows, drive.outputs),
            weights,
            weight_offset: 0,
            x_zero: 0,
            input_bits: spec.input.bits,
            weight_bits: spec.weight.bits,
        };
        let mapping = farad_map::map(spec, std::slice::from_ref(&layer))?;
        let mut stimulus = Self {
            x: (0..drive.vectors * drive.rows).map(input).collect(),
            layer,
            mapping,
            stats: Vec::new(),
            seed,
        };
        if spec.adc.range.follows_charges() {
            stimulus.stats = vec![stats(spec, &stimulus.charges(spec, &stimulus.tile(spec)))];
        }
        Ok(stimulus)
    }

    /// The tile, as a run plans it.
    pub(super) fn tile(&self, spec: &MacroSpec) -> TilePlan {
        let layers = std::slice::from_ref(&self.layer);
        let mut plans = plan(
            spec,
            layers,
            &self.mapping,
            std::slice::from_ref(&self.stats),
            self.seed,
        );
        plans.remove(0).copies.remove(0).tiles.remove(0)
    }

    /// The layer on a macro.
    pub(super) fn simulator<'a>(&'a self, spec: &'a MacroSpec) -> Simulator<'a> {
        let layers = std::slice::from_ref(&self.layer);
        Simulator::new(
            spec,
            layers,
            &self.mapping,
            std::slice::from_ref(&self.stats),
            self.seed,
        )
    }

    /// Exact charges of all conversions, `[vector][evaluation][output][conversion]`, in units of the LSB column.
    pub(super) fn charges(&self, spec: &MacroSpec, tile: &TilePlan) -> Vec<i32> {
        charges(spec, tile, self.vectors())
    }

    /// The input vectors.
    pub(super) fn vectors(&self) -> impl Iterator<Item = &[u8]> {
        self.x.chunks_exact(self.layer.shape.in_c)
    }

    /// Accumulators of all outputs, `[vector][output]`.
    pub(super) fn accumulate(&self, engine: &mut impl MacEngine) -> Vec<i32> {
        let images: Vec<u32> = (0..self.vectors().count() as u32).collect();
        let mut out = vec![0; images.len() * self.layer.shape.out_c];
        let x = Activations {
            data: &self.x,
            images: &images,
        };
        engine.accumulate(0, &self.layer, x, &mut out);
        out
    }

    /// Exact accumulators.
    pub(super) fn exact(&self) -> Vec<i32> {
        self.accumulate(&mut ExactEngine)
    }
}
