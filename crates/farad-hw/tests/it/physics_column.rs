//! One column as a row of capacitors: mismatch, attenuation, curvature, thermal noise, droop.

use crate::physics::{Bench, Uniform, assert_near, column, moments};
use farad_hw::limits::ktc_v;
use farad_hw::scale::{BOLTZMANN, Scale};
use proptest::prelude::*;

/// Errors of the first column with its first `ones` cells on, in counts, over `chips`.
fn mismatch_errors(rows: usize, ones: usize, pairs: &[(&str, &str)], chips: u32) -> Vec<f64> {
    let spec = column(rows, pairs);
    let error = |chip| {
        let b = Bench::new(&spec, chip, 1);
        b.seen(0, 0, b.charge(0, 0, |row| row < ones)) - ones as f64
    };
    (0..chips).map(error).collect()
}

/// `sigma_M = sigma_u sqrt(N m (1 - alpha m (2 - alpha)))` from `V = V_DD sum(C_i p_i) / (sum(C_i) + C_p)` to first order in the
/// capacitors' errors. 10^4 chips each: sigma is known to 0.7 %.
#[test]
fn mismatch_of_a_column() {
    for (rows, ones, rho) in [(256, 128, 0.0), (64, 16, 0.3), (64, 48, 0.5)] {
        let errors = mismatch_errors(
            rows,
            ones,
            &[
                ("array.mismatch_pct", "2.0"),
                ("array.parasitic_ratio", &rho.to_string()),
            ],
            10_000,
        );
        let (n, m, alpha) = (rows as f64, ones as f64 / rows as f64, 1.0 / (1.0 + rho));
        let (mean, sigma) = moments(&errors);
        assert_near(sigma, 0.02 * (n * m * (1.0 - alpha * m * (2.0 - alpha))).sqrt(), 0.03);
        // Three standard errors of the mean.
        assert!(mean.abs() < 3.0 * sigma / 100.0, "{mean}");
    }
}

/// All cells on without parasitic: the capacitors are the whole divider and their errors cancel.
#[test]
fn a_full_column_has_no_mismatch() {
    // A cell is rounded to 1/1024 of a count, +-1/2, so the sum of 64 is off by 64/2048 counts at the very most.
    assert!(
        mismatch_errors(64, 64, &[("array.mismatch_pct", "2.0")], 100)
            .iter()
            .all(|e| e.abs() < 0.032)
    );
}

/// Over random patterns the signal's variance is `N p (1 - p)` and the error's `sigma_u^2` times it: the ratio is 1 / sigma_u^2 for any N.
/// 100 chips x 40 patterns: the ratio is known to 0.1 dB.
#[test]
fn mismatch_snr_does_not_depend_on_the_rows() {
    let mut random = Uniform(1);
    for (pct, rows) in [("1.0", 64), ("1.0", 256), ("1.0", 1152), ("0.66", 256)] {
        let spec = column(rows, &[("array.mismatch_pct", pct)]);
        let (mut signal, mut noise) = (Vec::new(), 0.0);
        for chip in 0..100 {
            let b = Bench::new(&spec, chip, 1);
            for _ in 0..40 {
                let on: Vec<bool> = (0..rows).map(|_| random.next(2) == 0).collect();
                let ones = on.iter().filter(|&&on| on).count() as f64;
                noise += (b.seen(0, 0, b.charge(0, 0, |row| on[row])) - ones).powi(2);
                signal.push(ones);
            }
        }
        let snr_db = 10.0 * (moments(&signal).1.powi(2) / (noise / signal.len() as f64)).log10();
        let expected_db = -20.0 * (pct.parse::<f64>().unwrap() / 100.0).log10();
        assert!(
            (snr_db - expected_db).abs() < 0.3,
            "N = {rows}: {snr_db} dB instead of {expected_db} dB"
        );
    }
}

/// Every cell has its own error, drawn once per chip.
#[test]
fn mismatch_belongs_to_the_cell_and_the_chip() {
    let spec = column(128, &[("array.mismatch_pct", "2.0")]);
    let cells = |chip| Bench::new(&spec, chip, 2).model.outputs;
    assert_eq!(cells(3), cells(3));
    assert_ne!(cells(3), cells(4));
    let outputs = cells(3);
    let distinct: std::collections::BTreeSet<i16> = outputs[0].cells[..128].iter().copied().collect();
    assert!(
        distinct.len() > 30,
        "128 draws of 20 quanta sigma share {} values",
        distinct.len()
    );
    assert_ne!(outputs[0].cells, outputs[1].cells);
}

/// sigma of a unit capacitor falls with the root of its area: 4 fF have half the error of 1 fF.
#[test]
fn bigger_capacitors_match_better() {
    let sigma = |ff| column(64, &[("array.mismatch_pct", "1.0"), ("array.unit_cap_ff", ff)]).cell_sigma();
    assert_eq!(sigma("4.0"), 0.5 * sigma("1.0"));
    assert_eq!(sigma("1.0"), 0.01);
}

/// Without calibration the ADC refers to V_DD and alpha of the range is used; with it nothing is lost.
#[test]
fn the_parasitic_attenuates() {
    for (calibrated, gain) in [("true", 1.0), ("false", 1.0 / 1.25)] {
        let b = Bench::new(
            &column(
                64,
                &[("array.parasitic_ratio", "0.25"), ("noise.calibrated", calibrated)],
            ),
            0,
            1,
        );
        assert_near(b.seen(0, 0, 40.0), 40.0 * gain, 1e-6);
        // Volts at the plate: alpha V_DD M / N either way.
        assert_near(
            b.seen(0, 0, 40.0) / b.scale.lsb_counts * b.scale.lsb_v,
            0.9 / 1.25 * 40.0 / 64.0,
            1e-6,
        );
    }
}

/// `V (1 + rho (1 + beta V)) = m V_DD` solved exactly, less the line through its ends, against what the transfer makes of the charge.
/// The transfer is second order; with `e = rho alpha^2 beta V_DD` the series `V / (alpha V_DD) = m - e m^2 + 2 e^2 m^3 - ..` leaves
/// `1 - 2 e (1 + m)` of it to the third, 3 % less at most at these values.
#[test]
fn a_voltage_dependent_parasitic_bends_the_transfer() {
    let (rho, beta, vdd, n) = (0.3, 0.05, 0.9, 256.0);
    let pairs = [
        ("array.parasitic_ratio", "0.3"),
        ("array.parasitic_nonlinearity_per_v", "0.05"),
    ];
    let volts = |m: f64| {
        let (a, b) = (rho * beta, 1.0 + rho);
        (-b + (b * b + 4.0 * a * m * vdd).sqrt()) / (2.0 * a)
    };
    let alpha: f64 = 1.0 / (1.0 + rho);
    let bow_v = rho * alpha.powi(3) * beta * vdd * vdd;
    // rho alpha^3 beta V_DD^2 / 4 = 1.38 mV at half scale.
    assert_near(bow_v / 4.0, 1.38e-3, 0.005);
    let b = Bench::new(&column(256, &pairs), 0, 1);
    for ones in [32.0, 64.0, 128.0, 200.0] {
        let m = ones / n;
        let inl_v = (b.seen(0, 0, ones) - ones) / b.scale.lsb_counts * b.scale.lsb_v;
        assert_near(inl_v, bow_v * m * (1.0 - m), 1e-3);
        let third_order = 1.0 - 2.0 * rho * alpha * alpha * beta * vdd * (1.0 + m);
        assert_near(volts(m) - m * volts(1.0), inl_v * third_order, 2e-3);
    }
    // With both signs the plate starts at half scale: the same parabola seen from its vertex.
    let signed = [pairs[0], pairs[1], ("weight.combine", "binary_cap")];
    let b = Bench::new(&column(256, &signed), 0, 1);
    for s in [-100.0, -30.0, 60.0, 120.0] {
        let charge = s * n;
        let inl_v = (b.seen(0, 0, charge * b.unit()) - charge) / b.scale.lsb_counts * b.scale.lsb_v;
        assert_near(inl_v, -bow_v * (s / 255.0) * (s / 255.0), 1e-3);
    }
}

/// kT/C of a coupled plate is `(N / (alpha V_DD)) sqrt(kT / C_T)` counts; sharing adds alpha of it. 64 fF: 254 uV; 1 pF: 64.4 uV.
#[test]
fn thermal_noise_of_the_plate() {
    assert_near(ktc_v(64.0, 300.0), 254e-6, 0.02);
    assert_near(ktc_v(1000.0, 300.0), 64.4e-6, 0.02);
    for (rows, rho, topology) in [(64, 0.0_f64, "couple"), (256, 0.3, "couple"), (256, 0.3, "share")] {
        let spec = column(
            rows,
            &[
                ("noise.ktc", "true"),
                ("array.parasitic_ratio", &rho.to_string()),
                ("array.topology", topology),
                ("array.unit_cap_ff", "0.01"),
            ],
        );
        let scale = Scale::new(&spec, rows, None);
        let (n, alpha) = (rows as f64, 1.0 / (1.0 + rho));
        let plate_f = n * 0.01e-15 * (1.0 + rho);
        let events = if topology == "share" { 1.0 + alpha } else { 1.0 };
        let counts = n / (alpha * 0.9) * (events * BOLTZMANN * 300.0 / plate_f).sqrt();
        let in_units = counts / scale.lsb_counts * 64.0 * 8.0;
        // Sigmas are kept in 1/512 LSB.
        assert!(
            scale
                .noise
                .sigma
                .iter()
                .all(|&s| (f64::from(s) - in_units).abs() <= 0.5),
            "{:?} {in_units}",
            scale.noise.sigma
        );
    }
}

/// A converter with a CDAC samples once more, and the variances add.
#[test]
fn the_cdac_samples_too() {
    let with = |kind: &str, cap: &str| {
        let pairs = [
            ("noise.ktc", "true"),
            ("array.topology", "couple"),
            ("array.unit_cap_ff", "0.01"),
            ("adc.kind", kind),
        ];
        let spec = column(64, &[&pairs[..], &[("adc.unit_cap_ff", cap)]].concat());
        f64::from(Scale::new(&spec, 64, None).noise.sigma[0])
    };
    let (plate, both) = (with("ideal", "1.0"), with("sar_conventional", "0.0025"));
    // 256 units of 2.5 aF are the 0.64 fF of the plate.
    assert_near(both / plate, std::f64::consts::SQRT_2, 1.0 / plate);
    assert_eq!(with("flash", "0.0025"), plate);
}

/// A pair of plates has the noise of two, and what leaks or is injected on both is gone from their difference.
#[test]
fn a_pair_of_plates() {
    let pairs = |signed| {
        [
            ("weight.combine", "binary_cap"),
            ("weight.signed", signed),
            ("weight.bits", "4"),
            ("array.unit_cap_ff", "0.01"),
            ("array.topology", "couple"),
            ("noise.ktc", "true"),
            ("noise.leakage_pa", "1000.0"),
            ("noise.injection_mv", "5.0"),
            ("noise.calibrated", "false"),
            ("adc.columns_per_adc", "2"),
        ]
    };
    let scale = |signed| Scale::new(&column(64, &pairs(signed)), 64, None);
    let noise_v = |s: &Scale| f64::from(s.noise.sigma[0]) * s.lsb_v;
    let (single, pair) = (scale("offset_binary"), scale("differential"));
    // A bank of three bits is 1 + 1/2 + 1/4 columns, one of four 1/8 more.
    let expected = (2.0_f64 * 1.875 / 1.75).sqrt();
    assert_near(
        noise_v(&pair) / noise_v(&single),
        expected,
        1.0 / f64::from(pair.noise.sigma[0]),
    );
    assert!(single.nominal_offset_lsb(0) != 0.0 && single.nominal_offset_lsb(1) < single.nominal_offset_lsb(0));
    assert_eq!((pair.nominal_offset_lsb(0), pair.nominal_offset_lsb(1)), (0.0, 0.0));
}

/// Reference noise is a fraction of the reference that the code stands for: it grows in proportion to it.
#[test]
fn reference_noise_grows_with_the_level() {
    let pairs = [("noise.reference_lsb", "0.5")];
    let unsigned = Scale::new(&column(128, &pairs), 128, None).noise.sigma;
    // Bins 16..32 are below mid-scale, 0..16 above.
    let along: Vec<i16> = unsigned[16..].iter().chain(&unsigned[..16]).copied().collect();
    for (i, &s) in along.iter().enumerate() {
        let level = (i as f64 + 0.5) / 32.0;
        assert!((f64::from(s) - 0.5 * level * 512.0).abs() <= 0.5);
    }
    let signed = Scale::new(&column(128, &[pairs[0], ("weight.combine", "binary_cap")]), 128, None)
        .noise
        .sigma;
    for i in 0..16 {
        assert_eq!(signed[i], signed[31 - i]);
        assert!((f64::from(signed[i]) - 0.5 * (i as f64 + 0.5) / 16.0 * 512.0).abs() <= 0.5);
    }
}

/// `dV = N I t / C_T`: 10 pA on each 1 fF cell is 10 mV/us. Four conversions of 1 + 1 clocks of 10 ns: 0.2 mV more for each.
#[test]
fn later_conversions_droop() {
    let pairs = [
        ("noise.leakage_pa", "10.0"),
        ("adc.columns_per_adc", "4"),
        ("array.parasitic_ratio", "0.25"),
    ];
    let b = Bench::new(&column(64, &pairs), 0, 2);
    for slot in 0..16 {
        let droop_v = (b.seen(0, 0, 40.0) - b.seen(slot / 8, slot % 8, 40.0)) / b.scale.lsb_counts * b.scale.lsb_v;
        let expected_v = (slot % 4) as f64 * 10e-12 / 1e-15 * 20e-9 / 1.25;
        // An offset near -8192 steps is an f32: half an ulp is 2^-11 steps of 1/64 LSB.
        assert!(
            (droop_v - expected_v).abs() < b.scale.lsb_v / 64.0 / 1024.0,
            "{slot}: {droop_v} {expected_v}"
        );
    }
}

proptest! {
    /// Calibrated or not, with or without curvature: every non-ideality at zero is the ideal, to the bit.
    #[test]
    fn zeroes_are_the_ideal(rows in 1usize..600, chip in 0u32..100, kind in 0..farad_hw::adc::kinds().len()) {
        let name = farad_hw::adc::kinds()[kind].name();
        let off = [
            "array.mismatch_pct", "array.parasitic_nonlinearity_per_v", "adc.mismatch_pct", "noise.comparator_lsb", "noise.reference_lsb",
            "noise.offset_mv", "noise.injection_mv", "noise.injection_pct", "noise.injection_sigma_mv", "noise.leakage_pa",
            "noise.column_gain_pct", "noise.column_offset_lsb",
        ];
        let mut pairs: Vec<(&str, &str)> = off.iter().map(|key| (*key, "0.0")).collect();
        pairs.extend([("noise.ktc", "false"), ("adc.kind", name)]);
        let ideal = Bench::new(&column(rows, &[]), chip, 1);
        let real = Bench::new(&column(rows, &pairs), chip, 1);
        prop_assert!(real.scale.noise.is_silent());
        prop_assert_eq!(ideal.model, real.model);
    }
}
