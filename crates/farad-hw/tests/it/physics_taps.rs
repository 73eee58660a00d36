//! Errors that accumulate along a converter's taps, what its sample adds, offsets and their trim, and rows that only load the column.

use crate::physics::{Bench, assert_near, column, moments};
use farad_core::draw::{Domain, StaticNormals};
use farad_hw::limits::ktc_v;
use farad_hw::scale::Scale;

/// sigma of comparator level `k` of an 8-bit converter with 1 % units, LSB. 10^4 converters: known to 0.7 %.
fn level_sigma(kind: &str, k: usize) -> f64 {
    let spec = column(64, &[("adc.kind", kind), ("adc.mismatch_pct", "1.0")]);
    let level = |chip| {
        let mut draws = StaticNormals::new(chip, Domain::Adc, 0, 0, 0);
        spec.adc.model().levels(&spec.adc, &mut || draws.next_sigmas())[k - 1]
    };
    moments(&(0..10_000).map(level).collect::<Vec<f64>>()).1
}

/// Tap k of a string of n equal units that is held at both ends: `sigma_u sqrt(k (n - k) / n)`, widest in the middle.
#[test]
fn a_flash_s_taps_are_a_string_s() {
    for k in [1, 64, 128, 250] {
        let (tap, n) = (k as f64, 256.0);
        assert_near(level_sigma("flash", k), 0.01 * (tap * (n - tap) / n).sqrt(), 0.03);
    }
}

/// A ramp is a random walk from mid-scale, where it is calibrated: `sigma_u sqrt(|k - n / 2|)`.
#[test]
fn a_ramp_s_steps_add_up() {
    for k in [1_usize, 64, 127, 129, 255] {
        assert_near(level_sigma("ramp", k), 0.01 * (k.abs_diff(128) as f64).sqrt(), 0.03);
    }
    assert!(level_sigma("ramp", 128) < 1e-12);
}

/// What a SAR samples on: 256 units, or the 16 that the plate of a split array's MSBs sees. A flash, a ramp and a delay line look at the column itself.
#[test]
fn the_smaller_cdac_is_the_noisier() {
    let sigma_v = |kind: &str| {
        let pairs = [
            ("technology.vdd_v", "0.1"),
            ("noise.ktc", "true"),
            ("array.topology", "couple"),
            ("adc.kind", kind),
        ];
        let scale = Scale::new(&column(64, &pairs), 64, None);
        f64::from(scale.noise.sigma[0]) / 512.0 * scale.lsb_v
    };
    let plate = ktc_v(64.0, 300.0);
    // A sigma is a whole number of 1/512 LSB: half of one in more than 200.
    for (kind, cap_ff) in [
        ("sar_conventional", 256.0),
        ("sar_monotonic", 256.0),
        ("sar_split", 16.0),
    ] {
        assert_near(sigma_v(kind), plate.hypot(ktc_v(cap_ff, 300.0)), 0.0025);
    }
    for kind in ["ideal", "flash", "ramp", "time"] {
        assert_near(sigma_v(kind), plate, 0.0025);
    }
}

/// Offsets of 2000 converters, LSB.
fn offsets_lsb(pairs: &[(&str, &str)]) -> Vec<f64> {
    let spec = column(64, pairs);
    let of = |chip| {
        let b = Bench::new(&spec, chip, 4);
        (0..20)
            .map(move |slot| b.seen(slot / 8, slot % 8, 30.0) - 30.0)
            .collect::<Vec<f64>>()
    };
    let scale = Scale::new(&spec, 64, None);
    (0..100).flat_map(of).map(|counts| counts / scale.lsb_counts).collect()
}

/// An offset is one normal draw per converter, in volts. 2000 draws: sigma is known to 1.6 %.
#[test]
fn offsets_are_volts_over_the_step() {
    let lsb_v = Scale::new(&column(64, &[]), 64, None).lsb_v;
    let (mean, sigma) = moments(&offsets_lsb(&[("noise.offset_mv", "10.0")]));
    assert_near(sigma, 0.01 / lsb_v, 0.05);
    // Four standard errors.
    assert!(mean.abs() < 4.0 * sigma / 2000_f64.sqrt(), "{mean}");
}

/// A trim in steps of q leaves the rest of the division by q: within q / 2, and uniform (`q / sqrt(12)`) where the offset spans many steps.
#[test]
fn a_trim_leaves_its_step() {
    let left = offsets_lsb(&[("noise.offset_mv", "10.0"), ("noise.offset_trim_lsb", "0.25")]);
    // The transfer's offset is an f32 near 8192 steps of 1/64 LSB.
    assert!(left.iter().all(|rest| rest.abs() <= 0.125 + 1e-4));
    assert_near(moments(&left).1, 0.25 / 12_f64.sqrt(), 0.05);
}

/// Wordlines that stay connected hold their share of the charge: 64 of 256 reach a quarter of full scale, in volts, counts and noise alike.
/// Gated, the same 64 are the whole column, and a count is as many steps as the converter has for it.
#[test]
fn connected_rows_load_the_column() {
    let scale = |unused| Scale::new(&column(256, &[("array.unused_rows", unused)]), 64, None);
    let (connected, gated) = (scale("connected"), scale("gated"));
    assert_eq!((connected.rows_connected, gated.rows_connected), (256, 64));
    // A count is V_DD / N.
    assert_near(connected.lsb_v / connected.lsb_counts, 0.9 / 256.0, 1e-12);
    assert_near(gated.lsb_v / gated.lsb_counts, 0.9 / 64.0, 1e-12);
    assert_near(connected.lsb_counts, 256.0 / 255.0, 1e-12);
    assert_near(gated.lsb_counts, 1.0 / 3.0, 1e-12);
}
