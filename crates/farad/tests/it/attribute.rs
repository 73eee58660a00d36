//! `farad run --attribute`: laws of what it says.

use crate::harness::Bench;
use serde_json::Value;

/// `report.json` without `host`.
fn report(bench: &Bench, args: &[&str]) -> Value {
    let json = bench.stdout(&[&["run", "--json", "--images", "4"], args].concat());
    let mut report: Value = serde_json::from_str(&json).unwrap();
    report.as_object_mut().unwrap().remove("host").unwrap();
    report
}

/// The effect called `name`.
#[track_caller]
fn effect<'a>(report: &'a Value, name: &str) -> &'a Value {
    let effects = report["attribution"]["effects"].as_array().unwrap();
    effects.iter().find(|effect| effect["name"] == name).unwrap()
}

#[test]
fn nothing_else_changes_and_threads_change_nothing() {
    let bench = Bench::new();
    let args = ["--chips", "2", "--set", "adc.bits=6"];
    let plain = report(&bench, &args);
    let mut one = report(&bench, &[&args[..], &["--attribute", "--threads", "1"]].concat());
    assert_eq!(
        one,
        report(&bench, &[&args[..], &["--attribute", "--threads", "2"]].concat())
    );
    let attribution = one.as_object_mut().unwrap().remove("attribution").unwrap();
    assert_eq!(one, plain);
    assert_eq!(attribution["effects"].as_array().unwrap().len(), 10);
}

#[test]
fn a_macro_that_loses_nothing_attributes_nothing() {
    let bench = Bench::new();
    let report = report(&bench, &["--attribute", "--macro", "ideal"]);
    for name in ["quantisation", "clipping"] {
        let effect = effect(&report, name);
        assert_eq!(effect["error_share"], 0.0);
        assert_eq!(effect["top1_alone"], report["accuracy"]["top1_digital"]);
        assert_eq!(effect["top1_without"], report["accuracy"]["top1"]);
        for layer in effect["layers"].as_array().unwrap() {
            assert!(layer["sqnr_alone_db"].is_null() && layer["sqnr_without_db"].is_null());
        }
    }
}

/// Steps, and no charge beyond the full range.
#[test]
fn the_only_effect_is_all_that_there_is() {
    let bench = Bench::new();
    let report = report(&bench, &["--attribute", "--macro", "ideal", "--set", "adc.bits=5"]);
    let steps = effect(&report, "quantisation");
    assert_eq!(steps["error_share"], 1.0);
    assert_eq!(steps["top1_alone"], report["accuracy"]["top1"]);
    assert_eq!(steps["top1_without"], report["accuracy"]["top1_digital"]);
    let layers = report["layers"].as_array().unwrap();
    let clipping = effect(&report, "clipping");
    for (i, all) in layers.iter().enumerate() {
        assert_eq!(steps["layers"][i]["sqnr_alone_db"], all["sqnr_db"]);
        assert_eq!(clipping["layers"][i]["sqnr_without_db"], all["sqnr_db"]);
        // The simulated axis is 36 dB finer than the steps.
        let without = steps["layers"][i]["sqnr_without_db"].as_f64().unwrap_or(f64::INFINITY);
        // A layer of fewer rows than codes is exact either way.
        if let Some(all_db) = all["sqnr_db"].as_f64() {
            assert!(without > all_db + 30.0);
        }
    }
}

#[test]
fn files_and_tables_name_every_effect() {
    let bench = Bench::new();
    let text = bench.stdout(&["run", "--images", "2", "--attribute", "--out", "out"]);
    let read = |name: &str| std::fs::read_to_string(bench.path("out").join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let effects = report["attribution"]["effects"].as_array().unwrap();
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(
        read("attribution.csv").lines().count(),
        1 + effects.len() * (1 + layers.len())
    );
    for effect in effects {
        let name = effect["name"].as_str().unwrap();
        for file in [
            "report.html",
            "attribution.svg",
            "attribution_without.svg",
            "attribution.csv",
        ] {
            assert!(read(file).contains(name), "{file} without {name}");
        }
        assert!(text.contains(name), "{name}");
    }
}
