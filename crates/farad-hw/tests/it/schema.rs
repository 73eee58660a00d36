//! What a description means.

use crate::{bundled, set};
use farad_hw::adc::Range;
use farad_hw::spec::{InputCombine, Mapper, NoiseDraws, SignedScheme, Topology, UnusedRows, WeightCombine};
use farad_hw::{models, schema, technology};

const SMALLEST: &str = "name = 'm'\n[array]\nrows = 128\ncolumns = 64\n[adc]\nkind = 'sar_monotonic'\nbits = 8\n";

#[test]
fn five_keys_are_enough_and_the_rest_is_ideal() {
    let spec = schema::parse("m.toml", SMALLEST, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(spec.array.mismatch_pct, 0.0);
    assert_eq!(spec.array.parasitic_ratio, 0.0);
    assert_eq!(spec.array.topology, Topology::Share);
    assert_eq!(spec.array.unused_rows, UnusedRows::Gated);
    assert_eq!((spec.input.bits, spec.input.combine), (8, InputCombine::BitSerial));
    assert_eq!((spec.weight.bits, spec.weight.combine), (8, WeightCombine::Digital));
    assert_eq!(spec.weight.signed, SignedScheme::TwosComplement);
    assert_eq!(
        (spec.adc.range, spec.adc.mismatch_pct, spec.adc.skip_bits),
        (Range::Full, 0.0, 0)
    );
    let noise = &spec.noise;
    assert!(!noise.ktc && noise.calibrated && noise.draws == NoiseDraws::PerConversion);
    for sigma in [
        noise.comparator_lsb,
        noise.reference_lsb,
        noise.offset_mv,
        noise.offset_trim.size,
        noise.gain_trim.size,
        noise.injection_mv,
        noise.leakage_pa,
    ] {
        assert_eq!(sigma, 0.0);
    }
    assert_eq!(
        (spec.system.instances, spec.system.depth, spec.system.mapper),
        (0, 1, Mapper::Im2col)
    );
}

#[test]
fn costs_that_are_not_stated_are_the_node_s_and_not_zero() {
    let spec = schema::parse("m.toml", SMALLEST, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        spec.energy,
        technology::energy(&spec.technology, spec.input.combine, spec.array.topology)
    );
    assert_eq!(spec.area, technology::area(&spec.technology, 1.0));
    assert!(spec.energy.accumulator_fj > 0.0 && spec.adc.decision_fj > 0.0 && spec.area.cell_f2 > 0.0);
}

#[test]
fn the_sign_follows_the_merge_unless_it_is_stated() {
    let merged =
        schema::parse("m.toml", SMALLEST, &set(&[("weight.combine", "c2c")])).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(merged.weight.signed, SignedScheme::MsbPolarity);
}

/// The file's `clip_sigma` goes with the file's choice; one that is set goes with nothing else.
#[test]
fn a_set_choice_puts_the_old_one_s_parameters_aside() {
    assert_eq!(
        bundled("ncku-charge-redistribution", &[("adc.range", "mse")]).adc.range,
        Range::Mse
    );
    let model = models::find("ncku-charge-redistribution").expect("bundled");
    let both = model.spec(&set(&[("adc.range", "mse"), ("adc.clip_sigma", "3")]));
    assert_eq!(both.expect_err("has no meaning").list[0].code, "E0108");
}

#[test]
fn parameters_of_choices_arrive() {
    let pairs = [
        ("input.combine", "serial_share"),
        ("input.share_mismatch_pct", "0.5"),
        ("weight.combine", "binary_cap"),
        ("weight.cap_mismatch_pct", "0.7"),
        ("weight.switch_parasitic", "0.2"),
        ("weight.signed", "differential"),
        ("adc.range", "calibrated"),
        ("adc.percentile", "99"),
    ];
    let spec = schema::parse("m.toml", SMALLEST, &set(&pairs)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(spec.input.combine, InputCombine::SerialShare { mismatch_pct: 0.5 });
    assert_eq!(
        spec.weight.combine,
        WeightCombine::BinaryCap {
            mismatch_pct: 0.7,
            switch_parasitic: 0.2
        }
    );
    assert_eq!(spec.weight.signed, SignedScheme::Differential);
    assert_eq!(spec.adc.range, Range::Calibrated { percentile: 99.0 });
}

#[test]
fn a_setting_is_the_same_as_an_edit() {
    for model in models::list() {
        let line = model
            .text
            .lines()
            .find(|line| line.starts_with("rows = "))
            .expect("every macro has rows");
        let edited = model.text.replace(line, "rows = 100");
        let edited = schema::parse("edited", &edited, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(edited, bundled(model.name, &[("array.rows", "100")]));
    }
}

#[test]
fn a_bare_word_is_a_string_and_the_last_setting_counts() {
    let spec = bundled(
        "ideal",
        &[
            ("name", "mine"),
            ("adc.kind", "'flash'"),
            ("adc.kind", "ramp"),
            ("description", "two words"),
        ],
    );
    assert_eq!(
        (spec.name.as_str(), spec.adc.kind, spec.description.as_str()),
        ("mine", "ramp", "two words")
    );
}

#[test]
fn a_whole_table_can_be_set_inline() {
    let spec = bundled("ideal", &[("adc", "{ kind = 'flash', bits = 4 }")]);
    assert_eq!((spec.adc.kind, spec.adc.bits), ("flash", 4));
}

/// Stated energies hold at `at_vdd_v` and go with C V^2; capacitances and the node's defaults do not change twice.
#[test]
fn stated_energies_follow_the_supply() {
    let (low, high) = (
        bundled("jia-jssc-2020", &[]),
        bundled("jia-jssc-2020", &[("technology.vdd_v", "1.7")]),
    );
    assert_eq!(high.energy.accumulator_fj, 4.0 * low.energy.accumulator_fj);
    assert_eq!(high.adc.decision_fj, 4.0 * low.adc.decision_fj);
    assert_eq!(high.energy.cell_overhead_ff, low.energy.cell_overhead_ff);
    let default = technology::energy(&high.technology, high.input.combine, high.array.topology);
    assert_eq!(high.energy.write_fj_per_bit, default.write_fj_per_bit);
}

/// A comparator of more bits has to be quieter, whatever the document's own bits cost; another kind is not the one that was stated.
#[test]
fn a_stated_converter_is_of_its_own_kind_and_bits() {
    let with = |pairs: &[(&str, &str)]| bundled("ncku-charge-redistribution", pairs);
    let own = with(&[]);
    let noise_fj = |bits: i32| 64.0 * 1.380_649e-23 * 300.0 * 4f64.powi(bits) * 1e15;
    for bits in [1, 4, 6, 10, 12] {
        let text = bits.to_string();
        let decision_fj = with(&[("adc.bits", &text)]).adc.decision_fj;
        let expected = own.adc.decision_fj + noise_fj(bits) - noise_fj(8);
        assert!(
            (decision_fj - expected).abs() < 1e-9 * expected,
            "{bits}: {decision_fj} {expected}"
        );
    }
    assert_eq!(
        with(&[("adc.kind", "sar_conventional")]).adc,
        farad_hw::adc::AdcSpec {
            kind: "sar_conventional",
            ..own.adc.clone()
        }
    );
    let flash = with(&[("adc.kind", "flash"), ("adc.mismatch_pct", "2")]).adc;
    assert_eq!((flash.skip_bits, flash.mismatch_pct), (0, 2.0));
    assert_eq!(flash.decision_fj, technology::decision_fj(&own.technology, "flash", 8));
    // What is set, is set.
    let given = with(&[("adc.kind", "flash"), ("adc.bits", "6"), ("adc.decision_fj", "5")]).adc;
    assert_eq!(given.decision_fj, 5.0);
    // What only the document says gives way.
    assert_eq!(with(&[("adc.bits", "2")]).adc.skip_bits, 1);
    assert_eq!(
        with(&[("weight.combine", "digital")]).weight.signed,
        SignedScheme::TwosComplement
    );
    let refused = farad_hw::models::find("ncku-charge-redistribution").unwrap();
    assert!(
        refused
            .spec(&set(&[("adc.kind", "flash"), ("adc.skip_bits", "2")]))
            .is_err()
    );
}

#[test]
fn limits_are_inclusive() {
    let ends = [
        ("array.rows", "1", "65536", "65537"),
        ("adc.bits", "1", "12", "13"),
        ("input.bits", "1", "8", "9"),
        ("weight.bits", "2", "8", "1"),
        ("adc.columns_per_adc", "1", "64", "65"),
    ];
    for (key, low, high, outside) in ends {
        for value in [low, high] {
            schema::parse("m", SMALLEST, &set(&[(key, value)])).unwrap_or_else(|e| panic!("{e}"));
        }
        let problems = schema::parse("m", SMALLEST, &set(&[(key, outside)])).expect_err(key);
        assert_eq!(problems.list.len(), 1, "{problems}");
    }
}

/// The refusal of a nonsense key lists all keys of its table; each must be in the reference.
#[test]
fn every_key_is_in_the_reference() {
    let reference = include_str!("../../../../hw-models/README.md");
    let list_after = |key: &str| {
        let problems = schema::parse("m", SMALLEST, &set(&[(key, "1")])).expect_err("nonsense");
        let help = problems.list[0].help.clone().expect("lists what there is");
        let names = help.strip_prefix("there are: ").expect("nothing is similar");
        names.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut keys = 0;
    for table in list_after("qqqqqq.x") {
        let section = reference
            .split_once(&format!("### `[{table}]`"))
            .expect("a section for each table")
            .1;
        let section = section.split("###").next().expect("not empty");
        for key in list_after(&format!("{table}.qqqqqq")) {
            assert!(
                section.contains(&format!("`{key}`")),
                "{table}.{key} is not in hw-models/README.md"
            );
            keys += 1;
        }
    }
    assert!(keys > 60);
}
