//! Macro descriptions, with one `--set` taken from the last line.

#![no_main]

use farad_hw::{cost, schema, timing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let set: Vec<(String, String)> = text
        .lines()
        .last()
        .and_then(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .into_iter()
        .collect();
    match schema::parse("fuzz.toml", text, &set) {
        Ok(spec) => {
            let peak = cost::peak(&spec, 0.5, 0.5);
            assert!(!peak.tops.is_nan() && !peak.tops_per_watt.is_nan() && !peak.tops_per_mm2.is_nan());
            assert!(timing::mvm_clocks(&spec) > 0);
        }
        Err(problems) => {
            assert!(!problems.list.is_empty());
            assert!(!problems.render(false).is_empty());
        }
    }
});
