//! npz: arrays of numbers by name, as `numpy.savez` and `numpy.savez_compressed` write them: npy files in a zip archive.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use crate::DataError;
use crate::npy::Array;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Bytes of one array, at most: an archive may unpack to far more than its size.
const MOST_BYTES: u64 = 1 << 28;

/// An array of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    /// Name, without `.npy`.
    pub name: String,
    /// Sizes; none for a single number.
    pub shape: Vec<usize>,
    /// Items, the last index varying fastest.
    pub values: Vec<f64>,
}

/// Whether these bytes begin as a zip archive does.
#[must_use]
pub fn is_npz(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The arrays of the archive in `bytes`, in its order; `path` is for messages.
///
/// # Errors
/// [`DataError::Malformed`]: no archive, or an array of other things than numbers.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<NamedArray>, DataError> {
    let broken = |error: &dyn std::fmt::Display| DataError::malformed(path, error.to_string(), "an npz archive");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let mut arrays = Vec::with_capacity(archive.len().min(64));
    for i in 0..archive.len() {
        let file = archive.by_index(i).map_err(|e| broken(&e))?;
        let name = file.name().map_err(|e| broken(&e))?.into_owned();
        let mut npy = Vec::new();
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut npy)
            .map_err(|e| broken(&e))?;
        if npy.len() as u64 > MOST_BYTES {
            return Err(DataError::malformed(
                path,
                format!("`{name}` has more than {MOST_BYTES} bytes"),
                "a smaller array",
            ));
        }
        let array = Array::parse(&path.join(&name), &npy)?;
        arrays.push(NamedArray {
            name: name.strip_suffix(".npy").unwrap_or(&name).to_owned(),
            values: array.numbers(),
            shape: array.shape,
        });
    }
    Ok(arrays)
}

/// An archive of 64-bit floats that [`read`] and `numpy.load` read; equal arrays give equal bytes.
///
/// # Errors
/// If a name cannot be that of a file.
pub fn write(arrays: &[NamedArray]) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options)?;
        let sizes: Vec<String> = array.shape.iter().map(|size| format!("{size},")).collect();
        let mut header = format!(
            "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}",
            sizes.join(" ")
        );
        // The data begin at a multiple of 64.
        header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
        header.push('\n');
        let len = u16::try_from(header.len()).map_err(std::io::Error::other)?;
        archive.write_all(b"\x93NUMPY\x01\x00")?;
        archive.write_all(&len.to_le_bytes())?;
        archive.write_all(header.as_bytes())?;
        for value in &array.values {
            archive.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let arrays = [
            NamedArray {
                name: "chip".into(),
                shape: vec![],
                values: vec![3.0],
            },
            NamedArray {
                name: "inl_lsb".into(),
                shape: vec![2, 3],
                values: vec![0.1, -0.0, f64::MIN_POSITIVE, 1e300, -2.5, 7.0],
            },
        ];
        let bytes = write(&arrays).unwrap();
        assert!(is_npz(&bytes));
        assert_eq!(read(Path::new("a.npz"), &bytes).unwrap(), arrays);
        assert_eq!(write(&arrays).unwrap(), bytes);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(at in 0usize..400, byte: u8) {
            let array = NamedArray { name: "gain".into(), shape: vec![4], values: vec![1.0, 0.5, 2.0, f64::NAN] };
            let mut bytes = write(&[array]).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(Path::new("a.npz"), &bytes);
            prop_assert!(read(Path::new("a.npz"), &bytes[..at]).is_err());
        }
    }
}
