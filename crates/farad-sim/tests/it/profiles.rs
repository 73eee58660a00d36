//! Measured chips: what is exported and read back is the chip, and both engines run whatever was measured.

use crate::engines::macros;
use crate::fixture::{Bytes, activations, layer, run, spec};
use farad_hw::MacroSpec;
use farad_hw::profile::{Profile, parse};
use farad_sim::{EngineKind, Isa};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::Arc;

/// `spec` with the profile in `csv`.
fn with(spec: &MacroSpec, csv: &str) -> MacroSpec {
    let profile = parse("chip.csv", csv, spec).unwrap_or_else(|e| panic!("{e}"));
    MacroSpec {
        profile: Some(Arc::new(profile)),
        ..spec.clone()
    }
}

/// Any profile of a chip of `spec`: rows and cells are missing here and there, and values are far from ideal.
fn lab(spec: &MacroSpec, seed: u64) -> String {
    let mut bytes = Bytes(seed);
    let transitions = spec.adc.codes() - 1;
    let mut csv = format!("# columns: {}\n# adcs: {}\n", spec.conversions(), spec.adcs());
    let _ = write!(csv, "adc,column,offset_lsb,offset_mv,gain,noise_lsb,noise_mv");
    (1..=transitions).for_each(|code| {
        let _ = write!(csv, ",inl_lsb[{code}]");
    });
    csv.push('\n');
    let mut cell = |scale: f64, middle: f64| {
        let b = bytes.next();
        let value = middle + scale * (f64::from(b) / 128.0 - 1.0);
        if b.is_multiple_of(4) {
            String::new()
        } else {
            value.to_string()
        }
    };
    for (names, count) in [(",", spec.conversions()), ("", spec.adcs())] {
        for number in 0..count {
            let row_names = if names == "," {
                format!(",{number}")
            } else {
                format!("{number},")
            };
            let offset = cell(2.0, 0.0);
            let offset_mv = if offset.is_empty() {
                cell(1.0, 0.0)
            } else {
                String::new()
            };
            let noise = cell(0.5, 0.5);
            let noise_mv = if noise.is_empty() {
                cell(0.2, 0.2)
            } else {
                String::new()
            };
            let _ = write!(
                csv,
                "{row_names},{offset},{offset_mv},{},{noise},{noise_mv}",
                cell(0.1, 1.0)
            );
            let inl = names.is_empty() && !cell(1.0, 0.0).is_empty();
            for _ in 0..transitions {
                let value = cell(0.8, 0.0);
                let value = if value.is_empty() { "0" } else { &value };
                let _ = write!(csv, ",{}", if inl { value } else { "" });
            }
            csv.push('\n');
        }
    }
    csv
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 30 } else { 120 }))]

    #[test]
    fn an_exported_chip_gives_the_same_codes(toml in macros(), chip in 0u32..5, seed in any::<u64>(), out_c in 1usize..=8) {
        let spec = spec(&toml);
        let layer = layer(40, out_c, 3, 2, 1, seed);
        let x = activations(&layer, 2, seed ^ 1);
        let expected = run(&spec, &layer, None, EngineKind::Reference, chip, &x, 2);
        let csv = Profile::of_chip(&spec, chip, 1).table(&spec).csv("a chip");
        let measured = with(&spec, &csv);
        prop_assert_eq!(&Profile::of_chip(&measured, chip, 1), measured.profile.as_deref().unwrap());
        prop_assert_eq!(&run(&measured, &layer, None, EngineKind::Reference, 0, &x, 2), &expected);
        prop_assert_eq!(&run(&measured, &layer, None, EngineKind::Fast(Isa::detect()), 0, &x, 1), &expected);
    }

    #[test]
    fn fast_equals_reference_on_any_measured_chip(toml in macros(), seed in any::<u64>(), in_c in prop_oneof![Just(3usize), Just(50)]) {
        let spec = spec(&toml);
        let measured = with(&spec, &lab(&spec, seed));
        let layer = layer(in_c, 7, 3, 2, 1, seed);
        let x = activations(&layer, 3, seed ^ 1);
        let expected = run(&measured, &layer, None, EngineKind::Reference, 1, &x, 3);
        for &isa in Isa::available() {
            for batch in [1, 3] {
                prop_assert_eq!(&run(&measured, &layer, None, EngineKind::Fast(isa), 1, &x, batch), &expected);
            }
        }
    }
}

/// Where nothing was measured, a run of several chips is one of several chips: those from the measured one on.
#[test]
fn what_is_missing_is_drawn_from_the_measured_chip_on() {
    let spec = farad_hw::models::find("ncku-charge-redistribution")
        .unwrap()
        .spec(&[])
        .unwrap();
    let measured = with(&spec, "# chip: 3\n# columns: 32\ncolumn,gain\n");
    let layer = layer(20, 8, 3, 4, 1, 3);
    let x = activations(&layer, 2, 4);
    let engine = EngineKind::Fast(Isa::detect());
    for chip in 0..2 {
        assert_eq!(
            run(&measured, &layer, None, engine, chip, &x, 2),
            run(&spec, &layer, None, engine, chip + 3, &x, 2)
        );
    }
}
