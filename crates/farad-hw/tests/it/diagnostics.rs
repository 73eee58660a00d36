//! Messages, word for word: `tests/expect/NAME.toml` gives `tests/expect/NAME.txt`. With `UPDATE_EXPECT=1` the texts are
//! written anew, to be read before they are committed.

use crate::set;
use farad_hw::schema;
use std::path::PathBuf;

fn expect(name: &str, pairs: &[(&str, &str)]) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expect");
    let file = format!("{name}.toml");
    let text = std::fs::read_to_string(directory.join(&file)).expect("input");
    let message = schema::parse(&file, &text, &set(pairs))
        .expect_err("the file is wrong")
        .to_string();
    let expected = directory.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&expected, message + "\n").expect("write");
    } else {
        assert_eq!(
            message + "\n",
            std::fs::read_to_string(&expected).expect("expected text"),
            "{name}"
        );
    }
}

#[test]
fn values() {
    expect("values", &[]);
}

#[test]
fn unknown_names() {
    expect("unknown", &[]);
}

#[test]
fn missing_keys() {
    expect("missing", &[]);
}

#[test]
fn not_toml() {
    expect("syntax", &[]);
}

#[test]
fn contradictions() {
    expect("contradictions", &[]);
}

#[test]
fn settings_point_at_themselves() {
    expect(
        "set",
        &[
            ("adc.bits", "40"),
            ("adc.kid", "flash"),
            ("bits", "4"),
            ("a.b.c", "1"),
            ("nosie.ktc", "true"),
            ("weight.combine", "c2c"),
            ("array.rows", "many"),
        ],
    );
}

#[test]
fn colour_changes_nothing_but_colour() {
    let text = "name = 'm'\n[array]\nrows = 0\ncolumns = 8\n[adc]\nkind = 'flash'\nbits = 4\n";
    let problems = schema::parse("m.toml", text, &[]).expect_err("no rows");
    let mut plain = String::new();
    let mut rest = problems.render(true);
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..]
            .split_once('m')
            .expect("an SGR sequence ends in m")
            .1
            .to_owned();
    }
    plain.push_str(&rest);
    assert_eq!(plain, problems.render(false));
}
