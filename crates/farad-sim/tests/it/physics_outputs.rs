//! Whole outputs of fully connected layers: every way to merge and to sign, non-idealities one by one, and the error against its closed form.

use crate::fixture::{Bytes, exact, run, spec};
use farad_core::MacShape;
use farad_hw::MacroSpec;
use farad_net::MacLayer;
use farad_sim::{EngineKind, Isa};

/// A fully connected layer without zero points: `weights[output][row]`.
fn dense(spec: &MacroSpec, rows: usize, weights: Vec<i8>) -> MacLayer {
    MacLayer {
        name: "layer".into(),
        op: "dense",
        shape: MacShape::dense(rows, weights.len() / rows),
        weights,
        weight_offset: 0,
        x_zero: 0,
        input_bits: spec.input.bits,
        weight_bits: spec.weight.bits,
    }
}

/// `n` uniform bytes masked with `mask`.
fn bytes(n: usize, mask: u8, seed: u64) -> Vec<u8> {
    let mut bytes = Bytes(seed);
    (0..n).map(|_| bytes.next() & mask).collect()
}

fn weights(n: usize, seed: u64) -> Vec<i8> {
    bytes(n, 255, seed).into_iter().map(|b| b as i8).collect()
}

/// Accumulators `[image][output]` on chip `chip`; `x` is `[image][row]`.
fn results(spec: &MacroSpec, layer: &MacLayer, engine: EngineKind, chip: u32, x: &[u8]) -> Vec<i32> {
    run(spec, layer, None, engine, chip, x, 64).0
}

fn fast() -> EngineKind {
    EngineKind::Fast(Isa::detect())
}

/// Where the converter tells all merged charges apart, every sign scheme on every combiner gives the integer result.
#[test]
fn merged_schemes_are_exact_on_a_lossless_macro() {
    // Four-bit weights of 60 rows on 11 bits; -8 has no differential pair.
    let weights: Vec<i8> = weights(60 * 4, 1).into_iter().map(|w| (w >> 4).max(-7)).collect();
    let x = bytes(60 * 20, 255, 2);
    for combine in ["binary_cap", "c2c"] {
        for signed in ["msb_polarity", "offset_binary", "differential"] {
            let spec = spec(&format!(
                "name = 'signs'\n[array]\nrows = 60\ncolumns = 64\n[weight]\nbits = 4\ncombine = '{combine}'\nsigned = '{signed}'\n\
                 [adc]\nkind = 'sar_monotonic'\nbits = 11\n"
            ));
            let layer = dense(&spec, 60, weights.clone());
            for engine in [EngineKind::Reference, fast()] {
                assert_eq!(
                    results(&spec, &layer, engine, 0, &x),
                    exact(&layer, &x),
                    "{combine} {signed}"
                );
            }
        }
    }
}

/// What calibration takes out of every column alike is gone to the bit, and so is whatever has size zero; anything else is seen.
#[test]
fn non_idealities_one_by_one() {
    let at = |array: &str, weight: &str, adc: &str, noise: &str| {
        let spec = spec(&format!(
            "name = 'one'\n[array]\nrows = 128\ncolumns = 64\n{array}\n[weight]\ncombine = 'binary_cap'\n{weight}\n[adc]\nbits = 8\n{adc}\n\
             [noise]\n{noise}\n"
        ));
        let layer = dense(&spec, 128, weights(128 * 8, 3));
        let x = bytes(128 * 30, 255, 4);
        [EngineKind::Reference, fast()].map(|engine| results(&spec, &layer, engine, 5, &x))
    };
    let ideal = at("", "", "kind = 'ideal'", "");
    assert_eq!(ideal[0], ideal[1]);
    for kind in ["sar_conventional", "sar_monotonic", "sar_split", "flash", "ramp"] {
        assert_eq!(
            at("", "", &format!("kind = '{kind}'\nmismatch_pct = 0.0"), ""),
            ideal,
            "{kind}"
        );
        assert_ne!(
            at("", "", &format!("kind = '{kind}'\nmismatch_pct = 5.0"), ""),
            ideal,
            "{kind}"
        );
    }
    let common = "injection_mv = 1.0\ninjection_pct = -0.1\nleakage_pa = 10.0\nsettling_tau = 3.0";
    let array = "parasitic_ratio = 0.3\nparasitic_fixed_ff = 2.0";
    assert_eq!(at(array, "", "kind = 'ideal'", common), ideal);
    assert_ne!(
        at(array, "", "kind = 'ideal'", &format!("{common}\ncalibrated = false")),
        ideal
    );
    let seen = [
        ("mismatch_pct = 3.0", "", ""),
        ("", "cap_mismatch_pct = 3.0", ""),
        ("", "switch_parasitic = 0.5", ""),
        ("", "", "comparator_lsb = 0.5"),
        ("", "", "reference_lsb = 2.0"),
        ("", "", "offset_mv = 5.0"),
        ("", "", "injection_sigma_mv = 5.0"),
        ("", "", "column_gain_pct = 5.0"),
        ("", "", "column_offset_lsb = 1.0"),
    ];
    for (array, weight, noise) in seen {
        let real = at(array, weight, "kind = 'ideal'", noise);
        assert_ne!(real[0], ideal[0], "{array}{weight}{noise}");
        assert_eq!(real[0], real[1], "{array}{weight}{noise}");
    }
}

/// No input, no output, whatever the mismatch of cells and of a converter whose lowest levels are near their places.
#[test]
fn zero_input_gives_zero() {
    for (kind, combine) in [
        ("sar_conventional", "digital"),
        ("sar_split", "digital"),
        ("flash", "digital"),
        ("ramp", "binary_cap"),
    ] {
        let spec = spec(&format!(
            "name = 'zero'\n[array]\nrows = 100\ncolumns = 64\nmismatch_pct = 2.0\n[weight]\ncombine = '{combine}'\n\
             [adc]\nkind = '{kind}'\nbits = 8\nmismatch_pct = 1.0\n"
        ));
        let layer = dense(&spec, 100, weights(800, 5));
        for chip in 0..20 {
            assert!(
                results(&spec, &layer, fast(), chip, &[0; 100]).iter().all(|&r| r == 0),
                "{kind} chip {chip}"
            );
        }
    }
}

/// SQNR of 8b x 8b outputs with 8-bit converters, uniform x in 0..=255 and w in -128..=127 (signal `N E[x^2] E[w^2]`): all digital
/// `(N / 255)^2 / 12 (4^8 - 1)^2 / 9`, weights merged `N^2 / 12 (4^8 - 1) / 3`, one conversion `(255 N)^2 / 12`; 4.77 dB for each merge.
/// 32 outputs x 200 inputs: known to 0.1 dB.
#[test]
fn output_error_is_the_closed_form() {
    let at = |rows: usize, scheme: &str| {
        let spec = spec(&format!(
            "name = 'm'\n[array]\nrows = {rows}\ncolumns = 256\n{scheme}\n[adc]\nkind = 'ideal'\nbits = 8\n"
        ));
        let (layer, x) = (dense(&spec, rows, weights(rows * 32, 6)), bytes(rows * 200, 255, 7));
        let errors = results(&spec, &layer, fast(), 0, &x)
            .into_iter()
            .zip(exact(&layer, &x))
            .map(|(a, b)| f64::from(a - b));
        let noise = errors.map(|e| e * e).sum::<f64>() / (32.0 * 200.0);
        10.0 * (rows as f64 * (255.0 * 511.0 / 6.0) * (65_535.0 / 12.0 + 0.25) / noise).log10()
    };
    let hybrid = "[weight]\ncombine = 'binary_cap'";
    let single = "[input]\ncombine = 'serial_share'\n[weight]\ncombine = 'binary_cap'";
    for (rows, known_db) in [(1152, [22.3, 17.5, 12.8]), (576, [25.3, 20.5, 15.8])] {
        let got_db = ["", hybrid, single].map(|scheme| at(rows, scheme));
        for (got, known) in got_db.iter().zip(known_db) {
            assert!(
                (got - known).abs() < 0.3,
                "{rows} rows: {got_db:?} dB instead of {known_db:?}"
            );
        }
        for merge in got_db.windows(2) {
            assert!((merge[0] - merge[1] - 4.77).abs() < 0.3, "{rows} rows: {got_db:?} dB");
        }
    }
}
