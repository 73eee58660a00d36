//! Converters: codes, mismatch, quantisation, clipping, skipping and the energy of all that.

use crate::physics::{Bench, assert_near, column, moments, upper_tail};
use farad_core::EventCounts;
use farad_core::axis::{add_noise, lsb_steps};
use farad_core::draw::{Domain, StaticNormals};
use farad_hw::MacroSpec;
use farad_hw::adc::cdac::split_levels;
use farad_hw::adc::{Conversion, kinds};
use farad_hw::cost::{area, conversion_j};
use farad_hw::scale::{ChargeStats, Scale};
use farad_hw::timing::mvm_clocks;
use std::collections::BTreeSet;

const SARS: [&str; 3] = ["sar_conventional", "sar_monotonic", "sar_split"];

fn adc(kind: &str, bits: u32, pairs: &[(&str, &str)]) -> MacroSpec {
    let bits = bits.to_string();
    column(255, &[&[("adc.kind", kind), ("adc.bits", &bits)], pairs].concat())
}

/// Comparator levels of `chips` converters, LSB above the lowest code, before they are rounded to the axis.
fn levels(spec: &MacroSpec, chips: u32) -> impl Iterator<Item = Vec<f64>> + '_ {
    (0..chips).map(|chip| {
        let mut draws = StaticNormals::new(chip, Domain::Adc, 0, 0, 0);
        spec.adc.model().levels(&spec.adc, &mut || draws.next_sigmas())
    })
}

/// Step from code `code` to the next, less one LSB, of each converter.
fn dnl(spec: &MacroSpec, chips: u32, code: usize) -> Vec<f64> {
    levels(spec, chips).map(|l| l[code] - l[code - 1] - 1.0).collect()
}

/// N bits have 2^N codes and an ideal step each, whatever the kind; beyond the range nothing more.
#[test]
fn n_bits_have_two_to_the_n_codes() {
    for kind in kinds() {
        for bits in 1..=12 {
            for signed in ["digital", "binary_cap"] {
                let b = Bench::new(&adc(kind.name(), bits, &[("weight.combine", signed)]), 0, 1);
                let adc = &b.model.adcs[0];
                let code = |v: i32| adc.staircase.partition_point(|&level| level <= v);
                let codes: BTreeSet<usize> = (i32::from(i16::MIN)..=i32::from(i16::MAX)).map(code).collect();
                assert_eq!(codes.len(), 1 << bits, "{} at {bits} bits", kind.name());
                assert_eq!(codes.last(), Some(&((1 << bits) - 1)));
                assert!(adc.staircase.windows(2).all(|w| w[1] - w[0] == lsb_steps(bits)));
                // Mid-tread: zero is in the middle of a code.
                assert_eq!(code(0), 1 << (bits - 1));
                assert_eq!(code(-lsb_steps(bits) / 2), 1 << (bits - 1));
                assert_eq!(code(-lsb_steps(bits) / 2 - 1), (1 << (bits - 1)) - 1);
            }
        }
    }
}

/// No charge is code zero where charge has one sign, and the middle where it has two.
#[test]
fn zero_in_is_zero_out() {
    for kind in kinds() {
        for combine in ["digital", "binary_cap"] {
            let b = Bench::new(&adc(kind.name(), 8, &[("weight.combine", combine)]), 0, 1);
            assert_eq!(b.code(0, 0, 0.0), 0);
        }
    }
}

/// Mid-scale of a binary CDAC of 1 % units: sigma of DNL `sigma sqrt(2^B - 1)`, of INL `sigma sqrt(2^B) / 2`: 0.160 and 0.080 LSB at 8 bits,
/// 0.096 at 10 bits and 0.3 %. 10 000 converters: known to 0.7 %.
#[test]
fn mismatch_of_a_binary_cdac() {
    for kind in ["sar_conventional", "sar_monotonic"] {
        for (bits, pct, unit) in [(8, "1.0", 0.01_f64), (10, "0.3", 0.003)] {
            let spec = adc(kind, bits, &[("adc.mismatch_pct", pct)]);
            let middle = 1usize << (bits - 1);
            let codes = (2 * middle) as f64;
            assert_near(
                moments(&dnl(&spec, 10_000, middle - 1)).1,
                unit * (codes - 1.0).sqrt(),
                0.04,
            );
            let inl: Vec<f64> = levels(&spec, 10_000).map(|l| l[middle - 1] + 0.5).collect();
            assert_near(moments(&inl).1, unit * codes.sqrt() / 2.0, 0.04);
        }
    }
    assert_near(0.01 * 255f64.sqrt(), 0.160, 0.005);
}

/// Two arrays of four bits and a bridge: `2^(L/2) 2^(B/2) sigma` = 0.64 LSB. 10 000 converters: known to 0.7 %.
#[test]
fn mismatch_of_a_split_cdac() {
    let spec = adc("sar_split", 8, &[("adc.mismatch_pct", "1.0")]);
    assert_near(moments(&dnl(&spec, 10_000, 127)).1, 0.64, 0.05);
}

/// A parasitic of one unit on the LSB array's plate shrinks the low bits: DNL +0.84 LSB where they all turn over.
#[test]
fn a_parasitic_on_a_split_cdac() {
    let binary = [1.0, 2.0, 4.0, 8.0];
    let ideal = split_levels(&binary, &binary, 1.0, 0.0, 16.0 / 15.0);
    for (k, level) in ideal.iter().enumerate() {
        assert_near(256.0 * level, (k + 1) as f64, 1e-12);
    }
    let real = split_levels(&binary, &binary, 1.0, 1.0, 16.0 / 15.0);
    assert_near(256.0 * (real[127] - real[126]) - 1.0, 0.84, 0.05);
}

/// Each converter of a chip is its own, and always the same.
#[test]
fn converters_are_individuals() {
    for kind in kinds().iter().filter(|k| k.name() != "ideal") {
        let spec = adc(kind.name(), 8, &[("adc.mismatch_pct", "2.0")]);
        let adcs = |chip| Bench::new(&spec, chip, 2).model.adcs;
        assert_eq!(adcs(1), adcs(1));
        assert_ne!(adcs(1), adcs(2));
        let distinct: BTreeSet<Vec<i32>> = adcs(1).into_iter().map(|a| a.levels).collect();
        assert_eq!(distinct.len(), 16, "{}", kind.name());
    }
}

/// Quantisation of a column of N rows whose products are ones with p = 1/4, over the binomial distribution itself (no draws):
/// `6.02 B + 10 log10(12 p (1 - p)) - 10 log10 N` dB.
#[test]
fn quantisation_of_a_column() {
    for (rows, expected_db) in [(1152, 21.07), (2304, 18.06)] {
        let b = Bench::new(&column(rows, &[]), 0, 1);
        let (n, p) = (rows as f64, 0.25_f64);
        assert_near(
            6.0206 * 8.0 + 10.0 * (12.0 * p * (1.0 - p)).log10() - 10.0 * n.log10(),
            expected_db,
            0.002,
        );
        let (mut log_choose, mut noise) = (0.0, 0.0);
        for ones in 0..=rows {
            let m = ones as f64;
            let probability = (log_choose + m * p.ln() + (n - m) * (1.0 - p).ln()).exp();
            noise += probability * (b.code(0, 0, m) as f64 * b.scale.lsb_counts - m).powi(2);
            log_choose += ((n - m) / (m + 1.0)).ln();
        }
        let sqnr_db = 10.0 * (n * p * (1.0 - p) / noise).log10();
        assert!((sqnr_db - expected_db).abs() < 0.15, "N = {rows}: {sqnr_db} dB");
    }
}

/// SQNR of Gaussian charges in a signed converter that clips at `zeta` sigmas, by integration.
fn clipped_sqnr_db(bits: u32, zeta: f64) -> f64 {
    let (bits, zeta) = (bits.to_string(), zeta.to_string());
    let pairs = [
        ("weight.combine", "binary_cap"),
        ("adc.bits", &*bits),
        ("adc.range", "clip"),
        ("adc.clip_sigma", &*zeta),
    ];
    // Charge is whole: at 1e4 counts to the sigma that is fine enough for any of these steps.
    let sigma = 1e4;
    let b = Bench::with_stats(
        &column(2304, &pairs),
        0,
        1,
        Some(&ChargeStats {
            mean: 0.0,
            sigma,
            limit: 0.0,
        }),
    );
    let (mut noise, mut mass) = (0.0, 0.0);
    for i in -7000..=7000 {
        let z = f64::from(i) / 1000.0;
        let density = (-0.5 * z * z).exp();
        mass += density;
        noise += density * (b.code(0, 0, z * sigma * b.unit()) as f64 * b.scale.lsb_counts / sigma - z).powi(2);
    }
    -10.0 * (noise / mass).log10()
}

/// At 4 sigmas: `6.02 B + 4.77 - 20 log10(4)` = 6.02 B - 7.27 dB of granular noise. Overload adds `2 ((1 + z^2) Q(z) - z phi(z))` = 6.2e-6
/// of the power, which shows from 8 bits.
#[test]
fn clipping_at_four_sigmas() {
    let density = (-8.0_f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let overload = 2.0 * (17.0 * upper_tail(4.0) - 4.0 * density);
    for bits in 4..=10 {
        let granular = 10f64.powf(-(6.0206 * f64::from(bits) - 7.27) / 10.0);
        let sqnr_db = clipped_sqnr_db(bits, 4.0);
        let expected_db = -10.0 * (granular + overload).log10();
        assert!(
            (sqnr_db - expected_db).abs() < 0.2,
            "{bits} bits: {sqnr_db} dB instead of {expected_db} dB"
        );
        if bits <= 7 {
            assert!((sqnr_db - 6.0206 * f64::from(bits) + 7.27).abs() < 0.2);
        }
    }
}

/// The optimum uniform quantiser of a Gaussian has 19.38 dB at 16 levels and 24.57 dB at 32 (Max, IRE Trans. IT 6, 1960). It is mid-rise;
/// mid-tread spends a level on one side only, so it comes close and never beats it.
#[test]
fn clipping_has_an_optimum() {
    for (bits, optimum_db) in [(4, 19.38), (5, 24.57)] {
        let best_db = (15..=40)
            .map(|z| clipped_sqnr_db(bits, f64::from(z) / 10.0))
            .fold(f64::NEG_INFINITY, f64::max);
        assert!(
            best_db < optimum_db && optimum_db - best_db < 0.2,
            "{bits} bits: {best_db} dB"
        );
    }
}

/// Count errors where a count is an LSB: `2 Q(1 / 2 sigma)`, over all 2^16 draws. sigma is kept in 1/512 LSB and noise in 1/64 LSB, half up:
/// each half of the error is that of 31.5 or 32.5 steps at the sigma that is used.
#[test]
fn noise_makes_count_errors() {
    for (sigma, published) in [("0.15", 8.6e-4), ("0.2", 1.2e-2), ("0.25", 4.6e-2), ("0.3", 9.6e-2)] {
        let b = Bench::new(&column(255, &[("noise.comparator_lsb", sigma)]), 0, 1);
        let model = &b.model.outputs[0].slots[0];
        let clean = model.transfer.apply(100.0);
        let used = b.scale.noise.sigma[0];
        let wrong = (0..=u16::MAX).filter(|&u| {
            let input = i32::from(add_noise(clean, used, u));
            b.model.adcs[0].staircase.partition_point(|&level| level <= input) != 100
        });
        let rate = wrong.count() as f64 / 65536.0;
        let tail = |steps: f64| upper_tail(steps / 64.0 * 512.0 / f64::from(used));
        assert_near(rate, tail(31.5) + tail(32.5), 0.03);
        assert_near(rate, published, 0.05);
    }
}

/// A comparator whose noise is in volts has the more of it in LSB the narrower the range is; one whose noise is in LSB has not.
#[test]
fn noise_in_volts_does_not_follow_the_range() {
    let stats = ChargeStats {
        mean: 0.0,
        sigma: 10.0,
        limit: 0.0,
    };
    let at = |clip: &str, key, sigma| {
        let spec = column(255, &[("adc.range", "clip"), ("adc.clip_sigma", clip), (key, sigma)]);
        Scale::new(&spec, 255, Some(&stats))
    };
    // In 1/512 LSB.
    let sigma = |scale: &Scale| f64::from(scale.noise.sigma[0]) / 512.0;
    for clip in ["4", "8", "16"] {
        let scale = at(clip, "noise.comparator_mv", "0.5");
        assert_near(sigma(&scale), 0.5e-3 / scale.lsb_v, 0.01);
        assert_near(sigma(&at(clip, "noise.comparator_lsb", "0.5")), 0.5, 0.01);
    }
}

/// The converter that makes the codes is the one that costs: bits move the step, the energy, the clocks and the area together.
#[test]
fn bits_move_everything_at_once() {
    for kind in SARS.iter().chain(&["ramp"]) {
        let at = |bits| {
            let spec = adc(kind, bits, &[]);
            let cost = (
                conversion_j(&spec.adc, 0.9, &EventCounts::default()),
                mvm_clocks(&spec),
                area(&spec).adc_um2,
            );
            (Bench::new(&spec, 0, 1).scale.lsb_counts, cost)
        };
        for bits in 3..8 {
            let ((step, few), (finer, many)) = (at(bits), at(bits + 1));
            assert!(
                finer < step && few.0 < many.0 && few.1 < many.1 && few.2 <= many.2,
                "{kind} at {bits} bits"
            );
            assert_near(
                step / finer,
                f64::from((1 << (bits + 1)) - 1) / f64::from((1 << bits) - 1),
                1e-12,
            );
        }
    }
}

/// Switching energy over all codes at 10 bits: 1363.3 and 255.5 C V^2 (Liu, Chang, Huang, Lin, JSSC 45(4), 2010).
#[test]
fn switching_energy_of_a_cdac() {
    for (kind, expected) in [("sar_conventional", 1363.3), ("sar_monotonic", 255.5)] {
        let spec = adc(kind, 10, &[("adc.decision_fj", "0.0")]);
        assert_near(
            conversion_j(&spec.adc, 0.9, &EventCounts::default()) / (1e-15 * 0.81),
            expected,
            1e-3,
        );
    }
}

fn convert(spec: &MacroSpec, signed: bool, levels: &[i32], v: i32) -> Conversion {
    spec.adc
        .model()
        .convert(&spec.adc, signed, levels, &mut |level| v >= level)
}

/// A skip that decides rightly changes no code, and it is taken just where the code needs no more bits.
#[test]
fn skipping_is_exact() {
    for kind in SARS {
        for (combine, signed) in [("digital", false), ("binary_cap", true)] {
            let plain = Bench::new(&adc(kind, 8, &[("weight.combine", combine)]), 0, 1);
            let levels = &plain.model.adcs[0].levels;
            for skip in 1..8_usize {
                let spec = adc(
                    kind,
                    8,
                    &[("weight.combine", combine), ("adc.skip_bits", &skip.to_string())],
                );
                let part = 256 >> skip;
                let low = if signed {
                    128 - part / 2..128 + part / 2
                } else {
                    0..part
                };
                for v in -9000..9000 {
                    let c = convert(&spec, signed, levels, v);
                    assert_eq!(c.code, convert(&plain.spec, signed, levels, v).code);
                    assert_eq!(c.skipped, low.contains(&c.code), "{kind} skip {skip} at {v}");
                }
                assert_eq!(
                    Bench::new(&spec, 0, 1).model.adcs[0].staircase,
                    plain.model.adcs[0].staircase
                );
            }
        }
    }
}

/// A skip that decides wrongly saturates at the end of the part it stays in.
#[test]
fn a_wrong_skip_saturates() {
    let spec = adc("sar_monotonic", 8, &[("adc.skip_bits", "2")]);
    let levels = &Bench::new(&spec, 0, 1).model.adcs[0].levels;
    let wrong = |signed: bool, v: i32, first: &[bool]| {
        let mut asked = 0;
        spec.adc.model().convert(&spec.adc, signed, levels, &mut |level| {
            asked += 1;
            first.get(asked - 1).copied().unwrap_or(v >= level)
        })
    };
    // Unsigned: "low" for a full charge. Signed: inside the window of 64 codes for one far above and far below.
    assert_eq!(
        wrong(false, 8000, &[false]),
        Conversion {
            code: 63,
            skipped: true
        }
    );
    assert_eq!(
        wrong(true, 8000, &[true, false]),
        Conversion {
            code: 159,
            skipped: true
        }
    );
    assert_eq!(
        wrong(true, -8000, &[true, false]),
        Conversion {
            code: 96,
            skipped: true
        }
    );
    // Not skipped although it could be: all bits are there.
    assert_eq!(
        wrong(false, -8192 + 64, &[true]),
        Conversion {
            code: 1,
            skipped: false
        }
    );
}

/// The skip path saves its decisions and the largest steps of the CDAC, for any number of bits skipped.
#[test]
fn skipping_saves_energy() {
    for kind in SARS {
        let energies: Vec<f64> = (1..8)
            .map(|skip: u32| {
                let spec = adc(kind, 8, &[("adc.skip_bits", &skip.to_string())]);
                let e = |skipped| {
                    spec.adc
                        .model()
                        .energy_j(&spec.adc, 0.9, Conversion { code: 3, skipped })
                };
                assert!(e(false) - e(true) >= f64::from(skip) * spec.adc.decision_fj * 1e-15);
                e(true)
            })
            .collect();
        assert!(energies.windows(2).all(|w| w[1] < w[0]), "{kind}");
    }
}
