//! What happens in which clock, as files that trace viewers open: the Chrome format (Perfetto) and VCD (GTKWave, Surfer).
//!
//! Every layer of every chosen image is there as a whole, with the tiles of each macro instance and how long it waits for the others, so that
//! the layers' clocks add up to the reported ones. Phases and single decisions are there for the chosen tiles and positions.

mod chrome;
mod vcd;

use farad_hw::MacroSpec;
use farad_map::{LayerSchedule, Mapping, Phase, TileClocks, events};
use farad_net::Network;
use farad_sim::conversions::{Selection, WatchedConversion};
use std::collections::BTreeMap;

/// A row of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Track {
    /// The network: layers.
    Layers,
    /// A macro instance: its tiles.
    Tiles(usize),
    /// Its array: precharge to sharing, and the output phase.
    Array(usize),
    /// Its converters.
    Converters(usize),
    /// The chosen column's converter.
    Column(usize),
}

impl Track {
    /// Macro instance, if it belongs to one.
    #[must_use]
    pub fn instance(&self) -> Option<usize> {
        match *self {
            Track::Layers => None,
            Track::Tiles(i) | Track::Array(i) | Track::Converters(i) | Track::Column(i) => Some(i),
        }
    }

    /// Name within the network or the instance.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Track::Layers => "layers",
            Track::Tiles(_) => "tiles",
            Track::Array(_) => "array",
            Track::Converters(_) => "converters",
            Track::Column(_) => "column",
        }
    }
}

/// Something that takes some clocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Row.
    pub track: Track,
    /// First clock, from the beginning of the trace.
    pub start_clock: u64,
    /// Clock after the last one.
    pub end_clock: u64,
    /// What it is.
    pub name: String,
    /// More about it.
    pub facts: Vec<(&'static str, Fact)>,
}

/// A value beside a span.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A count or an index.
    Count(u64),
    /// A real number.
    Real(f64),
}

/// A trace of some images, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Macro clock, MHz.
    pub clock_mhz: f64,
    /// Bits of a code.
    pub adc_bits: u32,
    /// By track and start.
    pub spans: Vec<Span>,
}

/// What a trace is made of.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// What ran.
    pub network: &'a Network,
    /// On what.
    pub spec: &'a MacroSpec,
    /// Where the weights sit.
    pub mapping: &'a Mapping,
    /// One per multiply-accumulate layer.
    pub schedule: &'a [LayerSchedule],
    /// What was chosen.
    pub selection: &'a Selection,
    /// The chosen conversions.
    pub conversions: &'a [WatchedConversion],
}

impl Trace {
    /// Puts the chosen images together.
    #[must_use]
    pub fn build(traced: &Traced<'_>) -> Self {
        let mut builder = Builder {
            traced,
            spans: Vec::new(),
            clock: 0,
        };
        for &image in &traced.selection.images {
            for layer in 0..traced.schedule.len() {
                builder.layer(image, layer);
            }
        }
        let mut spans = builder.spans;
        spans.sort_by_key(|span| (span.track, span.start_clock));
        Self {
            clock_mhz: traced.spec.timing.clock_mhz,
            adc_bits: traced.spec.adc.bits,
            spans,
        }
    }

    /// Spans of one row.
    pub fn of_track(&self, track: Track) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.track == track)
    }

    /// Rows that have spans, in order.
    #[must_use]
    pub fn tracks(&self) -> Vec<Track> {
        let mut tracks: Vec<Track> = self.spans.iter().map(|span| span.track).collect();
        tracks.dedup();
        tracks
    }
}

struct Builder<'a> {
    traced: &'a Traced<'a>,
    spans: Vec<Span>,
    /// Where the next layer begins.
    clock: u64,
}

impl Builder<'_> {
    fn span(
        &mut self,
        track: Track,
        clocks: std::ops::Range<u64>,
        name: impl Into<String>,
        facts: Vec<(&'static str, Fact)>,
    ) {
        if clocks.end > clocks.start {
            self.spans.push(Span {
                track,
                start_clock: self.clock + clocks.start,
                end_clock: self.clock + clocks.end,
                name: name.into(),
                facts,
            });
        }
    }

    fn layer(&mut self, image: usize, layer: usize) {
        let Traced {
            spec,
            mapping,
            schedule,
            selection,
            ..
        } = *self.traced;
        let cycles = schedule[layer].cycles;
        let name = self.traced.network.mac_layers()[layer].name.clone();
        let facts = vec![
            ("image", Fact::Count(image as u64)),
            ("layer", Fact::Count(layer as u64)),
        ];
        self.span(Track::Layers, 0..cycles, name, facts);
        // Where each instance's next tile begins.
        let mut free: BTreeMap<usize, u64> = BTreeMap::new();
        let mut end_of_interest = 0;
        for (index, tile) in mapping.layers[layer].tiles.iter().enumerate() {
            let clocks = TileClocks::of(spec, tile);
            let start = free.entry(tile.instance).or_default();
            let (write_end, end) = (*start + clocks.write, *start + clocks.total());
            let facts = || {
                vec![
                    ("tile", Fact::Count(index as u64)),
                    ("set", Fact::Count(tile.set as u64)),
                    ("rows", Fact::Count(tile.rows() as u64)),
                    ("outputs", Fact::Count(tile.outputs.len() as u64)),
                    ("positions", Fact::Count(tile.positions.len() as u64)),
                ]
            };
            let write = *start..write_end;
            *start = end;
            let track = Track::Tiles(tile.instance);
            self.span(track, write, format!("write weights of tile {index}"), facts());
            self.span(track, write_end..end, format!("tile {index}"), facts());
            if selection.tiles.contains(&index) {
                end_of_interest = end_of_interest.max(end);
            }
        }
        for (instance, end) in free {
            self.span(Track::Tiles(instance), end..cycles, "wait", Vec::new());
        }
        if selection.layers.contains(&layer) {
            self.phases(image, layer, end_of_interest);
        }
        self.clock += cycles;
    }

    /// Phases and decisions of the chosen tiles and positions, up to clock `end` of the layer.
    fn phases(&mut self, image: usize, layer: usize, end: u64) {
        let Traced {
            spec,
            mapping,
            selection,
            conversions,
            ..
        } = *self.traced;
        let mapped = &mapping.layers[layer];
        for event in events(spec, mapped).take_while(|event| event.start_clock < end) {
            let positions = &mapped.tiles[event.tile].positions;
            let chosen = event.position - positions.start < selection.positions;
            if !chosen || !selection.tiles.contains(&event.tile) {
                continue;
            }
            let clocks = event.start_clock..event.end_clock;
            let mut facts = vec![
                ("tile", Fact::Count(event.tile as u64)),
                ("position", Fact::Count(event.position as u64)),
                ("evaluation", Fact::Count(event.evaluation as u64)),
            ];
            let track = match event.phase {
                Phase::WriteWeights => continue,
                Phase::Precharge | Phase::Broadcast | Phase::Multiply | Phase::Share | Phase::Output => {
                    Track::Array(event.instance)
                }
                Phase::Sample | Phase::Convert => {
                    facts.push(("order", Fact::Count(event.order as u64)));
                    Track::Converters(event.instance)
                }
            };
            self.span(track, clocks.clone(), event.phase.to_string(), facts);
            if event.phase == Phase::Convert {
                let key = (image, layer, event.tile, event.position, event.evaluation, event.order);
                let found = conversions
                    .iter()
                    .find(|c| (c.image, c.layer, c.tile, c.position, c.evaluation, c.order) == key);
                if let Some(conversion) = found {
                    self.decisions(event.instance, clocks, conversion);
                }
            }
        }
    }

    /// One decision a clock; the code comes with the last one, and stays while a converter that has skipped waits for the others. All in one
    /// where the converter asks more than it has clocks (flash).
    fn decisions(&mut self, instance: usize, clocks: std::ops::Range<u64>, conversion: &WatchedConversion) {
        let track = Track::Column(instance);
        let code = || {
            vec![
                ("code", Fact::Count(conversion.code as u64)),
                ("skipped", Fact::Count(conversion.skipped.into())),
                ("channel", Fact::Count(conversion.channel as u64)),
                ("position", Fact::Count(conversion.position as u64)),
                ("evaluation", Fact::Count(conversion.evaluation as u64)),
            ]
        };
        let name = format!("code {}", conversion.code);
        let asked = conversion.decisions.len() as u64;
        if asked > clocks.end - clocks.start {
            self.span(track, clocks, name, code());
            return;
        }
        for (clock, decision) in (clocks.start..).zip(&conversion.decisions) {
            let answer = if decision.is_above() { "at least" } else { "below" };
            let mut text = format!("{answer} {}", decision.level_lsb);
            let mut facts = vec![
                ("input LSB", Fact::Real(decision.input_lsb)),
                ("level LSB", Fact::Real(decision.level_lsb)),
                ("above", Fact::Count(decision.is_above().into())),
            ];
            if clock + 1 == clocks.start + asked {
                text += &format!(", {name}");
                facts.extend(code());
            }
            self.span(track, clock..clock + 1, text, facts);
        }
        self.span(track, clocks.start + asked..clocks.end, name, code());
    }
}
