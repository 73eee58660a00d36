//! A report in each of its forms.

mod fixture;
mod sweep;

use farad_report::report::SCHEMA;
use farad_report::text::Look;
use farad_report::{OutputDir, Report, ReportError};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn text_of_a_small_report() {
    let expected = "\
network       resnet
macro         ncku-charge-redistribution with adc.bits=6
images        1000 of cifar10 test
chips         1, seed 7, fast engine
top-1         90.00 % (digital 90.50 %, -0.50 points)
energy        49.8 nJ per image
latency       200 µs per image, 60,000 clocks
conversions   6,000 per image
efficiency    9.64 TOPS/W at 0.500 TOPS
macros        4 tiles on 40 instances, 61.0 % of the cells in use, 1.25 mm2

layer                op        MACs  params  tiles  used %  conversions  clocks  energy nJ  ADC %  SQNR dB  clip %
stage0/block0/conv0  conv2d   40000    1000      1    50.0         1000   10000       9.40     53     30.0       0
stage0/block0/conv1  conv2d   80000    2000      1    52.0         2000   20000       16.6     60     29.0    0.10
stage0/block1/conv0  conv2d  120000    3000      2    54.0         3000   30000       23.8     63    exact    0.20
";
    assert_eq!(fixture::report(3, 1).text(Look::Plain), expected);
}

#[test]
fn a_partial_report_says_so_first() {
    let mut report = fixture::report(2, 1);
    report.partial = true;
    report.dataset.images = 640;
    assert!(
        report
            .text(Look::Plain)
            .starts_with("PARTIAL       stopped after 640 of 1,000 images on 1 of 1 chips\n")
    );
    let page = report.html(&[]);
    let warning = page.find("class=\"partial\"").unwrap();
    assert!(warning < page.find("<h1>").unwrap());
    assert!(!fixture::report(2, 1).html(&[]).contains("class=\"partial\""));
}

#[test]
fn json_reads_back_as_the_same_report() {
    let report = fixture::report(4, 3);
    let read: Report = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert!(read == report, "a number lost bits");
}

/// The fields that programs outside rely on.
#[test]
fn json_has_the_documented_fields() {
    let json: serde_json::Value = serde_json::from_str(&fixture::report(3, 2).json().unwrap()).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    let documented = [
        (
            "",
            "schema farad_version semantics network macro dataset seed engine accuracy per_image totals layers host",
        ),
        ("/network", "name sha256 params macs bops bops_uniq"),
        ("/macro", "name sha256 set"),
        ("/dataset", "name split images"),
        ("/accuracy", "top1 top1_digital top5 chips mean std p05"),
        ("/accuracy/chips/0", "chip top1"),
        ("/per_image", "energy_j latency_s cycles conversions"),
        ("/totals", "area_mm2 tops_per_watt tops tiles utilization"),
        (
            "/layers/0",
            "name op macs params bops bops_uniq tiles rows_used columns_used utilization conversions cycles latency_s \
             energy_j sqnr_db clip_rate",
        ),
        (
            "/layers/0/energy_j",
            "array adc driver accumulator digital buffer weight_load leakage",
        ),
        (
            "/host",
            "wall_s images_per_s macs_per_s conversions_per_s threads isa peak_rss_bytes",
        ),
    ];
    for (pointer, names) in documented {
        let object = json.pointer(pointer).unwrap().as_object().unwrap();
        for name in names.split_whitespace() {
            assert!(object.contains_key(name), "{pointer}/{name}");
        }
    }
    assert!(json["layers"][2]["sqnr_db"].is_null(), "an exact layer has no ratio");
    assert_eq!(json["macro"]["set"]["adc.bits"], "6");
}

#[test]
fn csv_has_a_line_per_layer_and_parts_that_add_up() {
    let report = fixture::report(5, 1);
    let bytes = report.layers_csv().unwrap();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header = reader.headers().unwrap().clone();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 5);
    let value = |record: &csv::StringRecord, name: &str| {
        record[header.iter().position(|title| title == name).unwrap()].to_string()
    };
    for (record, layer) in records.iter().zip(&report.layers) {
        assert_eq!(value(record, "name"), layer.name);
        assert_eq!(
            value(record, "energy_adc_j").parse::<f64>().unwrap(),
            layer.energy_j.adc
        );
        assert_eq!(
            value(record, "energy_j").parse::<f64>().unwrap(),
            layer.energy_j.total()
        );
    }
    assert_eq!(value(&records[2], "sqnr_db"), "");
}

#[test]
fn the_page_needs_nothing_else() {
    let mut report = fixture::report(20, 24);
    report.network.name = "<script>alert(1)</script>".into();
    report.layers[0].name = "a<b>&\"c\"".into();
    let page = report.html(&report.plots().unwrap());
    for absent in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_namespace.contains("http"));
    assert!(!page.contains("a<b>"));
    assert_eq!(page.matches("<svg").count(), 6);
}

#[test]
fn every_layer_is_named_in_every_layer_plot() {
    let report = fixture::report(20, 24);
    let plots = report.plots().unwrap();
    let names: BTreeSet<&str> = plots.iter().map(|p| p.name.as_ref()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["accuracy", "clipping", "codes", "energy", "sqnr", "utilization"])
    );
    for plot in plots.iter().filter(|p| p.name != "accuracy") {
        for layer in &report.layers {
            assert!(plot.svg.contains(&layer.name), "{} lacks {}", plot.name, layer.name);
        }
    }
}

#[test]
fn one_chip_has_no_distribution_and_zero_energy_still_has_axes() {
    let mut report = fixture::report(1, 1);
    report.layers[0].energy_j = Default::default();
    let plots = report.plots().unwrap();
    assert!(plots.iter().all(|p| p.name != "accuracy"));
    assert!(plots.iter().all(|p| !p.svg.contains("NaN")));
}

#[test]
fn a_directory_gets_whole_files_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/results");
    let out = OutputDir::create(&path).unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "the probe is gone");
    let report = fixture::report(3, 2);
    let written = out.write(&report).unwrap();
    let mut found: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    let mut expected = written.clone();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(
        fs::read_to_string(path.join("report.json")).unwrap(),
        report.json().unwrap()
    );
    // Writing again replaces.
    assert_eq!(out.write(&report).unwrap(), written);
}

#[test]
fn a_file_in_the_way_is_reported_before_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken");
    fs::write(&path, "not a directory").unwrap();
    let error = OutputDir::create(&path).unwrap_err();
    assert!(matches!(error, ReportError::OutputDir { .. }));
    assert!(error.to_string().contains("taken"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "not a directory");
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = OutputDir::create(dir.path()).unwrap();
    // A directory cannot be replaced by a file.
    fs::create_dir(dir.path().join("report.json")).unwrap();
    assert!(matches!(
        out.write(&fixture::report(2, 1)),
        Err(ReportError::Write { .. })
    ));
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["report.json"]);
}
