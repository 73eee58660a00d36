//! `farad calibrate`, and runs with its files.

use crate::harness::Bench;
use serde_json::Value;

const TRIMS: [&str; 4] = [
    "--set",
    "noise.offset_trim_lsb=0.25",
    "--set",
    "noise.gain_trim_pct=0.5",
];

fn report(bench: &Bench, args: &[&str]) -> Value {
    let json = bench.stdout(&[&["run", "--json", "--images", "32"], args].concat());
    serde_json::from_str(&json).unwrap()
}

#[test]
fn a_run_with_its_own_images_calibrated_is_the_run() {
    let bench = Bench::new();
    let set = ["adc.range=mse", "adc.range_per=tile", "noise.offset_trim_lsb=0"]
        .map(|set| ["--set", set])
        .concat();
    let table = bench.stdout(&[&["calibrate", "-o", "c.json"], &set[..]].concat());
    assert!(
        table.contains("range         least mean square error") && table.contains("conv2"),
        "{table}"
    );
    let mut with = report(&bench, &[&set[..], &["--calibration", "c.json"]].concat());
    let without = report(&bench, &set);
    assert_eq!(with["layers"], without["layers"]);
    assert_eq!(with["accuracy"], without["accuracy"]);
    let used = with["macro"].as_object_mut().unwrap().remove("calibration").unwrap();
    assert_eq!(
        (used["name"].as_str(), used["sha256"].as_str().unwrap().len()),
        (Some("c.json"), 64)
    );
    assert_eq!(without["macro"], with["macro"]);
}

#[test]
fn trims_are_kept_for_each_chip() {
    let bench = Bench::new();
    let off = ["--set", "noise.column_gain_pct=8", "--set", "noise.column_offset_lsb=4"];
    let set = [&TRIMS[..], &off[..]].concat();
    let table = bench.stdout(
        &[
            &["calibrate", "--images", "8", "--chips", "2", "-o", "c.json"],
            &set[..],
        ]
        .concat(),
    );
    assert!(
        table.contains("offset trim") && table.contains("steps of 0.5 % at most"),
        "{table}"
    );
    let trimmed = report(
        &bench,
        &[&set[..], &["--chips", "2", "--calibration", "c.json"]].concat(),
    );
    let raw = report(&bench, &[&off[..], &["--chips", "2"]].concat());
    let sqnr = |report: &Value, layer: usize| report["layers"][layer]["sqnr_db"].as_f64().unwrap();
    for layer in 0..4 {
        assert!(sqnr(&trimmed, layer) > sqnr(&raw, layer) + 3.0, "layer {layer}");
    }
    let args = [&["run"], &set[..], &["--chips", "3", "--calibration", "c.json"]].concat();
    bench.refuses_in_one_line(&args, "it has trims of 2 chips, the run has 3");
    let args = [&["run", "--attribute"], &set[..], &["--calibration", "c.json"]].concat();
    bench.refuses_in_one_line(&args, "were set against all of them together");
}

#[test]
fn a_calibration_for_anything_else_is_refused() {
    let bench = Bench::new();
    bench.refuses_in_one_line(
        &["calibrate", "--macro", "ideal", "-o", "c.json"],
        "has nothing to calibrate",
    );
    let set = ["--set", "adc.range=optimal"];
    bench.stdout(&[&["calibrate", "--images", "2", "-o", "c.json"], &set[..]].concat());
    let run = |args: &[&'static str]| [&["run", "--calibration", "c.json"], args].concat();
    bench.refuses_in_one_line(
        &run(&[]),
        "made for another macro, `ncku-charge-redistribution` with adc.range=optimal",
    );
    bench.refuses_in_one_line(
        &run(&["--set", "adc.range=optimal", "--set", "adc.bits=6"]),
        "another macro",
    );
    bench.write("chip.csv", "# columns: 32\ncolumn,gain\n0,1.01\n");
    bench.refuses_in_one_line(
        &run(&["--set", "adc.range=optimal", "--profile", "chip.csv"]),
        "another macro",
    );
    let normalised = ["--pixel-max", "1", "--mean", "0.5", "--std", "0.25"];
    bench.refuses_in_one_line(
        &run(&[&set[..], &normalised].concat()),
        "an input of another --pixel-max",
    );
    let text = std::fs::read_to_string(bench.path("c.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["network"]["sha256"] = "00".into();
    bench.write("c.json", json.to_string());
    bench.refuses_in_one_line(&run(&set), "made for another network, `fashion-mnist-cnn-int8`");
    bench.write("c.json", &text[..text.len() / 2]);
    bench.refuses_in_one_line(&run(&set), "calibration `c.json`: EOF");
    bench.refuses_in_one_line(&["run", "--calibration", "absent"], "cannot read calibration `absent`");
}

#[test]
fn a_calibration_can_be_an_axis() {
    let bench = Bench::new();
    for (file, images) in [("a.json", "2"), ("b.json", "4")] {
        bench.stdout(&["calibrate", "--set", "adc.range=max", "--images", images, "-o", file]);
    }
    bench.write(
        "e.toml",
        "[base]\nimages = 1\nadc.range = 'max'\n[axes]\ncalibration = ['a.json', 'b.json']\n",
    );
    assert_eq!(bench.stdout(&["sweep", "e.toml"]).lines().count(), 3);
    bench.write(
        "e.toml",
        "[base]\nadc.bits = 6\nadc.range = 'max'\n[axes]\ncalibration = ['a.json', 'b.json']\n",
    );
    bench.refuses(&["sweep", "e.toml"], "made for another macro");
}
