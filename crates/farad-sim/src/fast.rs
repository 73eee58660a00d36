//! The engine for all days: the same chip, lowered to tables once and then run on packed bits, sixteen positions at a time.

use crate::plan::{LayerPlan, TilePlan};
use crate::probe::{Seen, TileProbe, is_sampled};
use crate::simulator::Wanted;
use farad_core::axis::{add_noise, add_noise_beyond};
use farad_core::round::half_even;
use farad_hw::MacroSpec;
use farad_hw::adc::{Conversion, readout};
use farad_hw::chip::{AdcModel, SiteModel, SlotModel};
use farad_hw::encoding::stored_bit;
use farad_hw::spec::{Cell, InputCombine};
use farad_kernels::adc::{AdcTable, CountTable, GROUP, Inputs, LaneIds, Noise, Slot, convert_counts, convert_planes};
use farad_kernels::charge::{Charges, Column, Tables, charges};
use farad_kernels::pack::{Layout, Packed};
use farad_kernels::{Isa, LANES, Lanes};
use farad_net::Activations;

/// Blocks that are gathered and packed together.
const CHUNK: usize = 32;
/// Lookup tables that are held at once, bytes: they and the packed inputs share the second-level cache.
const TABLE_BYTES: usize = 128 << 10;
/// Packed inputs that are reused from the first-level cache, bytes.
const INPUT_BYTES: usize = 24 << 10;

/// One tile on one chip, as tables.
#[derive(Debug)]
pub(crate) struct FastTile {
    layout: Layout,
    slots: Vec<FastSlot>,
    slots_per_output: usize,
    adcs: Vec<FastAdc>,
    /// Charges `[slot][row]` of input bits, where they are looked up.
    charges: Vec<i16>,
    rows: usize,
    path: Path,
    /// Sum of the weights of each output.
    weight_sums: Vec<i64>,
}

/// How codes are made from charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Eight bit planes, each converted, at most one draw per conversion: the vector kernel.
    Planes,
    /// Anything else: one conversion after the other.
    General,
}

#[derive(Debug)]
struct FastSlot {
    model: SlotModel,
    noise: Option<Noise>,
    /// Number of the conversion among the layer's: part of the noise key.
    number: u32,
    /// Bits of a uniform column.
    column: Option<Column>,
    /// Codes of all counts, where they are few and nothing is random.
    counts: Option<CountTable>,
    /// Charge that does not depend on the input (cells whose product is one for a zero).
    constant: i32,
}

#[derive(Debug)]
struct FastAdc {
    table: AdcTable,
    model: AdcModel,
}

/// Buffers of one thread.
#[derive(Debug)]
pub(crate) struct Scratch {
    full: Vec<u8>,
    rows: Vec<u8>,
    packed: Packed,
    columns: Vec<Column>,
    codes: Vec<Lanes<i64>>,
    sums: Vec<[f64; LANES]>,
    ids: Vec<LaneIds>,
    sampled: Vec<Vec<usize>>,
    counts: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            full: Vec::new(),
            rows: Vec::new(),
            packed: Packed::new(Layout::Planes, 1),
            columns: Vec::new(),
            codes: Vec::new(),
            sums: Vec::new(),
            ids: Vec::new(),
            sampled: Vec::new(),
            counts: Vec::new(),
        }
    }
}

impl FastTile {
    /// Lowers `tile` as it sits on a chip.
    #[must_use]
    pub(crate) fn new(spec: &MacroSpec, isa: Isa, tile: &TilePlan, model: SiteModel) -> Self {
        let slots = || model.outputs.iter().flat_map(|output| &output.slots);
        let vector = spec.input.combine == InputCombine::BitSerial
            && spec.input.bits == 8
            && slots().all(|slot| slot.noise.decision_sigma == 0 && slot.noise.peer.is_none())
            && !readout::is_used(&spec.adc);
        let adcs: Vec<FastAdc> = model
            .adcs
            .into_iter()
            .map(|adc| FastAdc {
                table: AdcTable::new(spec.adc.bits, &adc.staircase),
                model: adc,
            })
            .collect();
        let slots_per_output = spec.conversions_per_output();
        let mut fast = Self {
            layout: if model.uniform {
                Packed::count_layout(isa)
            } else {
                Packed::lookup_layout(isa)
            },
            slots: Vec::with_capacity(model.outputs.len() * slots_per_output),
            slots_per_output,
            charges: Vec::new(),
            rows: tile.rows,
            path: if vector { Path::Planes } else { Path::General },
            weight_sums: Vec::new(),
            adcs,
        };
        for (j, output) in model.outputs.into_iter().enumerate() {
            let weights = tile.weights_of(j);
            fast.weight_sums.push(weights.iter().map(|&w| i64::from(w)).sum());
            for (s, slot) in output.slots.into_iter().enumerate() {
                let number = ((tile.outputs.start + j) * slots_per_output + s) as u32;
                let noise = Noise::new(slot.noise.sigma, tile.noise, number);
                let noise = (!slot.noise.is_silent()).then_some(noise);
                let adc = &fast.adcs[slot.adc].table;
                let (mut column, mut counts, mut constant) = (None, None, 0);
                if model.uniform {
                    let bits = stored_bits(spec, slot.columns.start, weights);
                    let ones: u32 = bits.iter().map(|word| word.count_ones()).sum();
                    let table = noise.is_none() && ones < 256 && adc.bits() <= 8;
                    counts = (table && vector).then(|| CountTable::new(&slot.transfer, adc));
                    column = Some(Column::Bits(bits));
                } else {
                    constant = fast.push_charges(spec, &slot, weights, &output.cells);
                }
                fast.slots.push(FastSlot {
                    model: slot,
                    noise,
                    number,
                    column,
                    counts,
                    constant,
                });
            }
        }
        fast
    }

    /// Adds a slot's charge per row and returns what it holds at zero input.
    fn push_charges(&mut self, spec: &MacroSpec, slot: &SlotModel, weights: &[i8], cells: &[i16]) -> i32 {
        let mut constant = 0;
        for (row, &w) in weights.iter().enumerate() {
            let mut charge = 0i16;
            for k in slot.columns.clone() {
                let cell = cells[k * self.rows + row];
                match (spec.array.cell, stored_bit(spec, k, w)) {
                    (_, true) => charge += cell,
                    (Cell::And, false) => {}
                    (Cell::Xnor, false) => {
                        charge -= cell;
                        constant += i32::from(cell);
                    }
                }
            }
            self.charges.push(charge);
        }
        constant
    }

    fn tables(&self, slot: usize) -> Column {
        Column::Tables(Tables::new(
            self.layout,
            &self.charges[slot * self.rows..(slot + 1) * self.rows],
        ))
    }

    /// Weighted codes of all outputs for the packed blocks, into `codes[output * blocks + block]`.
    fn convert(&self, spec: &MacroSpec, isa: Isa, scratch: &mut Scratch, tile: &TilePlan, probe: &mut TileProbe) {
        let Scratch {
            packed,
            columns,
            codes,
            ids,
            sampled,
            ..
        } = scratch;
        let blocks = packed.blocks();
        codes.clear();
        codes.resize(tile.outputs.len() * blocks, Lanes::default());
        let (slot_bytes, block_bytes) = match self.layout {
            Layout::Planes => (packed.words() * 4, packed.words() * 8 * 64),
            Layout::Fives => (packed.groups() * 64, packed.groups() * 4 * 64),
            Layout::Fours => (packed.groups() * 32, packed.groups() * 128),
            Layout::Eights => (packed.groups() * 1024, packed.groups() * 8 * LANES),
        };
        let slots_at_once = (TABLE_BYTES / slot_bytes).max(1);
        let blocks_at_once = (INPUT_BYTES / block_bytes).max(1);
        let (mut q, mut sums) = ([Charges::default(); GROUP], [Lanes::default(); GROUP]);
        for first in (0..self.slots.len()).step_by(slots_at_once) {
            let slots = first..(first + slots_at_once).min(self.slots.len());
            columns.clear();
            if !self.charges.is_empty() {
                columns.extend(slots.clone().map(|s| self.tables(s)));
            }
            for start in (0..blocks).step_by(blocks_at_once) {
                for s in slots.clone() {
                    let slot = &self.slots[s];
                    let column = slot.column.as_ref().unwrap_or_else(|| &columns[s - first]);
                    let end = (start + blocks_at_once).min(blocks);
                    for first in (start..end).step_by(GROUP) {
                        let group = first..(first + GROUP).min(end);
                        let (q, sums) = (&mut q[..group.len()], &mut sums[..group.len()]);
                        for (block, q) in group.clone().zip(q.iter_mut()) {
                            charges(isa, column, packed, block, q);
                            if slot.constant != 0 {
                                q.iter_mut()
                                    .flat_map(|plane| &mut plane.0)
                                    .for_each(|q| *q += slot.constant);
                            }
                        }
                        let (ids, sampled) = (&ids[group.clone()], &sampled[group.clone()]);
                        match self.path {
                            Path::Planes => self.convert_group(isa, slot, q, ids, sampled, sums, probe),
                            Path::General => {
                                for ((q, ids), sums) in q.iter().zip(ids).zip(sums.iter_mut()) {
                                    *sums = self.convert_each(spec, slot, q, ids, tile, probe);
                                }
                            }
                        }
                        let to = &mut codes[s / self.slots_per_output * blocks..][group];
                        for (to, sums) in to.iter_mut().zip(sums) {
                            for lane in 0..LANES {
                                to.0[lane] += i64::from(slot.model.digital_weight) * i64::from(sums.0[lane]);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Eight planes of a group of blocks through the vector kernel; the sampled lanes are shown to the probe.
    fn convert_group(
        &self,
        isa: Isa,
        slot: &FastSlot,
        q: &[Charges],
        ids: &[LaneIds],
        sampled: &[Vec<usize>],
        sums: &mut [Lanes<i32>],
        probe: &mut TileProbe,
    ) {
        let adc = &self.adcs[slot.model.adc];
        if let Some(table) = &slot.counts {
            for (q, sums) in q.iter().zip(sums) {
                *sums = convert_counts(isa, table, q);
            }
            for (q, sampled) in q.iter().zip(sampled) {
                for plane in q {
                    for &lane in sampled {
                        let clean = slot.model.transfer.apply(plane.0[lane] as f32);
                        probe.sample(Seen {
                            clean,
                            conversion: adc.quantise(clean),
                        });
                    }
                }
            }
            return;
        }
        let kernel = Slot {
            transfer: slot.model.transfer,
            adc: &adc.table,
            noise: slot.noise.as_ref(),
        };
        if sampled.iter().all(Vec::is_empty) {
            convert_planes(isa, &kernel, ids, q, sums, None);
            return;
        }
        let mut inputs = [Inputs::default(); GROUP];
        let inputs = &mut inputs[..q.len()];
        convert_planes(isa, &kernel, ids, q, sums, Some(&mut *inputs));
        for (inputs, sampled) in inputs.iter().zip(sampled) {
            for (clean, noisy) in inputs.clean.iter().zip(&inputs.noisy) {
                for &lane in sampled {
                    probe.sample(Seen {
                        clean: clean[lane],
                        conversion: adc.quantise(noisy[lane]),
                    });
                }
            }
        }
    }

    /// Merged inputs, few input bits, noise per decision: one conversion after the other.
    fn convert_each(
        &self,
        spec: &MacroSpec,
        slot: &FastSlot,
        q: &Charges,
        ids: &LaneIds,
        tile: &TilePlan,
        probe: &mut TileProbe,
    ) -> Lanes<i32> {
        let weights = &slot.model.plane_weights;
        let adc = &self.adcs[slot.model.adc];
        let mut sums = Lanes([0; LANES]);
        for lane in 0..LANES {
            let (position, image) = (ids.position.0[lane], ids.image.0[lane]);
            if image == u32::MAX {
                continue;
            }
            let draws = slot.noise.map(|_| tile.noise.draws(slot.number, position, image, 0));
            for evaluation in 0..spec.evaluations() {
                let first = evaluation * weights.len();
                let planes = first..(first + weights.len()).min(spec.input.bits as usize);
                let mut charge = 0.0f32;
                for (plane, weight) in planes.zip(weights) {
                    charge += weight * q[plane].0[lane] as f32;
                }
                let clean = slot.model.transfer.apply(charge);
                let input = draws.map_or(clean, |draws| {
                    slot.model.noise.noisy(clean, spec.adc.bits, || draws[evaluation])
                });
                let conversion = if slot.model.noise.decision_sigma == 0 {
                    adc.quantise(input)
                } else {
                    decide(spec, tile, slot, adc, input, position, image, evaluation as u32)
                };
                if is_sampled(position, image) {
                    probe.sample(Seen { clean, conversion });
                }
                let value = if readout::is_used(&spec.adc) {
                    let wide = slot.model.transfer.apply_within(charge, readout::LIMIT);
                    let mut input = draws.map_or(wide, |draws| {
                        slot.model.noise.noisy_beyond(wide, spec.adc.bits, || draws[evaluation])
                    });
                    let sigma = slot.model.noise.decision_sigma;
                    if sigma != 0 && !spec.adc.quantises {
                        let draws = tile.noise.draws(slot.number, position, image, 1 + evaluation as u32);
                        input = add_noise_beyond(input, |_| sigma, draws[0]);
                    }
                    readout::reading(&spec.adc, &adc.model.staircase, conversion.code, input)
                } else {
                    conversion.code as i32
                };
                sums.0[lane] += value << first;
            }
        }
        sums
    }

    /// What zero is worth in an output's weighted codes.
    fn middle(&self, spec: &MacroSpec, tile: &TilePlan, output: usize) -> i64 {
        let slots = &self.slots[output * self.slots_per_output..(output + 1) * self.slots_per_output];
        let evaluations: i64 = (0..spec.evaluations())
            .map(|e| 1 << (e * slots[0].model.plane_weights.len()))
            .sum();
        let digital: i64 = slots.iter().map(|s| i64::from(s.model.digital_weight)).sum();
        readout::zero(&spec.adc, tile.scale.signed) * evaluations * digital
    }
}

/// Bits of column `k`, 32 rows to the word.
fn stored_bits(spec: &MacroSpec, k: usize, weights: &[i8]) -> Vec<u32> {
    let word = |rows: &[i8]| {
        rows.iter()
            .enumerate()
            .map(|(r, &w)| u32::from(stored_bit(spec, k, w)) << r)
            .sum()
    };
    weights.chunks(32).map(word).collect()
}

impl FastAdc {
    /// What a noise-free comparator makes of `input`.
    fn quantise(&self, input: i16) -> Conversion {
        Conversion {
            code: self.table.code(input).into(),
            skipped: self.model.skips.contains(&i32::from(input)),
        }
    }
}

/// A conversion whose comparator has noise of its own in each decision.
fn decide(
    spec: &MacroSpec,
    tile: &TilePlan,
    slot: &FastSlot,
    adc: &FastAdc,
    input: i16,
    position: u32,
    image: u32,
    evaluation: u32,
) -> Conversion {
    let stream = |half: u32| {
        tile.noise
            .draws(slot.number | half << 31, position, image, 1 + evaluation)
    };
    let draws = [stream(0), stream(1)];
    let mut decision = 0;
    spec.adc
        .model()
        .convert(&spec.adc, tile.scale.signed, &adc.model.levels, &mut |level| {
            let noisy = add_noise(
                input,
                slot.model.noise.decision_sigma,
                draws[decision / 8][decision % 8],
            );
            decision += 1;
            i32::from(noisy) >= level
        })
}

/// Accumulators of a batch at the wanted positions: `out[image][position][out_c]`, without bias. `tiles[copy][tile]` are the
/// plan's, lowered.
pub(crate) fn layer(
    spec: &MacroSpec,
    isa: Isa,
    plan: &LayerPlan,
    tiles: &[Vec<FastTile>],
    x: Activations<'_>,
    wanted: &Wanted<'_>,
    probes: &mut [Vec<TileProbe>],
    scratch: &mut Scratch,
    out: &mut [i32],
) {
    let Activations { data, images } = x;
    for ((copy, tiles), probes) in plan.copies.iter().zip(tiles).zip(probes) {
        let mut sites = images
            .iter()
            .enumerate()
            .flat_map(|(i, &image)| copy.positions.clone().map(move |p| (i, image, p)))
            .filter(|&(i, _, p)| wanted(i, p));
        let rows = plan.geometry.full_rows();
        let blocks = (1024 * 1024 / (LANES * rows)).clamp(1, CHUNK);
        let mut chunk = Vec::with_capacity(blocks * LANES);
        loop {
            chunk.clear();
            chunk.extend(sites.by_ref().take(blocks * LANES));
            if chunk.is_empty() {
                break;
            }
            run_chunk(spec, isa, plan, &copy.tiles, tiles, &chunk, data, probes, scratch, out);
        }
    }
}

/// One chunk of `(image in batch, dataset image, position)` lanes through all tiles of a copy.
fn run_chunk(
    spec: &MacroSpec,
    isa: Isa,
    plan: &LayerPlan,
    tile_plans: &[TilePlan],
    tiles: &[FastTile],
    chunk: &[(usize, u32, usize)],
    data: &[u8],
    probes: &mut [TileProbe],
    scratch: &mut Scratch,
    out: &mut [i32],
) {
    let shape = &plan.geometry.shape;
    let image_len = shape.in_h * shape.in_w * shape.in_c;
    let full_rows = plan.geometry.full_rows();
    let blocks = chunk.len().div_ceil(LANES);
    scratch.full.clear();
    scratch.full.resize(chunk.len() * full_rows, 0);
    for (&(i, _, position), full) in chunk.iter().zip(scratch.full.chunks_exact_mut(full_rows)) {
        plan.geometry
            .gather(&data[i * image_len..(i + 1) * image_len], position, full);
    }
    scratch.ids.clear();
    scratch.sampled.clear();
    for lanes in chunk.chunks(LANES) {
        // Lanes beyond the last site belong to no image; their results are dropped.
        let mut ids = LaneIds {
            position: Lanes([0; LANES]),
            image: Lanes([u32::MAX; LANES]),
        };
        for (lane, &(_, image, position)) in lanes.iter().enumerate() {
            ids.position.0[lane] = position as u32;
            ids.image.0[lane] = image;
        }
        scratch.ids.push(ids);
        let sampled = |&(lane, &(_, image, position)): &(usize, &(usize, u32, usize))| {
            is_sampled(position as u32, image).then_some(lane)
        };
        scratch
            .sampled
            .push(lanes.iter().enumerate().filter_map(|site| sampled(&site)).collect());
    }
    scratch.sums.clear();
    scratch.sums.resize(shape.out_c * blocks, [0.0; LANES]);
    let mut input_sums = vec![[0i64; LANES]; blocks];
    for (t, (tile, fast)) in tile_plans.iter().zip(tiles).enumerate() {
        // Tiles that read the same rows follow one another; the packed rows of the first serve them all.
        let fresh = t == 0 || tile_plans[t - 1].runs != tile.runs;
        pack_rows(
            isa,
            tile,
            fast.layout,
            fresh,
            full_rows,
            blocks,
            &mut probes[t],
            &mut input_sums,
            scratch,
        );
        fast.convert(spec, isa, scratch, tile, &mut probes[t]);
        let c = &tile.correction;
        let factor = tile.scale.lsb_counts * c.scale / readout::per_lsb(&spec.adc);
        for j in 0..tile.outputs.len() {
            let middle = fast.middle(spec, tile, j);
            let weights = fast.weight_sums[j] as f64;
            for block in 0..blocks {
                let codes = &scratch.codes[j * blocks + block];
                let sums = &mut scratch.sums[(tile.outputs.start + j) * blocks + block];
                let corrections = if c.per_input == 0.0 {
                    [c.per_weight * weights + c.constant; LANES]
                } else {
                    input_sums[block].map(|inputs| c.per_weight * weights + c.per_input * inputs as f64 + c.constant)
                };
                for lane in 0..LANES {
                    sums[lane] += (codes.0[lane] - middle) as f64 * factor + corrections[lane];
                }
            }
        }
    }
    for (block, sites) in chunk.chunks(LANES).enumerate() {
        for o in 0..shape.out_c {
            let sums = scratch.sums[o * blocks + block].map(half_even);
            for (lane, &(i, _, position)) in sites.iter().enumerate() {
                let full = &scratch.full[(block * LANES + lane) * full_rows..][..full_rows];
                let to = &mut out[(i * shape.positions() + position) * shape.out_c + o];
                *to = (sums[lane] + plan.geometry.integer_term(o, full)) as i32;
            }
        }
    }
}

/// Packs a tile's rows of all blocks (if `fresh`), shows them to the probe and sums them per lane.
fn pack_rows(
    isa: Isa,
    tile: &TilePlan,
    layout: Layout,
    fresh: bool,
    full_rows: usize,
    blocks: usize,
    probe: &mut TileProbe,
    input_sums: &mut [[i64; LANES]],
    scratch: &mut Scratch,
) {
    let stride = tile.rows.next_multiple_of(8);
    let Scratch {
        full,
        rows,
        packed,
        counts,
        ..
    } = scratch;
    if fresh {
        packed.reset(layout, tile.rows);
        rows.clear();
        rows.resize(blocks * LANES * stride, 0);
        for (full, rows) in full.chunks_exact(full_rows).zip(rows.chunks_exact_mut(stride)) {
            tile.gather(full, rows);
        }
        for (block, sums) in input_sums.iter_mut().enumerate() {
            let rows = &rows[block * LANES * stride..(block + 1) * LANES * stride];
            packed.push(isa, rows, stride);
            if tile.correction.per_input != 0.0 {
                for (sum, rows) in sums.iter_mut().zip(rows.chunks_exact(stride)) {
                    *sum = rows.iter().map(|&x| i64::from(x)).sum();
                }
            }
        }
    }
    let sites = full.len() / full_rows;
    for (block, rows) in rows.chunks_exact(LANES * stride).enumerate() {
        probe.drive_block(isa, LANES.min(sites - block * LANES), rows, stride, counts);
    }
}
