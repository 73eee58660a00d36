//! Files of profiles: a CSV, or an npz with the same fields as arrays.
//!
//! An npz is read as the CSV that it would be: there is one reader, and messages show the row in question.

use crate::inputs::{InputError, hex};
use farad_data::npz::{self, NamedArray};
use farad_hw::MacroSpec;
use farad_hw::profile::{self, Profile, Table};
use farad_report::report::FileInfo;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// What lines at the top of a CSV say, or single numbers of an npz.
const ABOUT: [&str; 3] = ["chip", "columns", "adcs"];

/// A profile's file, not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileText {
    /// The file, as messages and reports call it.
    pub name: String,
    text: String,
    sha256: String,
}

impl ProfileText {
    /// The file, whose path is seen from `folder`.
    ///
    /// # Errors
    /// [`InputError::ReadFile`] and [`InputError::Profile`]: it cannot be read, or is neither text nor an npz of such arrays.
    pub fn load(name: &str, folder: &Path) -> Result<Self, InputError> {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|source| InputError::ReadFile {
            what: "profile",
            name: name.to_owned(),
            source,
        })?;
        let refuse = |problem: String| InputError::Profile {
            name: name.to_owned(),
            problem,
        };
        let text = if npz::is_npz(&bytes) {
            csv(npz::read(&path, &bytes)?).map_err(refuse)?
        } else {
            String::from_utf8(bytes.clone()).map_err(|_| refuse("neither UTF-8 text nor an npz archive".to_owned()))?
        };
        Ok(Self {
            name: name.to_owned(),
            text,
            sha256: hex(&Sha256::digest(&bytes)),
        })
    }

    /// Gives the profile to a macro.
    ///
    /// # Errors
    /// Everything that is wrong with it, also that it is of another kind of chip.
    pub fn apply(&self, spec: &mut MacroSpec) -> Result<(), InputError> {
        spec.profile = Some(Arc::new(profile::parse(&self.name, &self.text, spec)?));
        Ok(())
    }

    /// What a report says about it.
    #[must_use]
    pub fn info(&self) -> FileInfo {
        FileInfo {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
        }
    }
}

/// The bytes of a profile's file: an npz if `path` ends so, else a CSV with `note` at its top.
///
/// # Errors
/// None that a table of numbers makes happen.
pub fn write(profile: &Profile, spec: &MacroSpec, path: &Path, note: &str) -> std::io::Result<Vec<u8>> {
    let table = profile.table(spec);
    if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("npz")) {
        npz::write(&arrays(&table))
    } else {
        Ok(table.csv(note).into_bytes())
    }
}

/// An array per field, a row of `inl_lsb` for each row, NaN where nothing was measured.
fn arrays(table: &Table) -> Vec<NamedArray> {
    let number = |&(name, value): &(&str, u64)| NamedArray {
        name: name.to_owned(),
        shape: vec![],
        values: vec![value as f64],
    };
    let mut arrays: Vec<NamedArray> = table.about.iter().map(number).collect();
    let is_inl = |name: &String| name.starts_with("inl_lsb[");
    let fields = table.header.iter().take_while(|name| !is_inl(name)).count();
    let rows = table.rows.len();
    let cells = |fields: std::ops::Range<usize>| {
        let of_row = move |row: &Vec<Option<f64>>| row[fields.clone()].to_vec();
        table
            .rows
            .iter()
            .flat_map(of_row)
            .map(|cell| cell.unwrap_or(f64::NAN))
            .collect()
    };
    for (i, name) in table.header.iter().take(fields).enumerate() {
        arrays.push(NamedArray {
            name: name.clone(),
            shape: vec![rows],
            values: cells(i..i + 1),
        });
    }
    if fields < table.header.len() {
        arrays.push(NamedArray {
            name: "inl_lsb".into(),
            shape: vec![rows, table.header.len() - fields],
            values: cells(fields..table.header.len()),
        });
    }
    arrays
}

/// The CSV with these arrays as fields, or why there is none.
fn csv(arrays: Vec<NamedArray>) -> Result<String, String> {
    let (mut about, mut header, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows: Option<(String, usize)> = None;
    for NamedArray { name, shape, values } in arrays {
        if let Some(key) = ABOUT.into_iter().find(|key| *key == name) {
            let [number] = values[..] else {
                return Err(format!("`{key}` is not one number"));
            };
            about.push((key, number as u64));
            continue;
        }
        let (len, width) = match shape[..] {
            [len] if name != "inl_lsb" => (len, 1),
            [len, width] if name == "inl_lsb" => (len, width),
            _ => {
                return Err(format!(
                    "`{name}` has shape {shape:?}, expected [rows], or [rows, transitions] of `inl_lsb`"
                ));
            }
        };
        let (first, expected) = rows.get_or_insert_with(|| (name.clone(), len));
        if len != *expected {
            return Err(format!("`{name}` has {len} rows, `{first}` has {expected}"));
        }
        if name == "inl_lsb" {
            header.extend((1..=width).map(|code| format!("inl_lsb[{code}]")));
        } else {
            header.push(name);
        }
        columns.push((width, values));
    }
    let cell = |v: &f64| (!v.is_nan()).then_some(*v);
    let row = |r: usize| {
        columns
            .iter()
            .flat_map(move |(width, values)| values[r * width..(r + 1) * width].iter().map(cell))
    };
    let rows = (0..rows.map_or(0, |(_, len)| len)).map(|r| row(r).collect()).collect();
    Ok(Table { about, header, rows }.csv(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, shape: &[usize], values: &[f64]) -> NamedArray {
        NamedArray {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn an_npz_is_the_csv_with_the_same_fields() {
        let arrays = vec![
            array("chip", &[], &[2.0]),
            array("adc", &[2], &[0.0, 1.0]),
            array("gain", &[2], &[1.25, f64::NAN]),
            array("inl_lsb", &[2, 3], &[0.5, -0.5, 0.0, 1.0, 2.0, 3.0]),
        ];
        assert_eq!(
            csv(arrays).unwrap(),
            "# chip: 2\nadc,gain,inl_lsb[1],inl_lsb[2],inl_lsb[3]\n0,1.25,0.5,-0.5,0\n1,,1,2,3\n"
        );
    }

    #[test]
    fn arrays_that_do_not_fit_together_are_refused() {
        let error = csv(vec![array("adc", &[2], &[0.0, 1.0]), array("gain", &[1], &[1.0])]).unwrap_err();
        assert_eq!(error, "`gain` has 1 rows, `adc` has 2");
        let error = csv(vec![array("gain", &[1, 1], &[1.0])]).unwrap_err();
        assert!(error.starts_with("`gain` has shape [1, 1]"), "{error}");
    }

    #[test]
    fn what_is_written_is_read_back_from_either_file() {
        let spec = farad_hw::models::find("ncku-charge-redistribution")
            .unwrap()
            .spec(&[])
            .unwrap();
        let profile = Profile::of_chip(&spec, 5, 2);
        let folder = tempfile::tempdir().unwrap();
        for name in ["chip.csv", "chip.npz"] {
            let path = folder.path().join(name);
            std::fs::write(&path, write(&profile, &spec, &path, "of a test").unwrap()).unwrap();
            let text = ProfileText::load(name, folder.path()).unwrap();
            let mut measured = spec.clone();
            text.apply(&mut measured).unwrap();
            assert_eq!(measured.profile.as_deref(), Some(&profile));
        }
    }
}
