//! Laws that hold for every macro and every shape.

use crate::fixture::{conv, macro_of};
use farad_hw::MacroSpec;
use farad_hw::spec::{InputCombine, Mapper, RowDriver, SignedScheme, UnusedRows, WeightCombine};
use farad_map::{Cells, Event, Phase, demand, events, map, schedule, static_events, totals};
use farad_net::MacLayer;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn weights() -> impl Strategy<Value = (WeightCombine, SignedScheme)> {
    let binary_cap = WeightCombine::BinaryCap {
        mismatch_pct: 0.0,
        switch_parasitic: 0.0,
    };
    prop_oneof![
        Just((WeightCombine::Digital, SignedScheme::TwosComplement)),
        Just((WeightCombine::Digital, SignedScheme::Differential)),
        Just((WeightCombine::Digital, SignedScheme::Xnor)),
        Just((binary_cap, SignedScheme::MsbPolarity)),
        Just((binary_cap, SignedScheme::Differential)),
    ]
}

fn inputs() -> impl Strategy<Value = InputCombine> {
    prop_oneof![
        Just(InputCombine::BitSerial),
        Just(InputCombine::SerialShare { mismatch_pct: 0.0 }),
        (1u32..=8).prop_map(|bits| InputCombine::Dac {
            bits,
            mismatch_pct: 0.0,
            driver: RowDriver::Converter,
        }),
    ]
}

prop_compose! {
    fn any_macro()(
        rows in prop_oneof![prop::sample::select(vec![64, 128, 255, 256, 1152, 2304]), 1usize..200],
        columns in 16usize..300,
        (combine, signed) in weights(),
        input in inputs(),
        (kind, bits, columns_per_adc) in (prop::sample::select(vec!["ideal", "sar_monotonic", "flash", "ramp"]), 1u32..=6, 1usize..5),
        phases in prop::array::uniform6(0u64..5),
        (pipelined, row_write, connected) in (any::<bool>(), 0u64..30, any::<bool>()),
        (instances, depth, duplicate) in (0usize..12, 1usize..4, 1usize..5),
        tap_split in any::<bool>(),
    ) -> MacroSpec {
        let mut spec = macro_of(rows, columns);
        (spec.weight.combine, spec.weight.signed, spec.input.combine) = (combine, signed, input);
        (spec.adc.kind, spec.adc.bits, spec.adc.columns_per_adc) = (kind, bits, columns_per_adc);
        let t = &mut spec.timing;
        [t.precharge, t.broadcast, t.multiply, t.share, t.sample, t.output] = phases;
        (t.pipelined, t.row_write) = (pipelined, row_write);
        spec.array.unused_rows = if connected { UnusedRows::Connected } else { UnusedRows::Gated };
        (spec.system.instances, spec.system.depth, spec.system.duplicate) = (instances, depth, duplicate);
        spec.system.mapper = if tap_split { Mapper::TapSplit } else { Mapper::Im2col };
        spec
    }
}

/// Dense convolutions of awkward widths, and grouped ones down to depthwise with a multiplier.
fn any_layer() -> impl Strategy<Value = MacLayer> {
    let kernel = prop::sample::select(vec![1, 3, 5]);
    let channels = prop::sample::select(vec![1, 3, 44, 200, 256, 300, 511]);
    let dense = (kernel.clone(), channels, 1usize..80, 1usize..4)
        .prop_map(|(kernel, in_c, out_c, size)| conv(kernel, in_c, out_c, size, 1));
    let grouped = (kernel, 1usize..40, 1usize..8, 1usize..8, 1usize..4)
        .prop_map(|(kernel, groups, in_c, out_c, size)| conv(kernel, groups * in_c, groups * out_c, size, groups));
    prop_oneof![dense, grouped]
}

fn any_network() -> impl Strategy<Value = Vec<MacLayer>> {
    prop::collection::vec(any_layer(), 1..4)
}

/// Parts of a row vector by the definition of each mapper.
fn parts(spec: &MacroSpec, layer: &MacLayer) -> usize {
    let s = &layer.shape;
    match spec.system.mapper {
        Mapper::Im2col => s.rows_per_group().div_ceil(spec.array.rows),
        Mapper::TapSplit => s.kernel_h * s.kernel_w * s.in_c_per_group().div_ceil(spec.array.rows),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every product of the layer is computed by one tile, and by one only.
    #[test]
    fn each_output_row_and_position_is_covered_once(spec in any_macro(), layer in any_layer()) {
        let (shape, mapping) = (layer.shape, map(&spec, std::slice::from_ref(&layer)).unwrap());
        let (rows, positions) = (shape.rows_per_group(), shape.positions());
        let mut covered = vec![0u8; shape.out_c * rows * positions];
        for tile in &mapping.layers[0].tiles {
            for output in tile.outputs.clone() {
                let own = tile.segments.iter().filter(|s| s.group == output / shape.out_c_per_group());
                for (segment, position) in own.flat_map(|s| tile.positions.clone().map(move |p| (s, p))) {
                    let at = (output * positions + position) * rows + segment.start;
                    covered[at..at + segment.len].iter_mut().for_each(|times| *times += 1);
                }
            }
        }
        prop_assert!(covered.iter().all(|&times| times == 1));
    }

    /// What a shape takes is what mapping it gives.
    #[test]
    fn the_demand_of_a_shape_is_that_of_its_mapping(spec in any_macro(), layer in any_layer()) {
        let demand = demand(&spec, &layer.shape).unwrap();
        let layers = [layer];
        let mapping = map(&spec, &layers).unwrap();
        let schedule = &schedule(&spec, &layers, &mapping)[0];
        prop_assert_eq!((demand.tiles, demand.conversions), (schedule.tiles, schedule.conversions));
    }

    /// Tiles fit their arrays, tap_split keeps to one tap, and the order is (positions, outputs, part).
    #[test]
    fn tiles_fit_and_are_in_order(spec in any_macro(), layer in any_layer()) {
        let (shape, mapping) = (layer.shape, map(&spec, std::slice::from_ref(&layer)).unwrap());
        let tiles = &mapping.layers[0].tiles;
        for tile in tiles {
            prop_assert!(0 < tile.rows() && tile.rows() <= spec.array.rows);
            prop_assert!(!tile.outputs.is_empty() && !tile.positions.is_empty());
            prop_assert!(tile.first_column + tile.columns(&spec) <= spec.array.columns);
            prop_assert_eq!(Cells::of(&spec, tile).total(), (spec.array.rows * spec.array.columns) as u64);
            for s in &tile.segments {
                prop_assert!(s.group < shape.groups && s.start + s.len <= shape.rows_per_group());
                let tap = |row: usize| row / shape.in_c_per_group();
                prop_assert!(spec.system.mapper == Mapper::Im2col || tap(s.start) == tap(s.start + s.len - 1));
            }
        }
        let keys: Vec<_> = tiles.iter().map(|t| (t.positions.start, t.outputs.start, t.part)).collect();
        prop_assert!(keys.is_sorted() && keys.iter().collect::<BTreeSet<_>>().len() == keys.len());
    }

    /// A weight set holds one tile, or the tiles that time-share it say that they are not resident.
    /// With as many instances as needed, everything is resident and no two tiles of a layer share an instance.
    #[test]
    fn no_two_resident_tiles_share_cells(spec in any_macro(), network in any_network()) {
        let mapping = map(&spec, &network).unwrap();
        let mut sets: BTreeMap<_, Vec<bool>> = BTreeMap::new();
        for tile in mapping.layers.iter().flat_map(|l| &l.tiles) {
            prop_assert!(tile.instance < mapping.instances && tile.set < spec.system.depth);
            sets.entry((tile.instance, tile.set)).or_default().push(tile.resident);
        }
        for residents in sets.values() {
            prop_assert!(residents.iter().all(|&resident| resident == (residents.len() == 1)));
        }
        if spec.system.instances == 0 {
            prop_assert!(sets.values().all(|residents| residents == &[true]));
            for layer in &mapping.layers {
                let instances: BTreeSet<_> = layer.tiles.iter().map(|t| t.instance).collect();
                prop_assert_eq!(instances.len(), layer.tiles.len());
            }
        } else {
            prop_assert!(mapping.instances <= spec.system.instances);
        }
    }

    /// Counts follow from the layer's shape and the number of parts, whatever the tiles look like.
    #[test]
    fn counts_add_up(spec in any_macro(), network in any_network()) {
        let mapping = map(&spec, &network).unwrap();
        let schedules = schedule(&spec, &network, &mapping);
        for ((layer, mapped), s) in network.iter().zip(&mapping.layers).zip(&schedules) {
            let e = static_events(&spec, layer, mapped);
            let (shape, parts) = (&layer.shape, parts(&spec, layer) as u64);
            let values = (shape.positions() * shape.out_c) as u64;
            let evaluations = spec.evaluations() as u64;
            prop_assert_eq!(e.outputs, values);
            prop_assert_eq!(e.conversions, values * parts * evaluations * spec.conversions_per_output() as u64);
            prop_assert_eq!((s.conversions, e.accumulations), (e.conversions, e.conversions));
            let planes = match spec.input.combine {
                InputCombine::Dac { bits, .. } => 8u64.div_ceil(u64::from(bits)),
                _ => 8,
            };
            prop_assert_eq!(e.column_evaluations, values * parts * planes * spec.columns_per_output() as u64);
            prop_assert_eq!(e.buffer_write_bytes, values * (1 + 4 * (parts - 1)));
            // Each copy holds all weights.
            let copies = mapped.tiles.iter().map(|t| t.positions.start).collect::<BTreeSet<_>>().len() as u64;
            let wanted = spec.system.duplicate.min(shape.positions()) as u64;
            prop_assert!(copies == wanted || (spec.system.instances > 0 && copies < wanted));
            prop_assert_eq!(s.cells.used, copies * shape.params() * spec.columns_per_output() as u64);
            let cells_driven: u64 = mapped.tiles.iter().map(|t| {
                let rows = if spec.array.unused_rows == UnusedRows::Connected { spec.array.rows } else { t.rows() };
                t.positions.len() as u64 * planes * (rows * t.columns(&spec)) as u64
            }).sum();
            prop_assert_eq!(e.cells_connected, cells_driven);
        }
        let t = totals(&mapping, &schedules);
        prop_assert_eq!(t.cells.total(), (t.tiles * spec.array.rows * spec.array.columns) as u64);
        prop_assert_eq!(t.instances, mapping.instances);
    }

    /// The closed form and the simulated schedule agree on every clock.
    #[test]
    fn closed_form_equals_the_event_schedule(spec in any_macro(), network in any_network()) {
        let mapping = map(&spec, &network).unwrap();
        for (s, mapped) in schedule(&spec, &network, &mapping).iter().zip(&mapping.layers) {
            let mut last = None;
            let mut converting = 0u64;
            // Clock until which each instance's cells, ADCs and everything are taken.
            let mut busy: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
            let mut reload: BTreeMap<usize, u64> = BTreeMap::new();
            for event in events(&spec, mapped) {
                prop_assert!(last.is_none_or(|last: Event| last < event) && event.start_clock < event.end_clock);
                last = Some(event);
                let busy = busy.entry(event.instance).or_default();
                let used: &[usize] = match event.phase {
                    Phase::Precharge | Phase::Broadcast | Phase::Multiply | Phase::Share if spec.timing.pipelined => &[0],
                    Phase::Sample | Phase::Convert if spec.timing.pipelined => &[1],
                    _ => &[0, 1],
                };
                for &resource in used {
                    prop_assert!(busy[resource] <= event.start_clock);
                    busy[resource] = event.end_clock;
                }
                converting += u64::from(event.phase == Phase::Convert);
                if event.phase == Phase::WriteWeights {
                    *reload.entry(event.instance).or_default() += event.end_clock - event.start_clock;
                }
            }
            let finish = |instance: usize| busy[&instance].into_iter().max();
            prop_assert_eq!(s.cycles, busy.keys().filter_map(|&i| finish(i)).max().unwrap_or(0));
            prop_assert_eq!(converting, s.evaluations * spec.adc.columns_per_adc as u64);
            let slowest = busy.keys().copied().filter(|&i| finish(i) == Some(s.cycles));
            prop_assert_eq!(s.reload_cycles, slowest.filter_map(|i| reload.get(&i).copied()).max().unwrap_or(0));
            let busy_clocks: u64 = busy.keys().filter_map(|&i| finish(i)).sum();
            prop_assert!((s.busy_s * spec.timing.clock_mhz * 1e6 - busy_clocks as f64).abs() < 1e-6 * busy_clocks as f64 + 1e-9);
        }
    }
}
