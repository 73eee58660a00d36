//! Effects are what they say they are, and readings are codes without steps or without an end.

use crate::bundled;
use farad_core::axis::{half_range, lsb_steps};
use farad_hw::adc::readout::reading;
use farad_hw::adc::{AdcSpec, staircase};
use farad_hw::effects::{list, none, of};
use proptest::prelude::*;

fn names(spec: &farad_hw::MacroSpec) -> Vec<&'static str> {
    of(spec).iter().map(|effect| effect.name).collect()
}

#[test]
fn a_macro_has_the_effects_that_its_keys_give_it() {
    assert_eq!(names(&bundled("ideal", &[])), ["quantisation", "clipping"]);
    assert_eq!(
        names(&bundled("ncku-charge-redistribution", &[])),
        [
            "quantisation",
            "clipping",
            "cell mismatch",
            "weight merge",
            "ADC mismatch",
            "offset",
            "kT/C",
            "comparator",
            "reference",
            "parasitic"
        ]
    );
    // Calibration takes out what all columns share.
    let uncalibrated = bundled("ncku-charge-redistribution", &[("noise.calibrated", "false")]);
    assert_eq!(
        names(&uncalibrated)[9..],
        ["parasitic", "injection", "droop", "settling"]
    );
    let droops = |columns| {
        let shared = bundled("ncku-charge-redistribution", &[("adc.columns_per_adc", columns)]);
        names(&shared).contains(&"droop")
    };
    assert!(!droops("1") && droops("2"));
}

#[test]
fn effects_are_independent() {
    let spec = bundled("pessimistic", &[]);
    assert_eq!(names(&none(&spec)), [""; 0]);
    for a in list() {
        assert!(!a.is_in(&a.without(&spec)), "{}", a.name);
        let alone = names(&a.alone(&spec));
        assert_eq!(alone, if a.is_in(&spec) { vec![a.name] } else { vec![] });
        for b in list() {
            assert_eq!(a.without(&b.without(&spec)), b.without(&a.without(&spec)));
        }
    }
}

#[test]
fn every_key_of_an_effect_is_a_key_of_a_macro() {
    let keys = include_str!("../../../../hw-models/README.md");
    for effect in list() {
        for key in effect.keys {
            let (table, key) = key.split_once('.').expect("table.key");
            let heading = keys.find(&format!("`[{table}]`")).expect(table);
            assert!(
                keys[heading..].contains(&format!("`{key}`")),
                "{}: {table}.{key}",
                effect.name
            );
        }
    }
}

/// A converter with random levels, and its staircase.
fn converter(bits: u32, errors: &[i32]) -> (AdcSpec, Vec<i32>) {
    let spec = bundled("ideal", &[("adc.bits", &bits.to_string())]).adc;
    let (step, half) = (lsb_steps(bits), half_range(bits));
    let levels: Vec<i32> = (1..1 << bits)
        .zip(errors.iter().cycle())
        .map(|(k, error)| (k * step - step / 2 - half + error).clamp(1 - half, half - 1))
        .collect();
    let stairs = staircase(&spec, true, &levels).0;
    (spec, stairs)
}

proptest! {
    /// For any levels: readings never fall, stay within a code of what the converter says, and end where the range ends.
    #[test]
    fn readings_follow_the_input(
        bits in 1u32..=12,
        errors in prop::collection::vec(-200i32..200, 1..40),
        mut inputs in prop::collection::vec(-40_000i32..40_000, 2..200),
    ) {
        let (spec, stairs) = converter(bits, &errors);
        let (step, half) = (lsb_steps(bits), half_range(bits));
        inputs.sort_unstable();
        let code = |v: i32| stairs.partition_point(|&level| level <= v);
        for (quantises, clips) in [(true, false), (false, true), (false, false)] {
            let spec = AdcSpec { quantises, clips, ..spec.clone() };
            let readings: Vec<i32> = inputs.iter().map(|&v| reading(&spec, &stairs, code(v), v)).collect();
            prop_assert!(readings.is_sorted(), "{:?}", readings);
            for (&v, &r) in inputs.iter().zip(&readings) {
                let plain = code(v) as i32 * step - half;
                prop_assert!(!clips || (-half..=half - step).contains(&r));
                prop_assert!(!quantises || (r + half) % step == 0);
                let inside = (1..stairs.len()).contains(&code(v));
                prop_assert!(!inside || (r - plain).abs() <= step / 2, "{} reads {}, code at {}", v, r, plain);
                prop_assert!(!inside || !quantises || r == plain);
            }
        }
    }

    /// An ideal converter without steps and without an end tells its input.
    #[test]
    fn an_ideal_reading_is_the_input(bits in 1u32..=12, v in -1_000_000i32..1_000_000) {
        let (spec, stairs) = converter(bits, &[0]);
        let code = stairs.partition_point(|&level| level <= v);
        let free = AdcSpec { quantises: false, clips: false, ..spec.clone() };
        prop_assert_eq!(reading(&free, &stairs, code, v), v);
        let steps = AdcSpec { clips: false, ..spec };
        let (step, nearest) = (lsb_steps(bits), reading(&steps, &stairs, code, v));
        prop_assert!((nearest - v).abs() <= step / 2);
    }
}

/// What was measured goes with the effect that it took the place of: without any, the chip is exact.
#[test]
fn a_measured_chip_is_exact_without_effects() {
    let mut spec = bundled("ncku-charge-redistribution", &[]);
    let profile = farad_hw::profile::Profile::of_chip(&spec, 3, 1);
    let with = |measured: bool| {
        let mut spec = spec.clone();
        spec.profile = measured.then(|| std::sync::Arc::new(profile.clone()));
        let spec = farad_hw::effects::none(&spec);
        let site = farad_hw::chip::Site {
            instance: 0,
            first_column: 0,
            rows: 128,
            outputs: 8,
        };
        site.lower(&spec, 0, &farad_hw::scale::Scale::new(&spec, 128, None))
    };
    assert_eq!(with(true), with(false));
    spec.profile = Some(std::sync::Arc::new(profile.clone()));
    let names: Vec<&str> = farad_hw::effects::of(&spec).iter().map(|effect| effect.name).collect();
    assert!(names.contains(&"ADC mismatch") && names.contains(&"offset") && !names.contains(&"measured noise"));
}
