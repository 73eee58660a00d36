//! `farad train`, undisturbed and killed.

use crate::harness::{Bench, npy, text};
use std::fs;
use std::path::Path;
use std::time::Duration;

const NETWORK: &str = r#"
name = "tiny"
input = [8, 8, 1]
layers = [{ conv = 8 }, { pool = "max" }, { conv = 8 }, { pool = "average" }, { dense = 2 }]
"#;

const RECIPE: &str = r#"
network = "tiny.toml"
dataset = "./data"
seed = 4
batch = 16
average = 0.9
checkpoint_s = 0.0
augment = { crop = 1, flip = "alternating" }
[[stage]]
stage = "variational"
epochs = 3
rate = [[0, 0.05], [3, 0.05]]
criterion = "variational-mask"
budget = { params = 0.6, min_keep = 2 }
[[stage]]
stage = "finetune"
epochs = 3
rate = [[0, 0.05], [3, 0.0]]
"#;

fn prepare(bench: &Bench) {
    bench.write("tiny.toml", NETWORK);
    bench.write("recipe.toml", RECIPE);
    for split in ["train", "test"] {
        let labels: Vec<u8> = (0..160).map(|i| (i * 7 % 5 % 2) as u8).collect();
        let pixels: Vec<u8> = (0..160 * 64u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 26) as u8 + 120 * labels[i as usize / 64])
            .collect();
        bench.write(&format!("data/{split}_images.npy"), npy("160, 8, 8, 1", &pixels));
        bench.write(&format!("data/{split}_labels.npy"), npy("160,", &labels));
    }
}

/// The tensors of a checkpoint: all but what tells the time.
fn tensors(file: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let mut tensors: Vec<(String, Vec<u8>)> = entries
        .into_iter()
        .filter(|(name, _)| name != "state" && name != "__metadata__")
        .map(|(name, entry)| {
            let offset = |i: usize| 8 + header + entry["data_offsets"][i].as_u64().unwrap() as usize;
            (name, bytes[offset(0)..offset(1)].to_vec())
        })
        .collect();
    tensors.sort();
    tensors
}

#[test]
fn a_killed_run_ends_as_an_undisturbed_one() {
    let bench = Bench::new();
    prepare(&bench);
    bench.stdout(&["train", "recipe.toml", "--out", "whole"]);
    let expected = tensors(&bench.path("whole/checkpoint.safetensors"));
    assert!(expected.iter().any(|(name, _)| name == "parameter/conv1.weight"));
    // Killed ever later, until it gets through; each goes on from the last.
    let mut patience = Duration::from_millis(5);
    let mut kills = 0;
    loop {
        let mut child = bench
            .command(&["-q", "train", "recipe.toml", "--out", "killed"])
            .spawn()
            .unwrap();
        std::thread::sleep(patience);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        patience = patience * 5 / 4;
    }
    assert!(kills > 0);
    assert_eq!(tensors(&bench.path("killed/checkpoint.safetensors")), expected);
    assert!(!bench.path("killed/checkpoint.part").exists());
}

#[test]
fn wrong_recipes_are_told_in_one_message() {
    let bench = Bench::new();
    prepare(&bench);
    let refused = |recipe: &str| {
        bench.write("recipe.toml", recipe);
        bench.refuses(&["train", "recipe.toml"], "")
    };
    let error = refused(
        &RECIPE
            .replace("variational-mask", "magic")
            .replace("epochs = 3", "epochs = 0"),
    );
    assert!(
        error.contains("magic") && error.contains("stage 2 (finetune) needs `epochs`"),
        "{error}"
    );
    let error = refused(&RECIPE.replace("tiny.toml", "none.toml"));
    assert!(error.contains("none.toml") && error.contains("vgg16-bn"), "{error}");
    let error = refused(&RECIPE.replace("./data", "./nowhere"));
    assert!(error.contains("nowhere"), "{error}");
    let error = refused(&RECIPE.replace("params = 0.6", "params = 0.01"));
    assert!(error.contains("budget cannot be met"), "{error}");
    let error = refused(&RECIPE.replace("tiny.toml", "resnet-20"));
    assert!(error.contains("8x8x1") && error.contains("32x32x3"), "{error}");

    bench.refuses_in_one_line(&["train", "absent.toml"], "absent.toml: cannot read this recipe");
    bench.write("binary.toml", [0xff, 0xfe, 0x00]);
    bench.refuses_in_one_line(&["train", "binary.toml"], "binary.toml");
    bench.write("broken.toml", RECIPE.replace("seed = 4", "seed = "));
    bench.refuses(&["train", "broken.toml"], "broken.toml:4:8");
    // Form, names and what the stages need, all at once and each with its line.
    let many = RECIPE
        .replace("seed = 4", "sede = 4")
        .replace("batch = 16", "batch = 1")
        .replace("params = 0.6", "params = 6")
        .replace("tiny.toml", "none.toml")
        .replacen("checkpoint_s", "from = \"gone.safetensors\"\ncheckpoint_s", 1);
    bench.write("many.toml", many);
    let error = bench.refuses(&["train", "many.toml"], "5 problems in many.toml");
    for place in [
        "many.toml:2:",
        "many.toml:4:",
        "many.toml:5:",
        "many.toml:7:",
        "many.toml:15:",
    ] {
        assert!(error.contains(place), "{place}: {error}");
    }
    let code = &error["error[".len().."error[T0000".len()];
    assert!(bench.stdout(&["explain", code]).len() > 80);
}

/// Whatever is wrong with the images: before anything is trained.
#[test]
fn wrong_datasets_are_refused() {
    let bench = Bench::new();
    prepare(&bench);
    let whole = fs::read(bench.path("data/train_images.npy")).unwrap();
    bench.write("data/train_images.npy", &whole[..whole.len() - 100]);
    bench.refuses_in_one_line(&["train", "recipe.toml"], "train_images.npy");
    bench.write(
        "data/train_images.npy",
        npy("160, 64, 1", &whole[whole.len() - 160 * 64..]),
    );
    bench.refuses_in_one_line(
        &["train", "recipe.toml"],
        "dataset data: images of 64x1x1, but the network tiny takes 8x8x1",
    );
    bench.write("data/train_images.npy", &whole);
    bench.write("data/train_labels.npy", npy("159,", &[0; 159]));
    bench.refuses_in_one_line(&["train", "recipe.toml"], "train_labels.npy");
    fs::remove_file(bench.path("data/train_labels.npy")).unwrap();
    bench.refuses_in_one_line(&["train", "recipe.toml"], "train_labels.npy");
}

/// Whatever is wrong with what a folder has: it is told, and stays as it is.
#[test]
fn what_cannot_go_on_is_left_alone() {
    let bench = Bench::new();
    prepare(&bench);
    bench.stdout(&["-q", "train", "recipe.toml", "--out", "out"]);
    let args = ["train", "recipe.toml", "--out", "out"];
    let checkpoint = "out/checkpoint.safetensors";
    let whole = fs::read(bench.path(checkpoint)).unwrap();
    bench.write("recipe.toml", RECIPE.replace("seed = 4", "seed = 5"));
    bench.refuses_in_one_line(&args, "differs in what has been done already (`seed`)");
    bench.write("recipe.toml", RECIPE);
    // The images are part of a recipe, also where the command says them.
    bench.refuses_in_one_line(
        &[&args[..], &["--data", "./data/."]].concat(),
        "differs in what has been done already (`dataset`)",
    );
    for length in [0, 7, whole.len() / 2, whole.len() - 1] {
        bench.write(checkpoint, &whole[..length]);
        bench.refuses_in_one_line(&args, "out/checkpoint.safetensors: no checkpoint of Farad, or damaged");
        assert_eq!(fs::read(bench.path(checkpoint)).unwrap(), &whole[..length]);
    }
    bench.write(checkpoint, &whole);

    // Another process at work in the folder.
    let held = fs::File::create(bench.path("out/.train.lock")).unwrap();
    held.lock().unwrap();
    bench.refuses_in_one_line(&args, "another `farad train` is at work in `out`");
    drop(held);
    bench.stdout(&args);

    bench.write("taken", "a file");
    bench.refuses_in_one_line(&["train", "recipe.toml", "--out", "taken"], "cannot write into `taken");
}

/// Where nothing can be written, nothing is trained.
#[cfg(unix)]
#[test]
fn a_read_only_folder_is_told_before_training() {
    let bench = Bench::new();
    prepare(&bench);
    let output = bench.run_read_only(&["train", "recipe.toml", "--out", "out"], "");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.starts_with("error: cannot write into `out") && error.lines().count() == 1,
        "{error}"
    );
}

/// A comparison with what all of it shares, at the sizes of [`RECIPE`].
const BENCH: &str = r#"
network = "tiny.toml"
dataset = "./data"
batch = 16
[[stage]]
stage = "dense"
epochs = 1
rate = [[0, 0.05]]
[[stage]]
stage = "prune"
criterion = "random"
budget = { macs = 0.6, min_keep = 2 }
[[stage]]
stage = "finetune"
epochs = 1
rate = [[0, 0.05]]
[[stage]]
stage = "export"
"#;

#[test]
fn what_is_compared_is_trained_as_it_would_be_alone() {
    let bench = Bench::new();
    prepare(&bench);
    let vary = "[vary]\ncriterion = ['l1-norm', 'random']\nseed = [1, 2]\n[target]\nmacro = 'ideal'\nimages = 20\n";
    bench.write("bench.toml", format!("{BENCH}{vary}"));
    let args = ["train", "bench.toml", "--out", "bench"];
    let output = bench.run(&args);
    let (table, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{notes}");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[1].starts_with("l1-norm ") && lines[2].starts_with("random "),
        "{table}"
    );
    assert_eq!(notes.matches("stage 1 dense epoch 1").count(), 2, "{notes}");
    assert_eq!(notes.matches("stage 3 finetune epoch 1").count(), 4);
    for file in [
        "comparison.csv",
        "comparison.html",
        "accuracy-energy.svg",
        "accuracy-macs.svg",
    ] {
        assert!(bench.path(&format!("bench/{file}")).exists(), "{file}");
    }

    let alone = format!("seed = 2\n{}", BENCH.replace("random", "l1-norm"));
    bench.write("alone.toml", alone);
    assert_eq!(bench.stdout(&["train", "alone.toml", "--out", "alone"]), "");
    let point = bench.path("bench/criterion=l1-norm,seed=2");
    for file in ["checkpoint.safetensors", "network.onnx"] {
        let alone = bench.path("alone").join(file);
        if file.ends_with("onnx") {
            assert_eq!(fs::read(point.join(file)).unwrap(), fs::read(alone).unwrap());
        } else {
            assert_eq!(tensors(&point.join(file)), tensors(&alone));
        }
    }
    // On a macro that loses nothing, the macro's accuracy is that of the integers.
    let report: serde_json::Value = serde_json::from_slice(&fs::read(point.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["accuracy"]["mean"], report["accuracy"]["top1_digital"]);
    assert_eq!(report["dataset"]["images"], 20);

    // Once more: nothing is left to do.
    let before = fs::metadata(point.join("report.json")).unwrap().modified().unwrap();
    let again = bench.run(&args);
    assert_eq!(text(&again.stdout), table);
    assert!(
        !text(&again.stderr).contains("finetune epoch"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(
        fs::metadata(point.join("report.json")).unwrap().modified().unwrap(),
        before
    );
}

#[test]
fn a_run_whose_loss_diverges_is_left_out() {
    let bench = Bench::new();
    prepare(&bench);
    // At rate 900 weights grow by a factor of 449 in each of 20 steps.
    let diverging = "weight_decay = 0.5\n".to_owned() + BENCH;
    let vary = "[vary]\nfinetune.epochs = [2]\nfinetune.rate = [[[0, 900]], [[0, 0.05]]]\n";
    bench.write("bench.toml", diverging + vary);
    let output = bench.run(&["train", "bench.toml", "--out", "bench"]);
    let (table, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{notes}");
    assert_eq!(notes.matches("error: the loss is").count(), 1, "{notes}");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0][1..4], ["0", "of", "1"]);
    assert_eq!(rows[1][1], "1");
    // What was done before stays.
    assert!(
        bench
            .path("bench/finetune.epochs=2,finetune.rate=1/checkpoint.safetensors")
            .exists()
    );
}

#[test]
fn metrics_and_plots_are_there_after_the_first_epoch() {
    let bench = Bench::new();
    prepare(&bench);
    let recipe = RECIPE
        .replace("[[0, 0.05], [3, 0.0]]", "[[0, 900]]")
        .replace("criterion =", "measure = 2\ncriterion =");
    let recipe = "weight_decay = 0.5".to_owned() + &recipe;
    bench.write("recipe.toml", &recipe);
    let output = bench.run(&["-q", "train", "recipe.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.starts_with("error: the loss is")
            && error.contains("of stage 2 (finetune)")
            && error.contains("begin the stage anew with out/stage.safetensors in the place of the checkpoint"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let csv = fs::read_to_string(bench.path("out/metrics.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..3], ["stage", "kind", "epoch"]);
    assert_eq!(rows[3][..3], ["1", "variational", "3"], "{csv}");
    // Measured after the second epoch and the last.
    assert_eq!(
        [1, 2, 3].map(|row| rows[row][5].is_empty()),
        [true, false, false],
        "{csv}"
    );
    // 8 channels in each of two groups, by log alpha.
    let counts = rows[3].last().unwrap().split(' ').map(|n| n.parse::<u32>().unwrap());
    assert_eq!(counts.sum::<u32>(), 16);
    let page = fs::read_to_string(bench.path("out/training.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    for absent in ["<script", "<link", "src=", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    // As the message says: what the first stage made is still there.
    bench.write("recipe.toml", recipe.replace("[[0, 900]]", "[[0, 0.01]]"));
    fs::copy(
        bench.path("out/stage.safetensors"),
        bench.path("out/checkpoint.safetensors"),
    )
    .unwrap();
    let output = bench.run(&["train", "recipe.toml", "--out", "out"]);
    assert!(
        text(&output.stderr).contains("going on after stage 1, epoch 3"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
}

/// The limit on a file's size stands for a disk that is full: a write beyond it fails.
#[cfg(unix)]
#[test]
fn on_a_full_disk_the_last_checkpoint_stays() {
    let bench = Bench::new();
    prepare(&bench);
    let dense: String = BENCH.split_inclusive("[[stage]]").take(2).collect();
    bench.write("recipe.toml", dense.trim_end_matches("[[stage]]"));
    bench.stdout(&["train", "recipe.toml", "--out", "out"]);
    let file = bench.path("out/checkpoint.safetensors");
    let before = fs::read(&file).unwrap();
    // The recipe goes on now, and there is no room for what it writes.
    bench.write("recipe.toml", BENCH);
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 1; exec \"$0\" -q train recipe.toml --out out",
        ])
        .arg(env!("CARGO_BIN_EXE_farad"))
        .current_dir(bench.path("."))
        .output()
        .unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("out/checkpoint.safetensors") && error.contains("is intact"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(bench.files().iter().all(|f| !f.to_string_lossy().ends_with(".tmp")));
    bench.stdout(&["-q", "train", "recipe.toml", "--out", "out"]);
}

#[test]
fn a_comparison_that_cannot_be_is_told_before_it_begins() {
    let bench = Bench::new();
    prepare(&bench);
    let refused = |vary: &str, expected: &[&str]| {
        bench.write("bench.toml", format!("{BENCH}{vary}"));
        let error = bench.refuses(&["train", "bench.toml", "--out", "bench"], "");
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    // All values of all axes at once, each once and at its place.
    refused(
        "[vary]\ncriterion = ['l1-norm', 'magic']\nsede = [1]\nqat.set.adc.bits = [4]\nbudget.macs = [0.5, 2]\nseed = 3\n\
         dense.size = [1]\n[target]\nmacro = 'absent'",
        &[
            "criterion=magic: stage 2 (prune)",
            "bench.toml:20:25",
            "sede=1: unknown key `sede` (did you mean `seed`?)",
            "bench.toml:21:9",
            "qat.set.adc.bits=4: unknown key `qat`",
            "budget.macs=2: stage 2 (prune): `macs`",
            "`vary.seed` must be a list of values",
            "`size = 1` leaves no pixel at pool1",
            "macro absent: ",
            "7 problems in bench.toml",
        ],
    );
    // A budget that no network meets, of the last run.
    refused(
        "[vary]\nbudget.macs = [0.6, 0.01]",
        &["budget.macs=0.01: budget cannot be met", "1 problem in"],
    );
    refused(
        "[target]\nmacro = 'ideal'\nchip = 2",
        &["unknown key `chip`", "did you mean `chips`?"],
    );
    refused(
        "[target]\nmacro = 'ideal'\nimages = 161",
        &["161 images are asked for", "has 160 for testing"],
    );
    refused("[vary]\ndataset = ['./data', './gone']", &["gone"]);
    bench.write("bench.toml", BENCH.replace("./data", "fashion-mnist"));
    bench.refuses_in_one_line(&["train", "bench.toml"], "`farad data fetch fashion-mnist`");
}
