//! Whatever is wrong with what the user gives: one clear error, exit code 2, nothing left behind.

use crate::harness::{Bench, bundled_network, npy};

/// Bytes without structure: a linear congruential generator's high bytes (constants of Numerical Recipes).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 12345_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn wrong_use() {
    let bench = Bench::new();
    bench.refuses(&["fly"], "unrecognized subcommand");
    bench.refuses(&["run", "--images", "0"], "--images");
    bench.refuses(&["run", "--chips", "0"], "--chips");
    bench.refuses(&["run", "--engine", "slow"], "possible values: fast, reference");
    bench.refuses(&["run", "--set", "adc.bits"], "expected KEY=VALUE");
    bench.refuses(&["run", "--mean", "0.5"], "--std");
    bench.refuses(&["list", "planet"], "possible values: macro, network, dataset, adc");
    bench.refuses(&["run", "-q", "-v"], "cannot be used with");
    bench.refuses_in_one_line(&["explain", "E9999"], "no error code `E9999`");
}

#[test]
fn networks() {
    let bench = Bench::new();
    let whole = bundled_network();
    bench.refuses_in_one_line(
        &["run", "absent.onnx"],
        "neither a file nor one of fashion-mnist-cnn-int8",
    );
    bench.refuses_in_one_line(&["run", "."], "cannot read");
    for command in ["run", "map", "inspect"] {
        for (name, bytes) in [
            ("empty.onnx", Vec::new()),
            ("noise.onnx", noise(4096)),
            ("noise.tflite", [b"\x1c\0\0\0TFL3".to_vec(), noise(4096)].concat()),
            ("half.onnx", whole[..whole.len() / 2].to_vec()),
            ("tail.onnx", whole[whole.len() / 3..].to_vec()),
            ("text.onnx", b"int8, please".to_vec()),
        ] {
            bench.write(name, bytes);
            bench.refuses_in_one_line(&[command, name], name);
        }
    }
}

#[test]
fn every_truncation_of_a_network_is_refused() {
    let bench = Bench::new();
    let whole = bundled_network();
    for tenth in 1..10 {
        bench.write("cut.onnx", &whole[..whole.len() * tenth / 10]);
        bench.refuses_in_one_line(&["inspect", "cut.onnx"], "cut.onnx");
    }
}

#[test]
fn macro_files() {
    let bench = Bench::new();
    bench.refuses_in_one_line(&["map", "--macro", "absent.toml"], "neither a file nor one of ideal,");
    bench.refuses_in_one_line(&["map", "--macro", "."], "cannot read macro");
    bench.write("binary.toml", noise(2048));
    bench.refuses_in_one_line(&["map", "--macro", "binary.toml"], "binary.toml");

    let good = "name = 'm'\n[array]\nrows = 64\ncolumns = 64\n[adc]\nkind = 'sar_monotonic'\nbits = 6\n";
    bench.write("good.toml", good);
    assert!(
        bench
            .stdout(&["map", "--macro", "good.toml"])
            .contains("64 rows x 64 columns")
    );
    for (from, to) in [
        ("rows = 64", "rows = 0"),
        ("rows = 64", "rows = -64"),
        ("rows = 64", "rows = 1e99"),
        ("rows = 64", "rows = nan"),
        ("rows = 64", "rows = 99999999999999999999"),
        ("columns = 64", "columns = 1"),
        ("bits = 6", "bits = 40"),
        ("bits = 6", "bits = 0"),
        ("bits = 6", "bits = 6.5"),
        ("bits = 6", "bits = '6'"),
        ("bits = 6", "bits = 6\nunit_cap_ff = nan"),
        ("bits = 6", "bits = 6\nunit_cap_ff = -1.0"),
        ("bits = 6", "bits = 6\n[noise]\ncomparator_lsb = inf"),
        ("bits = 6", "bits = 6\n[timing]\nclock_mhz = 0"),
        ("'sar_monotonic'", "'sarr'"),
        ("[adc]", "[adcs]"),
        ("[adc]", "[adc"),
    ] {
        bench.write("bad.toml", good.replacen(from, to, 1));
        let error = bench.refuses(&["run", "--macro", "bad.toml", "--out", "results"], "bad.toml:");
        assert!(error.starts_with("error[E"), "{to}: {error}");
        bench.refuses(&["map", "--macro", "bad.toml"], "bad.toml:");
    }
    for length in 1..good.len() {
        bench.write("cut.toml", &good[..length]);
        let output = bench.run(&["map", "--macro", "cut.toml"]);
        // Some beginnings are whole macros: `bits = 6` without its newline.
        assert!(matches!(output.status.code(), Some(0 | 2)), "{:?}", &good[..length]);
    }
}

#[test]
fn overrides() {
    let bench = Bench::new();
    for (set, expected) in [
        ("adc.bits=40", "--set:1"),
        ("adc.bits=nan", "--set:1"),
        ("adc.bitz=6", "bits"),
        ("array.rows=0", "--set:1"),
        ("array.rows=-1", "--set:1"),
        ("noise.comparator_lsb=nan", "--set:1"),
        ("adc.bits=", "adc.bits"),
    ] {
        let error = bench.refuses(&["run", "--set", set, "--out", "results"], expected);
        assert!(error.starts_with("error[E"), "{set}: {error}");
    }
}

#[test]
fn a_code_in_a_message_can_be_explained() {
    let bench = Bench::new();
    let error = bench.refuses(&["map", "--set", "adc.bits=40"], "error[E");
    let code = &error["error[".len().."error[E0000".len()];
    assert!(bench.stdout(&["explain", code]).len() > 80);
}

#[test]
fn datasets() {
    let bench = Bench::new();
    let run = |data: &str, expected: &str| {
        bench.refuses_in_one_line(&["run", "--data", data, "--images", "1", "--out", "results"], expected);
    };
    run("absent", "no dataset `absent`");
    run("./absent", "absent");
    run("fashion-mnist:valid", "unknown split `valid`");
    run("fashion-mnist:train", "train");

    bench.write("nothing/readme.txt", "no images here");
    run("nothing", "nothing");

    let image = vec![7_u8; 28 * 28];
    bench.write("empty/images.npy", npy("0, 28, 28", &[]));
    bench.write("empty/labels.npy", npy("0,", &[]));
    run("empty", "empty");

    bench.write("cut/images.npy", npy("2, 28, 28", &image));
    bench.write("cut/labels.npy", npy("2,", &[1, 2]));
    run("cut", "images.npy");

    bench.write("huge/images.npy", npy("99999999999999, 28, 28", &image));
    bench.write("huge/labels.npy", npy("1,", &[1]));
    run("huge", "images.npy");

    bench.write("noise/test_batch.bin", noise(5000));
    run("noise", "test_batch.bin");

    bench.write("lonely/images.npy", npy("1, 28, 28", &image));
    run("lonely", "labels.npy");

    bench.write("colour/images.npy", npy("1, 32, 32, 3", &[7; 32 * 32 * 3]));
    bench.write("colour/labels.npy", npy("1,", &[1]));
    run("colour", "takes images of 28x28x1, those of `colour` are 32x32x3");

    bench.write("classes/images.npy", npy("1, 28, 28", &image));
    bench.write("classes/labels.npy", npy("1,", &[10]));
    run("classes", "knows 10 classes, `classes` has 11");

    bench.refuses_in_one_line(&["run", "--images", "1001"], "has 1000 images");
}

#[test]
fn normalisations() {
    let bench = Bench::new();
    let run = |mean: &str, std: &str, expected: &str| {
        let args = [
            "run",
            "--images",
            "1",
            "--pixel-max",
            "1",
            "--mean",
            mean,
            "--std",
            std,
            "--out",
            "results",
        ];
        bench.refuses_in_one_line(&args, expected);
    };
    run(
        "0.5,0.5,0.5",
        "0.5,0.5,0.5",
        "3 means and 3 standard deviations for 1 channels",
    );
    run("0.5", "0", "std");
    run("nan", "0.5", "finite");
}

#[test]
fn an_output_directory_that_cannot_be_written() {
    let bench = Bench::new();
    bench.write("taken", "a file");
    bench.refuses_in_one_line(&["run", "--images", "1", "--out", "taken"], "cannot write into `taken`");
    bench.refuses_in_one_line(
        &["run", "--images", "1", "--out", "taken/below"],
        "cannot write into `taken/below`",
    );
}

#[test]
fn wrong_input_leaves_no_output_directory() {
    let bench = Bench::new();
    bench.refuses(&["run", "--data", "absent", "--out", "results"], "absent");
    assert!(!bench.path("results").exists());
}
