//! The bundled macros are complete, and say where their constants come from.

use farad_hw::adc::Range;
use farad_hw::models;
use farad_hw::spec::{InputCombine, SignedScheme, UnusedRows, WeightCombine};

#[test]
fn every_macro_reads_and_is_called_as_its_directory() {
    let names: Vec<&str> = models::list().iter().map(|m| m.name).collect();
    assert_eq!(names.len(), 7);
    for model in models::list() {
        let spec = model.spec(&[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(spec.name, model.name);
        assert!(!spec.description.is_empty());
        assert!(
            model.readme.contains("Left out"),
            "{} does not say what it leaves out",
            model.name
        );
        assert!(!model.citation.is_empty());
    }
    assert!(models::find("no-such-macro").is_none());
}

#[test]
fn every_constant_of_a_chip_says_where_it_comes_from() {
    const WORDS: [&str; 5] = ["published", "derived", "calibrated", "recalled", "assumed"];
    for model in models::list()
        .iter()
        .filter(|m| !["ideal", "pessimistic"].contains(&m.name))
    {
        let constants = model.text.lines().skip_while(|line| !line.starts_with('['));
        for line in constants.filter(|line| line.contains(" = ")) {
            let comment = line.split_once('#').map_or("", |(_, comment)| comment);
            assert!(
                WORDS.iter().any(|word| comment.contains(word)),
                "{}: {line}",
                model.name
            );
        }
    }
}

#[test]
fn the_target_macro_is_what_the_paper_says() {
    let spec = crate::bundled("ncku-charge-redistribution", &[]);
    assert_eq!(
        (spec.technology.node_nm, spec.input.bits, spec.weight.bits),
        (40.0, 8, 8)
    );
    assert!(matches!(spec.weight.combine, WeightCombine::BinaryCap { .. }));
    assert_eq!(spec.weight.signed, SignedScheme::MsbPolarity);
    assert_eq!(spec.input.combine, InputCombine::BitSerial);
    assert_eq!(
        (spec.adc.kind, spec.adc.bits, spec.adc.skip_bits),
        ("sar_monotonic", 8, 2)
    );
    assert_eq!(spec.adc.range, Range::Clip { sigmas: 4.0 });
    assert_eq!(spec.array.unused_rows, UnusedRows::Gated);
    assert_eq!((spec.array.rows, spec.outputs(), spec.adcs()), (128, 32, 32));
}

#[test]
fn the_ideal_macro_has_one_code_per_count() {
    let spec = crate::bundled("ideal", &[]);
    assert_eq!(spec.array.rows, spec.adc.codes() - 1);
    assert_eq!(spec.cell_sigma(), 0.0);
    assert!(!spec.noise.ktc);
}
