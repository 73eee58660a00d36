//! `farad profile`, and runs with its files.

use crate::harness::Bench;
use serde_json::Value;

/// `report.json` without what differs by name, and what it says about the profile.
fn run(bench: &Bench, args: &[&str]) -> (Value, Value) {
    let json = bench.stdout(&[&["run", "--json", "--images", "2"], args].concat());
    let mut report: Value = serde_json::from_str(&json).unwrap();
    let report = report.as_object_mut().unwrap();
    report.remove("host").unwrap();
    report.remove("engine").unwrap();
    let profile = report["macro"].as_object_mut().unwrap().remove("profile");
    (report.clone().into(), profile.unwrap_or_default())
}

#[test]
fn an_exported_chip_runs_as_the_chip_itself() {
    let bench = Bench::new();
    for file in ["chip.csv", "chip.npz"] {
        bench.stdout(&["profile", "export", "--instances", "12", "-o", file]);
    }
    let (expected, none) = run(&bench, &[]);
    assert_eq!(none, Value::Null);
    let (from_csv, profile) = run(&bench, &["--profile", "chip.csv"]);
    assert_eq!(from_csv, expected);
    assert_eq!(profile["name"], "chip.csv");
    assert_eq!(profile["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(run(&bench, &["--profile", "chip.npz"]).0, expected);
    assert_eq!(
        run(&bench, &["--profile", "chip.csv", "--engine", "reference"]).0,
        expected
    );

    // The second of two chips, alone.
    bench.stdout(&["profile", "export", "--chip", "1", "-o", "second.csv"]);
    let (second, _) = run(&bench, &["--profile", "second.csv"]);
    let (both, _) = run(&bench, &["--chips", "2"]);
    assert_eq!(
        second["accuracy"]["chips"][0]["top1"],
        both["accuracy"]["chips"][1]["top1"]
    );
    assert_ne!(second["layers"], expected["layers"]);
}

#[test]
fn a_measured_chip_changes_what_is_characterised_and_said() {
    let bench = Bench::new();
    bench.write("chip.csv", "# columns: 32\ncolumn,gain\n0,1.5\n");
    let args = ["characterize", "--chips", "1", "--profile", "chip.csv"];
    let json: Value = serde_json::from_str(&bench.stdout(&[&args[..], &["--json"]].concat())).unwrap();
    let gain = |k: usize| json["chips"][0]["conversions"][k]["gain"].as_f64().unwrap();
    assert!((gain(0) / gain(1) - 1.5).abs() < 0.05, "{} {}", gain(0), gain(1));
    assert!(bench.stdout(&args).contains("with profile chip.csv"));
    // One with an INL, which belongs to 8 bits; the curve over bits has converters of others.
    bench.stdout(&["profile", "export", "-o", "chip.csv"]);
    assert!(bench.stdout(&args).contains("with profile chip.csv"));
}

#[test]
fn profiles_of_other_chips_are_refused() {
    let bench = Bench::new();
    bench.stdout(&["profile", "export", "-o", "chip.csv"]);
    let with = |set: &'static str| ["run", "--profile", "chip.csv", "--set", set];
    let columns = bench.refuses(&with("array.columns=64"), "of a chip with 32 columns, macro");
    assert!(columns.contains("has 8"), "{columns}");
    bench.refuses(&with("adc.bits=6"), "an ADC of 6 bits has 63");
    bench.refuses(&with("adc.columns_per_adc=2"), "of a chip with 32 adcs");
    bench.write("rows.csv", "column,gain\n0,1\n1,one\n2,\n31\n");
    let rows = bench.refuses(&["characterize", "--profile", "rows.csv"], "2 problems in rows.csv");
    assert!(rows.contains("rows.csv:3:3") && rows.contains("rows.csv:5:1"), "{rows}");
    bench.write("noise.npz", [0x50, 0x4b, 3, 4, 0]);
    bench.refuses_in_one_line(&["run", "--profile", "noise.npz"], "expected an npz archive");
    bench.refuses_in_one_line(&["run", "--profile", "absent.csv"], "cannot read profile `absent.csv`");
}

#[test]
fn a_profile_is_an_axis_and_its_content_makes_the_point() {
    let bench = Bench::new();
    for (file, chip) in [("a.csv", "0"), ("b.csv", "1"), ("c.csv", "0")] {
        bench.stdout(&["profile", "export", "--chip", chip, "-o", file]);
    }
    bench.write(
        "e.toml",
        "[base]\nimages = 1\n[axes]\nprofile = ['a.csv', 'b.csv', 'c.csv']\n",
    );
    let table = bench.stdout(&["sweep", "e.toml"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    // What has the same content is the same point, and only that.
    assert!(bench.stdout(&["sweep", "plan", "e.toml"]).contains("3 done, 0 to run"));
    let rows: Vec<&str> = table.lines().skip(1).collect();
    let numbers = |row: &str| row.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(numbers(rows[0]), numbers(rows[2]));

    bench.write("b.csv", "column,gain\n0,1\n3,x\n");
    let error = bench.refuses(&["sweep", "e.toml"], "`x` is no gain");
    assert!(error.contains("b.csv:3"), "{error}");
    bench.write("e.toml", "[axes]\nprofile = ['absent.csv']\n");
    bench.refuses(&["sweep", "e.toml"], "cannot read profile `absent.csv`");
}
