//! A pair of npy files: `images.npy` and `labels.npy`, with `train_` or `test_` before them where there are two splits.
//!
//! Images are `uint8` of shape `[N, H, W, C]` or `[N, H, W]`, labels `uint8` or `int64` of shape `[N]`; the classes are
//! 0 to the largest label. Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use crate::DataError;
use crate::dataset::{Samples, Split, check_count};
use crate::file::read_file;
use crate::format::Format;
use std::path::{Path, PathBuf};

pub(crate) const FORMAT: Format = Format {
    name: "npy",
    files: "[test_]images.npy and [test_]labels.npy, train_images.npy and train_labels.npy (npy)",
    is_in: |dir| {
        dir.join("images.npy").is_file()
            || [Split::Train, Split::Test]
                .iter()
                .any(|&s| dir.join(format!("{s}_images.npy")).is_file())
    },
    read: |dir, split| {
        let (images, labels) = files(dir, split)?;
        parse((&images, &read_file(&images)?), (&labels, &read_file(&labels)?))
    },
};

/// The files of a split; without a prefix they are the test split.
fn files(dir: &Path, split: Split) -> Result<(PathBuf, PathBuf), DataError> {
    let prefixed = dir.join(format!("{split}_images.npy"));
    if prefixed.is_file() {
        return Ok((prefixed, dir.join(format!("{split}_labels.npy"))));
    }
    let plain = dir.join("images.npy");
    if split == Split::Test && plain.is_file() {
        return Ok((plain, dir.join("labels.npy")));
    }
    Err(DataError::NoSplit {
        place: dir.display().to_string(),
        split,
        expected: format!("{split}_images.npy and {split}_labels.npy"),
    })
}

/// Reads a pair of files, each given by its path and its bytes.
fn parse(images: (&Path, &[u8]), labels: (&Path, &[u8])) -> Result<Samples, DataError> {
    let array = Array::parse(images.0, images.1)?;
    let shape_error = |expected| DataError::malformed(images.0, format!("shape {:?}", array.shape), expected);
    let (count, height, width, channels) = match array.shape[..] {
        [n, h, w] => (n, h, w, 1),
        // A picture three pixels high with dozens of channels is a picture whose axes are in another order.
        [_, c, _, w] if c <= 4 && w > 4 => return Err(shape_error("[N, H, W, C], channels last")),
        [n, h, w, c] => (n, h, w, c),
        _ => return Err(shape_error("[N, H, W, C] or [N, H, W]")),
    };
    if array.descr != "|u1" {
        return Err(DataError::malformed(
            images.0,
            format!("items of type `{}`", array.descr),
            "`|u1` (uint8)",
        ));
    }
    if array.data.is_empty() {
        return Err(shape_error("at least one image"));
    }
    let labels_u16 = parse_labels(labels.0, labels.1)?;
    check_count(labels.0, labels_u16.len(), count)?;
    let classes = labels_u16.iter().max().map_or(0, |&l| usize::from(l) + 1);
    Ok(Samples {
        height,
        width,
        channels,
        classes,
        pixels: array.data.to_vec(),
        labels: labels_u16,
    })
}

fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u16>, DataError> {
    let array = Array::parse(path, bytes)?;
    if array.shape.len() != 1 {
        return Err(DataError::malformed(path, format!("shape {:?}", array.shape), "[N]"));
    }
    match array.descr {
        "|u1" => Ok(array.data.iter().map(|&l| u16::from(l)).collect()),
        "<i8" => {
            let labels = array.data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b));
            let narrow = |(i, label)| {
                u16::try_from(label).map_err(|_| {
                    DataError::malformed(path, format!("image {i} has label {label}"), "labels 0 to 65535")
                })
            };
            labels.enumerate().map(narrow).collect()
        }
        other => Err(DataError::malformed(
            path,
            format!("items of type `{other}`"),
            "`|u1` (uint8) or `<i8` (int64)",
        )),
    }
}

/// An npy file taken apart, still in the bytes of the file.
pub(crate) struct Array<'a> {
    /// numpy's type string; one of those of [`ITEM_BYTES`].
    descr: &'a str,
    pub(crate) shape: Vec<usize>,
    data: &'a [u8],
}

/// The item types that are read, and their sizes.
const ITEM_BYTES: [(&str, usize); 5] = [("|u1", 1), ("<i4", 4), ("<i8", 8), ("<f4", 4), ("<f8", 8)];

impl<'a> Array<'a> {
    pub(crate) fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, DataError> {
        let not_npy = || DataError::malformed(path, "no npy header", "an npy file of version 1, 2 or 3");
        let (header, data) = split_header(bytes).ok_or_else(not_npy)?;
        let descr = quoted(entry(header, "descr").ok_or_else(not_npy)?).unwrap_or("structured");
        let fortran = entry(header, "fortran_order").ok_or_else(not_npy)?;
        let shape = entry(header, "shape").and_then(tuple).ok_or_else(not_npy)?;

        if !fortran.starts_with("False") {
            return Err(DataError::malformed(
                path,
                "Fortran order",
                "C order (numpy.ascontiguousarray)",
            ));
        }
        let Some(&(_, item_bytes)) = ITEM_BYTES.iter().find(|(name, _)| *name == descr) else {
            return Err(DataError::malformed(
                path,
                format!("items of type `{descr}`"),
                ITEM_BYTES.map(|(name, _)| format!("`{name}`")).join(", "),
            ));
        };
        let len = shape.iter().try_fold(item_bytes, |product, &d| product.checked_mul(d));
        if len != Some(data.len()) {
            return Err(DataError::malformed(
                path,
                format!("{} bytes of data", data.len()),
                format!("those of shape {shape:?}, {item_bytes} bytes each"),
            ));
        }
        Ok(Self { descr, shape, data })
    }

    /// The items as numbers.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let fours = self.data.as_chunks().0.iter();
        let eights = self.data.as_chunks().0.iter();
        match self.descr {
            "<i4" => fours.map(|&b| f64::from(i32::from_le_bytes(b))).collect(),
            "<f4" => fours.map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            "<i8" => eights.map(|&b| i64::from_le_bytes(b) as f64).collect(),
            "<f8" => eights.map(|&b| f64::from_le_bytes(b)).collect(),
            _ => self.data.iter().map(|&b| f64::from(b)).collect(),
        }
    }
}

/// The header's text, a Python dictionary, and the data after it.
fn split_header(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&version, rest) = bytes.strip_prefix(b"\x93NUMPY")?.split_first()?;
    let (_minor, rest) = rest.split_first()?;
    let (len, rest) = match version {
        1 => rest
            .split_first_chunk()
            .map(|(len, rest)| (usize::from(u16::from_le_bytes(*len)), rest))?,
        2 | 3 => rest
            .split_first_chunk()
            .map(|(len, rest)| (u32::from_le_bytes(*len) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(len)?;
    Some((str::from_utf8(header).ok()?, data))
}

/// The text from the value of `key` on.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = &header[header.find(&format!("'{key}'"))? + key.len() + 2..];
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// The string that `text` starts with.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(inside, _)| inside)
}

/// The tuple of sizes that `text` starts with.
fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|s| !s.is_empty());
    sizes.map(|s| s.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::read_folder;
    use proptest::prelude::*;
    use std::fs;

    /// What `numpy.save` writes, numpy 2.4: version 1, the header padded so that the data start at a multiple of 64.
    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
        header.push('\n');
        [
            b"\x93NUMPY\x01\x00",
            &(header.len() as u16).to_le_bytes()[..],
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    fn parse_pair(images: &[u8], labels: &[u8]) -> Result<Samples, DataError> {
        parse((Path::new("images.npy"), images), (Path::new("labels.npy"), labels))
    }

    fn error_of(images: &[u8], labels: &[u8]) -> String {
        parse_pair(images, labels).unwrap_err().to_string()
    }

    #[test]
    fn the_bytes_that_numpy_writes() {
        // numpy.save(f, numpy.array([3, 1], dtype=numpy.int64)), numpy 2.4.6
        let labels = b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }            \
                       \x20                                               \n\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0";
        assert_eq!(labels.len(), 128 + 16);
        assert_eq!(parse_labels(Path::new("x"), labels).unwrap(), [3, 1]);
    }

    #[test]
    fn with_and_without_channels_and_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
        write("images.npy", npy("|u1", "(1, 2, 2, 3)", &[1; 12]));
        write("labels.npy", npy("|u1", "(1,)", &[4]));
        let data = read_folder(dir.path(), Split::Test).unwrap();
        assert_eq!((data.height, data.width, data.channels, data.classes), (2, 2, 3, 5));
        let error = read_folder(dir.path(), Split::Train).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::NoSplit {
                    split: Split::Train,
                    ..
                }
            ),
            "{error}"
        );

        write("test_images.npy", npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4]));
        write(
            "test_labels.npy",
            npy("<i8", "(2,)", &[[1, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat()),
        );
        let expected = Samples {
            height: 1,
            width: 2,
            channels: 1,
            classes: 2,
            pixels: vec![1, 2, 3, 4],
            labels: vec![1, 0],
        };
        assert_eq!(read_folder(dir.path(), Split::Test).unwrap(), expected);
    }

    #[test]
    fn what_is_refused_and_why() {
        let images = npy("|u1", "(1, 8, 8)", &[0; 64]);
        let labels = npy("|u1", "(1,)", &[0]);
        assert!(parse_pair(&images, &labels).is_ok());

        assert!(error_of(&npy("|u1", "(1, 3, 8, 8)", &[0; 192]), &labels).contains("channels last"));
        assert!(error_of(&npy("|u1", "(64,)", &[0; 64]), &labels).contains("expected [N, H, W, C] or [N, H, W]"));
        assert!(error_of(&npy("<i8", "(1, 1, 1)", &[0; 8]), &labels).contains("`<i8`; expected `|u1`"));
        assert!(error_of(&npy("<f4", "(1, 1, 1)", &[0; 4]), &labels).contains("`<f4`"));
        assert!(error_of(&npy("|u1", "(0, 8, 8)", &[]), &labels).contains("at least one image"));
        assert!(error_of(&images[..images.len() - 1], &labels).contains("63 bytes of data"));
        assert!(error_of(&images[..40], &labels).contains("no npy header"));
        assert!(error_of(&images, &npy("|u1", "(2,)", &[0, 0])).contains("2 labels; expected 1"));
        assert!(error_of(&images, &npy("<i8", "(1,)", &[0xff; 8])).contains("image 0 has label -1"));
        assert!(error_of(&images, &npy("|u1", "(1, 1)", &[0])).contains("expected [N]"));
        let overflow = format!("({0}, {0}, {0})", usize::MAX);
        assert!(error_of(&npy("|u1", &overflow, &[0; 8]), &labels).contains("8 bytes of data"));
        let fortran = String::from_utf8_lossy(&images[8..])
            .replace("False", "True ")
            .into_bytes();
        assert!(error_of(&[&images[..8], &fortran].concat(), &labels).contains("Fortran"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(version in 0_u8..5, tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [b"\x93NUMPY", &[version, 0][..], &tail].concat();
            prop_assert!(Array::parse(Path::new("x"), &bytes).is_err());
        }

        #[test]
        fn any_header_is_read_or_refused(descr in "[|<>]?[uif]?[0-9]?", shape in "\\PC{0,20}|\\([0-9, ]{0,20}\\)", data in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Ok(array) = Array::parse(Path::new("x"), &npy(&descr, &shape, &data)) {
                let item = ITEM_BYTES.iter().find(|(name, _)| *name == array.descr).unwrap().1;
                prop_assert_eq!(array.numbers().len() * item, data.len());
                prop_assert_eq!(array.shape.iter().product::<usize>() * item, data.len());
            }
        }
    }
}
