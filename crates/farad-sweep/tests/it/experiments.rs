//! From text to points, and what is said about wrong texts.

use crate::{plan, plan_in, refuses};
use farad_sweep::{Condition, Selection};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn points_are_all_combinations_the_last_axis_fastest() {
    let text = "[base]\nimages = 2\n[axes]\nadc.bits = { from = 6, to = 8 }\nchips = [1, 2]\n\
                [[zip]]\narray.rows = [64, 128]\narray.unit_cap_ff = [1.0, 2.0]\n";
    let plan = plan(text).unwrap();
    assert_eq!(plan.points.len(), 12);
    let titles: Vec<String> = plan.points.iter().map(|p| plan.title(p)).collect();
    assert_eq!(titles[0], "adc.bits=6 chips=1 array.rows=64 array.unit_cap_ff=1.0");
    assert_eq!(titles[1], "adc.bits=6 chips=1 array.rows=128 array.unit_cap_ff=2.0");
    assert_eq!(titles[11], "adc.bits=8 chips=2 array.rows=128 array.unit_cap_ff=2.0");
    let keys: BTreeSet<&String> = plan.points.iter().map(|p| &p.key).collect();
    assert_eq!(keys.len(), 12);
    let settings = plan.settings(&plan.points[11]);
    assert_eq!((settings.chips, settings.images), (2, Some(2)));
    assert_eq!(settings.set["array.unit_cap_ff"], "2.0");
}

#[test]
fn constraints_leave_points_out_and_filters_keep_their_numbers() {
    let text =
        "constraints = ['adc.bits + chips < 9']\n[base]\nimages = 1\n[axes]\nadc.bits = [6, 7, 8]\nchips = [1, 2]\n";
    let all = plan(text).unwrap();
    let titles: Vec<String> = all.points.iter().map(|p| all.title(p)).collect();
    assert_eq!(
        titles,
        ["adc.bits=6 chips=1", "adc.bits=6 chips=2", "adc.bits=7 chips=1"]
    );

    let filters = vec![Condition::parse("adc.bits == 7").unwrap()];
    let some = plan_in(text, Path::new(""), &Selection { filters, numbers: None }).unwrap();
    assert_eq!((some.all, some.points.as_slice()), (3, &all.points[2..]));
    let selection = Selection {
        numbers: Some("1".parse().unwrap()),
        ..Selection::default()
    };
    let some = plan_in(text, Path::new(""), &selection).unwrap();
    assert_eq!(some.points.as_slice(), &all.points[1..2]);
}

/// What determines a result makes another key, and nothing else does.
#[test]
fn keys() {
    let key = |text: &str| plan(text).unwrap().points[0].key.clone();
    let base = key("[base]\nimages = 5\n");
    for same in [
        "name = 'other'\n[base]\nimages = 5\nchips = 1\nseed = 0\nengine = 'fast'\n",
        "[base]\nimages = 5\nmacro = 'ncku-charge-redistribution'\ndata = 'fashion-mnist:test'\n",
        "[base]\nimages = 5\nname.x = 1\n",
    ] {
        // The last one is a key that the macro does not have.
        match plan(same) {
            Ok(plan) => assert_eq!(plan.points[0].key, base, "{same}"),
            Err(error) => assert!(error.contains("unknown table `name`"), "{error}"),
        }
    }
    // The value that the macro's file gives already.
    assert_eq!(key("[axes]\nadc.bits = [8]\n[base]\nimages = 5\n"), base);
    for other in [
        "images = 6",
        "images = 5\nseed = 1",
        "images = 5\nchips = 2",
        "images = 5\nengine = 'reference'",
        "images = 5\nmacro = 'ideal'",
        "images = 5\nadc.bits = 7",
        "images = 5\nnoise.comparator_lsb = 0.123",
    ] {
        assert_ne!(key(&format!("[base]\n{other}\n")), base, "{other}");
    }
}

#[test]
fn all_problems_come_at_once_and_point_at_their_values() {
    let text = "[base]\nimages = 5\n[axes]\nadc.bits = [6, 40]\nadc.bitz = [1]\nnetwork = ['fashion-mnist-cnn-int8', 'absent.onnx']\n";
    let error = plan(text).unwrap_err();
    for part in [
        "error[E0105]",
        "error[E0102]",
        "error[S0109]",
        "did you mean `adc.bits`?",
        "no network `absent.onnx`",
        "e.toml:4:16",
        "2 of 4 points",
        "3 problems in e.toml",
    ] {
        assert!(error.contains(part), "{part} is not in:\n{error}");
    }
}

#[test]
fn a_misspelt_axis_does_not_hide_the_rest() {
    let text = "[base]\nimages = 5\nnetwork = 'absent.onnx'\n[axes]\nadc.bits = [6, 40]\nimagse = [1]\n";
    let error = plan(text).unwrap_err();
    for part in ["error[S0101]", "error[S0109]", "error[E0105]", "3 problems in e.toml"] {
        assert!(error.contains(part), "{part} is not in:\n{error}");
    }
}

#[test]
fn an_impossible_corner_is_named() {
    let text = "[base]\nimages = 5\n[axes]\nadc.bits = [4, 8]\nadc.skip_bits = [2, 5]\n";
    let error = plan(text).unwrap_err();
    assert!(
        error.contains("1 of 4 points; the first is adc.bits=4 adc.skip_bits=5"),
        "{error}"
    );
    assert!(error.contains("1 problem in e.toml"), "{error}");
    plan(&format!("constraints = ['adc.skip_bits < adc.bits']\n{text}")).unwrap();
}

#[test]
fn wrong_texts() {
    for (text, code, part) in [
        ("[axes", "S0001", "not TOML"),
        ("[axis]\nadc.bits = [1]\n", "S0101", "did you mean `axes`?"),
        ("[axes]\nimagse = [1]\n", "S0101", "did you mean `images`?"),
        (
            "[axes]\nimagse = { from = 1, to = 3 }\n",
            "S0101",
            "did you mean `images`?",
        ),
        ("metrics = ['energy']\n", "S0101", "did you mean `energy_j`?"),
        (
            "[axes]\nadc.bits = { from = 4, to = 8, pionts = 3 }\n",
            "S0101",
            "did you mean `points`?",
        ),
        (
            "[sample]\nmethod = 'monte-carlo'\npoints = 2\naxes.adc.bits = [4]\n",
            "S0101",
            "sobol",
        ),
        ("[base]\nchips = 0\n", "S0102", "an integer from 1"),
        ("[base]\nengine = 'slow'\n", "S0102", "reference"),
        ("[base]\nnetwork = 3\n", "S0102", "a string"),
        ("[base]\npixel_max = 1\n", "S0102", "go together"),
        ("[axes]\nadc.bits = [nan]\n", "S0102", "finite"),
        ("name = '../x'\n", "S0102", "not a name"),
        ("constraints = 'a < b'\n", "S0102", "an array of strings"),
        ("[axes]\nadc.bits = []\n", "S0104", "no values"),
        ("[axes]\nadc.bits = { from = 8, to = 4 }\n", "S0104", "goes up"),
        ("[axes]\nadc.bits = { from = 4 }\n", "S0104", "missing"),
        (
            "[axes]\nadc.bits = { from = 0, to = 4, points = 3, scale = 'log' }\n",
            "S0104",
            "above 0",
        ),
        ("[axes]\nseed = { from = 0, to = 1e12 }\n", "S0104", "at most"),
        ("[sample]\npoints = 4\n", "S0104", "needs axes"),
        (
            "[[zip]]\nadc.bits = [4, 5]\nchips = [1]\n",
            "S0105",
            "2 values and `chips` has 1",
        ),
        ("[axes]\nchips = [1]\n[[zip]]\nchips = [1]\n", "S0106", "varied twice"),
        (
            "[axes]\nseed = { from = 1, to = 90000 }\nchips = { from = 1, to = 90000 }\n",
            "S0107",
            "more than",
        ),
        (
            "constraints = ['adc.bits > 8']\n[axes]\nadc.bits = [4]\n",
            "S0107",
            "no point",
        ),
        (
            "constraints = ['adc.bits >']\n[axes]\nadc.bits = [4]\n",
            "S0108",
            "expected a name",
        ),
        (
            "constraints = ['adc.bit > 3']\n[axes]\nadc.bits = [4]\n",
            "S0108",
            "not set by this experiment",
        ),
        ("[base]\nmacro = 'absent'\n", "S0109", "no macro `absent`"),
        ("[base]\ndata = 'absent'\n", "S0109", "absent"),
        ("[base]\nweight.bits = 4\nimages = 1\n", "S0110", "8 bits"),
        ("[base]\nadc.bits = 99\n", "E0105", "adc.bits = 99"),
    ] {
        refuses(text, &[code, part]);
    }
    // Of the bundled sample, or of the whole dataset where that is installed.
    let images = farad_data::load("fashion-mnist:test").unwrap().len();
    let text = format!("[base]\nimages = {}\n", images + 1);
    refuses(&text, &["S0109", &format!("has {images} images")]);
}
