//! Calibration: ranges and trims from images, on both engines.

use crate::engines::macros;
use crate::fixture::{Bytes, activations, layer, run, spec};
use farad_hw::MacroSpec;
use farad_hw::calibration::{Calibration, Trim};
use farad_hw::scale::ChargeStats;
use farad_net::Network;
use farad_sim::{CalibrateConfig, EngineKind, ImageSet, Isa, RunConfig, RunOutcome, SimError, Workload, calibrate};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// `spec` with a calibration.
fn with(spec: &MacroSpec, calibration: Calibration) -> MacroSpec {
    MacroSpec {
        calibration: Some(Arc::new(calibration)),
        ..spec.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 20 } else { 100 }))]

    #[test]
    fn fast_equals_reference_on_any_calibrated_chip(toml in macros(), seed in any::<u64>(), limit in 5.0..500.0) {
        let spec = spec(&toml);
        let mut bytes = Bytes(seed);
        let mut steps = || i32::from(bytes.next()) / 16 - 8;
        let trims = (0..spec.adcs()).map(|_| Trim { offset: steps(), gain: steps() }).collect();
        let calibrated = with(&spec, Calibration { trims: [((1, 0), trims)].into(), ..Calibration::default() });
        let layer = layer(40, 6, 3, 2, 1, seed);
        let x = activations(&layer, 3, seed ^ 1);
        let stats = Some(ChargeStats { mean: limit / 5.0, sigma: limit / 3.0, limit });
        let expected = run(&calibrated, &layer, stats, EngineKind::Reference, 1, &x, 3);
        for &isa in Isa::available() {
            prop_assert_eq!(&run(&calibrated, &layer, stats, EngineKind::Fast(isa), 1, &x, 2), &expected);
        }
        // Of a macro without trims, the steps have no size.
        if !spec.noise.has_trims() {
            prop_assert_eq!(&run(&spec, &layer, stats, EngineKind::Reference, 1, &x, 3), &expected);
        }
    }
}

/// The bundled network on two chips of a small macro and pictures of noise, calibrated with the same pictures or left to itself.
fn outcome(set: &[(&str, &str)], images: usize, calibrated: bool, engine: EngineKind) -> RunOutcome {
    let network = include_bytes!("../../../../networks/pretrained/fashion-mnist-cnn-int8.onnx");
    let network = Network::parse("bundled", network).expect("sound");
    let mut bytes = Bytes(7);
    let [height, width, channels] = network.input_shape();
    let pixels: Vec<u8> = (0..images * height * width * channels).map(|_| bytes.next()).collect();
    let set_of_images = ImageSet {
        height,
        width,
        channels,
        pixels: &pixels,
        labels: &vec![0; images],
    };
    let workload = Workload::new(&network, set_of_images).expect("fit together");
    let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let text = "name = 'm'\n[array]\nrows = 128\ncolumns = 64\nmismatch_pct = 0.5\n[adc]\nkind = 'sar_monotonic'\nbits = 8\nmismatch_pct = 1\n\
                [noise]\ncomparator_lsb = 0.2\n";
    let mut spec = farad_hw::schema::parse("m.toml", text, &set).unwrap_or_else(|e| panic!("{e}"));
    let mapping = farad_map::map(&spec, network.mac_layers()).expect("fits");
    if calibrated {
        let config = CalibrateConfig {
            images,
            chips: 2,
            seed: 1,
            threads: 2,
        };
        let found = calibrate(&workload, &spec, &mapping, &config).expect("calibrates");
        spec = with(&spec, found);
    }
    let config = RunConfig {
        engine,
        images,
        chips: 2,
        seed: 0,
        threads: 2,
    };
    let stop = AtomicBool::new(false);
    let result = farad_sim::run(&workload, &spec, &mapping, &config, &|_, _| {}, &stop);
    if calibrated && spec.noise.has_trims() {
        let more = RunConfig { chips: 3, ..config };
        let refused = farad_sim::run(&workload, &spec, &mapping, &more, &|_, _| {}, &stop);
        assert!(matches!(refused, Err(SimError::Untrimmed { trimmed: 2, chips: 3 })));
    }
    result.expect("runs")
}

fn fast() -> EngineKind {
    EngineKind::Fast(Isa::detect())
}

/// Error power of each layer, both chips together.
fn errors(outcome: &RunOutcome) -> Vec<f64> {
    let layers = outcome.chips[0].layers.len();
    (0..layers)
        .map(|i| outcome.chips.iter().map(|chip| chip.layers[i].error).sum())
        .collect()
}

/// Chips whose columns are far off come back by trims that were found from images, where charges have signs and where they have none.
#[test]
fn trims_found_from_images_bring_chips_back() {
    for scheme in [
        [("weight.combine", "digital"), ("weight.signed", "twos_complement")],
        [("weight.combine", "binary_cap"), ("weight.signed", "msb_polarity")],
        [("weight.combine", "binary_cap"), ("weight.signed", "differential")],
    ] {
        let off = [
            ("noise.column_offset_lsb", "6"),
            ("noise.column_gain_pct", "10"),
            ("adc.range", "max"),
        ];
        let trims = [("noise.offset_trim_lsb", "0.125"), ("noise.gain_trim_pct", "0.5")];
        let raw = [&scheme[..], &off[..]].concat();
        let trimmed = [&raw[..], &trims[..]].concat();
        let before = errors(&outcome(&raw, 6, true, fast()));
        let after = errors(&outcome(&trimmed, 6, true, fast()));
        for (layer, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(*after < before / 4.0, "{scheme:?} layer {layer}: {before} to {after}");
        }
    }
}

#[test]
fn a_calibrated_run_is_the_same_on_both_engines() {
    let set = [
        ("adc.range", "mse"),
        ("adc.range_per", "tile"),
        ("noise.offset_trim_lsb", "0.25"),
        ("noise.offset_trim_steps", "3"),
        ("noise.gain_trim_pct", "1"),
        ("noise.gain_trim_steps", "2"),
        ("noise.column_gain_pct", "4"),
    ];
    let (on_fast, on_reference) = (
        outcome(&set, 2, true, fast()),
        outcome(&set, 2, true, EngineKind::Reference),
    );
    assert_eq!(on_fast.chips, on_reference.chips);
}

#[test]
fn a_calibration_keeps_the_ranges_that_a_run_finds_by_itself() {
    let full = outcome(&[("adc.bits", "5")], 2, false, fast());
    for range in ["max", "calibrated", "clip", "optimal", "mse"] {
        for per in ["layer", "tile", "network"] {
            let set = [("adc.range", range), ("adc.range_per", per), ("adc.bits", "5")];
            let kept = outcome(&set, 2, true, fast());
            assert_eq!(kept.chips, outcome(&set, 2, false, fast()).chips, "{range} {per}");
            let layers = kept.chips[0].layers.iter().zip(&full.chips[0].layers);
            assert!(
                layers.clone().all(|(kept, full)| kept.lsb_counts <= full.lsb_counts),
                "{range} {per}"
            );
            assert!(
                layers.clone().any(|(kept, full)| kept.lsb_counts < full.lsb_counts),
                "{range} {per}"
            );
        }
    }
}

/// On an exact macro the range with the least error of its charges is no worse than the full one, at the outputs too.
#[test]
fn the_least_error_of_charges_is_less_error_of_outputs() {
    let exact = [
        ("array.mismatch_pct", "0"),
        ("adc.mismatch_pct", "0"),
        ("noise.comparator_lsb", "0"),
        ("adc.bits", "5"),
    ];
    let full = errors(&outcome(&exact, 4, false, fast()));
    for per in ["layer", "tile"] {
        let mse = [&exact[..], &[("adc.range", "mse"), ("adc.range_per", per)]].concat();
        let mse = errors(&outcome(&mse, 4, false, fast()));
        assert!(
            mse.iter()
                .zip(&full)
                .all(|(mse, full)| mse < full || *full == 0.0 && *mse == 0.0),
            "{mse:?} {full:?}"
        );
    }
}
