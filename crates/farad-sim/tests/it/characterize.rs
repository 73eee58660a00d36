//! The bench against theory, and its two ways to linearity against each other.

use crate::fixture::spec;
use farad_core::axis::lsb_steps;
use farad_hw::MacroSpec;
use farad_hw::limits::ktc_v;
use farad_hw::models;
use farad_sim::characterize::{Characterization, CharacterizeConfig, Scheme, characterize};
use farad_sim::statistics::{mean, sample_std};
use std::sync::atomic::AtomicBool;

fn measure(spec: &MacroSpec, chips: u32) -> Characterization {
    let config = CharacterizeConfig {
        chips,
        seed: 0,
        threads: 0,
    };
    characterize(spec, &config, &|_, _| (), &AtomicBool::new(false)).unwrap_or_else(|e| panic!("{e}"))
}

fn bundled(name: &str, set: &[(&str, &str)]) -> MacroSpec {
    let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    models::find(name)
        .expect("bundled")
        .spec(&set)
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A small column macro: 8 ADCs on 255 rows.
fn column(more: &str) -> MacroSpec {
    spec(&format!(
        "name = 'column'\n[array]\nrows = 255\ncolumns = 8\n[adc]\nbits = 8\n{more}\n"
    ))
}

#[test]
fn an_ideal_macro_has_no_error_at_all() {
    let result = measure(&bundled("ideal", &[]), 2);
    for chip in &result.chips {
        assert_eq!((chip.csnr_db, chip.output_db), (None, None));
        for adc in &chip.adcs {
            let errors = [adc.inl_lsb, adc.dnl_lsb, adc.histogram_inl_lsb, adc.histogram_dnl_lsb];
            assert_eq!(errors, [0.0; 4]);
            assert_eq!(adc.missing_codes, 0);
            assert!((adc.enob - 8.0).abs() < 1e-9, "{}", adc.enob);
        }
        for conversion in &chip.conversions {
            // Transfers are in f32.
            assert!(conversion.offset_lsb.abs() < 1e-4 && (conversion.gain - 1.0).abs() < 1e-6);
        }
    }
    assert_eq!(result.noise.rms_lsb, 0.0);
    assert!(
        result
            .columns
            .iter()
            .all(|p| p.sqnr_db.is_none() && p.csnr_db.is_none())
    );
    assert!(result.transfer_lsb.max.iter().all(|d| d.abs() < 1e-4));
}

/// A ramp of `n` conversions per LSB whose noise has sigma s LSB puts a transition where it is with a variance of `s / (sqrt(pi) n)`: the sum
/// over the ramp of `p (1 - p)`, `p` the chance to fall below. A DNL is the difference of two, an INL that of one and a line through two.
/// Without noise the ramp steps on every input there is.
#[test]
fn histogram_and_transitions_agree() {
    for model in models::list() {
        // Noise of each decision has no single transition.
        let result = measure(&model.spec(&[]).unwrap(), 2);
        let noise = &result.noise;
        let bits = result.cost.conversion_j.len().ilog2();
        let per_lsb = f64::from(lsb_steps(bits)) * ((1 << 16) as f64 / f64::from(lsb_steps(bits) << bits)).min(64.0);
        let sigma = noise.sigma_lsb.max(noise.full_scale_sigma_lsb);
        let transition = (sigma / (std::f64::consts::PI.sqrt() * per_lsb)).sqrt();
        // Five sigmas: of 10^4 transitions none beyond.
        let bound = 5.0 * std::f64::consts::SQRT_2 * transition;
        for adc in result.chips.iter().flat_map(|chip| &chip.adcs) {
            for (histogram, transitions) in [
                (adc.histogram_dnl_lsb, adc.dnl_lsb),
                (adc.histogram_inl_lsb, adc.inl_lsb),
            ] {
                assert!(
                    (histogram - transitions).abs() <= bound + 1e-9,
                    "{} ADC {}: {histogram} against {transitions}, bound {bound}",
                    model.name,
                    adc.adc
                );
            }
        }
    }
}

/// Each kind of converter, with mismatch and without noise: both ways give the same to the last bit of rounding.
#[test]
fn histogram_equals_transitions_without_noise() {
    for kind in farad_hw::adc::kinds() {
        let result = measure(&column(&format!("kind = '{}'\nmismatch_pct = 3.0", kind.name())), 3);
        for adc in result.chips.iter().flat_map(|chip| &chip.adcs) {
            assert!((adc.inl_lsb - adc.histogram_inl_lsb).abs() < 1e-9, "{}", kind.name());
            assert!((adc.dnl_lsb - adc.histogram_dnl_lsb).abs() < 1e-9, "{}", kind.name());
            assert_eq!(adc.inl_lsb > 0.0, kind.name() != "ideal");
        }
    }
}

/// A quantiser with Gaussian noise of sigma LSB has `B - log2(1 + 12 sigma^2) / 2` effective bits. The mean square over 65 536 conversions is
/// known to 0.6 %, 0.004 bits.
#[test]
fn noise_costs_effective_bits() {
    for sigma in [0.25_f64, 0.5, 1.0] {
        let result = measure(
            &column(&format!("kind = 'sar_monotonic'\n[noise]\ncomparator_lsb = {sigma:?}")),
            1,
        );
        let expected = 8.0 - 0.5 * (1.0 + 12.0 * sigma * sigma).log2();
        for adc in &result.chips[0].adcs {
            assert!(
                (adc.enob - expected).abs() < 0.02,
                "{sigma}: {} for {expected}",
                adc.enob
            );
        }
        // 32 768 draws: known to 0.4 %.
        assert!((result.noise.rms_lsb / sigma - 1.0).abs() < 0.016);
        let total: f64 = result.noise.gaussian.iter().sum();
        // Chi square of bins that expect enough: mean `bins`, variance `2 bins`.
        let bins: Vec<(f64, f64)> = (result.noise.counts.iter().map(|&n| n as f64))
            .zip(result.noise.gaussian.iter().copied())
            .filter(|(_, expected)| *expected > 20.0)
            .collect();
        let chi2: f64 = bins.iter().map(|(n, expected)| (n - expected).powi(2) / expected).sum();
        let degrees = bins.len() as f64;
        assert!(
            chi2 < degrees + 5.0 * (2.0 * degrees).sqrt(),
            "{sigma}: chi2 {chi2} of {degrees}, {total}"
        );
    }
}

/// kT/C of a shared column of 255 cells of 0.1 fF: its reset, and each cell's own sample; an ideal converter takes none. 32 768 draws: known
/// to 0.4 %; sigma is kept to 1/512 LSB.
#[test]
fn thermal_noise_is_kt_over_c() {
    let mut spec = column("kind = 'ideal'\n[noise]\nktc = true");
    spec.array.unit_cap_ff = 0.1;
    let noise = measure(&spec, 1).noise;
    let expected = ktc_v(25.5, spec.technology.temperature_k) * 2f64.sqrt() / (spec.technology.vdd_v / 255.0);
    assert!(
        (noise.rms_lsb / expected - 1.0).abs() < 0.016 + 1.0 / 512.0 / expected,
        "{} for {expected}",
        noise.rms_lsb
    );
}

/// Lumped errors of columns come out as they go in: 8 columns on 100 chips, known to 2.5 %.
#[test]
fn offset_and_gain_of_columns() {
    let spec = column("kind = 'ideal'\n[noise]\ncolumn_gain_pct = 1.0\ncolumn_offset_lsb = 0.3");
    let result = measure(&spec, 100);
    let all = || result.chips.iter().flat_map(|chip| &chip.conversions);
    let gains: Vec<f64> = all().map(|c| c.gain).collect();
    let offsets: Vec<f64> = all().map(|c| c.offset_lsb).collect();
    assert!((sample_std(&gains) / 0.01 - 1.0).abs() < 0.1, "{}", sample_std(&gains));
    assert!(
        (sample_std(&offsets) / 0.3 - 1.0).abs() < 0.1,
        "{}",
        sample_std(&offsets)
    );
    assert!((mean(&gains) - 1.0).abs() < 0.0015 && mean(&offsets).abs() < 0.045);
}

/// A column of N rows, half of the input bits and of the weight bits ones: a signal of `N p (1 - p)`, p = 1/4, and `6.02 B + 3.52 - 10 log10 N` dB.
/// A third of the signal each comes from 64 columns and from 128 planes, so that it is known to 0.3 dB; the error to 0.1 dB.
#[test]
fn quantisation_of_columns() {
    let spec = spec("name = 'c'\n[array]\nrows = 1152\ncolumns = 64\n[adc]\nkind = 'ideal'\nbits = 8\n");
    let result = measure(&spec, 1);
    let point = result
        .columns
        .iter()
        .find(|p| p.rows == 1152 && p.activity == 0.5)
        .unwrap();
    let expected = 6.0206 * 8.0 + 3.52 - 10.0 * 1152f64.log10();
    let (sqnr, closed) = (point.sqnr_db.unwrap(), point.closed_form_db.unwrap());
    assert!((closed - expected).abs() < 1.2, "{point:?} for {expected}");
    assert!((sqnr - closed).abs() < 0.4, "{point:?}");
    // Without any other error there is no more.
    assert_eq!(point.csnr_db, point.sqnr_db);
    assert!(result.chips[0].csnr_db.is_some());
}

/// Known outputs of 8b x 8b on 1152 rows with 8-bit converters and uniform data of power `N E[x^2] E[w^2]`: 22.3, 17.5 and 12.8 dB. The simulated error
/// of 2048 outputs is known to 0.14 dB; it is uniform where a step is neither near a count nor near the signal.
#[test]
fn schemes_against_the_closed_form() {
    let power: f64 = 1152.0 * (255.0 * 511.0 / 6.0) * (65_535.0 / 12.0 + 0.25);
    for (scheme, known) in Scheme::ALL.into_iter().zip([22.3, 17.5, 12.8]) {
        let closed = 10.0 * (power / scheme.error_variance(1152.0, 8, 8, 8).unwrap()).log10();
        assert!((closed - known).abs() < 0.06, "{scheme:?}: {closed}");
    }
    let spec = spec("name = 'c'\n[array]\nrows = 1152\ncolumns = 128\n[adc]\nkind = 'ideal'\nbits = 8\n");
    let result = measure(&spec, 1);
    let mut compared = 0;
    for r in &result.resolutions {
        for s in &r.schemes {
            let Some(closed) = s.closed_form_db.filter(|db| *db > 8.0) else {
                continue;
            };
            assert!((s.sqnr_db.unwrap() - closed).abs() < 0.6, "{} bits: {s:?}", r.adc_bits);
            compared += 1;
        }
    }
    assert!(compared >= 12, "{compared}");
    // Twelve bits tell 1152 counts apart.
    assert_eq!(result.resolutions.last().unwrap().schemes[0].sqnr_db, None);
}

/// Chips are measured alike whatever the threads, and one after another whatever their number.
#[test]
fn a_measurement_repeats() {
    let spec = bundled("sinangil-jssc-2021", &[]);
    let on = |threads, chips| {
        let config = CharacterizeConfig {
            chips,
            seed: 7,
            threads,
        };
        characterize(&spec, &config, &|_, _| (), &AtomicBool::new(false)).unwrap()
    };
    let (one, two) = (on(1, 2), on(2, 2));
    assert_eq!(one, two);
    assert_eq!(on(1, 1).chips[0], one.chips[0]);
}
