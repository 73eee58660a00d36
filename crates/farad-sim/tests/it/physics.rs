//! Noise as the engines draw it, and laws of a macro's arithmetic, through mapping, planning and both engines.

use crate::fixture::{Bytes, activations, exact, layer, run, spec};
use farad_core::{EventCounts, MacShape};
use farad_hw::cost::conversion_j;
use farad_net::MacLayer;
use farad_sim::{EngineKind, Isa};
use proptest::prelude::*;

const FAST: fn() -> EngineKind = || EngineKind::Fast(Isa::detect());
/// Output positions of a layer, each a draw.
pub(crate) const DRAWS: usize = 16_384;

/// A merged macro of 64 rows that converts whole counts, -128 to 127: one conversion per input and output, one LSB per count.
fn counter(more: &str) -> String {
    format!(
        "schema = 1\nname = 'counter'\n[array]\nrows = 64\ncolumns = 8\nunused_rows = 'connected'\n[input]\nbits = 1\n\
         [weight]\nbits = 2\ncombine = 'binary_cap'\nsigned = 'msb_polarity'\n{more}"
    )
}

/// `out_c` channels that each add up `in_c` inputs, at `DRAWS` positions.
pub(crate) fn adder(in_c: usize, out_c: usize) -> MacLayer {
    let shape = MacShape {
        in_h: 128,
        in_w: 128,
        out_h: 128,
        out_w: 128,
        ..MacShape::dense(in_c, out_c)
    };
    assert_eq!(shape.positions(), DRAWS);
    MacLayer {
        name: "adder".into(),
        op: "conv2d",
        shape,
        weights: vec![1; in_c * out_c],
        weight_offset: 0,
        x_zero: 0,
        input_bits: 1,
        weight_bits: 2,
    }
}

/// What a counter with `more` in its description makes of `ones` at every position.
fn counts(more: &str, ones: usize, engine: EngineKind) -> (Vec<i32>, EventCounts) {
    let layer = adder(ones, 1);
    run(
        &spec(&counter(more)),
        &layer,
        None,
        engine,
        0,
        &vec![1; ones * DRAWS],
        1,
    )
}

pub(crate) fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Share of a Gaussian of `sigma` LSB that is converted to `code` codes from its middle.
fn mass(code: i32, sigma: f64) -> f64 {
    let z = f64::from(code);
    cumulative((z + 0.5) / sigma) - cumulative((z - 0.5) / sigma)
}

/// Half the sum of differences between the frequencies of `values` and `probability`.
pub(crate) fn total_variation(values: &[i32], probability: impl Fn(i32) -> f64) -> f64 {
    let frequency = |code: i32| values.iter().filter(|&&v| v == code).count() as f64 / values.len() as f64;
    (-128..128)
        .map(|code| (frequency(code) - probability(code)).abs())
        .sum::<f64>()
        / 2.0
}

/// One draw per conversion of sigma: codes follow the Gaussian's mass between the levels. 16 384 draws: with k codes in play chance alone
/// makes a total variation of about `sqrt(k / (2 pi 16384))`, 1 % for 10 codes.
#[test]
fn drawn_noise_is_gaussian() {
    for (sigma, codes) in [(0.3, 3.0), (0.8, 6.0), (2.0, 13.0)] {
        let noise = format!("[adc]\nkind = 'sar_conventional'\nbits = 8\n[noise]\ncomparator_lsb = {sigma:?}\n");
        let (values, _) = counts(&noise, 20, FAST());
        let distance = total_variation(&values, |code| mass(code - 20, sigma));
        let chance = (codes / (2.0 * std::f64::consts::PI * DRAWS as f64)).sqrt();
        assert!(distance < 2.0 * chance, "sigma {sigma}: total variation {distance}");
    }
}

fn moments(values: &[i32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (
        mean,
        values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n,
    )
}

/// kT/C of the plate, drawn: 64 cells of 0.01 fF, column splitting leaves 1 1/2 columns of them; two events (reset, and each cell's own), a
/// converter without a sample of its own. Rounding to codes adds 1/12. 16 384 draws: the variance is known to 1.1 %.
#[test]
fn thermal_noise_is_drawn_with_its_sigma() {
    let text = counter("[adc]\nkind = 'ideal'\nbits = 8\n[noise]\nktc = true\n")
        .replace("[array]", "[array]\nunit_cap_ff = 0.01");
    let (values, _) = run(&spec(&text), &adder(20, 1), None, FAST(), 0, &vec![1; 20 * DRAWS], 1);
    let variance_v2 = 2.0 * 1.380_649e-23 * 300.0 / (64.0 * 0.01e-15 * 1.5);
    // The plate swings V_DD over 3 * 64 counts.
    let lsb_v = 0.9 / 192.0;
    let (mean, variance) = moments(&values);
    assert!((mean - 20.0).abs() < 0.05);
    let expected = variance_v2 / (lsb_v * lsb_v) + 1.0 / 12.0;
    assert!(
        (variance / expected - 1.0).abs() < 0.035,
        "{variance} instead of {expected}"
    );
}

/// Reference noise of 4 LSB at full scale: at level L it has 4 L LSB, constant over a 32nd of the range.
#[test]
fn drawn_reference_noise_grows_with_the_level() {
    let noise = "[adc]\nkind = 'sar_monotonic'\nbits = 8\n[noise]\nreference_lsb = 4.0\n";
    for ones in [12, 36, 60] {
        let (_, variance) = moments(&counts(noise, ones, FAST()).0);
        // Middles of the bins of 8 codes above mid-scale.
        let sigma = 4.0 * f64::from(ones as u32 / 8 * 8 + 4) / 128.0;
        let expected: f64 = (-40..=40).map(|code| f64::from(code * code) * mass(code, sigma)).sum();
        // Five standard errors of a variance.
        assert!(
            (variance / expected - 1.0).abs() < 5.0 * (2.0 / DRAWS as f64).sqrt(),
            "{ones}: {variance} instead of {expected}"
        );
    }
}

/// Probability of each code when every decision of a binary search has its own Gaussian noise, which is rounded to 1/64 LSB: a decision
/// against a level half an LSB away is one for an input 1/128 LSB higher.
fn search(code: usize, span: usize, input: f64, sigma: f64, probability: f64, out: &mut [f64; 256]) {
    if span == 1 {
        out[code] += probability;
        return;
    }
    let half = span / 2;
    let level = (code + half) as f64 - 0.5 - 128.0 - 1.0 / 128.0;
    let up = cumulative((input - level) / sigma);
    search(code + half, half, input, sigma, probability * up, out);
    search(code, half, input, sigma, probability * (1.0 - up), out);
}

/// Noise per decision, one draw each: codes follow the products of the decisions' probabilities, and their mean the input.
#[test]
fn noise_of_decisions() {
    let noise = "[adc]\nkind = 'sar_conventional'\nbits = 8\n[noise]\ncomparator_lsb = 0.6\ndraws = 'per_decision'\n";
    for ones in [1, 20, 31, 32, 47] {
        let mut probability = [0.0; 256];
        search(0, 256, ones as f64, 0.6, 1.0, &mut probability);
        let (values, _) = counts(noise, ones, FAST());
        let distance = total_variation(&values, |code| probability[(code + 128) as usize]);
        assert!(distance < 0.012, "{ones}: total variation {distance}");
        let mean: f64 = probability
            .iter()
            .enumerate()
            .map(|(code, p)| p * (code as f64 - 128.0))
            .sum();
        // Four standard errors.
        let (drawn, variance) = moments(&values);
        assert!(
            (drawn - mean).abs() < 4.0 * (variance / DRAWS as f64).sqrt(),
            "{ones}: {drawn} instead of {mean}"
        );
        assert!((mean - ones as f64).abs() < 0.2, "{ones}: {mean}");
    }
}

/// A calibrated column that waits for its ADC has lost `N I t / C_T` = I t / C_u volts: here two counts for each conversion before its own.
#[test]
fn waiting_columns_lose_counts() {
    // One conversion is 1 + 8 clocks of 10 ns; a count is V_DD / 192.
    let leakage_pa = 2.0 * 0.9 / 192.0 * 1e-15 / 90e-9 * 1e12;
    let text = counter(&format!(
        "[adc]\nkind = 'sar_conventional'\nbits = 8\ncolumns_per_adc = 4\n[noise]\nleakage_pa = {leakage_pa:?}\n"
    ));
    for engine in [EngineKind::Reference, FAST()] {
        let (values, _) = run(&spec(&text), &adder(20, 4), None, engine, 0, &vec![1; 20 * DRAWS], 1);
        assert!(
            values.chunks_exact(4).all(|v| v == [20, 18, 16, 14]),
            "{:?}",
            &values[..4]
        );
    }
}

/// Skipping leaves the accumulators alone and costs less, in what the run itself reports.
#[test]
fn skipping_is_exact_and_cheaper() {
    let at = |skip: u32, ones| {
        let more = format!("[adc]\nkind = 'sar_monotonic'\nbits = 8\nskip_bits = {skip}\n");
        let (values, events) = counts(&more, ones, FAST());
        (
            values,
            conversion_j(&spec(&counter(&more)).adc, 0.9, &events),
            events.skipped_in_sample,
            events.sampled(),
        )
    };
    let (low, high) = (at(2, 20), at(2, 40));
    // The window is 64 codes around zero.
    assert!(low.2 == low.3 && low.3 > 0 && high.2 == 0);
    assert_eq!((low.0.clone(), high.0), (at(0, 20).0, at(0, 40).0));
    assert!(low.1 < high.1 && low.1 < at(0, 20).1);
}

/// A ramp costs a comparison for each step to the code it gives: the codes that are summed are the codes that are paid.
#[test]
fn energy_is_that_of_the_codes() {
    let more = "[adc]\nkind = 'ramp'\nbits = 8\ndecision_fj = 2.0\n";
    for ones in [0, 5, 64] {
        let (values, events) = if ones == 0 {
            run(&spec(&counter(more)), &adder(1, 1), None, FAST(), 0, &[0; DRAWS], 1)
        } else {
            counts(more, ones, FAST())
        };
        let code = values[0] + 128;
        assert!(values.iter().all(|&v| v == ones as i32));
        let paid_j = conversion_j(&spec(&counter(more)).adc, 0.9, &events);
        assert!((paid_j / (f64::from(code + 1) * 2e-15) - 1.0).abs() < 1e-12);
    }
}

/// More bits of the converter bring the sums nearer to the exact ones.
#[test]
fn bits_of_the_converter_are_bits_of_accuracy() {
    let layer = layer(64, 8, 3, 4, 1, 5);
    let x = activations(&layer, 4, 6);
    let truth = exact(&layer, &x);
    let rms = |bits: u32| {
        let text = format!(
            "schema = 1\nname = 'm'\n[array]\nrows = 576\ncolumns = 64\n[weight]\nbits = 8\ncombine = 'binary_cap'\n\
             [adc]\nkind = 'sar_conventional'\nbits = {bits}\n"
        );
        let (got, _) = run(&spec(&text), &layer, None, FAST(), 0, &x, 4);
        let square: f64 = got.iter().zip(&truth).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
        (square / truth.len() as f64).sqrt()
    };
    // Each bit halves the step; 512 sums know their rms to 3 %.
    for bits in 6..10 {
        let ratio = rms(bits) / rms(bits + 1);
        assert!((ratio - 2.0).abs() < 0.3, "{bits} bits: {ratio}");
    }
}

/// 255 rows and 8 bits are exact to the last product: the extremes of both operands, on every converter without errors.
#[test]
fn extreme_operands_are_exact() {
    for kind in [
        "ideal",
        "sar_conventional",
        "sar_monotonic",
        "sar_split",
        "flash",
        "ramp",
    ] {
        let spec = spec(&format!(
            "schema = 1\nname = 'm'\n[array]\nrows = 255\ncolumns = 64\n[adc]\nkind = '{kind}'\nbits = 8\n"
        ));
        let mut layer = layer(255, 4, 1, 1, 1, 3);
        for (o, w) in [-128i8, 127, -1, 0].into_iter().enumerate() {
            layer.weights[o * 255..(o + 1) * 255].fill(w);
        }
        for x in [[255; 255], [0; 255], [1; 255], [170; 255]] {
            for engine in [EngineKind::Reference, FAST()] {
                assert_eq!(
                    run(&spec, &layer, None, engine, 0, &x, 1).0,
                    exact(&layer, &x),
                    "{kind}"
                );
            }
        }
    }
}

/// A macro of 128 rows with everything that varies: enough bits to see it, mismatch as given.
fn noisy(mismatch_pct: f64) -> String {
    format!(
        "schema = 1\nname = 'm'\n[array]\nrows = 128\ncolumns = 64\nmismatch_pct = {mismatch_pct:?}\n[weight]\nbits = 8\ncombine = 'binary_cap'\n\
         [adc]\nkind = 'sar_monotonic'\nbits = 10\nmismatch_pct = 1.0\n[noise]\nktc = true\ncomparator_lsb = 0.5\noffset_mv = 1.0\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Which wordline a product sits on does not matter unless the cells differ.
    #[test]
    fn rows_are_interchangeable_without_mismatch(seed in any::<u64>()) {
        let plain = layer(100, 4, 1, 2, 1, seed);
        let x = activations(&plain, 2, seed ^ 1);
        let mut order: Vec<usize> = (0..100).collect();
        let mut bytes = Bytes(seed ^ 2);
        order.sort_by_cached_key(|_| bytes.next());
        let permute = |values: &[u8]| -> Vec<u8> { values.chunks_exact(100).flat_map(|c| order.iter().map(|&i| c[i])).collect() };
        let mut permuted = plain.clone();
        let weights: Vec<u8> = plain.weights.iter().map(|&w| w as u8).collect();
        permuted.weights = permute(&weights).into_iter().map(|w| w as i8).collect();
        let both = |mismatch| {
            let spec = spec(&noisy(mismatch));
            (run(&spec, &plain, None, FAST(), 0, &x, 2).0, run(&spec, &permuted, None, FAST(), 0, &permute(&x), 2).0)
        };
        let (a, b) = both(0.0);
        prop_assert_eq!(a, b);
        let (a, b) = both(5.0);
        prop_assert_ne!(a, b);
    }

    /// Errors too small for the quanta are no errors: the limit is the noise-free macro, to the bit.
    #[test]
    fn vanishing_noise_is_no_noise(seed in any::<u64>(), rows in 20usize..200) {
        let text = |level: f64| format!(
            "schema = 1\nname = 'm'\n[array]\nrows = {rows}\ncolumns = 64\nmismatch_pct = {level:?}\nunused_rows = 'gated'\n\
             [adc]\nkind = 'sar_split'\nbits = 8\nmismatch_pct = {level:?}\n\
             [noise]\ncomparator_lsb = {level:?}\nreference_lsb = {level:?}\ninjection_sigma_mv = {level:?}\n"
        );
        let layer = layer(30, 4, 3, 2, 1, seed);
        let x = activations(&layer, 2, seed);
        for engine in [EngineKind::Reference, FAST()] {
            let [tiny, none] = [1e-5, 0.0].map(|level| run(&spec(&text(level)), &layer, None, engine, 3, &x, 2).0);
            prop_assert_eq!(tiny, none);
        }
    }

    /// Where nothing is lost, all ways to write a signed weight give the same sums.
    #[test]
    fn signed_schemes_agree(seed in any::<u64>(), in_c in 1usize..60) {
        let layer = layer(in_c, 3, 3, 2, 1, seed);
        let x = activations(&layer, 2, seed);
        let with = |signed: &str| {
            let text = format!(
                "schema = 1\nname = 'm'\n[array]\nrows = 255\ncolumns = 64\n[weight]\nbits = 8\nsigned = '{signed}'\n\
                 [adc]\nkind = 'sar_conventional'\nbits = 8\n"
            );
            run(&spec(&text), &layer, None, FAST(), 0, &x, 2).0
        };
        let twos = with("twos_complement");
        prop_assert_eq!(&with("offset_binary"), &twos);
        prop_assert_eq!(&with("differential"), &twos);
        prop_assert_eq!(&exact(&layer, &x), &twos);
    }

    /// Mismatch is of the cell and stays while bit planes go by: inputs of one bit, whichever it is, give one code.
    #[test]
    fn mismatch_is_static_across_input_planes(seed in any::<u64>(), chip in 0u32..50) {
        let mut layer = layer(120, 4, 1, 2, 1, seed);
        layer.x_zero = 0;
        let text = noisy(5.0).replace("ktc = true\ncomparator_lsb = 0.5\n", "");
        let mut bytes = Bytes(seed);
        let ones: Vec<u8> = (0..480).map(|_| bytes.next() & 1).collect();
        let at = |plane: u32| run(&spec(&text), &layer, None, FAST(), chip, &ones.iter().map(|x| x << plane).collect::<Vec<_>>(), 1).0;
        // Planes without a one convert the offset of the ADC alone.
        let (zero, first) = (run(&spec(&text), &layer, None, FAST(), chip, &[0; 480], 1).0, at(0));
        let lsb = 128.0 * 120.0 / 512.0;
        for plane in 1..8 {
            for ((&z, &f), &p) in zero.iter().zip(&first).zip(&at(plane)) {
                // Sums of codes, rounded to whole products once each: (p - z) = 2^plane (f - z).
                let codes = |sum: i32| f64::from(sum) / lsb;
                prop_assert!((codes(p - z) - f64::from(1 << plane) * codes(f - z)).abs() * lsb <= f64::from(1 + (1 << plane)));
            }
        }
    }

    /// A picture's result is its own: alone, or with others before and after it.
    #[test]
    fn a_picture_does_not_see_its_batch(seed in any::<u64>(), batch in 1usize..=7) {
        let layer = layer(40, 4, 3, 3, 1, seed);
        let x = activations(&layer, 7, seed);
        let spec = spec(&noisy(1.0));
        prop_assert_eq!(run(&spec, &layer, None, FAST(), 1, &x, batch), run(&spec, &layer, None, FAST(), 1, &x, 1));
    }
}
