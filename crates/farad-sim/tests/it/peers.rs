//! Noise as ASiM and NeuroSim 1.5 define it: codes are distributed as their equations say, on both engines.

use crate::fixture::{run, spec};
use crate::physics::{DRAWS, adder, cumulative, total_variation};
use farad_sim::{EngineKind, Isa};

/// Probability of each code 0..=`top` of `mean` with noise of `sigma` LSB, rounded and cut.
fn codes(mean: f64, sigma: f64, top: usize) -> Vec<f64> {
    let below = |code: f64| cumulative((code - mean) / sigma);
    (0..=top)
        .map(|code| {
            let low = if code == 0 { 0.0 } else { below(code as f64 - 0.5) };
            let high = if code == top { 1.0 } else { below(code as f64 + 0.5) };
            high - low
        })
        .collect()
}

/// Weight 1 of two bits: the LSB column holds `ones` ones, the MSB column none, and a result is the first's code less twice the second's.
fn difference(lsb: &[f64], msb: &[f64], result: i32) -> f64 {
    let pairs = lsb.iter().enumerate();
    pairs
        .flat_map(|(a, p)| {
            msb.iter()
                .enumerate()
                .map(move |(b, q)| (a as i32 - 2 * b as i32, p * q))
        })
        .filter(|(value, _)| *value == result)
        .map(|(_, probability)| probability)
        .sum()
}

/// Holds the engines' results for `ones` ones against the distributions of the two columns. 16 384 draws over k results differ from their
/// distribution by `sqrt(k / (2 pi 16384))` by chance alone.
fn assert_distribution(toml: &str, ones: usize, lsb: &[f64], msb: &[f64]) {
    let (spec, layer) = (spec(toml), adder(ones, 1));
    let x = vec![1; ones * DRAWS];
    let [reference, fast] = [EngineKind::Reference, EngineKind::Fast(Isa::detect())]
        .map(|engine| run(&spec, &layer, None, engine, 0, &x, 1).0);
    assert_eq!(reference, fast);
    let distance = total_variation(&fast, |result| difference(lsb, msb, result));
    let seen = fast.iter().collect::<std::collections::BTreeSet<_>>().len();
    let chance = (seen as f64 / (2.0 * std::f64::consts::PI * DRAWS as f64)).sqrt();
    assert!(distance < 2.0 * chance, "{ones} ones: {distance}, by chance {chance}");
}

/// ASiM: `q = round((2^B - 1) clamp(M / N + s_r N(0, 1) + s_n N(0, 1) / sqrt(M + 1)))`, here with N = 255 and B = 8.
#[test]
fn asim_s_noise() {
    let (random, nonlinear) = (0.003, 0.01);
    let toml = "name = 'asim'\n[array]\nrows = 255\ncolumns = 8\nunused_rows = 'connected'\n[input]\nbits = 1\n[weight]\nbits = 2\n\
                [adc]\nkind = 'ideal'\nbits = 8\n[noise]\nasim_random_pct = 0.3\nasim_nonlinear_pct = 1.0\n";
    let column = |ones: f64| {
        let sigma = 255.0 * f64::sqrt(random * random + nonlinear * nonlinear / (ones + 1.0));
        codes(ones, sigma, 255)
    };
    for ones in [1, 3, 20, 100] {
        assert_distribution(toml, ones, &column(ones as f64), &column(0.0));
    }
}

/// NeuroSim 1.5 with `output_noise`: `clip(round(clip(M) + N(0, s)))`, clipped to 0..=2^P, here with P = 4: 17 codes.
#[test]
fn neurosim_s_clip() {
    let toml = "name = 'neurosim'\n[array]\nrows = 64\ncolumns = 8\n[input]\nbits = 1\n[weight]\nbits = 2\n\
                [adc]\nkind = 'ideal'\nbits = 5\nrange = 'neurosim15_clip'\n[noise]\ncomparator_lsb = 0.8\n";
    for ones in [1, 7, 15, 16, 17, 40] {
        let clipped = f64::min(ones as f64, 16.0);
        assert_distribution(toml, ones, &codes(clipped, 0.8, 16), &codes(0.0, 0.8, 16));
    }
    // Without noise it only clips.
    let quiet = toml.replace("0.8", "0.0");
    for ones in [1, 15, 16, 17, 64] {
        let x = vec![1; ones * DRAWS];
        let (values, _) = run(
            &spec(&quiet),
            &adder(ones, 1),
            None,
            EngineKind::Fast(Isa::detect()),
            0,
            &x,
            1,
        );
        assert!(
            values.iter().all(|&v| v == ones.min(16) as i32),
            "{ones}: {}",
            values[0]
        );
    }
}
