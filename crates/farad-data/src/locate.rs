//! From a specification to a dataset: where names are looked for, and what is known.

use crate::dataset::{Dataset, Split};
use crate::{DataError, bundled, format};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

/// Datasets with a name of their own, and what they are.
const KNOWN: [(&str, &str); 4] = [
    (
        "cifar-10",
        "32x32 colour photographs, 10 classes; 50,000 to train, 10,000 to test",
    ),
    (
        "cifar-100",
        "32x32 colour photographs, 100 classes; 50,000 to train, 10,000 to test",
    ),
    (
        "fashion-mnist",
        "28x28 grey pictures of clothing, 10 classes; 60,000 to train, 10,000 to test",
    ),
    (
        "mnist",
        "28x28 grey handwritten digits, 10 classes; 60,000 to train, 10,000 to test",
    ),
];

/// A dataset that can be asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// The name that [`load`] takes.
    pub name: String,
    /// What it is, in one line.
    pub about: String,
    /// Where it is now.
    pub place: Place,
}

/// Where a dataset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this folder.
    Folder(PathBuf),
    /// Not on this machine, but Farad holds a sample of its test split.
    BundledSample,
    /// Not on this machine.
    Missing,
}

/// Loads `NAME`, `NAME:train`, `DIR` or `DIR:test`; see the [crate](crate) for where a name is looked for.
///
/// # Errors
///
/// Returns [`DataError`] when nothing of that name is found, and when a file is missing, damaged, or not what its name
/// says. Nothing is loaded in part.
pub fn load(spec: &str) -> Result<Dataset, DataError> {
    Places::from_env().load(spec)
}

/// The known datasets and those found beside them, by name, and where each is.
#[must_use]
pub fn list() -> Vec<DatasetInfo> {
    Places::from_env().list()
}

/// For an error's end: the command that gets the dataset, if it is a published one, or the published one that may be meant.
pub(crate) fn fetch_hint(name: &str) -> String {
    let plain = |name: &str| {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase()
    };
    let mut known = KNOWN.iter().map(|(known, _)| *known);
    match known.find(|known| plain(known) == plain(name)) {
        Some(known) if known == name => format!("; `farad data fetch {name}` gets it"),
        Some(known) => format!("; did you mean `{known}`?"),
        None => format!("; published ones are {}", KNOWN.map(|(known, _)| known).join(", ")),
    }
}

/// The folders that hold datasets by name, the first before the second.
pub(crate) struct Places {
    roots: Vec<PathBuf>,
}

impl Places {
    pub(crate) fn from_env() -> Self {
        let data = env::var_os("FARAD_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
        // A relative path in XDG_CACHE_HOME is to be ignored: XDG Base Directory Specification 0.8.
        let xdg_cache = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute());
        let cache = xdg_cache.or_else(|| Some(env::home_dir()?.join(".cache")));
        Self {
            roots: data.into_iter().chain(cache.map(|c| c.join("farad"))).collect(),
        }
    }

    fn load(&self, spec: &str) -> Result<Dataset, DataError> {
        let (what, split) = parse_spec(spec)?;
        match self.find(what) {
            Place::Folder(dir) => {
                return Ok(format::read_folder(&dir, split)?.named(what, split.as_str()));
            }
            Place::BundledSample => return bundled::load(split),
            Place::Missing => {}
        }
        let dir = Path::new(what);
        if is_name(what) && !dir.is_dir() {
            return Err(DataError::NotFound {
                name: what.to_owned(),
                looked: self
                    .roots
                    .iter()
                    .map(|root| root.join(what))
                    .chain([dir.to_owned()])
                    .collect(),
            });
        }
        Ok(format::read_folder(dir, split)?.named(&folder_name(dir), split.as_str()))
    }

    /// Where the dataset of this name is.
    fn find(&self, name: &str) -> Place {
        if !is_name(name) {
            return Place::Missing;
        }
        match self
            .roots
            .iter()
            .map(|root| root.join(name))
            .find(|dir| holds_files(dir))
        {
            Some(dir) => Place::Folder(dir),
            None if name == bundled::NAME => Place::BundledSample,
            None => Place::Missing,
        }
    }

    /// The folder to keep the dataset of this name in: where it is, else in the first place where it is looked for.
    #[cfg(feature = "fetch")]
    pub(crate) fn keep(&self, name: &str) -> Option<PathBuf> {
        match self.find(name) {
            Place::Folder(dir) => Some(dir),
            Place::BundledSample | Place::Missing => Some(self.roots.first()?.join(name)),
        }
    }

    fn list(&self) -> Vec<DatasetInfo> {
        let mut about: BTreeMap<String, &str> = BTreeMap::new();
        for dir in self
            .roots
            .iter()
            .filter_map(|root| root.read_dir().ok())
            .flatten()
            .flatten()
        {
            let name = dir.file_name().to_string_lossy().into_owned();
            if dir.path().is_dir() && !name.starts_with('.') {
                about.insert(name, "the user's own");
            }
        }
        about.extend(KNOWN.map(|(name, line)| (name.to_owned(), line)));
        about
            .into_iter()
            .map(|(name, line)| DatasetInfo {
                place: self.find(&name),
                about: line.to_owned(),
                name,
            })
            .collect()
    }
}

/// Whether it is a folder with more than a fetch leaves that was stopped before its first file was whole.
fn holds_files(dir: &Path) -> bool {
    let is_whole = |path: PathBuf| path.extension().is_none_or(|extension| extension != "part");
    // One that cannot be read is not passed over: reading it says why.
    dir.is_dir()
        && dir.read_dir().map_or(true, |mut files| {
            files.any(|file| file.map_or(true, |file| is_whole(file.path())))
        })
}

/// What is asked for and the split of it. A colon followed by more of a path is no split.
fn parse_spec(spec: &str) -> Result<(&str, Split), DataError> {
    match spec.rsplit_once(':') {
        Some((what, word)) if is_name(word) || word.is_empty() => match Split::from_word(word) {
            Some(split) => Ok((what, split)),
            None => Err(DataError::UnknownSplit {
                spec: spec.to_owned(),
                word: word.to_owned(),
            }),
        },
        _ => Ok((spec, Split::Test)),
    }
}

/// Whether this may be a dataset's name: one plain component of a path.
fn is_name(text: &str) -> bool {
    let separator = |c| std::path::is_separator(c);
    !text.is_empty() && text != "." && text != ".." && !text.contains(separator)
}

/// The last component of a folder's path, also of `.`.
fn folder_name(dir: &Path) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    whole
        .file_name()
        .unwrap_or(whole.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A root with one CIFAR-10 test image of this label under `name`.
    fn root_with(name: &str, label: u8) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("test_batch.bin"), [&[label][..], &[0; 3072]].concat()).unwrap();
        root
    }

    fn places(roots: &[&tempfile::TempDir]) -> Places {
        Places {
            roots: roots.iter().map(|r| r.path().to_owned()).collect(),
        }
    }

    #[test]
    fn specifications() {
        let split = |spec| parse_spec(spec).map_err(|e| e.to_string());
        assert_eq!(split("mnist"), Ok(("mnist", Split::Test)));
        assert_eq!(split("mnist:train"), Ok(("mnist", Split::Train)));
        assert_eq!(split("/data:1/mnist"), Ok(("/data:1/mnist", Split::Test)));
        assert_eq!(split("./a:b:test"), Ok(("./a:b", Split::Test)));
        let message = "`mnist:val`: unknown split `val`; expected `train` or `test`";
        assert_eq!(split("mnist:val"), Err(message.to_owned()));
        assert!(split("mnist:").is_err());
    }

    #[test]
    fn the_first_place_wins_then_the_second_then_the_sample() {
        let (data, cache) = (root_with("cifar-10", 1), root_with("cifar-10", 2));
        let label = |places: Places| places.load("cifar-10").unwrap().labels[0];
        assert_eq!(label(places(&[&data, &cache])), 1);
        assert_eq!(label(places(&[&cache, &data])), 2);

        let other = root_with("fashion-mnist", 3);
        assert_eq!(places(&[&data]).load("fashion-mnist").unwrap().split, "test[0..1000]");
        let found = places(&[&data, &other]).load("fashion-mnist").unwrap();
        assert_eq!((found.split.as_str(), found.len()), ("test", 1));
    }

    #[test]
    fn a_broken_dataset_is_not_replaced_by_the_sample() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("fashion-mnist");
        fs::create_dir(&folder).unwrap();
        // What a fetch leaves that was stopped at once is nothing yet.
        fs::write(folder.join("train-images-idx3-ubyte.gz.part"), "").unwrap();
        assert_eq!(places(&[&root]).load("fashion-mnist").unwrap().len(), 1000);
        fs::write(folder.join("readme"), "").unwrap();
        let error = places(&[&root]).load("fashion-mnist").unwrap_err();
        assert!(matches!(error, DataError::Unrecognised { .. }), "{error}");
    }

    #[test]
    fn a_folder_is_named_after_itself() {
        let root = root_with("my-images", 4);
        let spec = format!("{}:test", root.path().join("my-images").join(".").display());
        let data = places(&[]).load(&spec).unwrap();
        assert_eq!((data.name.as_str(), data.split.as_str()), ("my-images", "test"));
    }

    #[test]
    fn an_unknown_name_tells_where_it_was_looked_for() {
        let root = root_with("cifar-10", 1);
        let message = places(&[&root]).load("imagenet").unwrap_err().to_string();
        assert!(
            message.contains(&root.path().join("imagenet").display().to_string()),
            "{message}"
        );
        assert!(!message.contains("data fetch"), "{message}");
        let message = places(&[&root]).load("cifar10").unwrap_err().to_string();
        assert!(message.ends_with("; did you mean `cifar-10`?"), "{message}");
        let message = places(&[&root]).load("mnist:train").unwrap_err().to_string();
        assert!(message.ends_with("`farad data fetch mnist` gets it"), "{message}");
        assert!(places(&[]).load("").is_err());
        assert!(
            places(&[])
                .load("/nowhere/at/all")
                .unwrap_err()
                .to_string()
                .starts_with("/nowhere/at/all: ")
        );
    }

    #[test]
    fn the_list_has_the_known_and_the_found() {
        let root = root_with("my-images", 1);
        fs::create_dir(root.path().join("mnist")).unwrap();
        fs::create_dir(root.path().join("cifar-100")).unwrap();
        fs::write(root.path().join("cifar-100").join("train.bin"), "").unwrap();
        let list: Vec<_> = places(&[&root]).list().into_iter().map(|i| (i.name, i.place)).collect();
        let folder = |name: &str| Place::Folder(root.path().join(name));
        let expected = [
            ("cifar-10", Place::Missing),
            ("cifar-100", folder("cifar-100")),
            ("fashion-mnist", Place::BundledSample),
            ("mnist", Place::Missing),
            ("my-images", folder("my-images")),
        ];
        assert_eq!(list, expected.map(|(n, p)| (n.to_owned(), p)));
    }
}
