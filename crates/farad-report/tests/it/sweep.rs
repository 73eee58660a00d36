//! Sweeps made by hand: which plots follow from which axes, what is on the front, what is saved.

use farad_report::Sweep;
use farad_report::metric::{METRICS, metric_named};
use farad_report::sweep::{Cell, PlotKind, PlotRequest, SweepPoint};

/// A point's metrics by name; all others are 0.
fn point(index: usize, values: &[&str], metrics: &[(&str, f64)]) -> SweepPoint {
    let value = |name: &str| metrics.iter().find(|(n, _)| *n == name).map_or(0.0, |m| m.1);
    SweepPoint {
        index,
        key: format!("{index:04x}"),
        values: values
            .iter()
            .map(|text| Cell {
                text: (*text).to_owned(),
                number: text.parse().ok(),
            })
            .collect(),
        metrics: METRICS.iter().map(|metric| value(metric.name)).collect(),
        chips: vec![value("top1") - 0.01, value("top1") + 0.01],
        images: 100,
        page: false,
    }
}

/// Bits 4 to 6, range, rows: accuracy grows with bits, energy too, and `clip` costs nothing.
fn sweep() -> Sweep {
    let mut points = Vec::new();
    for (b, bits) in ["4", "5", "6"].into_iter().enumerate() {
        for (r, range) in ["full", "clip"].into_iter().enumerate() {
            for rows in ["64", "128"] {
                let (b, r) = (b as f64, r as f64);
                let metrics = [
                    ("top1", 0.8 + 0.05 * b + 0.01 * r),
                    ("energy_j", 1e-6 * (1.0 + b)),
                    ("utilization", 0.5),
                ];
                points.push(point(points.len(), &[bits, range, rows], &metrics));
            }
        }
    }
    let metric = |name: &str| metric_named(name).expect("a metric");
    Sweep {
        name: "e".into(),
        description: String::new(),
        planned: points.len(),
        axes: vec![
            ("adc.bits".into(), 0),
            ("adc.range".into(), 1),
            ("array.rows".into(), 2),
        ],
        metrics: vec![metric("top1"), metric("utilization")],
        objectives: vec![(metric("top1"), true), (metric("energy_j"), false)],
        requests: Vec::new(),
        automatic: true,
        points,
    }
}

fn names(sweep: &Sweep) -> Vec<String> {
    sweep
        .plots()
        .expect("plots")
        .into_iter()
        .map(|plot| plot.name.into_owned())
        .collect()
}

#[test]
fn plots_follow_from_axes() {
    let mut sweep = sweep();
    let expected = [
        "front-top1-energy_j",
        "top1-adc_bits",
        "energy_j-adc_bits",
        "heat-top1-adc_bits-adc_range",
        "heat-utilization-adc_bits-adc_range",
        "parallel",
    ];
    assert_eq!(names(&sweep), expected);
    let plots = sweep.plots().unwrap();
    for text in [
        "array.rows = 64",
        "array.rows = 128",
        "clip",
        "over 2 chips",
        "for 100 images (Wilson)",
    ] {
        assert!(plots[1].svg.contains(text), "{text}");
    }
    // One axis: lines alone, and no line for each of anything.
    sweep
        .points
        .retain(|p| p.values[1].text == "full" && p.values[2].text == "64");
    assert_eq!(names(&sweep), expected[..3]);
    sweep.objectives.clear();
    assert_eq!(names(&sweep), ["top1-adc_bits", "utilization-adc_bits"]);
    sweep.points.clear();
    assert!(names(&sweep).is_empty());
}

#[test]
fn plots_that_are_asked_for_come_first_or_alone() {
    let mut sweep = sweep();
    sweep.requests.push(PlotRequest {
        kind: PlotKind::Heat,
        x: "array.rows".into(),
        y: "adc.range".into(),
        lines: None,
        facet: Vec::new(),
        color: Some("top1".into()),
    });
    assert_eq!(names(&sweep)[0], "heat-top1-array_rows-adc_range");
    sweep.automatic = false;
    let plots = sweep.plots().unwrap();
    assert_eq!(plots.len(), 1);
    assert!(plots[0].svg.contains("mean over what is not named here"));
}

#[test]
fn no_point_of_the_front_is_beaten_and_every_other_is() {
    let sweep = sweep();
    let front = sweep.front();
    let costs: Vec<[f64; 2]> = sweep.points.iter().map(|p| [-p.metrics[0], p.metrics[6]]).collect();
    assert_eq!([METRICS[0].name, METRICS[6].name], ["top1", "energy_j"]);
    let beats = |a: [f64; 2], b: [f64; 2]| a[0] <= b[0] && a[1] <= b[1] && a != b;
    for (i, on) in front.iter().enumerate() {
        let beaten = costs.iter().any(|other| beats(*other, costs[i]));
        assert_eq!(*on, !beaten, "point {i}");
    }
    // Equal points are both on it: rows change neither number.
    assert_eq!(front.iter().filter(|on| **on).count(), 6);
}

#[test]
fn savings_are_relative_to_the_largest_network_under_otherwise_equal_conditions() {
    let mut sweep = sweep();
    sweep.axes = vec![("network".into(), 0), ("adc.bits".into(), 1)];
    let cost = |bops, energy| [("bops", bops), ("macs", bops / 64.0), ("energy_j", energy)];
    sweep.points = vec![
        point(0, &["n/net-half-int8.onnx", "4"], &cost(50.0, 6.0)),
        point(1, &["n/net-half-int8.onnx", "5"], &cost(50.0, 9.0)),
        point(2, &["n/net-full-int8.onnx", "4"], &cost(100.0, 8.0)),
        point(3, &["n/net-full-int8.onnx", "5"], &cost(100.0, 10.0)),
    ];
    let numbers = |name: &str| -> Vec<f64> {
        let cells = sweep.column(name).unwrap().cells;
        cells.iter().map(|cell| cell.number.unwrap().round()).collect()
    };
    assert_eq!(numbers("macs_left"), [50.0, 50.0, 100.0, 100.0]);
    assert_eq!(numbers("bops_saved"), [50.0, 50.0, 0.0, 0.0]);
    assert_eq!(numbers("energy_saved"), [25.0, 10.0, 0.0, 0.0]);
    assert!(names(&sweep).contains(&"energy_saved-bops_saved".to_owned()));
    assert!(
        sweep.html(&[]).contains(">half<"),
        "networks are called by what they differ in"
    );
}

#[test]
fn the_page_escapes_names_and_says_what_is_missing() {
    let mut sweep = sweep();
    sweep.planned = 20;
    sweep.points[0].values[1].text = "<b>".into();
    let keys = sweep.choose_pages(2);
    assert_eq!(keys.len(), 2);
    let page = sweep.html(&sweep.plots().unwrap());
    assert!(page.contains("8 of 20 points have no result yet."));
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>&lt;") && !page.contains("<td><b>"));
    assert_eq!(page.matches("href=\"points/").count(), 2);
}
