//! Standard output, standard error, pipes, colours and Ctrl-C.

use crate::harness::{Bench, text};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn results_go_to_standard_output_alone() {
    let output = Bench::new().run(&["run", "--images", "2"]);
    assert_eq!(text(&output.stderr), "", "no progress bar without a terminal");
    assert!(text(&output.stdout).starts_with("network "));
    assert!(!text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn verbose_says_more_on_standard_error() {
    let output = Bench::new().run(&["run", "-v", "--images", "2", "--out", "results"]);
    let notes = text(&output.stderr);
    assert!(notes.contains("2 images of fashion-mnist"), "{notes}");
    assert!(notes.contains("report.html"), "{notes}");
}

#[test]
fn colour_is_the_users_choice() {
    let bench = Bench::new();
    assert!(bench.stdout(&["list", "adc", "--color", "always"]).contains('\u{1b}'));
    let bad = |color| text(&bench.run(&["map", "--set", "adc.bits=40", "--color", color]).stderr);
    assert!(bad("always").contains('\u{1b}'));
    for color in ["auto", "never"] {
        assert!(!bad(color).contains('\u{1b}'));
    }
}

#[test]
fn every_command_explains_itself() {
    let bench = Bench::new();
    for command in [
        "run",
        "characterize",
        "map",
        "inspect",
        "sweep",
        "compare",
        "train",
        "data",
        "list",
        "check",
        "explain",
        "completions",
    ] {
        let help = bench.stdout(&[command, "--help"]);
        assert!(help.contains("Examples:\n"), "{command}");
        assert!(help.contains(&format!("farad {command}")), "{command}");
    }
    let help = bench.stdout(&["--help"]);
    assert!(help.contains("Exit codes: 0 done, 1 failure or interrupted, 2 wrong use"));
}

#[test]
fn completions_know_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.stdout(&["completions", shell]);
        assert!(script.contains("inspect") && script.contains("pixel-max"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = bench
        .command(&["list", "macro"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[cfg(unix)]
#[test]
fn the_first_interrupt_stops_with_a_partial_report() {
    let bench = Bench::new();
    // Far more chips than are done before the signal arrives.
    let args = ["run", "-v", "--images", "2", "--chips", "1000000", "--out", "results"];
    let mut child = bench
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("2 of 2000000 images") {
        line.clear();
        assert!(notes.read_line(&mut line).unwrap() > 0, "ended early");
    }
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );

    let mut rest = String::new();
    notes.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{rest}");
    assert!(text(&output.stdout).starts_with("PARTIAL"), "{}", text(&output.stdout));
    assert!(rest.contains("stopping after the running batch"), "{rest}");
    assert!(rest.contains("the results are partial"), "{rest}");
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(bench.path("results/report.json")).unwrap()).unwrap();
    assert_eq!(json["partial"], true);
    let chips = json["accuracy"]["chips"].as_array().unwrap().len() as u64;
    assert!(
        chips >= 1 && chips < json["accuracy"]["chips_requested"].as_u64().unwrap(),
        "{chips}"
    );
    assert!(
        fs::read_to_string(bench.path("results/report.html"))
            .unwrap()
            .contains("class=\"partial\"")
    );
}
