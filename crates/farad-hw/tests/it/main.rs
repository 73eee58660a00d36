//! Tests of the macro description and of what it costs.

mod checks;
mod cost;
mod diagnostics;
mod models;
mod robustness;
mod schema;
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
