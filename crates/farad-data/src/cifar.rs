//! CIFAR-10 and CIFAR-100, binary version: records of label bytes and a 32x32 picture, plane after plane.
//!
//! Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009, and the layout told at
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use crate::DataError;
use crate::dataset::{Samples, Split, check_labels};
use crate::file::read_file;
use crate::format::Format;
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const CHANNELS: usize = 3;

pub(crate) const CIFAR_10: Format = Format {
    name: "CIFAR-10",
    files: "data_batch_1.bin to data_batch_5.bin and test_batch.bin (CIFAR-10)",
    is_in: |dir| TEN.home(dir).is_some(),
    read: |dir, split| TEN.read(dir, split),
};

pub(crate) const CIFAR_100: Format = Format {
    name: "CIFAR-100",
    files: "train.bin and test.bin (CIFAR-100)",
    is_in: |dir| HUNDRED.home(dir).is_some(),
    read: |dir, split| HUNDRED.read(dir, split),
};

/// How the two datasets differ.
struct Layout {
    /// The folder inside the published archive.
    archive_folder: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// Bytes before the picture; the last of them is the label (CIFAR-100 has a coarse one before it).
    label_bytes: usize,
    classes: usize,
}

const TEN: Layout = Layout {
    archive_folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    label_bytes: 1,
    classes: 10,
};

const HUNDRED: Layout = Layout {
    archive_folder: "cifar-100-binary",
    train: &["train.bin"],
    test: &["test.bin"],
    label_bytes: 2,
    classes: 100,
};

impl Layout {
    /// The folder that holds the files: `dir` itself or the archive's folder in it.
    fn home(&self, dir: &Path) -> Option<PathBuf> {
        [dir.to_owned(), dir.join(self.archive_folder)]
            .into_iter()
            .find(|home| self.train.iter().chain(self.test).any(|file| home.join(file).is_file()))
    }

    fn read(&self, dir: &Path, split: Split) -> Result<Samples, DataError> {
        let home = self.home(dir).unwrap_or_else(|| dir.to_owned());
        let files = match split {
            Split::Train => self.train,
            Split::Test => self.test,
        };
        let mut samples = Samples {
            height: SIDE,
            width: SIDE,
            channels: CHANNELS,
            classes: self.classes,
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        for file in files {
            let path = home.join(file);
            self.parse(&path, &read_file(&path)?, &mut samples)?;
        }
        Ok(samples)
    }

    /// Appends the records of one file.
    fn parse(&self, path: &Path, bytes: &[u8], into: &mut Samples) -> Result<(), DataError> {
        let record_bytes = self.label_bytes + CHANNELS * PLANE;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record_bytes) {
            return Err(DataError::malformed(
                path,
                format!("{} bytes", bytes.len()),
                format!("whole records of {record_bytes} bytes, at least one"),
            ));
        }
        let records = || bytes.chunks_exact(record_bytes).map(|r| r.split_at(self.label_bytes));
        let labels: Vec<u16> = records()
            .map(|(labels, _)| u16::from(labels[self.label_bytes - 1]))
            .collect();
        check_labels(path, &labels, self.classes)?;
        into.labels.extend(labels);
        into.pixels.reserve(records().len() * CHANNELS * PLANE);
        for (_, planes) in records() {
            into.pixels
                .extend((0..PLANE).flat_map(|p| (0..CHANNELS).map(move |c| planes[c * PLANE + p])));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::read_folder;
    use proptest::prelude::*;
    use std::fs;

    /// A record whose planes are a ramp, its complement and a constant.
    fn record(label: &[u8]) -> Vec<u8> {
        let ramp = (0..PLANE).map(|i| (i % 251) as u8);
        let complement = ramp.clone().map(|v| 255 - v);
        label
            .iter()
            .copied()
            .chain(ramp)
            .chain(complement)
            .chain([7; PLANE])
            .collect()
    }

    #[test]
    fn planes_become_pixels() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("test_batch.bin"), [record(&[3]), record(&[9])].concat()).unwrap();
        let data = read_folder(dir.path(), Split::Test).unwrap();
        assert_eq!((data.height, data.width, data.channels, data.classes), (32, 32, 3, 10));
        assert_eq!(data.labels, [3, 9]);
        assert_eq!(data.pixels.len(), 2 * 3072);
        assert_eq!(data.pixels[3 * 100..3 * 101], [100, 155, 7]);
        assert_eq!(data.pixels[3072..3075], [0, 255, 7]);
    }

    #[test]
    fn all_five_batches_in_order_inside_the_archive_folder() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("cifar-10-batches-bin");
        fs::create_dir(&home).unwrap();
        for (i, file) in TEN.train.iter().enumerate() {
            fs::write(home.join(file), record(&[i as u8])).unwrap();
        }
        assert_eq!(read_folder(dir.path(), Split::Train).unwrap().labels, [0, 1, 2, 3, 4]);

        fs::remove_file(home.join("data_batch_4.bin")).unwrap();
        let message = read_folder(dir.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("data_batch_4.bin"), "{message}");
    }

    #[test]
    fn cifar_100_takes_the_fine_label() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("train.bin"), record(&[19, 99])).unwrap();
        let data = read_folder(dir.path(), Split::Train).unwrap();
        assert_eq!((data.classes, &data.labels[..]), (100, &[99][..]));
        assert_eq!(data.pixels[..3], [0, 255, 7]);
    }

    #[test]
    fn wrong_sizes_and_labels_are_named() {
        let mut samples = Samples {
            height: 0,
            width: 0,
            channels: 0,
            classes: 0,
            pixels: vec![],
            labels: vec![],
        };
        let mut error = |bytes: &[u8]| {
            TEN.parse(Path::new("x.bin"), bytes, &mut samples)
                .unwrap_err()
                .to_string()
        };
        let size = "expected whole records of 3073 bytes, at least one";
        assert_eq!(error(&[]), format!("x.bin: 0 bytes; {size}"));
        assert_eq!(error(&record(&[1])[1..]), format!("x.bin: 3072 bytes; {size}"));
        let second = [record(&[1]), record(&[10])].concat();
        assert_eq!(error(&second), "x.bin: image 1 has label 10; expected labels 0 to 9");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3 * 3073)) {
            let mut samples = Samples { height: 0, width: 0, channels: 0, classes: 0, pixels: vec![], labels: vec![] };
            if TEN.parse(Path::new("x"), &bytes, &mut samples).is_ok() {
                prop_assert_eq!(samples.labels.len() * 3073, bytes.len());
                prop_assert_eq!(samples.labels.len() * 3072, samples.pixels.len());
            }
        }

        #[test]
        fn whole_records_are_read(records in prop::collection::vec((0_u8..10, any::<u8>()), 1..4)) {
            let bytes: Vec<u8> = records.iter().flat_map(|&(l, v)| [vec![l], vec![v; 3072]].concat()).collect();
            let mut samples = Samples { height: 0, width: 0, channels: 0, classes: 0, pixels: vec![], labels: vec![] };
            TEN.parse(Path::new("x"), &bytes, &mut samples).unwrap();
            let read: Vec<_> = samples.labels.iter().zip(samples.pixels.chunks(3072)).map(|(&l, p)| (l as u8, p[3071])).collect();
            prop_assert_eq!(read, records);
        }
    }
}
