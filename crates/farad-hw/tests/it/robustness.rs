//! Whatever the text, the answer is a macro or a list of problems, never a panic.

use crate::set;
use farad_hw::diagnostic::Diagnostics;
use farad_hw::{MacroSpec, cost, models, schema, timing};
use proptest::prelude::*;

/// Renders problems and checks that they point into their sources; uses a macro for what it is for.
fn exercise(answer: Result<MacroSpec, Diagnostics>) {
    match answer {
        Ok(spec) => {
            let peak = cost::peak(&spec, 0.5, 0.5);
            assert!(!peak.tops.is_nan() && !peak.tops_per_watt.is_nan() && !peak.tops_per_mm2.is_nan());
            assert!(timing::mvm_clocks(&spec) > 0);
            assert!(spec.outputs() > 0 && spec.adcs() > 0);
        }
        Err(problems) => {
            assert!(!problems.list.is_empty());
            for problem in &problems.list {
                assert!(schema::explain(problem.code).is_some(), "{}", problem.code);
                assert!(!problem.labels.is_empty());
                for (place, _) in &problem.labels {
                    assert!(
                        problems.sources[place.source].text.get(place.span()).is_some(),
                        "{place:?}"
                    );
                }
            }
            assert!(problems.render(true).len() >= problems.render(false).len());
        }
    }
}

const KEYS: &[&str] = &[
    "schema",
    "name",
    "description",
    "technology.node_nm",
    "technology.vdd_v",
    "technology.temperature_k",
    "array.rows",
    "array.columns",
    "array.cell",
    "array.topology",
    "array.unit_cap_ff",
    "array.mismatch_pct",
    "array.parasitic_ratio",
    "array.unused_rows",
    "input.bits",
    "input.combine",
    "input.dac_bits",
    "input.share_mismatch_pct",
    "weight.bits",
    "weight.combine",
    "weight.signed",
    "weight.switch_parasitic",
    "weight.node_parasitic",
    "adc.kind",
    "adc.bits",
    "adc.range",
    "adc.clip_sigma",
    "adc.percentile",
    "adc.columns_per_adc",
    "adc.skip_bits",
    "adc.decision_fj",
    "noise.ktc",
    "noise.draws",
    "noise.injection_pct",
    "timing.clock_mhz",
    "timing.multiply",
    "timing.pipelined",
    "energy.at_vdd_v",
    "energy.driver_fj",
    "area.cell_f2",
    "system.instances",
    "system.duplicate",
    "system.depth",
    "system.mapper",
    "adc",
    "array",
    "x",
    "x.y",
    "a.b.c",
    "",
];

const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "8",
    "12",
    "255",
    "65536",
    "-1",
    "40",
    "0x10",
    "1_000",
    "99999999999999999999",
    "1e300",
    "-0.5",
    "0.9",
    "nan",
    "-inf",
    "true",
    "false",
    "and",
    "xnor",
    "'xnor'",
    "digital",
    "binary_cap",
    "c2c",
    "msb_polarity",
    "differential",
    "serial_share",
    "dac",
    "clip",
    "calibrated",
    "flash",
    "ramp",
    "time",
    "pulses",
    "sar_split",
    "ideal",
    "per_decision",
    "[1, 2]",
    "{ bits = 4 }",
    "1979-05-27",
    "",
    "'",
    "\"\"\"",
    "a = b",
    "é",
    "\u{1b}[31m",
    "line\nline",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in "\\PC{0,200}", name in "\\PC{0,20}") {
        exercise(schema::parse(&name, &text, &[]));
    }

    #[test]
    fn any_lines(lines in prop::collection::vec("(\\[[a-z.]{0,8}\\]?|[a-z_\"'.]{0,10} ?=? ?[-0-9a-z\"'{}\\[\\],.é#\t]{0,10})", 0..20)) {
        exercise(schema::parse("m.toml", &lines.join("\n"), &[]));
    }

    /// A good file with characters replaced, removed or doubled.
    #[test]
    fn damaged_files(
        model in 0..models::list().len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select("=[]{}\"'#.,-0 9en\n\r\t\u{0}é中\u{202e}".chars().collect::<Vec<_>>())), 1..8),
    ) {
        let mut text: Vec<char> = models::list()[model].text.chars().collect();
        for (at, kind, with) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = with,
                1 => { text.remove(at); }
                _ => text.insert(at, with),
            }
        }
        exercise(schema::parse("m.toml", &text.iter().collect::<String>(), &[]));
    }

    #[test]
    fn shuffled_lines(model in 0..models::list().len(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let lines: Vec<&str> = models::list()[model].text.lines().collect();
        let text: Vec<&str> = order.iter().map(|i| lines[i.index(lines.len())]).collect();
        exercise(schema::parse("m.toml", &text.join("\n"), &[]));
    }

    #[test]
    fn any_settings(
        model in 0..models::list().len(),
        pairs in prop::collection::vec((prop::sample::select(KEYS), prop::sample::select(VALUES)), 1..6),
    ) {
        exercise(models::list()[model].spec(&set(&pairs)));
    }
}
