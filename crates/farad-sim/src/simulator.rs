//! Layers on a macro, chip by chip: the engines behind one door.

use crate::fast::{self, FastTile, Scratch};
use crate::plan::{CopyPlan, LayerPlan, TilePlan, plan};
use crate::probe::TileProbe;
use crate::reference;
use farad_core::EventCounts;
use farad_hw::MacroSpec;
use farad_hw::chip::SiteModel;
use farad_hw::scale::ChargeStats;
use farad_hw::spec::InputCombine;
use farad_kernels::Isa;
use farad_map::{Mapping, static_events};
use farad_net::{Activations, MacEngine, MacLayer};
use rayon::prelude::*;

/// Which engine runs the macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Tables and packed bits, on the given instruction set.
    Fast(Isa),
    /// Cell by cell and decision by decision.
    Reference,
}

impl EngineKind {
    /// The engine's word in flags and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast(_) => "fast",
            Self::Reference => "reference",
        }
    }

    /// The instruction set that it uses.
    #[must_use]
    pub fn isa(self) -> Isa {
        match self {
            Self::Fast(isa) => isa,
            Self::Reference => Isa::Scalar,
        }
    }
}

/// Something for every tile: `[layer][copy][tile]`.
type PerTile<T> = Vec<Vec<Vec<T>>>;

/// Layers mapped on a macro, for any chip.
#[derive(Debug)]
pub struct Simulator<'a> {
    spec: &'a MacroSpec,
    layers: &'a [MacLayer],
    mapping: &'a Mapping,
    pub(crate) plans: Vec<LayerPlan>,
    probes: PerTile<TileProbe>,
}

impl<'a> Simulator<'a> {
    /// Plans `layers` on the macro. `stats[layer]` sets the ADC step where the macro's range follows the data: one for all of its tiles, one for
    /// each, or none (full range); `seed` is the temporal noise's.
    #[must_use]
    pub fn new(
        spec: &'a MacroSpec,
        layers: &'a [MacLayer],
        mapping: &'a Mapping,
        stats: &[Vec<ChargeStats>],
        seed: u64,
    ) -> Self {
        let plans = plan(spec, layers, mapping, stats, seed);
        let probes = per_tile(&plans, |tile| TileProbe::new(spec, tile));
        Self {
            spec,
            layers,
            mapping,
            plans,
            probes,
        }
    }

    /// Lowers chip `chip` for `engine`.
    #[must_use]
    pub fn chip(&self, engine: EngineKind, chip: u32) -> Chip<'_> {
        let model = |tile: &TilePlan| tile.site.lower(self.spec, chip, &tile.scale);
        let tiles = match engine {
            EngineKind::Reference => Tiles::Reference(per_tile(&self.plans, model)),
            EngineKind::Fast(isa) => Tiles::Fast(
                isa,
                per_tile(&self.plans, |tile| FastTile::new(self.spec, isa, tile, model(tile))),
            ),
        };
        Chip { simulator: self, tiles }
    }

    /// Step of the ADC in product counts, mean over the tiles of layer `index`.
    #[must_use]
    pub fn lsb_counts(&self, index: usize) -> f64 {
        let tiles = self.plans[index].copies.iter().flat_map(|copy| &copy.tiles);
        let (sum, n) = tiles.fold((0.0, 0.0), |(sum, n), tile| (sum + tile.scale.lsb_counts, n + 1.0));
        sum / f64::max(n, 1.0)
    }

    /// Events of every layer over `images` pictures, from the probes of the sessions that ran them.
    #[must_use]
    pub fn events<'p>(&self, probes: impl Iterator<Item = &'p Probes>, images: u64) -> Vec<EventCounts> {
        let mut events = vec![EventCounts::default(); self.plans.len()];
        for Probes(probes) in probes {
            for (events, probes) in events.iter_mut().zip(probes) {
                probes.iter().flatten().for_each(|probe| probe.add_to(events));
            }
        }
        // A level below full scale is part of a one: what the probes counted in levels becomes ones.
        let full = match self.spec.input.combine {
            InputCombine::Dac { bits, .. } => (1 << bits) - 1,
            InputCombine::BitSerial | InputCombine::SerialShare { .. } => 1,
        };
        for ((events, layer), mapped) in events.iter_mut().zip(self.layers).zip(&self.mapping.layers) {
            for count in [&mut events.cells_on, &mut events.rows_on, &mut events.row_columns_on] {
                *count /= full;
            }
            *events += &static_events(self.spec, layer, mapped).times(images);
        }
        events
    }
}

/// Makes something for every tile, in parallel.
fn per_tile<T: Send>(layers: &[LayerPlan], make: impl Fn(&TilePlan) -> T + Sync) -> PerTile<T> {
    let copy = |copy: &CopyPlan| copy.tiles.par_iter().map(&make).collect();
    layers
        .iter()
        .map(|layer| layer.copies.iter().map(copy).collect())
        .collect()
}

/// One chip, lowered.
#[derive(Debug)]
pub struct Chip<'a> {
    simulator: &'a Simulator<'a>,
    tiles: Tiles,
}

#[derive(Debug)]
enum Tiles {
    Fast(Isa, PerTile<FastTile>),
    Reference(PerTile<SiteModel>),
}

/// What the tiles of a session saw.
#[derive(Debug, Clone)]
pub struct Probes(PerTile<TileProbe>);

impl Chip<'_> {
    /// A session on this chip: one thread's buffers and probes.
    #[must_use]
    pub fn session(&self) -> Session<'_> {
        Session {
            chip: self,
            probes: Probes(self.simulator.probes.clone()),
            scratch: Scratch::default(),
        }
    }
}

/// An engine that runs layers on a chip. Noise is drawn by dataset index, so any batching gives the same accumulators.
#[derive(Debug)]
pub struct Session<'a> {
    chip: &'a Chip<'a>,
    probes: Probes,
    scratch: Scratch,
}

impl Session<'_> {
    /// What was seen.
    #[must_use]
    pub fn into_probes(self) -> Probes {
        self.probes
    }
}

/// Which output positions to compute, by image of the batch and position.
pub type Wanted<'a> = dyn Fn(usize, usize) -> bool + 'a;

impl MacEngine for Session<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        self.accumulate_at(index, layer, x, &|_, _| true, out);
    }
}

impl Session<'_> {
    /// As [`accumulate`](MacEngine::accumulate), at the wanted positions only: the accumulators of the others are left as they
    /// are, and nothing is converted for them.
    pub fn accumulate_at(
        &mut self,
        index: usize,
        layer: &MacLayer,
        x: Activations<'_>,
        wanted: &Wanted<'_>,
        out: &mut [i32],
    ) {
        let Simulator { spec, plans, .. } = self.chip.simulator;
        let plan = &plans[index];
        let probes = &mut self.probes.0[index];
        match &self.chip.tiles {
            Tiles::Fast(isa, tiles) => {
                fast::layer(
                    spec,
                    *isa,
                    plan,
                    &tiles[index],
                    x,
                    wanted,
                    probes,
                    &mut self.scratch,
                    out,
                );
            }
            Tiles::Reference(models) => {
                let shape = layer.shape;
                let images = x.data.chunks_exact(shape.in_h * shape.in_w * shape.in_c).zip(x.images);
                let images = images
                    .zip(out.chunks_exact_mut(shape.positions() * shape.out_c))
                    .enumerate();
                for (i, ((image, &id), out)) in images {
                    let positions = out.chunks_exact_mut(shape.out_c).enumerate();
                    for (position, out) in positions.filter(|(position, _)| wanted(i, *position)) {
                        reference::position(spec, plan, &models[index], image, (position as u32, id), probes, out);
                    }
                }
            }
        }
    }
}
