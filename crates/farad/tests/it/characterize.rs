//! `farad characterize`: its forms and its limits.

use crate::harness::{Bench, text};
use serde_json::Value;
use std::fs;

#[test]
fn a_measurement_has_all_its_parts() {
    let bench = Bench::new();
    for name in ["ncku-charge-redistribution", "sinangil-jssc-2021", "ideal"] {
        let json: Value =
            serde_json::from_str(&bench.stdout(&["characterize", name, "--chips", "1", "--json"])).unwrap();
        assert_eq!(json["schema"], "farad.characterize/1");
        assert_eq!(json["macro"]["name"], name);
        let codes = 1usize << json["adc"]["bits"].as_u64().unwrap();
        for curve in ["transfer_lsb", "inl_lsb"] {
            assert_eq!(json[curve]["p50"].as_array().unwrap().len(), codes - 1, "{}", name);
        }
        let area: f64 = json["cost"]["area_um2"]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_f64().unwrap())
            .sum();
        assert!(area > 0.0);
        // The same cost model as a run: the mean lies among the codes' energies.
        let by_code: Vec<f64> = json["cost"]["conversion_j"]
            .as_array()
            .unwrap()
            .iter()
            .map(|j| j.as_f64().unwrap())
            .collect();
        let mean = json["cost"]["mean_conversion_j"].as_f64().unwrap();
        let (least, most) = (
            by_code.iter().copied().fold(f64::MAX, f64::min),
            by_code.iter().copied().fold(0.0, f64::max),
        );
        assert!(
            least * (1.0 - 1e-9) <= mean && mean <= most * (1.0 + 1e-9),
            "{}: {least} {mean} {most}",
            name
        );
    }
}

#[test]
fn limits_make_a_yield_and_an_exit_code() {
    let bench = Bench::new();
    let run = |more: &[&str]| {
        let args = [&["characterize", "sinangil-jssc-2021", "--chips", "4"], more].concat();
        let output = bench.run(&args);
        (output.status.code(), text(&output.stdout))
    };
    let (code, out) = run(&["--limit", "inl=1000", "--limit", "enob=-1000"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("100.0 % within all limits"), "{out}");
    let (code, out) = run(&["--limit", "inl=1000", "--limit", "dnl=-1"]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("0.0 % within all limits"), "{out}");
    assert_eq!(run(&["--limit", "dnl=-1", "--yield", "0"]).0, Some(0));
}

#[test]
fn out_holds_what_json_prints() {
    let bench = Bench::new();
    let args = [
        "characterize",
        "sinangil-jssc-2021",
        "--chips",
        "2",
        "--json",
        "--out",
        "results",
    ];
    let printed = bench.stdout(&args);
    assert_eq!(
        fs::read_to_string(bench.path("results/characterize.json")).unwrap(),
        printed
    );
    let page = fs::read_to_string(bench.path("results/characterize.html")).unwrap();
    // A flash's energy does not depend on the code, and there is no plot of it.
    assert_eq!(page.matches("<svg").count(), 9);
    for absent in ["<script", "<link", "src=", "NaN"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn wrong_limits_are_refused() {
    let bench = Bench::new();
    bench.refuses(&["characterize", "--limit", "inl"], "expected NAME=VALUE");
    bench.refuses(
        &["characterize", "--limit", "beauty=1"],
        "no figure `beauty`; there are inl, dnl",
    );
    bench.refuses(&["characterize", "--limit", "inl=much"], "`much` is not a number");
    bench.refuses(&["characterize", "--yield", "50"], "--limit");
    bench.refuses(
        &["characterize", "--limit", "inl=1", "--yield", "101"],
        "expected 0 to 100",
    );
    bench.refuses_in_one_line(&["characterize", "absent.toml"], "neither a file nor one of ideal,");
    bench.refuses(&["characterize", "--set", "adc.bits=40"], "--set:1");
    bench.write("taken", "a file");
    bench.refuses_in_one_line(&["characterize", "--out", "taken"], "cannot write into `taken`");
}
