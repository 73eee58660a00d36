//! `macro.toml`, schema 1: from text to a checked [`MacroSpec`], or to every problem at once.
//!
//! The tables and keys are those of [`crate::spec`], flat and readable. Required are only `name`, `array.rows`,
//! `array.columns`, `adc.kind` and `adc.bits`; what else is left out is ideal (no mismatch, no noise), or costs what
//! [`crate::technology`] says for the node. `[energy] at_vdd_v` names the supply at which the stated energies hold;
//! they are scaled by C V^2 to `technology.vdd_v`.
//!
//! Values are read by hand from spanned TOML: serde would stop at the first problem and lose the place of the others.

mod codes;
mod document;
mod reader;
mod rules;
mod tables;

pub use codes::explain;

use crate::diagnostic::{Diagnostics, Source};
use crate::spec::MacroSpec;
use document::Document;
use reader::Reader;

/// Reads the macro in `text`; `file_name` is what messages call it. Each pair of `set` is a `table.key` and a TOML value (or a
/// bare word) that replaces the file's and goes through the same checks.
///
/// # Errors
/// Every problem of the file and of `set`, each pointing at its place.
///
/// ```
/// let text = "name = 'm'\n[array]\nrows = 128\ncolumns = 64\n[adc]\nkind = 'sar_monotonic'\nbits = 8\n";
/// let set = [("adc.bits".to_owned(), "6".to_owned())];
/// let spec = farad_hw::schema::parse("m.toml", text, &set)?;
/// assert_eq!(spec.adc.bits, 6);
/// # Ok::<(), farad_hw::diagnostic::Diagnostics>(())
/// ```
pub fn parse(file_name: &str, text: &str, set: &[(String, String)]) -> Result<MacroSpec, Diagnostics> {
    let mut sources = vec![Source {
        name: file_name.to_owned(),
        text: text.to_owned(),
    }];
    sources.extend(set.iter().map(|(key, value)| Source {
        name: "--set".to_owned(),
        text: format!("{key}={value}"),
    }));
    let document = Document::new(&sources);
    if document.is_unreadable() {
        return Err(Diagnostics {
            sources,
            list: document.problems,
        });
    }
    let mut reader = Reader::new(document);
    let spec = tables::read(&mut reader);
    rules::check(&spec, &mut reader);
    reader.finish(sources)?;
    Ok(spec)
}
