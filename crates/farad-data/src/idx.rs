//! MNIST and Fashion-MNIST: IDX files of unsigned bytes, plain or gzipped.
//!
//! An IDX file is `00 00`, the type (08 for unsigned bytes), the number of dimensions, each dimension as a big-endian
//! 32-bit number, then the data. Source: the description at <http://yann.lecun.com/exdb/mnist/>.

use crate::DataError;
use crate::dataset::{Samples, Split, check_count, check_labels};
use crate::file::{DEFLATE_MAX_RATIO, read_file};
use crate::format::Format;
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Both datasets have ten classes; the files do not say.
const CLASSES: usize = 10;

pub(crate) const FORMAT: Format = Format {
    name: "MNIST IDX",
    files: "t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz], train-... (MNIST)",
    is_in: |dir| {
        [Split::Train, Split::Test]
            .iter()
            .any(|&s| file(dir, s, "images-idx3").is_file() || file(dir, s, "labels-idx1").is_file())
    },
    read: |dir, split| {
        let (images, labels) = (file(dir, split, "images-idx3"), file(dir, split, "labels-idx1"));
        parse((&images, &read_file(&images)?), (&labels, &read_file(&labels)?))
    },
};

/// The file of this split and content: the plain one, unless only the gzipped one is there.
fn file(dir: &Path, split: Split, content: &str) -> PathBuf {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let plain = dir.join(format!("{prefix}-{content}-ubyte"));
    let gzipped = dir.join(format!("{prefix}-{content}-ubyte.gz"));
    if !plain.is_file() && gzipped.is_file() {
        gzipped
    } else {
        plain
    }
}

/// Reads a pair of files, each given by its path and its bytes.
pub(crate) fn parse(images: (&Path, &[u8]), labels: (&Path, &[u8])) -> Result<Samples, DataError> {
    let ([count, height, width], pixels) = parse_array(images.0, images.1)?;
    let ([label_count], label_bytes) = parse_array(labels.0, labels.1)?;
    check_count(labels.0, label_count, count)?;
    let labels_u16: Vec<u16> = label_bytes.into_iter().map(u16::from).collect();
    check_labels(labels.0, &labels_u16, CLASSES)?;
    Ok(Samples {
        height,
        width,
        channels: 1,
        classes: CLASSES,
        pixels,
        labels: labels_u16,
    })
}

/// Dimensions and data of one file; the magic number tells whether it is gzipped.
fn parse_array<const DIMS: usize>(path: &Path, bytes: &[u8]) -> Result<([usize; DIMS], Vec<u8>), DataError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let most = bytes.len().saturating_mul(DEFLATE_MAX_RATIO);
        parse_stream(path, GzDecoder::new(bytes), most)
    } else {
        parse_stream(path, bytes, bytes.len())
    }
}

/// Reads one array from a stream that cannot hold more than `most` bytes.
fn parse_stream<const DIMS: usize>(
    path: &Path,
    mut stream: impl Read,
    most: usize,
) -> Result<([usize; DIMS], Vec<u8>), DataError> {
    // The file is in memory, so whatever the stream complains about is in the file.
    let damaged =
        |e: std::io::Error| DataError::malformed(path, format!("cut off or damaged ({e})"), "a whole IDX file");

    let mut magic = [0; 4];
    stream.read_exact(&mut magic).map_err(damaged)?;
    if magic != [0, 0, 8, DIMS as u8] {
        return Err(DataError::malformed(
            path,
            format!("starts with {magic:02x?}"),
            format!("[00, 00, 08, {DIMS:02x}], an IDX file of unsigned bytes in {DIMS} dimensions"),
        ));
    }
    let mut dims = [0; DIMS];
    for dim in &mut dims {
        let mut word = [0; 4];
        stream.read_exact(&mut word).map_err(damaged)?;
        *dim = u32::from_be_bytes(word) as usize;
    }
    let len = dims.iter().try_fold(1_usize, |product, &d| product.checked_mul(d));
    let Some(len) = len.filter(|&len| 0 < len && len <= most) else {
        return Err(DataError::malformed(
            path,
            format!("its header says {dims:?}"),
            format!("at least one item, and no more than the {most} bytes that the file can hold"),
        ));
    };
    let mut data = Vec::new();
    stream.take(len as u64 + 1).read_to_end(&mut data).map_err(damaged)?;
    if data.len() != len {
        let found = if data.len() < len {
            format!("{} bytes of data", data.len())
        } else {
            "more data".to_owned()
        };
        return Err(DataError::malformed(
            path,
            found,
            format!("{len} bytes, as its header says {dims:?}"),
        ));
    }
    Ok((dims, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::read_folder;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let header = [0, 0, 8, dims.len() as u8];
        header
            .into_iter()
            .chain(dims.iter().flat_map(|d| d.to_be_bytes()))
            .chain(data.iter().copied())
            .collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn error_of(images: &[u8]) -> String {
        parse_array::<3>(Path::new("images"), images).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_gzipped_files_mix() {
        let dir = tempfile::tempdir().unwrap();
        let pixels: Vec<u8> = (0..12).collect();
        fs::write(
            dir.path().join("train-images-idx3-ubyte.gz"),
            gzip(&idx(&[2, 2, 3], &pixels)),
        )
        .unwrap();
        fs::write(dir.path().join("train-labels-idx1-ubyte"), idx(&[2], &[9, 0])).unwrap();
        let data = read_folder(dir.path(), Split::Train).unwrap();
        let expected = Samples {
            height: 2,
            width: 3,
            channels: 1,
            classes: 10,
            pixels,
            labels: vec![9, 0],
        };
        assert_eq!(data, expected);
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t10k-images-idx3-ubyte"), idx(&[1, 1, 1], &[0])).unwrap();
        let message = read_folder(dir.path(), Split::Test).unwrap_err().to_string();
        assert!(message.contains("t10k-labels-idx1-ubyte"), "{message}");
    }

    #[test]
    fn wrong_files_are_told_apart() {
        let whole = idx(&[2, 2, 2], &[5; 8]);
        assert!(error_of(&whole[..7]).starts_with("images: cut off or damaged"));
        assert!(error_of(&whole[..20]).contains("its header says [2, 2, 2]"));
        assert!(error_of(&[&whole[..], &[0]].concat()).contains("more data; expected 8 bytes"));
        assert!(error_of(&idx(&[2], &[0, 1])).contains("starts with [00, 00, 08, 01]"));
        assert!(error_of(&idx(&[0, 28, 28], &[])).contains("expected at least one item"));
        assert!(error_of(&idx(&[u32::MAX; 3], &[])).contains("its header says"));

        let packed = gzip(&whole);
        assert!(error_of(&packed[..packed.len() - 3]).contains("cut off or damaged"));
        assert!(error_of(&gzip(&whole[..20])).contains("4 bytes of data; expected 8 bytes"));
        assert!(error_of(&gzip(&idx(&[60_000, 28, 28], &[]))).contains("its header says"));
    }

    #[test]
    fn a_flipped_bit_in_gzip_data_is_noticed() {
        let mut packed = gzip(&idx(&[1, 16, 16], &(0..=255).collect::<Vec<u8>>()));
        let checksum = packed.len() - 8;
        packed[checksum] ^= 1;
        assert!(error_of(&packed).contains("cut off or damaged"));
    }

    #[test]
    fn labels_are_checked() {
        let images = idx(&[2, 1, 1], &[1, 2]);
        let with = |labels: &[u8]| {
            let labels = idx(&[labels.len() as u32], labels);
            parse((Path::new("images"), &images), (Path::new("labels"), &labels))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(with(&[1]), "labels: 1 labels; expected 2, one for each image");
        assert_eq!(with(&[1, 10]), "labels: image 1 has label 10; expected labels 0 to 9");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..64), known in 0_usize..5) {
            let bytes = [&[0, 0, 8, 3][..known.min(4)], &tail].concat();
            if let Ok((dims, data)) = parse_array::<3>(Path::new("x"), &bytes) {
                prop_assert_eq!(dims.iter().product::<usize>(), data.len());
            }
            let gzipped = [&[0x1f, 0x8b, 8, 0][..known.min(4)], &tail].concat();
            prop_assert!(known == 0 || parse_array::<3>(Path::new("x"), &gzipped).is_err());
            // Well-formed gzip around anything.
            if let Ok((dims, data)) = parse_array::<3>(Path::new("x"), &gzip(&bytes)) {
                prop_assert_eq!(dims.iter().product::<usize>(), data.len());
            }
        }

        #[test]
        fn what_was_written_is_read(n in 1_u32..4, h in 1_u32..5, w in 1_u32..5, seed in any::<u8>(), packed in any::<bool>()) {
            let data: Vec<u8> = (0..n * h * w).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let file = idx(&[n, h, w], &data);
            let file = if packed { gzip(&file) } else { file };
            let (dims, read) = parse_array::<3>(Path::new("x"), &file).unwrap();
            prop_assert_eq!(dims, [n as usize, h as usize, w as usize]);
            prop_assert_eq!(read, data);
        }
    }
}
