//! `farad run --trace`: the clocks add up to the report's, and the decisions to the codes.

use crate::harness::Bench;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

fn count(event: &Value, name: &str) -> u64 {
    event["args"][name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} of {event}"))
}

/// Spans of a trace by process and thread.
fn spans(trace: &str) -> BTreeMap<(u64, u64), Vec<Value>> {
    let json: Value = serde_json::from_str(trace).unwrap();
    let mut tracks: BTreeMap<(u64, u64), Vec<Value>> = BTreeMap::new();
    for event in json["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["ph"] == "X")
    {
        let key = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        tracks.entry(key).or_default().push(event.clone());
    }
    tracks
}

#[test]
fn clocks_add_up_to_the_report() {
    let bench = Bench::new();
    for hw in ["ncku-charge-redistribution", "jia-jssc-2020"] {
        let args = [
            "run",
            "--images",
            "2",
            "--macro",
            hw,
            "--set",
            "system.instances=2",
            "--json",
            "--trace",
            "t.json",
        ];
        let more = [
            "--trace-layer",
            "conv2",
            "--trace-layer",
            "4",
            "--trace-image",
            "1",
            "--trace-positions",
            "3",
        ];
        let report: Value = serde_json::from_str(&bench.stdout(&[&args[..], &more].concat())).unwrap();
        let tracks = spans(&fs::read_to_string(bench.path("t.json")).unwrap());
        let layers = &tracks[&(1, 1)];
        assert_eq!(layers.len(), report["layers"].as_array().unwrap().len());
        let total: u64 = layers.iter().map(|l| count(l, "clocks")).sum();
        assert_eq!(report["per_image"]["cycles"], total);
        for (&(process, thread), spans) in &tracks {
            // No two at once in a row.
            for pair in spans.windows(2) {
                assert!(count(&pair[0], "clock") + count(&pair[0], "clocks") <= count(&pair[1], "clock"));
            }
            // An instance that a layer uses is busy or waits, all the layer long.
            for layer in layers.iter().filter(|_| process > 1 && thread == 1) {
                let (start, clocks) = (count(layer, "clock"), count(layer, "clocks"));
                let inside = spans
                    .iter()
                    .filter(|s| (start..start + clocks).contains(&count(s, "clock")));
                let sum: u64 = inside.map(|s| count(s, "clocks")).sum();
                assert!(sum == 0 || sum == clocks, "{hw}: {sum} of {layer}");
            }
        }
        // Chosen phases: three positions of tile 0 of two layers, each converted once per bit of the input; dense has one position.
        let converting = tracks
            .iter()
            .filter(|((_, thread), _)| *thread == 3)
            .flat_map(|(_, s)| s);
        assert_eq!(
            converting.filter(|s| s["name"] == "convert").count(),
            (3 + 1) * 8,
            "{hw}"
        );
    }
}

/// A SAR that skips nothing: its answers are the code's bits, MSB first.
#[test]
fn decisions_make_the_code() {
    let bench = Bench::new();
    bench.stdout(&[
        "run",
        "--images",
        "1",
        "--macro",
        "jia-jssc-2020",
        "--trace",
        "t.json",
        "--trace-column",
        "3",
    ]);
    let tracks = spans(&fs::read_to_string(bench.path("t.json")).unwrap());
    let decisions: Vec<&Value> = tracks
        .iter()
        .filter(|((_, thread), _)| *thread == 4)
        .flat_map(|(_, s)| s)
        .collect();
    let asked: Vec<&&Value> = decisions.iter().filter(|s| s["args"]["above"].is_u64()).collect();
    assert_eq!(asked.len(), 4 * 8 * 8, "positions, planes and bits");
    for conversion in asked.chunks(8) {
        let code = conversion
            .iter()
            .fold(0, |code, decision| 2 * code + count(decision, "above"));
        assert_eq!(code, count(conversion[7], "code"));
        assert_eq!(count(conversion[7], "channel"), 0);
    }
}

#[test]
fn vcd_declares_what_it_changes() {
    let bench = Bench::new();
    bench.stdout(&["run", "--images", "1", "--trace", "below/t.vcd"]);
    let vcd = fs::read_to_string(bench.path("below/t.vcd")).unwrap();
    let (head, body) = vcd.split_once("$enddefinitions $end\n").unwrap();
    let mut names: Vec<&str> = head
        .lines()
        .filter(|l| l.starts_with("$var"))
        .map(|l| l.split(' ').nth(3).unwrap())
        .collect();
    assert_eq!(head.matches("$scope").count(), head.matches("$upscope").count());
    let declared = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), declared);
    let mut last = None;
    for line in body.lines() {
        if let Some(time) = line.strip_prefix('#') {
            let time: u64 = time.parse().unwrap();
            assert!(last < Some(time), "{line}");
            last = Some(time);
        } else {
            let id = line.split(' ').next_back().unwrap();
            assert!(names.binary_search(&id).is_ok(), "{line}");
        }
    }
    // 92,794 clocks of 10 ns.
    assert_eq!(last, Some(92_794 * 10_000));
}

#[test]
fn wrong_choices_are_refused() {
    let bench = Bench::new();
    let run = |more: &[&str], expected: &str| {
        bench.refuses_in_one_line(
            &[&["run", "--images", "1", "--trace", "t.json"], more].concat(),
            expected,
        );
    };
    run(
        &["--trace-layer", "conv9"],
        "no such layer; there are conv1, conv2, conv3, conv4, dense",
    );
    run(&["--trace-tile", "1"], "layer `conv1` has 1 tiles");
    run(&["--trace-image", "1"], "there are 1 images");
    run(&["--trace-column", "4096"], "columns in use");
    bench.refuses(&["run", "--trace-tile", "1"], "--trace <FILE>");
    bench.write("taken", "a file");
    bench.refuses_in_one_line(
        &["run", "--images", "1", "--trace", "taken/t.json"],
        "cannot write into `taken`",
    );
}
