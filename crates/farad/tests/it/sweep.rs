//! `farad sweep`: what is printed, what is kept, and what a kill costs.

#[cfg(unix)]
use crate::harness::set_mode;
use crate::harness::{Bench, text};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

const EXPERIMENT: &str = "[base]\nimages = 1\n[axes]\nadc.bits = [6, 7]\nchips = [1, 2]\n";

#[test]
fn a_sweep_goes_from_text_to_table_and_csv() {
    let bench = Bench::new();
    bench.write("small.toml", EXPERIMENT);
    let planned = bench.stdout(&["sweep", "plan", "small.toml"]);
    assert!(
        planned.contains("points        4, 4 selected, 0 done, 4 to run"),
        "{planned}"
    );
    assert!(bench.stdout(&["sweep", "small.toml", "--dry-run"]).contains("to run"));
    assert_eq!(
        bench.files(),
        [bench.path("small.toml")],
        "looking leaves nothing behind"
    );

    let table = bench.stdout(&["sweep", "small.toml", "--filter", "chips == 1"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("adc.bits  chips  top1"), "{table}");
    let csv = |folder: &str| fs::read_to_string(bench.path(folder).join("results.csv")).unwrap();
    assert_eq!(csv("sweep/small").lines().count(), 3);
    assert!(
        bench
            .stdout(&["sweep", "plan", "small.toml"])
            .contains("by 2 measured points")
    );

    let output = bench.run(&["sweep", "-v", "small.toml", "--jobs", "2"]);
    let notes = text(&output.stderr);
    assert!(notes.contains("4 points, 2 to run, 2 at a time"), "{notes}");
    assert_eq!(csv("sweep/small").lines().count(), 5);
    let planned = bench.stdout(&["sweep", "plan", "small.toml"]);
    assert!(planned.contains("4 done, 0 to run"), "{planned}");
    assert!(!bench.stdout(&["sweep", "small.toml", "--dry-run"]).contains("to run"));

    bench.stdout(&["sweep", "small.toml", "--out", "elsewhere", "--jobs", "1"]);
    assert_eq!(csv("elsewhere"), csv("sweep/small"));
}

#[test]
fn a_report_has_a_page_plots_and_points() {
    let bench = Bench::new();
    bench.write(
        "small.toml",
        EXPERIMENT.to_owned() + "[[plot]]\nx = 'adc.bits'\ny = 'top5'\n",
    );
    bench.refuses_in_one_line(&["sweep", "report", "small.toml"], "sweep.sqlite");
    bench.stdout(&["sweep", "small.toml", "--filter", "chips == 1", "--report"]);
    let page = |folder: &str| fs::read_to_string(bench.path(folder).join("report.html")).unwrap();
    let first = page("sweep/small");
    assert!(
        first.contains("id=\"top5-adc_bits\"") && first.contains("<tbody>\n<tr data-point=\"0\""),
        "{first}"
    );
    assert_eq!(first.matches("href=\"points/").count(), 2);
    bench.stdout(&["sweep", "report", "small.toml", "--pages", "1"]);
    let second = page("sweep/small");
    assert!(second.contains("2 of 4 points have no result yet."));
    assert_eq!(second.matches("href=\"points/").count(), 1);
    let plot = bench.path("sweep/small/plots/top5-adc_bits.svg");
    assert!(fs::read_to_string(plot).unwrap().starts_with("<svg"));

    bench.stdout(&["sweep", "export", "small.toml", "--parquet", "small.parquet"]);
    let bytes = fs::read(bench.path("small.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}

#[test]
fn wrong_experiments_leave_nothing_behind() {
    let bench = Bench::new();
    bench.refuses(&["sweep"], "Usage: farad sweep");
    bench.refuses_in_one_line(&["sweep", "absent.toml"], "cannot read experiment `absent.toml`");
    bench.write("e.toml", EXPERIMENT);
    bench.refuses(
        &["sweep", "e.toml", "--filter", "adc.bits >"],
        "expected a name, a number or a 'text' at character 11",
    );
    bench.refuses_in_one_line(
        &["sweep", "e.toml", "--filter", "seed == 1"],
        "`seed` is not set by `e.toml`",
    );
    bench.refuses_in_one_line(&["sweep", "e.toml", "--filter", "chips == 9"], "no point is left");
    bench.write(
        "e.toml",
        EXPERIMENT.replace("[6, 7]", "[6, 70]").replace("chips", "chisp"),
    );
    for command in [&["sweep", "e.toml"][..], &["sweep", "plan", "e.toml"]] {
        let error = bench.refuses(command, "did you mean `chips`?");
        assert!(
            error.contains("error[S0101]") && error.contains("error[E0105]"),
            "{error}"
        );
    }
    bench.write(
        "e.toml",
        EXPERIMENT
            .replace("[6, 7]", "[6, 70]")
            .replace("images = 1", "images = 1\nnetwork = 'absent.onnx'"),
    );
    let error = bench.refuses(&["sweep", "e.toml"], "error[E0105]");
    assert!(
        error.contains("error[S0109]") && error.contains("2 problems in e.toml"),
        "{error}"
    );
    assert!(bench.stdout(&["explain", "S0109"]).contains("farad list"));
}

#[test]
fn what_is_no_store_is_refused() {
    let bench = Bench::new();
    bench.write("e.toml", EXPERIMENT);
    bench.write("out/sweep.sqlite", "no database".repeat(100));
    for command in [
        &["sweep", "e.toml", "--out", "out"][..],
        &["sweep", "plan", "e.toml", "--out", "out"],
    ] {
        bench.refuses_in_one_line(command, "`out/sweep.sqlite` is not a store of Farad");
    }
}

/// What is there can be taken out of a store that cannot be written, and running says why it does not go on.
#[cfg(unix)]
#[test]
fn a_read_only_store_gives_its_results() {
    let bench = Bench::new();
    bench.write("e.toml", EXPERIMENT);
    bench.stdout(&["sweep", "e.toml", "--out", "out", "--filter", "chips == 1"]);
    bench.write("free/results.csv", "");
    set_mode(&bench.path("free/results.csv"), 0o666);
    let run = bench.run_read_only(&["sweep", "e.toml", "--out", "out"], "out");
    let error = text(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{error}");
    assert_eq!(
        error,
        "error: the store `out/sweep.sqlite` cannot be written: it or its folder is read-only\n"
    );
    let export = ["sweep", "export", "e.toml", "--out", "out", "--csv", "free/results.csv"];
    let output = bench.run_read_only(&export, "out");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let csv = |file: &str| fs::read_to_string(bench.path(file)).unwrap();
    assert_eq!(csv("free/results.csv"), csv("out/results.csv"));
    assert_eq!(csv("out/results.csv").lines().count(), 3);
}

/// A damaged store is not written, and its whole rows go into a new one.
#[test]
fn a_damaged_store_gives_its_good_rows() {
    let bench = Bench::new();
    bench.write("e.toml", "[base]\nimages = 1\n[axes]\nseed = { from = 1, to = 40 }\n");
    bench.stdout(&["sweep", "e.toml", "--out", "out"]);
    let mut bytes = fs::read(bench.path("out/sweep.sqlite")).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    bench.write("out/sweep.sqlite", &bytes);
    for command in [
        &["sweep", "e.toml", "--out", "out"][..],
        &["sweep", "export", "e.toml", "--out", "out", "--csv", "r.csv"],
    ] {
        let output = bench.run(command);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("is damaged") && error.contains("farad sweep merge"),
            "{error}"
        );
    }
    let merged = text(&bench.run(&["sweep", "merge", "new", "out"]).stderr);
    assert!(merged.contains("could not be read"), "{merged}");
    bench.stdout(&["sweep", "export", "e.toml", "--out", "new", "--csv", "r.csv"]);
    let rows = fs::read_to_string(bench.path("r.csv")).unwrap().lines().count() - 1;
    assert!((20..40).contains(&rows), "{rows}");
    // What is lost is run again.
    bench.stdout(&["sweep", "e.toml", "--out", "new"]);
    let whole = fs::read_to_string(bench.path("new/results.csv")).unwrap();
    assert_eq!(whole.lines().count(), 41);
}

#[test]
fn a_requirement_ends_in_a_specification() {
    let bench = Bench::new();
    let text =
        "maximize = ['top1']\n[base]\nimages = 64\n[solve]\nsmallest.adc.bits = [3, 8]\nkeep = 'top1_lost <= 0.4'\n";
    bench.write("e.toml", text);
    assert!(
        bench
            .stdout(&["sweep", "plan", "e.toml"])
            .contains("searches      1, about 2 points decide")
    );
    let found = bench.stdout(&["sweep", "e.toml"]);
    for part in [
        "smallest adc.bits",
        "top1_lost <= 0.4: in each row, with at least 95 % confidence",
    ] {
        assert!(found.contains(part), "{part} is not in\n{found}");
    }
    let csv = fs::read_to_string(bench.path("sweep/e/solutions.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().starts_with("8,1,"), "{csv}");
    assert_eq!(bench.stdout(&["sweep", "e.toml", "--report"]), found);
    assert!(bench.path("sweep/e/report.html").exists());
    bench.refuses_in_one_line(&["sweep", "e.toml", "--budget", "20"], "a [solve] runs no more");
    bench.refuses_in_one_line(
        &["sweep", "export", "e.toml", "--slurm", "job"],
        "runs where its store is",
    );
}

#[test]
fn a_budget_runs_the_best_on_all_images() {
    let bench = Bench::new();
    bench.write("e.toml", EXPERIMENT);
    bench.refuses_in_one_line(&["sweep", "e.toml", "--budget", "50"], "`maximize` and `minimize`");
    bench.refuses(&["sweep", "e.toml", "--budget", "0"], "a percentage above 0");
    let more = EXPERIMENT.replace("images = 1", "images = 33");
    bench.write(
        "e.toml",
        format!("maximize = ['top1']\nminimize = ['area_mm2']\n{more}"),
    );
    let output = bench.run(&["sweep", "e.toml", "--budget", "50"]);
    let notes = text(&output.stderr);
    assert!(notes.contains("rungs of 4, "), "{notes}");
}

/// Killed a hundred times at moments that a generator spreads over the run, no point is lost and none is there twice.
#[test]
fn a_killed_sweep_loses_and_doubles_nothing() {
    let bench = Bench::new();
    bench.write("e.toml", "[base]\nimages = 1\n[axes]\nseed = { from = 1, to = 120 }\n");
    bench.stdout(&["sweep", "e.toml", "--out", "whole"]);
    let csv = |folder: &str| fs::read_to_string(bench.path(folder).join("results.csv")).unwrap();
    let mut state = 1_u32;
    for _ in 0..100 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut child = bench
            .command(&["-q", "sweep", "e.toml", "--out", "killed"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(state >> 24) / 4));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    bench.stdout(&["sweep", "e.toml", "--out", "killed"]);
    assert_eq!(csv("killed"), csv("whole"));
    assert_eq!(csv("whole").lines().count(), 121);
}

#[cfg(unix)]
#[test]
fn the_first_interrupt_finishes_the_running_points() {
    let bench = Bench::new();
    bench.write(
        "e.toml",
        "[base]\nimages = 1\n[axes]\nseed = { from = 1, to = 100000 }\n",
    );
    let mut sweep = Interrupted::new(&bench, &["-v", "sweep", "e.toml", "--out", "out"]);
    sweep.read_until("point ");
    sweep.interrupt();
    let (code, rest) = sweep.end();
    assert_eq!(code, Some(1), "{rest}");
    assert!(rest.contains("stopping after the running points"), "{rest}");
    assert!(rest.contains("the same command goes on from here"), "{rest}");
}

/// A point of more chips than anyone would wait for is given up, and is simply to run again.
#[cfg(unix)]
#[test]
fn the_second_interrupt_stops_at_once() {
    let bench = Bench::new();
    bench.write("e.toml", "[base]\nimages = 100\n[axes]\nchips = [1000000]\n");
    let mut sweep = Interrupted::new(&bench, &["sweep", "e.toml", "--out", "out"]);
    sweep.read_until("1 points, 1 to run");
    // Nothing tells that the point has begun; before that, one interrupt would end it all.
    std::thread::sleep(std::time::Duration::from_secs(3));
    sweep.interrupt();
    sweep.read_until("stopping after the running points; once more aborts");
    sweep.interrupt();
    let (code, rest) = sweep.end();
    assert_eq!((code, rest.as_str()), (Some(130), ""));
    let planned = bench.stdout(&["sweep", "e.toml", "--dry-run", "--out", "out"]);
    assert!(planned.contains("to run"), "{planned}");
}

/// A process whose notes are read while it runs.
#[cfg(unix)]
struct Interrupted {
    child: std::process::Child,
    notes: std::io::BufReader<std::process::ChildStderr>,
}

#[cfg(unix)]
impl Interrupted {
    fn new(bench: &Bench, args: &[&str]) -> Self {
        let mut child = bench
            .command(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let notes = std::io::BufReader::new(child.stderr.take().unwrap());
        Self { child, notes }
    }

    /// Reads notes up to a line that begins with `start`.
    fn read_until(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            let bytes = std::io::BufRead::read_line(&mut self.notes, &mut line).unwrap();
            assert!(bytes > 0, "ended before `{start}`");
        }
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// The exit code, and the notes that are left.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.notes, &mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// What a cluster does, without one: chunks as exported, shards, one torn, merged; the same results as at home.
#[test]
fn shards_of_an_exported_sweep_merge_to_the_same_results() {
    let bench = Bench::new();
    bench.write("e.toml", EXPERIMENT);
    let csv = |folder: &str| fs::read_to_string(bench.path(folder).join("results.csv")).unwrap();
    bench.stdout(&["sweep", "e.toml", "--out", "home"]);

    bench.stdout(&["sweep", "export", "e.toml", "--slurm", "job", "--chunk", "0"]);
    let list = fs::read_to_string(bench.path("job/chunks.txt")).unwrap();
    assert_eq!(list, "0\n1\n2\n3\n");
    assert!(
        fs::read_to_string(bench.path("job/job.sh"))
            .unwrap()
            .contains("#SBATCH --array=1-4")
    );
    bench.stdout(&["sweep", "export", "e.toml", "--hyperqueue", "hq"]);
    assert!(
        fs::read_to_string(bench.path("hq/job.toml"))
            .unwrap()
            .contains("\"0-3\"")
    );

    for (i, points) in list.lines().enumerate() {
        let shard = format!("job/shards/{}.shard.gz", i + 1);
        bench.stdout(&["sweep", "run-point", "e.toml", "--points", points, "--shard", &shard]);
    }
    let torn = bench.path("job/shards/4.shard.gz");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() - 3]).unwrap();
    let merged = text(&bench.run(&["sweep", "merge", "away", "job/shards"]).stderr);
    assert!(
        merged.contains("3 results in 4 files, 3 of them new, 1 could not be read"),
        "{merged}"
    );
    bench.stdout(&[
        "sweep",
        "run-point",
        "e.toml",
        "--points",
        "3",
        "--shard",
        "job/shards/4.shard.gz",
    ]);
    let merged = text(&bench.run(&["sweep", "merge", "away", "job/shards"]).stderr);
    assert!(merged.contains("4 results in 4 files, 1 of them new\n"), "{merged}");
    bench.stdout(&[
        "sweep",
        "export",
        "e.toml",
        "--out",
        "away",
        "--csv",
        "away/results.csv",
        "--json",
        "r.json",
    ]);
    assert_eq!(csv("away"), csv("home"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("r.json")).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4);

    bench.refuses_in_one_line(&["sweep", "merge", "away", "absent"], "there is no `absent`");
    bench.refuses_in_one_line(
        &["sweep", "merge", "away", "e.toml"],
        "is not a shard that this Farad can read",
    );
    bench.refuses_in_one_line(
        &["sweep", "run-point", "e.toml", "--points", "9", "--shard", "x.shard.gz"],
        "points 0 to 3",
    );
    bench.refuses_in_one_line(
        &["sweep", "run-point", "e.toml", "--points", "1", "--shard", "x"],
        "ends in .shard.gz",
    );
    bench.refuses_in_one_line(
        &["sweep", "export", "e.toml", "--out", "none", "--csv", "x.csv"],
        "there is no store",
    );
    bench.refuses_in_one_line(
        &["sweep", "export", "e.toml", "--out", "away", "--slurm", "again"],
        "nothing to run",
    );
}

#[test]
fn reports_side_by_side() {
    let bench = Bench::new();
    bench.stdout(&["run", "--images", "1", "--out", "a"]);
    bench.stdout(&["run", "--images", "1", "--set", "adc.bits=6", "--out", "b"]);
    let text = bench.stdout(&["compare", "a", "b/report.json"]);
    for part in ["A  as in the file\n", "B  adc.bits=6\n", "\nenergy_j ", "\nconv1 "] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    bench.refuses_in_one_line(&["compare", "a", "absent"], "cannot read report `absent`");
    bench.write("x.json", "{}");
    bench.refuses_in_one_line(&["compare", "a", "x.json"], "cannot read report `x.json`");
}
