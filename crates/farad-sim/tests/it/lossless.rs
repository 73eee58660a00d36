//! A converter that can tell all counts apart gives the integer convolution exactly.

use crate::fixture::{activations, exact, layer, run, spec};
use farad_sim::{EngineKind, Isa};
use proptest::prelude::*;

fn engines() -> impl Iterator<Item = EngineKind> {
    [EngineKind::Reference]
        .into_iter()
        .chain(Isa::available().iter().map(|&isa| EngineKind::Fast(isa)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 80 }))]

    /// Any channel count, kernel, row count, scheme and treatment of unused rows.
    #[test]
    fn equals_the_integer_convolution(
        in_c in prop_oneof![Just(1usize), Just(3), Just(44), Just(200), Just(256), Just(300), Just(511)],
        k in prop_oneof![Just(1usize), Just(3), Just(5)],
        (rows, bits) in prop_oneof![Just((64, 7)), Just((128, 8)), Just((255, 8)), Just((256, 9)), Just((1152, 11)), Just((2304, 12))],
        scheme in prop_oneof![
            Just(("and", "twos_complement")), Just(("and", "offset_binary")), Just(("and", "differential")), Just(("xnor", "xnor")),
        ],
        unused in prop_oneof![Just("connected"), Just("gated")],
        mapper in prop_oneof![Just("im2col"), Just("tap_split")],
        seed in any::<u64>(),
    ) {
        let (cell, signed) = scheme;
        let spec = spec(&format!(
            "schema = 1\nname = 'test'\n[array]\nrows = {rows}\ncolumns = 72\ncell = '{cell}'\nunused_rows = '{unused}'\n\
             [weight]\nbits = 8\ncombine = 'digital'\nsigned = '{signed}'\n[adc]\nkind = 'ideal'\nbits = {bits}\n[system]\nmapper = '{mapper}'\n"
        ));
        let layer = layer(in_c, 3, k, if in_c * k * k > 1000 { 1 } else { 2 }, 1, seed);
        let x = activations(&layer, 2, seed);
        let expected = exact(&layer, &x);
        for engine in engines() {
            prop_assert_eq!(&run(&spec, &layer, None, engine, 0, &x, 2).0, &expected, "{:?}", engine);
        }
    }

    /// Asymmetric weights: the digital side adds the offset times the sum of the inputs.
    #[test]
    fn weight_offsets_are_digital(offset in -128i32..=128, seed in any::<u64>()) {
        let spec = spec("schema = 1\nname = 'test'\n[array]\nrows = 255\ncolumns = 64\n[adc]\nkind = 'ideal'\nbits = 8\n");
        let mut layer = layer(6, 4, 3, 3, 2, seed);
        layer.weight_offset = offset;
        let x = activations(&layer, 2, seed);
        for engine in engines() {
            prop_assert_eq!(run(&spec, &layer, None, engine, 0, &x, 1).0, exact(&layer, &x));
        }
    }
}
