//! Worked examples, each with its arithmetic.

use crate::fixture::{conv, layer, macro_of};
use farad_core::MacShape;
use farad_hw::MacroSpec;
use farad_hw::spec::{Mapper, SignedScheme, UnusedRows, WeightCombine};
use farad_map::{
    Cells, LayerSchedule, MapError, Mapping, Phase, Segment, Totals, UtilizationLoss, events, map, schedule,
    static_events, totals,
};
use farad_net::MacLayer;

/// The thirteen convolutions of VGG-16 on a 32x32 picture, 2x2 pooling after layers 2, 4, 7 and 10.
fn vgg16(widths: [usize; 13]) -> Vec<MacLayer> {
    let sizes = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2];
    let mut in_c = 3;
    let layers = widths
        .iter()
        .zip(sizes)
        .map(|(&out_c, size)| conv(3, std::mem::replace(&mut in_c, out_c), out_c, size, 1));
    layers.collect()
}

fn run(spec: &MacroSpec, layers: &[MacLayer]) -> (Mapping, Vec<LayerSchedule>, Totals) {
    let mapping = map(spec, layers).expect("the example fits the macro");
    let schedules = schedule(spec, layers, &mapping);
    let totals = totals(&mapping, &schedules);
    (mapping, schedules, totals)
}

/// The sums over `l` of `tiles = ceil(9 C_in / rows) * ceil(8 C_out / columns)`, of weight bits over cells of the
/// tiles, and of `positions * ceil(9 C_in / rows) * 8 C_out` conversions for a plane, computed by a separate script.
#[test]
fn vgg16_tiles_utilization_and_conversions() {
    let full = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
    let pruned = [32, 64, 112, 128, 112, 112, 96, 80, 16, 32, 32, 48, 32];
    for (widths, rows, columns, tiles, utilization, conversions_per_plane) in [
        (full, 128, 128, 7192, 0.9987, 20_381_696),
        (pruned, 64, 64, 1348, 0.9760, 12_078_592),
        (pruned, 128, 128, 348, 0.9452, 6_551_040),
        (pruned, 256, 128, 189, 0.8702, 3_818_496),
        (pruned, 256, 256, 105, 0.7831, 3_818_496),
    ] {
        let (_, _, totals) = run(&macro_of(rows, columns), &vgg16(widths));
        assert_eq!(totals.tiles, tiles);
        assert_eq!(totals.conversions, 8 * conversions_per_plane);
        assert!(
            (totals.utilization - utilization).abs() < 5e-5,
            "{} for {rows}x{columns}",
            totals.utilization
        );
    }
    let layers = vgg16(pruned);
    assert_eq!(layers.iter().map(|l| l.shape.macs()).sum::<u64>(), 92_491_776);
    assert_eq!(layers.iter().map(|l| l.shape.params()).sum::<u64>(), 673_632);
}

/// One conversion per 8-bit weight and input plane instead of eight: an eighth of the table above.
#[test]
fn merged_weight_bits_convert_once() {
    let mut spec = macro_of(128, 128);
    spec.weight.signed = SignedScheme::MsbPolarity;
    spec.weight.combine = WeightCombine::BinaryCap {
        mismatch_pct: 0.0,
        switch_parasitic: 0.0,
    };
    let (.., totals) = run(&spec, &vgg16([32, 64, 112, 128, 112, 112, 96, 80, 16, 32, 32, 48, 32]));
    assert_eq!(totals.conversions, 6_551_040);
}

/// A first layer with 3 channels: 27 of 128 wordlines, 16 of 32 outputs.
/// A multiplication is max(4, 1 + 8) clocks for each of 8 planes, 4 to fill the pipeline, 1 to output: 77.
#[test]
fn first_layer_by_hand() {
    let mut spec = macro_of(128, 260);
    spec.array.unused_rows = UnusedRows::Connected;
    let layers = [conv(3, 3, 16, 32, 1)];
    let (mapping, schedules, _) = run(&spec, &layers);
    let s = &schedules[0];
    assert_eq!((s.tiles, s.instances, s.rows_used, s.columns_used), (1, 1, 27, 128));
    let lost = UtilizationLoss {
        rows_unused: (128 - 27) * 128,
        columns_unused: 128 * 128,
        columns_leftover: 128 * 4,
        block_diagonal_zero: 0,
    };
    assert_eq!(s.cells, Cells { used: 27 * 128, lost });
    assert_eq!((s.cycles, s.reload_cycles), (1024 * 77, 0));
    assert_eq!(s.latency_s, 1024.0 * 77.0 / 100e6);
    assert_eq!(s.evaluations, 1024 * 8);

    let e = static_events(&spec, &layers[0], &mapping.layers[0]);
    assert_eq!((e.images, e.outputs), (1, 1024 * 16));
    assert_eq!((e.conversions, e.accumulations), (1024 * 8 * 128, 1024 * 8 * 128));
    assert_eq!(
        (e.column_evaluations, e.cells_connected),
        (1024 * 8 * 128, 1024 * 8 * 128 * 128)
    );
    assert_eq!(e.rows_driven, 1024 * 8 * 27);
    assert_eq!((e.buffer_read_bytes, e.buffer_write_bytes), (1024 * 27, 1024 * 16));
    assert_eq!(e.weight_bits_written, 0);

    spec.array.unused_rows = UnusedRows::Gated;
    assert_eq!(
        static_events(&spec, &layers[0], &mapping.layers[0]).cells_connected,
        1024 * 8 * 128 * 27
    );
    spec.timing.pipelined = false;
    assert_eq!(run(&spec, &layers).1[0].cycles, 1024 * (8 * (4 + 9) + 1));
}

/// ResNet-20 for CIFAR-10 (parameter-free shortcuts) on 128 x 256 cells, 32 outputs: 9 * 16 = 144 rows in 2 parts,
/// 288 in 3, 576 in 5 times two tiles of outputs, and the classifier in one tile.
#[test]
fn resnet20_tiles() {
    let mut layers = vec![conv(3, 3, 16, 32, 1)];
    layers.extend((0..6).map(|_| conv(3, 16, 16, 32, 1)));
    layers.push(conv(3, 16, 32, 16, 1));
    layers.extend((0..5).map(|_| conv(3, 32, 32, 16, 1)));
    layers.push(conv(3, 32, 64, 8, 1));
    layers.extend((0..5).map(|_| conv(3, 64, 64, 8, 1)));
    layers.push(layer(MacShape::dense(64, 10)));
    let (mapping, schedules, totals) = run(&macro_of(128, 256), &layers);
    let tiles: Vec<usize> = schedules.iter().map(|s| s.tiles).collect();
    assert_eq!(tiles, [1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 6, 10, 10, 10, 10, 10, 1]);
    assert_eq!((totals.tiles, mapping.instances), (87, 87));
    // Every layer's tiles run at once: positions x 77 clocks.
    assert_eq!(totals.cycles, 77 * (7 * 1024 + 6 * 256 + 6 * 64 + 1));
    // The two parts of a 144-row sum: 128 and 16 rows, one partial sum of 4 bytes between them.
    let e = static_events(&macro_of(128, 256), &layers[1], &mapping.layers[1]);
    assert_eq!(e.buffer_read_bytes, 1024 * (144 + 4 * 16));
    assert_eq!(e.buffer_write_bytes, 1024 * (16 + 4 * 16));
}

/// 3x3 depthwise, 44 channels: 14 groups of 9 rows fit on 128 wordlines, so tiles of 14, 14, 14 and 2 groups.
#[test]
fn depthwise_is_packed_block_diagonally() {
    let layers = [conv(3, 44, 44, 16, 44)];
    let (mapping, schedules, _) = run(&macro_of(128, 256), &layers);
    let tiles = &mapping.layers[0].tiles;
    assert_eq!(
        tiles.iter().map(|t| t.outputs.clone()).collect::<Vec<_>>(),
        [0..14, 14..28, 28..42, 42..44]
    );
    assert_eq!(
        tiles[1].segments[0],
        Segment {
            group: 14,
            start: 0,
            len: 9
        }
    );
    assert_eq!(tiles[3].rows(), 18);
    assert_eq!(schedules[0].cells.used, 44 * 9 * 8);
    // 13 of 14 blocks of a row are zero, 1 of 2 in the last tile.
    assert_eq!(schedules[0].cells.lost.block_diagonal_zero, (3 * 126 * 13 + 18) * 8);
}

/// Tap by tap, one row per group: now the 32 outputs are what limits a tile (32 and 12 groups), in 9 parts each.
#[test]
fn depthwise_by_taps() {
    let mut spec = macro_of(128, 256);
    spec.system.mapper = Mapper::TapSplit;
    let (mapping, ..) = run(&spec, &[conv(3, 44, 44, 16, 44)]);
    let tiles = &mapping.layers[0].tiles;
    assert_eq!(tiles.len(), 2 * 9);
    assert_eq!((tiles[17].part, tiles[17].outputs.clone()), (8, 32..44));
    assert_eq!(
        tiles[17].segments[0],
        Segment {
            group: 32,
            start: 8,
            len: 1
        }
    );
}

/// Two groups of 40 outputs and 3 * 3 * 20 = 180 rows: cut like dense layers, 2 parts times 32 + 8 outputs each.
#[test]
fn large_groups_are_cut_like_dense_layers() {
    let (mapping, ..) = run(&macro_of(128, 256), &[conv(3, 40, 80, 4, 2)]);
    let cuts: Vec<_> = mapping.layers[0]
        .tiles
        .iter()
        .map(|t| (t.segments[0].group, t.outputs.clone(), t.rows()))
        .collect();
    assert_eq!(
        cuts,
        [
            (0, 0..32, 128),
            (0, 0..32, 52),
            (0, 32..40, 128),
            (0, 32..40, 52),
            (1, 40..72, 128),
            (1, 40..72, 52),
            (1, 72..80, 128),
            (1, 72..80, 52),
        ]
    );
}

/// Three copies of a 10-position layer take 4, 3 and 3 positions, on instances of their own.
#[test]
fn copies_split_the_positions() {
    let mut spec = macro_of(128, 256);
    spec.system.duplicate = 3;
    let layers = [layer(MacShape {
        in_w: 10,
        out_w: 10,
        ..MacShape::dense(64, 8)
    })];
    let (mapping, schedules, _) = run(&spec, &layers);
    let tiles = &mapping.layers[0].tiles;
    assert_eq!(
        tiles.iter().map(|t| t.positions.clone()).collect::<Vec<_>>(),
        [0..4, 4..7, 7..10]
    );
    assert_eq!(tiles.iter().map(|t| t.instance).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(schedules[0].cycles, 4 * 77);
    // A copy that would wait for another is not made: two instances, two copies.
    spec.system.instances = 2;
    assert_eq!(run(&spec, &layers).0.layers[0].tiles.len(), 2);
}

/// Five tiles on two instances with two weight sets: the fifth shares the first one's set.
#[test]
fn tiles_beyond_the_weight_sets_are_reloaded() {
    let mut spec = macro_of(128, 256);
    (spec.system.instances, spec.system.depth) = (2, 2);
    let layers = [layer(MacShape::dense(600, 8)), layer(MacShape::dense(8, 4))];
    // 600 rows: 128 * 4 + 88; the second layer is the sixth tile and shares the second one's set.
    let (mapping, schedules, totals) = run(&spec, &layers);
    let placed: Vec<_> = mapping
        .layers
        .iter()
        .flat_map(|l| &l.tiles)
        .map(|t| (t.instance, t.set, t.resident))
        .collect();
    let expected = [
        (0, 0, false),
        (1, 0, false),
        (0, 1, true),
        (1, 1, true),
        (0, 0, false),
        (1, 0, false),
    ];
    assert_eq!(placed, expected);
    // Instance 0 writes 128 + 88 rows, multiplies three times; instance 1 writes 128, multiplies twice.
    assert_eq!(
        (schedules[0].cycles, schedules[0].reload_cycles),
        ((128 + 88) * 20 + 3 * 77, (128 + 88) * 20)
    );
    assert_eq!((schedules[1].cycles, schedules[1].reload_cycles), (8 * 20 + 77, 8 * 20));
    assert_eq!(totals.cycles, schedules[0].cycles + schedules[1].cycles);
    assert!((schedules[0].busy_s * 100e6 - f64::from((128 + 88 + 128) * 20 + 5 * 77)).abs() < 1e-6);
    let written = static_events(&spec, &layers[0], &mapping.layers[0]).weight_bits_written;
    assert_eq!(written, (128 + 128 + 88) * 8 * 8);
}

/// Six tiles of four layers, two weight sets: three instances hold them, and the widest layer's three run at once.
#[test]
fn resident_networks_fill_the_weight_sets() {
    let mut spec = macro_of(128, 256);
    spec.system.depth = 2;
    let dense = |inputs| layer(MacShape::dense(inputs, 8));
    let (mapping, schedules, _) = run(&spec, &[dense(100), dense(300), dense(100), dense(100)]);
    assert_eq!(mapping.instances, 3);
    assert!(mapping.layers.iter().flat_map(|l| &l.tiles).all(|t| t.resident));
    assert!(schedules.iter().all(|s| s.cycles == 77));
}

/// Two planes of 2 array and 2 x (1 + 2) ADC clocks, two columns on one ADC:
/// the array holds plane 1 while the ADC works on plane 0.
#[test]
fn events_of_two_pipelined_planes() {
    let mut spec = macro_of(128, 256);
    spec.input.bits = 2;
    (spec.timing.broadcast, spec.timing.multiply) = (0, 0);
    (spec.adc.bits, spec.adc.columns_per_adc) = (2, 2);
    let mut one = layer(MacShape::dense(5, 3));
    one.input_bits = 2;
    let mapping = map(&spec, &[one]).unwrap();
    let all: Vec<_> = events(&spec, &mapping.layers[0])
        .map(|e| (e.start_clock, e.end_clock, e.phase))
        .collect();
    use Phase::{Convert, Output, Precharge, Sample, Share};
    assert_eq!(
        all,
        [
            (0, 1, Precharge),
            (1, 2, Share),
            (2, 3, Precharge),
            (2, 3, Sample),
            (3, 4, Share),
            (3, 5, Convert),
            (5, 6, Sample),
            (6, 8, Convert),
            (8, 9, Sample),
            (9, 11, Convert),
            (11, 12, Sample),
            (12, 14, Convert),
            (14, 15, Output),
        ]
    );
}

/// On the bundled macros too, the last event of a layer ends when the closed form says so.
#[test]
fn bundled_macros_keep_their_schedule() {
    for model in farad_hw::models::list() {
        let mut spec = model.spec(&[]).unwrap();
        let mut layers = [
            conv(3, 44, 40, 3, 1),
            conv(3, 44, 44, 3, 44),
            layer(MacShape::dense(300, 10)),
        ];
        for layer in &mut layers {
            (layer.weight_bits, layer.input_bits) = (spec.weight.bits, spec.input.bits);
        }
        for instances in [0, 2] {
            spec.system.instances = instances;
            let (mapping, schedules, _) = run(&spec, &layers);
            for (mapped, s) in mapping.layers.iter().zip(&schedules) {
                let end = events(&spec, mapped).map(|e| e.end_clock).max();
                assert_eq!(end, Some(s.cycles), "{} layer {}", spec.name, s.layer);
            }
        }
    }
}

#[test]
fn impossible_cases_name_the_layer() {
    let layers = [conv(3, 3, 16, 8, 1)];
    let error = |spec: &MacroSpec, layers: &[MacLayer]| map(spec, layers).unwrap_err().to_string();
    assert_eq!(
        error(&macro_of(128, 7), &layers),
        "layer `conv3x16`: one output channel takes 8 physical columns, the macro has 7"
    );
    let mut narrow = macro_of(128, 256);
    narrow.weight.bits = 4;
    assert_eq!(
        error(&narrow, &layers),
        "layer `conv3x16`: its weights have 8 bits, the macro takes 4: raise `weight.bits`, or give a network of fewer bits"
    );
    narrow.weight.bits = 8;
    narrow.input.bits = 5;
    assert_eq!(
        error(&narrow, &layers),
        "layer `conv3x16`: its activations have 8 bits, the macro takes 5: raise `input.bits`, or give a network of fewer bits"
    );
    let mut differential = macro_of(128, 256);
    differential.weight.signed = SignedScheme::Differential;
    let mut lowest = layers.clone();
    lowest[0].weights = vec![0, -128];
    assert_eq!(
        error(&differential, &lowest),
        "layer `conv3x16`: a weight is -128, the macro stores -127 to 127"
    );
    assert_eq!(map(&macro_of(0, 256), &layers), Err(MapError::EmptyMacro("rows")));
    assert_eq!(
        error(&macro_of(128, 256), &[conv(3, 10, 16, 8, 3)]),
        "layer `conv10x16`: its groups do not divide its channels"
    );
    assert_eq!(
        error(&macro_of(128, 256), &[conv(3, 4, 0, 8, 1)]),
        "layer `conv4x0`: its shape is empty"
    );
    // 4,608 one-row parts times 4,608 one-output tiles.
    let huge = [conv(3, 512, 4608, 1, 1)];
    assert!(matches!(
        map(&macro_of(1, 8), &huge),
        Err(MapError::TooManyTiles { .. })
    ));
}
