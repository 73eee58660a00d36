//! Bit planes and bit columns merged on capacitors: ratio errors, parasitics and the noise of every conversion saved.

use crate::physics::{Bench, Uniform, assert_near, column, moments};
use farad_hw::chip::{c2c_weights, serial_share_weights};
use farad_hw::scale::Scale;

/// Step at mid-scale beyond one LSB: the weight of the MSB less that of all lower bits.
fn mid_dnl(weights: &[f64]) -> f64 {
    let (msb, lower) = weights.split_last().expect("bits");
    msb - lower.iter().sum::<f64>() - 1.0
}

/// Serial charge redistribution with a ratio error of 1 %: the MSB weighs lambda = 0.505, and of an ideal step at mid-code of 2^-8
/// `lambda - (1 - lambda)(1 - (1 - lambda)^7)` remains, 2.48 LSB more.
#[test]
fn a_serial_share_with_a_ratio_error() {
    let weights = serial_share_weights(8, 0.01);
    assert_near(weights[7] / 256.0, 0.505, 1e-12);
    let rest = 0.495_f64;
    let exact = 256.0 * (0.505 - rest * (1.0 - rest.powi(7))) - 1.0;
    assert_near(mid_dnl(&weights), exact, 1e-9);
    assert_near(exact, 2.48, 0.03);
    for (k, w) in serial_share_weights(8, 0.0).iter().enumerate() {
        assert_eq!(*w, f64::from(1 << k));
    }
}

/// A pair of 1 % capacitors: sigma of epsilon is 1 % / sqrt(2). The slope of mid-scale DNL, `2^8 (1 - 8 / 2^8)` per epsilon, leaves 1.75 LSB
/// (1.81 when the low bits' share of it is left out). 20 000 chips: known to 0.5 %.
#[test]
fn a_serial_share_with_mismatch() {
    let spec = column(
        2,
        &[("input.combine", "serial_share"), ("input.share_mismatch_pct", "1.0")],
    );
    let dnl = |chip| {
        let weights = &Bench::new(&spec, chip, 1).model.outputs[0].slots[0].plane_weights;
        mid_dnl(&weights.iter().map(|&w| f64::from(w)).collect::<Vec<_>>())
    };
    let errors: Vec<f64> = (0..20_000).map(dnl).collect();
    assert_near(moments(&errors).1, 248.0 * 0.01 / 2f64.sqrt(), 0.03);
}

/// Reset of each plane, then a share per plane, `(kT/4C + kT/2C) sum(4^-n)`: kT/C in all.
#[test]
fn a_serial_share_has_the_noise_of_one_plate() {
    let sigma_v = |combine| {
        let pairs = [
            ("input.combine", combine),
            ("noise.ktc", "true"),
            ("array.topology", "couple"),
            ("array.unit_cap_ff", "0.01"),
            ("adc.bits", "10"),
        ];
        let scale = Scale::new(&column(64, &pairs), 64, None);
        f64::from(scale.noise.sigma[0]) * scale.lsb_v
    };
    assert_near(sigma_v("serial_share"), sigma_v("bitserial"), 2e-3);
}

/// Without parasitic the ladder halves exactly. With gamma of C at every node each step divides by
/// `(L + 1 + gamma) / L`, `L = (-(1 + gamma) + sqrt((1 + gamma)^2 + 8 (1 + gamma))) / 2` (fixed point of the ladder's recursion).
#[test]
fn a_c2c_ladder_with_node_parasitics() {
    for (k, w) in c2c_weights(8, 0.0, &mut |c| c).iter().enumerate() {
        assert_eq!(*w, f64::from(1 << k) / 256.0);
    }
    for (gamma, radix, dnl) in [
        (0.02, 2.0133, 1.64),
        (0.05, 2.0332, 4.04),
        (0.1, 2.0660, 7.92),
        (0.2, 2.1307, 15.3),
    ] {
        let weights = c2c_weights(8, gamma, &mut |c| c);
        let g: f64 = 1.0 + gamma;
        let load = 0.5 * (-g + (g * g + 8.0 * g).sqrt());
        assert_near((load + g) / load, radix, 5e-5);
        assert_near(weights[7] / weights[6], radix, 1e-3);
        // In LSB of the ladder's own full scale of 255.
        let lsb = weights.iter().sum::<f64>() / 255.0;
        let in_lsb: Vec<f64> = weights.iter().map(|w| w / lsb).collect();
        assert_near(mid_dnl(&in_lsb), dnl, 0.04);
        // The same through the chip; its charge quantum is 1/16 of an LSB cell, half of it on each of the eight legs.
        let spec = column(
            1,
            &[("weight.combine", "c2c"), ("weight.node_parasitic", &gamma.to_string())],
        );
        let b = Bench::new(&spec, 0, 1);
        let quanta: Vec<f64> = (0..8).map(|k| b.charge(0, k, |_| true).abs() / b.unit()).collect();
        assert!(
            (mid_dnl(&quanta) - mid_dnl(&weights.iter().map(|w| 256.0 * w).collect::<Vec<_>>())).abs() < 8.0 / 32.0
        );
    }
}

/// `256 sigma_u sqrt(0.3)` = 1.40 LSB at mid-scale for 1 % capacitors, to first order. 10 000 ladders: known to 0.7 %.
#[test]
fn a_c2c_ladder_with_mismatch() {
    let spec = column(100, &[("weight.combine", "c2c"), ("weight.cap_mismatch_pct", "1.0")]);
    let mut errors = Vec::new();
    for chip in 0..100 {
        let b = Bench::new(&spec, chip, 1);
        for row in 0..100 {
            let weights: Vec<f64> = (0..8).map(|k| b.charge(0, k, |r| r == row).abs() / b.unit()).collect();
            errors.push(mid_dnl(&weights));
        }
    }
    assert_near(moments(&errors).1, 256.0 * 0.01 * 0.3_f64.sqrt(), 0.03);
}

/// `sigma^2(V_w) = sigma_c^2 sum(2^k (V_k - V_w)^2) / (2^8 - 1)^2` for units of 4 %: here the MSB column alone is full. 10 000 chips: known
/// to 0.7 %; rounding the cell to a quantum, 1/16 of an LSB, adds 0.3 % to the variance.
#[test]
fn binary_weighted_sharing_with_mismatch() {
    let spec = column(
        1,
        &[
            ("weight.combine", "binary_cap"),
            ("weight.signed", "offset_binary"),
            ("weight.cap_mismatch_pct", "4.0"),
        ],
    );
    let share = |chip| {
        let b = Bench::new(&spec, chip, 1);
        b.charge(0, 7, |_| true) / b.unit()
    };
    let shares: Vec<f64> = (0..10_000).map(share).collect();
    let at: f64 = 128.0 / 255.0;
    let lsb = 0.04 * (128.0 * (1.0 - at) * (1.0 - at) + 127.0 * at * at).sqrt();
    assert_near(moments(&shares).1, lsb, 0.03);
}

/// A switch's parasitic adds the same to every segment, so the LSB gains most: weights `(2^k + c) 255 / (255 + 8 c)`.
#[test]
fn switch_parasitics_lift_the_low_bits() {
    let spec = column(
        1,
        &[("weight.combine", "binary_cap"), ("weight.switch_parasitic", "0.5")],
    );
    let b = Bench::new(&spec, 0, 1);
    for k in 0..8 {
        let weight = (f64::from(1 << k) + 0.5) * 255.0 / 259.0;
        assert!((b.charge(0, k, |_| true).abs() / b.unit() - weight).abs() <= 0.5 / b.unit());
    }
}

/// One bank's mean error moves nothing in common: at full charge on all columns the shares add up to 255 again.
#[test]
fn sharing_divides_by_all_that_is_shared() {
    let pairs = [
        ("weight.combine", "binary_cap"),
        ("weight.signed", "offset_binary"),
        ("weight.cap_mismatch_pct", "3.0"),
    ];
    for chip in 0..200 {
        let b = Bench::new(&column(1, &pairs), chip, 1);
        let sum: f64 = (0..8).map(|k| b.charge(0, k, |_| true)).sum();
        assert!((sum / b.unit() - 255.0).abs() <= 8.0 * 0.5 / b.unit());
    }
}

/// Quantisation noise of an output of `rows` random 8b x 8b products, in product units, against their spread. `planes` of inputs are
/// merged before a conversion. 4000 outputs: known to 0.1 dB.
fn sqnr_db(rows: usize, pairs: &[(&str, &str)]) -> f64 {
    let spec = column(rows, pairs);
    let b = Bench::new(&spec, 0, 1);
    let slots = &b.model.outputs[0].slots;
    let merged = slots[0].plane_weights.len();
    let mut random = Uniform(7);
    let (mut exact, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..4000 {
        let x: Vec<u64> = (0..rows).map(|_| random.next(8)).collect();
        let w: Vec<i8> = (0..rows).map(|_| random.next(8) as u8 as i8).collect();
        let truth: i64 = x.iter().zip(&w).map(|(&x, &w)| x as i64 * i64::from(w)).sum();
        let mut codes = 0;
        for (s, slot) in slots.iter().enumerate() {
            for evaluation in 0..8 / merged {
                let mut charge = 0.0;
                for (i, &weight) in slot.plane_weights.iter().enumerate() {
                    let plane = evaluation * merged + i;
                    let on = |row: usize, k: usize| {
                        x[row] >> plane & 1 == 1 && farad_hw::encoding::stored_bit(&spec, k, w[row])
                    };
                    let plane_charge: f64 = slot.columns.clone().map(|k| b.charge(0, k, |row| on(row, k))).sum();
                    charge += f64::from(weight) * plane_charge;
                }
                codes += i64::from(slot.digital_weight) * (b.code(0, s, charge) << (evaluation * merged));
            }
        }
        exact.push(truth as f64);
        errors.push(codes as f64 * b.scale.lsb_counts - truth as f64);
    }
    20.0 * (moments(&exact).1 / moments(&errors).1).log10()
}

/// With N rows and the same 8-bit converter, quantisation noise in product units is
/// `(N / 255)^2 / 12 (4^8 - 1)^2 / 9` if everything is digital, `N^2 / 12 (4^8 - 1) / 3` if weights are merged and `(255 N)^2 / 12` if
/// inputs are, too: each merge costs 4.74 dB (3 * 255^2 / (4^8 - 1)) and saves seven conversions of eight.
#[test]
fn each_analog_merge_costs_a_factor_of_three() {
    let hybrid = [("weight.combine", "binary_cap")];
    let single = [hybrid[0], ("input.combine", "serial_share")];
    let merge_db = 10.0 * (3.0 * 255.0 * 255.0 / 65535.0_f64).log10();
    // Signal of uniform x in 0..256 and w in -128..128: N (E[x^2] E[w^2] - (E[x] E[w])^2).
    let power = |n: f64| n * (255.0 * 511.0 / 6.0 * (65535.0 / 12.0 + 0.25) - (127.5 * 0.5_f64).powi(2));
    let (n64, n128, n1152) = (64.0_f64, 128.0_f64, 1152.0_f64);
    let expected = |n: f64, noise: f64| 10.0 * (power(n) / noise).log10();
    let single_noise = |n: f64| (255.0 * n).powi(2) / 12.0;
    for (n, tolerance) in [(n64, 0.3), (n128, 0.3)] {
        let [h, s] = [&hybrid[..], &single[..]].map(|pairs| sqnr_db(n as usize, pairs));
        assert!(
            (s - expected(n, single_noise(n))).abs() < tolerance,
            "N = {n}: single {s} dB"
        );
        assert!(
            (h - s - merge_db).abs() < tolerance,
            "N = {n}: hybrid {h} dB, single {s} dB"
        );
    }
    // With 128 rows: 22.3, 27.1 dB, and no error at all where a count is a code.
    assert!((expected(n128, single_noise(n128)) - 22.3).abs() < 0.1);
    assert_eq!(sqnr_db(128, &[]), f64::INFINITY);
    let (h, d) = (sqnr_db(n1152 as usize, &hybrid), sqnr_db(n1152 as usize, &[]));
    assert!((d - h - merge_db).abs() < 0.3, "digital {d} dB, hybrid {h} dB");
}
