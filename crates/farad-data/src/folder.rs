//! A folder per class, PNG images in it: `DIR/CLASS/*.png`, or `DIR/train/CLASS/*.png` and `DIR/test/CLASS/*.png`.
//!
//! Classes are numbered in the order of their names. Images take turns, the first of each class, then the second of
//! each, so that the first images of the dataset are a fair sample of it. Grey and red-green-blue images of 8 bits or
//! fewer are read, all of one size and kind.

use crate::DataError;
use crate::dataset::{Samples, Split};
use crate::file::read_file;
use crate::format::Format;
use crate::picture;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Images that are not PNG: refused, since leaving some of a folder's images out would be a guess.
const OTHER_IMAGES: [&str; 7] = ["bmp", "gif", "jpeg", "jpg", "tif", "tiff", "webp"];

pub(crate) const FORMAT: Format = Format {
    name: "image folder",
    files: "CLASS/*.png, or test/CLASS/*.png and train/CLASS/*.png (image folder)",
    is_in: |dir| layout(dir).is_some(),
    read,
};

/// Whether a folder has its images split.
enum Layout {
    Split,
    TestOnly,
}

fn layout(dir: &Path) -> Option<Layout> {
    let holds_classes = |dir: &Path| class_names(dir).is_ok_and(|classes| !classes.is_empty());
    if [Split::Train, Split::Test]
        .iter()
        .any(|s| holds_classes(&dir.join(s.as_str())))
    {
        Some(Layout::Split)
    } else if holds_classes(dir) {
        Some(Layout::TestOnly)
    } else {
        None
    }
}

fn read(dir: &Path, split: Split) -> Result<Samples, DataError> {
    let no_split = || DataError::NoSplit {
        place: dir.display().to_string(),
        split,
        expected: format!("{split}/CLASS/*.png"),
    };
    match layout(dir) {
        Some(Layout::Split) => {
            // A class that only one split has keeps its number in both.
            let mut classes = BTreeSet::new();
            for split in [Split::Train, Split::Test]
                .map(|s| dir.join(s.as_str()))
                .iter()
                .filter(|d| d.is_dir())
            {
                classes.extend(class_names(split)?);
            }
            let root = dir.join(split.as_str());
            if !root.is_dir() {
                return Err(no_split());
            }
            read_classes(&root, &classes)
        }
        _ if split == Split::Train => Err(no_split()),
        _ => read_classes(dir, &class_names(dir)?),
    }
}

/// Names of the subfolders that hold images.
fn class_names(dir: &Path) -> Result<BTreeSet<OsString>, DataError> {
    let mut names = BTreeSet::new();
    for path in entries(dir)? {
        if path.is_dir() && entries(&path)?.iter().any(|file| extension(file) == "png") {
            names.extend(path.file_name().map(OsStr::to_owned));
        }
    }
    Ok(names)
}

/// Paths in a folder, sorted.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listing = std::fs::read_dir(dir).map_err(|e| DataError::io(dir, e))?;
    let paths: Result<Vec<_>, _> = listing.map(|entry| entry.map(|e| e.path())).collect();
    let mut paths = paths.map_err(|e| DataError::io(dir, e))?;
    paths.sort();
    Ok(paths)
}

/// The lower-case extension of a path, empty without one.
fn extension(path: &Path) -> String {
    path.extension()
        .map(|e| e.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

/// The PNG files of one class; none if this split lacks the class.
fn class_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let files = entries(dir)?;
    if let Some(other) = files.iter().find(|f| OTHER_IMAGES.contains(&extension(f).as_str())) {
        return Err(DataError::malformed(other, "not a PNG image", "PNG images only"));
    }
    Ok(files.into_iter().filter(|f| extension(f) == "png").collect())
}

fn read_classes(root: &Path, classes: &BTreeSet<OsString>) -> Result<Samples, DataError> {
    let mut files: Vec<(usize, u16, PathBuf)> = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let label = u16::try_from(class)
            .map_err(|_| DataError::malformed(root, format!("{} classes", classes.len()), "65536 or fewer"))?;
        let of_class = class_files(&root.join(name))?;
        files.extend(of_class.into_iter().enumerate().map(|(turn, file)| (turn, label, file)));
    }
    files.sort();

    let mut samples: Option<Samples> = None;
    for (_, label, path) in files {
        let image = picture::decode(&path, &read_file(&path)?)?;
        match &mut samples {
            None => {
                samples = Some(Samples {
                    height: image.height,
                    width: image.width,
                    channels: image.channels,
                    classes: classes.len(),
                    pixels: image.pixels,
                    labels: vec![label],
                });
            }
            Some(s) if (s.height, s.width, s.channels) == (image.height, image.width, image.channels) => {
                s.pixels.extend(image.pixels);
                s.labels.push(label);
            }
            Some(s) => {
                let size = |h, w, c| format!("{h}x{w} pixels of {c} channels");
                return Err(DataError::malformed(
                    &path,
                    size(image.height, image.width, image.channels),
                    format!("{} like the images before it", size(s.height, s.width, s.channels)),
                ));
            }
        }
    }
    samples.ok_or_else(|| DataError::malformed(root, "no images", "CLASS/*.png"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::read_folder;
    use crate::picture::tests::grey;
    use std::fs;

    fn write(dir: &Path, file: &str, bytes: &[u8]) {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn classes_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "cat/1.png", &grey(&[[1, 2]]));
        write(root, "cat/2.PNG", &grey(&[[3, 4]]));
        write(root, "ant/x.png", &grey(&[[5, 6]]));
        write(root, "ant/notes.txt", b"not an image");
        write(root, "empty/notes.txt", b"not a class");
        let expected = Samples {
            height: 1,
            width: 2,
            channels: 1,
            classes: 2,
            pixels: vec![5, 6, 1, 2, 3, 4],
            labels: vec![0, 1, 1],
        };
        assert_eq!(read_folder(root, Split::Test).unwrap(), expected);
        let error = read_folder(root, Split::Train).unwrap_err();
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
    }

    #[test]
    fn a_class_has_one_number_in_both_splits() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "train/ant/1.png", &grey(&[[1, 1]]));
        write(dir.path(), "train/cat/1.png", &grey(&[[2, 2]]));
        write(dir.path(), "test/cat/1.png", &grey(&[[3, 3]]));
        let test = read_folder(dir.path(), Split::Test).unwrap();
        assert_eq!((test.classes, test.labels), (2, vec![1]));
        assert_eq!(read_folder(dir.path(), Split::Train).unwrap().labels, [0, 1]);
    }

    #[test]
    fn images_that_do_not_belong_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = || read_folder(dir.path(), Split::Test).unwrap_err().to_string();
        write(dir.path(), "a/1.png", &grey(&[[1, 2]]));
        write(dir.path(), "a/2.png", &grey(&[[1, 2], [3, 4]]));
        let sizes = "2.png: 2x2 pixels of 1 channels; expected 1x2 pixels of 1 channels like the images before it";
        assert!(message().ends_with(sizes), "{}", message());

        write(dir.path(), "a/3.jpg", b"");
        assert!(
            message().ends_with("3.jpg: not a PNG image; expected PNG images only"),
            "{}",
            message()
        );
    }
}
