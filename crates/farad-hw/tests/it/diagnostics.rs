//! Messages, word for word: `tests/expect/NAME.toml` gives `tests/expect/NAME.txt`.

use crate::{expected, set};
use farad_hw::schema;

fn expect(name: &str, pairs: &[(&str, &str)]) {
    let file = format!("{name}.toml");
    let input = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expect")
        .join(&file);
    let text = std::fs::read_to_string(input).expect("input");
    let problems = schema::parse(&file, &text, &set(pairs)).expect_err("the file is wrong");
    expected(&format!("{name}.txt"), &format!("{problems}\n"));
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
            ("weight.signed", "xnor"),
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
