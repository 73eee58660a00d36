//! A profile as a table, for people and for files.

use super::{Amount, Measured, Profile, Rows};
use crate::spec::MacroSpec;
use std::fmt::Write;

/// A profile's rows: one column of numbers per field, none where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// `chip`, `columns`, `adcs`: what the lines at the top of the CSV say.
    pub about: Vec<(&'static str, u64)>,
    /// Names of the fields, units included.
    pub header: Vec<String>,
    /// `[row][field]`
    pub rows: Vec<Vec<Option<f64>>>,
}

impl Table {
    /// As a CSV that [`parse`](super::parse) reads back, to the last bit; `note` is a comment at its top.
    #[must_use]
    pub fn csv(&self, note: &str) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        for line in note.lines() {
            let _ = writeln!(text, "# {line}");
        }
        for (key, value) in &self.about {
            let _ = writeln!(text, "# {key}: {value}");
        }
        let _ = writeln!(text, "{}", self.header.join(","));
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .map(|cell| cell.map_or_else(String::new, |v| v.to_string()))
                .collect();
            let _ = writeln!(text, "{}", cells.join(","));
        }
        text
    }
}

impl Profile {
    /// The profile of a chip of `spec`, as a table: columns first, then ADCs.
    #[must_use]
    pub fn table(&self, spec: &MacroSpec) -> Table {
        let rows = || self.columns.values().chain(self.adcs.values());
        let fields: [(&str, Value); 5] = [
            ("offset_lsb", |m| lsb(m.offset?)),
            ("offset_mv", |m| millivolts(m.offset?)),
            ("gain", |m| m.gain),
            ("noise_lsb", |m| lsb(m.noise?)),
            ("noise_mv", |m| millivolts(m.noise?)),
        ];
        let used: Vec<_> = fields
            .into_iter()
            .filter(|(_, of)| rows().any(|m| of(m).is_some()))
            .collect();
        let inl = rows().filter_map(|m| m.inl_lsb.as_ref()).map(|inl| inl.len()).max();
        let mut header = vec!["instance".to_owned(), "column".to_owned(), "adc".to_owned()];
        header.extend(used.iter().map(|(name, _)| (*name).to_owned()));
        header.extend((1..=inl.unwrap_or(0)).map(|code| format!("inl_lsb[{code}]")));
        let mut table = Table {
            about: vec![
                ("chip", self.chip.into()),
                ("columns", spec.conversions() as u64),
                ("adcs", spec.adcs() as u64),
            ],
            header,
            rows: Vec::new(),
        };
        let mut push = |rows: &Rows, is_column: bool| {
            for (&(instance, number), measured) in rows {
                let number = f64::from(number);
                let mut row = vec![
                    instance.map(f64::from),
                    is_column.then_some(number),
                    (!is_column).then_some(number),
                ];
                row.extend(used.iter().map(|(_, of)| of(measured)));
                let inl_lsb = measured.inl_lsb.as_deref().unwrap_or_default();
                row.extend((0..inl.unwrap_or(0)).map(|k| inl_lsb.get(k).copied()));
                table.rows.push(row);
            }
        };
        push(&self.columns, true);
        push(&self.adcs, false);
        table
    }
}

/// What a field is for a row.
type Value = fn(&Measured) -> Option<f64>;

fn lsb(amount: Amount) -> Option<f64> {
    match amount {
        Amount::Lsb(v) => Some(v),
        Amount::Millivolts(_) => None,
    }
}

fn millivolts(amount: Amount) -> Option<f64> {
    match amount {
        Amount::Lsb(_) => None,
        Amount::Millivolts(v) => Some(v),
    }
}
