//! `farad train`, undisturbed and killed.

use crate::harness::{Bench, text};
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

/// A version 1.0 npy file of bytes.
fn npy(shape: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

fn prepare(bench: &Bench) {
    bench.write("tiny.toml", NETWORK);
    bench.write("recipe.toml", RECIPE);
    for split in ["train", "test"] {
        let labels: Vec<u8> = (0..160).map(|i| (i * 7 % 5 % 2) as u8).collect();
        let pixels: Vec<u8> = (0..160 * 64u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 26) as u8 + 120 * labels[i as usize / 64])
            .collect();
        bench.write(&format!("data/{split}_images.npy"), npy("(160, 8, 8, 1)", &pixels));
        bench.write(&format!("data/{split}_labels.npy"), npy("(160,)", &labels));
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
        let output = bench.run(&["train", "recipe.toml"]);
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
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
}
