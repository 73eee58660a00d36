//! The fast engine equals the readable one, bit for bit, whatever the macro, the shape, the instruction set and the batch.

use crate::fixture::{activations, exact, layer, run, spec};
use farad_hw::adc::Range;
use farad_hw::effects::none;
use farad_hw::scale::ChargeStats;
use farad_sim::{EngineKind, Isa, Simulator};
use proptest::prelude::*;

/// Every combination of bit combiners, signs, cells and ADCs that the schema allows, with every non-ideality on or off.
pub(crate) fn macros() -> impl Strategy<Value = String> {
    let weights = prop_oneof![
        Just("combine = 'digital'\nsigned = 'twos_complement'"),
        Just("combine = 'digital'\nsigned = 'offset_binary'"),
        Just("combine = 'digital'\nsigned = 'differential'"),
        Just("combine = 'binary_cap'\nsigned = 'msb_polarity'\ncap_mismatch_pct = 1.0\nswitch_parasitic = 0.02"),
        Just("combine = 'binary_cap'\nsigned = 'offset_binary'"),
        Just("combine = 'binary_cap'\nsigned = 'differential'\ncap_mismatch_pct = 0.5"),
        Just("combine = 'c2c'\nsigned = 'msb_polarity'\nnode_parasitic = 0.05\ncap_mismatch_pct = 1.0"),
    ];
    let inputs = prop_oneof![
        4 => Just("combine = 'bitserial'"),
        1 => Just("combine = 'serial_share'\nshare_mismatch_pct = 1.0"),
        1 => Just("combine = 'dac'\ndac_bits = 4\ndac_mismatch_pct = 1.0"),
        1 => Just("combine = 'dac'\ndac_bits = 5"),
    ];
    let adcs = prop_oneof![
        Just("kind = 'ideal'"),
        Just("kind = 'sar_conventional'\nmismatch_pct = 3.0"),
        Just("kind = 'sar_monotonic'\nmismatch_pct = 1.0\nskip_bits = 2"),
        Just("kind = 'sar_split'\nmismatch_pct = 2.0"),
        Just("kind = 'flash'\nmismatch_pct = 2.0"),
        Just("kind = 'ramp'\nmismatch_pct = 1.0"),
    ];
    let noise = prop_oneof![
        1 => Just(""),
        3 => Just(
            "ktc = true\ncomparator_lsb = 0.4\nreference_lsb = 0.3\noffset_mv = 0.5\ninjection_mv = 1.0\ninjection_pct = -0.1\n\
             injection_sigma_mv = 0.05\nleakage_pa = 10.0\nsettling_tau = 9.0\ncolumn_gain_pct = 1.0\ncolumn_offset_lsb = 0.2\n\
             offset_trim_lsb = 0.3\noffset_trim_steps = 3\ngain_trim_pct = 0.4\ngain_trim_steps = 2"
        ),
        1 => Just("comparator_lsb = 0.5\ndraws = 'per_decision'\nreference_lsb = 0.2"),
    ];
    let array = (
        prop_oneof![Just(64), Just(128), Just(255), Just(256), Just(1152), Just(2304)],
        prop_oneof![Just("connected"), Just("gated")],
        prop_oneof![Just(0.0), Just(1.0)],
        prop_oneof![Just("share"), Just("couple")],
        prop_oneof![Just("im2col"), Just("tap_split")],
    );
    let more = (
        1u32..=10,
        1usize..=3,
        any::<bool>(),
        prop_oneof![3 => Just("full"), 1 => Just("clip"), 1 => Just("calibrated"), 1 => Just("optimal"), 1 => Just("mse")],
    );
    (weights, inputs, adcs, noise, array, more).prop_map(
        |(weights, inputs, adc, noise, (rows, unused, mismatch, topology, mapper), (bits, sharing, calibrated, range))| {
            let noise = if noise.contains("per_decision") && !adc.contains("sar") { "" } else { noise };
            // A skip needs more bits than it skips.
            let bits = if adc.contains("skip") { bits.max(3) } else { bits };
            format!(
                "schema = 1\nname = 'test'\n[array]\nrows = {rows}\ncolumns = 64\nunused_rows = '{unused}'\nmismatch_pct = {mismatch:?}\n\
                 topology = '{topology}'\nparasitic_ratio = 0.3\nparasitic_nonlinearity_per_v = 0.05\n\
                 [input]\nbits = 8\n{inputs}\n[weight]\nbits = 8\n{weights}\n\
                 [adc]\n{adc}\nbits = {bits}\nrange = '{range}'\ncolumns_per_adc = {sharing}\n\
                 [noise]\ncalibrated = {calibrated}\n{noise}\n[system]\nmapper = '{mapper}'\n"
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 250 }))]

    #[test]
    fn fast_equals_reference(
        toml in macros(),
        in_c in prop_oneof![Just(1usize), Just(3), Just(44), Just(200), Just(256), Just(300), Just(511)],
        k in prop_oneof![Just(1usize), Just(3), Just(5)],
        out_c in 1usize..=10,
        seed in any::<u64>(),
        chip in 0u32..5,
        // Mostly a converter as it is; else one whose steps or whose end of the range are switched off.
        (quantises, clips) in prop_oneof![6 => Just((true, true)), 1 => Just((false, true)), 1 => Just((true, false)), 1 => Just((false, false))],
    ) {
        let mut spec = spec(&toml);
        (spec.adc.quantises, spec.adc.clips) = (quantises, clips);
        let side = if in_c * k * k > 1000 { 1 } else { 2 };
        let layer = layer(in_c, out_c, k, side, 1, seed);
        let x = activations(&layer, 5, seed ^ 1);
        // Some statistics for the ranges that follow the data.
        let stats = Some(ChargeStats { mean: 20.0, sigma: 30.0, limit: 120.0 });
        let (expected, events) = run(&spec, &layer, stats, EngineKind::Reference, chip, &x, 5);
        for &isa in Isa::available() {
            for batch in [1, 5] {
                let (got, seen) = run(&spec, &layer, stats, EngineKind::Fast(isa), chip, &x, batch);
                prop_assert_eq!(&got, &expected, "{:?} batch {}", isa, batch);
                prop_assert_eq!(&seen, &events);
            }
        }
    }

    /// Without any effect, what differs from exact arithmetic is the rounding of each conversion's input to the ADC's axis.
    #[test]
    fn without_effects_the_axis_is_all_that_is_left(
        toml in macros(), in_c in prop_oneof![Just(3usize), Just(44), Just(300)], seed in any::<u64>(),
    ) {
        let mut spec = none(&spec(&toml));
        // Of a range that is far too small for the charges, even an input without an end would not hold them.
        spec.adc.range = Range::Full;
        let layer = layer(in_c, 3, 3, 2, 1, seed);
        let x = activations(&layer, 2, seed);
        let (got, _) = run(&spec, &layer, None, EngineKind::Fast(Isa::detect()), 0, &x, 2);
        let layers = std::slice::from_ref(&layer);
        let mapping = farad_map::map(&spec, layers).unwrap();
        let lsb_counts = Simulator::new(&spec, layers, &mapping, &[Vec::new()], 0).lsb_counts(0);
        let columns = farad_hw::encoding::columns(&spec);
        let digital: i32 = columns.iter().map(|c| c.digital_weight.abs()).sum();
        let conversions = if spec.conversions_per_output() == 1 { 1 } else { digital };
        let parts = mapping.layers[0].tiles.iter().map(|tile| tile.part + 1).max().unwrap();
        // Half a step each, weighted as codes are; gated tiles have steps of their own, no more than twice the mean. f32 adds a hundredth.
        let step = 2.0 * lsb_counts / f64::from(farad_core::axis::lsb_steps(spec.adc.bits));
        let most = 0.51 * step * f64::from(conversions) * 255.0 * parts as f64 + 0.5;
        for (&got, exact) in got.iter().zip(exact(&layer, &x)) {
            prop_assert!(f64::from((got - exact).abs()) <= most, "{} for {}, may differ by {}", got, exact, most);
        }
    }

    /// Groups packed block-diagonally, copies on several instances, few macros with reload.
    #[test]
    fn fast_equals_reference_on_grouped_and_copied_layers(
        groups in 1usize..=9, per_group in 1usize..=3, duplicate in 1usize..=3, seed in any::<u64>(),
    ) {
        let spec = spec(&format!(
            "schema = 1\nname = 'test'\n[array]\nrows = 64\ncolumns = 64\nmismatch_pct = 1.0\nunused_rows = 'gated'\n\
             [weight]\nbits = 8\ncombine = 'binary_cap'\nsigned = 'msb_polarity'\n[adc]\nkind = 'sar_monotonic'\nbits = 8\nmismatch_pct = 1.0\n\
             [noise]\nktc = true\ncomparator_lsb = 0.3\n[system]\nduplicate = {duplicate}\n"
        ));
        let layer = layer(groups, groups * per_group, 3, 4, groups, seed);
        let x = activations(&layer, 3, seed);
        let (expected, events) = run(&spec, &layer, None, EngineKind::Reference, 1, &x, 3);
        for &isa in Isa::available() {
            let (got, seen) = run(&spec, &layer, None, EngineKind::Fast(isa), 1, &x, 2);
            prop_assert_eq!(&got, &expected);
            prop_assert_eq!(&seen, &events);
        }
    }
}

/// An XNOR macro, whose cells conduct at zero inputs too.
#[test]
fn fast_equals_reference_on_xnor_cells() {
    let spec = spec(
        "schema = 1\nname = 'test'\n[array]\nrows = 100\ncolumns = 72\ncell = 'xnor'\nmismatch_pct = 1.0\n\
         [weight]\nbits = 8\ncombine = 'digital'\nsigned = 'xnor'\n[adc]\nkind = 'sar_conventional'\nbits = 8\nmismatch_pct = 1.0\n\
         [noise]\ncomparator_lsb = 0.3\n",
    );
    let layer = layer(30, 5, 3, 3, 1, 9);
    let x = activations(&layer, 4, 10);
    let (expected, events) = run(&spec, &layer, None, EngineKind::Reference, 2, &x, 4);
    for &isa in Isa::available() {
        assert_eq!(
            run(&spec, &layer, None, EngineKind::Fast(isa), 2, &x, 3),
            (expected.clone(), events.clone())
        );
    }
}

/// Chips differ, a chip is always the same, and noise follows the picture's index.
#[test]
fn a_chip_is_a_seed() {
    let spec = farad_hw::models::find("ncku-charge-redistribution")
        .unwrap()
        .spec(&[])
        .unwrap();
    let layer = layer(20, 8, 3, 4, 1, 3);
    let x = activations(&layer, 2, 4);
    let on = |chip| run(&spec, &layer, None, EngineKind::Fast(Isa::detect()), chip, &x, 2).0;
    assert_eq!(on(0), on(0));
    assert_ne!(on(0), on(1));
}
