//! Tests of the macro description and of what it costs.

mod checks;
mod cost;
mod diagnostics;
mod effects;
mod linearity;
mod models;
mod netlist;
mod peers_crosssim;
mod physics;
mod physics_adc;
mod physics_column;
mod physics_merge;
mod physics_published;
mod physics_taps;
mod profile;
mod robustness;
mod schema;
mod silicon;
mod timing;

/// `--set` pairs from text.
fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The bundled macro `name` with `pairs` laid over it.
fn bundled(name: &str, pairs: &[(&str, &str)]) -> farad_hw::MacroSpec {
    farad_hw::models::find(name)
        .expect("bundled")
        .spec(&set(pairs))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Compares `text` with `tests/expect/NAME`. With `UPDATE_EXPECT=1` the file is written anew, to be read before it is committed.
fn expected(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expect")
        .join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, text).expect("write");
    } else {
        assert_eq!(text, std::fs::read_to_string(&path).expect("expected text"), "{name}");
    }
}
