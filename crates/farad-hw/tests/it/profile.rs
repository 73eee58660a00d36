//! Profiles: what their fields do to a conversion, and what is said about wrong ones.

use crate::expected;
use crate::physics::{Bench, column};
use farad_hw::MacroSpec;
use farad_hw::calibration::{Calibration, Trim};
use farad_hw::profile::parse;
use std::sync::Arc;

/// Sigmas that would drown every figure of a profile, if they were drawn beside it.
const WILD: &[(&str, &str)] = &[
    ("noise.offset_mv", "500"),
    ("noise.column_gain_pct", "20"),
    ("noise.column_offset_lsb", "40"),
    ("noise.comparator_lsb", "3"),
    ("adc.kind", "flash"),
    ("adc.mismatch_pct", "30"),
];

fn measured(spec: &MacroSpec, csv: &str) -> Bench {
    let profile = parse("chip.csv", csv, spec).unwrap_or_else(|e| panic!("{e}"));
    let spec = MacroSpec {
        profile: Some(Arc::new(profile)),
        ..spec.clone()
    };
    Bench::new(&spec, 2, 1)
}

/// `inl_lsb[1]` to `[255]`, after `before`.
fn inl_header(before: &str) -> String {
    (1..256).fold(before.to_owned(), |text, code| format!("{text},inl_lsb[{code}]"))
}

#[test]
fn a_column_has_the_gain_the_offset_and_the_noise_of_its_row() {
    let header = inl_header("column,offset_lsb,gain,noise_lsb");
    let row = |text: &str, inl: &str| format!("{text}{}\n", format!(",{inl}").repeat(255));
    let csv = format!("{header}\n{}{}", row("0,3,1.25,0.5", "0"), row("63,,,", ""));
    let bench = measured(&column(255, WILD), &csv);
    // A count is an LSB: 100 counts times 1.25, and 3 more.
    for counts in 0..=200 {
        let ideal = 1.25 * f64::from(counts) + 3.0;
        assert_eq!(
            bench.code(0, 0, f64::from(counts)),
            (ideal + 0.5).floor().min(255.0) as i64,
            "{counts}"
        );
    }
    // 0.5 LSB of 64 steps, in 1/8 steps.
    assert_eq!(bench.model.outputs[0].slots[0].noise.sigma, [256; 32]);
    assert_eq!(bench.model.outputs[0].slots[1].noise.sigma, [3 * 512; 32]);
}

#[test]
fn offsets_count_from_mid_scale_where_charges_have_signs() {
    let pairs = [
        ("weight.combine", "binary_cap"),
        ("weight.signed", "msb_polarity"),
        ("noise.offset_mv", "500"),
    ];
    let bench = measured(&column(64, &pairs), "column,offset_lsb,gain\n0,-2,1.5\n7,,\n");
    let lsb = bench.scale.lsb_counts * bench.unit();
    assert_eq!(bench.code(0, 0, 0.0), -2);
    assert_eq!(bench.code(0, 0, 20.0 * lsb), 28);
    assert_eq!(bench.code(0, 0, -20.0 * lsb), -32);
}

#[test]
fn millivolts_are_more_lsb_where_the_range_is_narrow() {
    for rows in [255, 1275] {
        let bench = measured(&column(rows, &[]), "column,offset_mv\n0,9\n63,\n");
        // An LSB is 0.9 V / 255 whatever the rows.
        let lsb_mv = 1e3 * bench.scale.lsb_v;
        assert!((lsb_mv - 900.0 / 255.0).abs() < 1e-9);
        assert_eq!(
            bench.code(0, 0, 10.0 * f64::from(rows as u32 / 255)),
            10 + (9.0 / lsb_mv + 0.5) as i64
        );
    }
}

#[test]
fn an_adc_shifts_its_transitions_and_scales_its_columns() {
    let spec = column(
        255,
        &[
            ("adc.columns_per_adc", "8"),
            ("adc.kind", "flash"),
            ("adc.mismatch_pct", "30"),
        ],
    );
    let mut inl = vec!["0".to_owned(); 255];
    // The transition to code 20 comes 0.75 LSB late: 20 counts are still code 19.
    inl[19] = "0.75".to_owned();
    let csv = format!(
        "{}\n0,4,{}\n7,,{}\n",
        inl_header("adc,offset_lsb"),
        inl.join(","),
        ",".repeat(254)
    );
    let bench = measured(&spec, &csv);
    assert_eq!(bench.code(0, 0, 10.0), 14);
    assert_eq!((bench.code(0, 0, 16.0), bench.code(0, 0, 17.0)), (19, 21));
    // The second column has the same converter.
    assert_eq!((bench.code(0, 1, 16.0), bench.code(0, 1, 17.0)), (19, 21));
}

#[test]
fn a_trim_takes_out_what_an_adc_was_measured_to_have() {
    let spec = column(255, &[("noise.offset_trim_lsb", "1")]);
    let bench = measured(&spec, "adc,offset_lsb\n0,7.25\n63,\n");
    let steps = 64.0 * (bench.seen(0, 0, 0.0) / bench.scale.lsb_counts);
    assert!((steps - 16.0).abs() < 1e-3, "{steps}");
}

/// 1 / 1.25 is 20 steps of 1 % down.
#[test]
fn a_gain_trim_ends_with_its_steps() {
    for (steps, gain) in [("0", 1.0), ("20", 1.0), ("10", 1.125)] {
        let spec = column(255, &[("noise.gain_trim_pct", "1"), ("noise.gain_trim_steps", steps)]);
        let bench = measured(&spec, "column,gain,offset_lsb\n0,1.25,3\n63,,\n");
        let seen = |counts| bench.seen(0, 0, counts) / bench.scale.lsb_counts;
        // The offset is not touched.
        assert!((seen(0.0) - 3.0).abs() < 1e-3);
        assert!(
            (seen(100.0) - 3.0 - 100.0 * gain).abs() < 1e-3,
            "{steps}: {}",
            seen(100.0)
        );
    }
}

/// Columns that share an ADC share its trim: it takes out their mean.
#[test]
fn a_gain_trim_is_of_the_adc() {
    let spec = column(255, &[("noise.gain_trim_pct", "1"), ("adc.columns_per_adc", "2")]);
    let bench = measured(&spec, "column,gain\n0,1.2\n1,1.3\n2,1\n3,1\n63,\n");
    let gain = |slot| (bench.seen(0, slot, 100.0) - bench.seen(0, slot, 0.0)) / 100.0;
    assert!((gain(0) - 1.2 * 0.8).abs() < 1e-4 && (gain(1) - 1.3 * 0.8).abs() < 1e-4);
    assert_eq!(gain(2), gain(3));
}

/// Steps that were set on a chip are the ones that it has, whatever a bench would have found.
#[test]
fn set_steps_go_before_those_of_a_perfect_bench() {
    let pairs = [
        ("noise.gain_trim_pct", "1"),
        ("noise.offset_trim_lsb", "0.5"),
        ("noise.offset_mv", "40"),
    ];
    let mut spec = column(255, &pairs);
    let trims = vec![Trim { offset: 6, gain: -10 }; 64];
    spec.calibration = Some(Arc::new(Calibration {
        trims: [((2, 0), trims)].into(),
        ..Calibration::default()
    }));
    let bench = measured(&spec, "column,gain,offset_lsb\n0,1.25,-1\n63,,\n");
    let seen = |counts| bench.seen(0, 0, counts) / bench.scale.lsb_counts;
    assert!((seen(0.0) - 2.0).abs() < 1e-3 && (seen(100.0) - 2.0 - 112.5).abs() < 1e-3);
}

#[test]
fn a_row_of_an_instance_goes_before_one_of_all() {
    let spec = column(255, &[]);
    let profile = parse("p", "instance,column,gain\n,0,2\n1,0,3\n,63,\n", &spec).unwrap();
    let gain = |instance| profile.column(instance, 0).and_then(|m| m.gain);
    assert_eq!([gain(0), gain(1), gain(2)], [Some(2.0), Some(3.0), Some(2.0)]);
}

#[test]
fn every_malformed_row_is_told_by_its_line() {
    let spec = column(255, &[("adc.bits", "2"), ("noise.asim_random_pct", "1")]);
    let problem = |csv: &str| parse("chip.csv", csv, &spec).expect_err("wrong").to_string();
    let csv = "\
# measured on a wet Tuesday
# columns: 48
column,adc,offset_lsb,offset_mv,gain,inl_lsb[1],inl_lsb[2],inl_lsb[3],ofset
0,,0.5,,1.01,,,,
1,,0.5,,1.01
2,,half,,-1,,,,
3,3,,,,,,,
0,,0.1,,,,,,
4,,1,2,,,,,
5.5,,1,,,0.1,,,
,6,1,,,0.1,,0.3,
";
    let noisy = "adc,noise_lsb,noise_mv\n0,0.5,\n1,nan,\n63,,0.2\n";
    let texts = [
        problem(csv),
        problem(noisy),
        problem("column\n64\n"),
        problem("\n"),
        problem("gain,inl_lsb[7]\n"),
    ];
    expected("profile.txt", &format!("{}\n", texts.join("\n\n")));
}
