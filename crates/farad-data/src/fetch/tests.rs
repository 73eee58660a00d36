//! Fetching against a server on this machine that can be told to misbehave.

use super::published::Archive;
use super::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// With what is asked for.
    Proper,
    /// With the whole file, whatever range is asked for.
    NoRanges,
    /// With the length of the whole and half of its bytes.
    CutsOff,
}

/// Files at `http://127.0.0.1:PORT/data/`, and the `Range` of every request so far (empty where there was none).
struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(manner: Manner, files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/data/", listener.local_addr().unwrap());
        let files: BTreeMap<String, Vec<u8>> = files
            .iter()
            .map(|(name, bytes)| (format!("/data/{name}"), bytes.to_vec()))
            .collect();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&ranges);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), manner, &files, &log);
            }
        });
        Self { address, ranges }
    }

    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manner: Manner, files: &BTreeMap<String, Vec<u8>>, log: &Mutex<Vec<String>>) {
    let lines: Vec<String> = BufReader::new(&stream)
        .lines()
        .map(Result::unwrap)
        .take_while(|l| !l.is_empty())
        .collect();
    let path = lines[0].split(' ').nth(1).unwrap();
    let range = lines
        .iter()
        .find_map(|l| l.to_lowercase().strip_prefix("range: ").map(str::to_owned));
    log.lock().unwrap().push(range.clone().unwrap_or_default());
    let Some(bytes) = files.get(path) else {
        write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        return;
    };
    let from = range.filter(|_| manner != Manner::NoRanges).map(|r| {
        let from = r.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap();
        from.parse::<usize>().unwrap()
    });
    let (status, from) = match from {
        None => ("200 OK", 0),
        Some(from) if from < bytes.len() => ("206 Partial Content", from),
        Some(_) => ("416 Range Not Satisfiable", bytes.len()),
    };
    let (rest, last) = (&bytes[from..], bytes.len() - 1);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n",
        rest.len()
    )
    .unwrap();
    write!(stream, "Content-Range: bytes {from}-{last}/{}\r\n\r\n", bytes.len()).unwrap();
    let sent = if manner == Manner::CutsOff {
        rest.len() / 2
    } else {
        rest.len()
    };
    stream.write_all(&rest[..sent]).unwrap();
}

fn md5(bytes: &[u8]) -> &'static str {
    let hex: String = Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    hex.leak()
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// A dataset of the one file `a.gz`.
fn single(bytes: &[u8]) -> Published {
    Published {
        name: "single",
        address: "http://nowhere.invalid",
        archive: None,
        files: vec![File {
            name: "a.gz",
            md5: md5(bytes),
        }]
        .leak(),
    }
}

/// A dataset of two files in an archive, and the archive.
fn packed() -> (Published, Vec<u8>) {
    let contents = [("one.bin", noise(5000)), ("two.bin", noise(70_000))];
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in &contents {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("folder/{name}"), bytes.as_slice())
            .unwrap();
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let files = contents.map(|(name, bytes)| File { name, md5: md5(&bytes) });
    let file = File {
        name: "packed.tar.gz",
        md5: md5(&bytes),
    };
    let dataset = Published {
        name: "packed",
        address: "http://nowhere.invalid",
        archive: Some(Archive { file, folder: "folder" }),
        files: files.to_vec().leak(),
    };
    (dataset, bytes)
}

fn fetch_quietly(dataset: &Published, server: &Server, dir: &Path) -> Result<(), FetchError> {
    fetch_into(dataset, &server.address, dir, &mut |_| {})
}

fn states(dataset: &Published, dir: &Path) -> Vec<FileState> {
    check_all(dataset, dir).unwrap().into_iter().map(|c| c.state).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_fetched_once() {
    let (bytes, root) = (noise(100_000), tempfile::tempdir().unwrap());
    let (dataset, server) = (single(&bytes), Server::new(Manner::Proper, &[("a.gz", &bytes)]));
    let dir = root.path().join("new/folder");
    assert_eq!(states(&dataset, &dir), [FileState::Missing]);
    let mut seen = Vec::new();
    fetch_into(&dataset, &server.address, &dir, &mut |p| {
        assert_eq!((p.file, p.total), ("a.gz", Some(100_000)));
        seen.push(p.done);
    })
    .unwrap();
    assert!(
        seen.is_sorted() && seen.first() == Some(&0) && seen.last() == Some(&100_000),
        "{seen:?}"
    );
    assert_eq!(fs::read(dir.join("a.gz")).unwrap(), bytes);
    assert_eq!(
        (names(&dir), states(&dataset, &dir)),
        (vec!["a.gz".to_owned()], vec![FileState::Verified])
    );
    fetch_quietly(&dataset, &server, &dir).unwrap();
    assert_eq!(server.ranges(), [""], "the second fetch asked for nothing");
}

#[test]
fn a_fetch_that_was_cut_off_goes_on() {
    let (bytes, dir) = (noise(100_000), tempfile::tempdir().unwrap());
    let dataset = single(&bytes);
    let broken = Server::new(Manner::CutsOff, &[("a.gz", &bytes)]);
    let message = fetch_quietly(&dataset, &broken, dir.path()).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{}a.gz: cut off after 50000 bytes", broken.address)),
        "{message}"
    );
    assert_eq!(
        (names(dir.path()), states(&dataset, dir.path())),
        (vec!["a.gz.part".to_owned()], vec![FileState::Missing])
    );
    let message = fetch_quietly(&dataset, &broken, dir.path()).unwrap_err().to_string();
    assert!(message.contains("cut off after 75000 bytes"), "{message}");
    let server = Server::new(Manner::Proper, &[("a.gz", &bytes)]);
    fetch_quietly(&dataset, &server, dir.path()).unwrap();
    assert_eq!(
        (broken.ranges(), server.ranges()),
        (vec![String::new(), "bytes=50000-".into()], vec!["bytes=75000-".into()])
    );
    assert_eq!(fs::read(dir.path().join("a.gz")).unwrap(), bytes);
    assert_eq!(names(dir.path()), ["a.gz"]);
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let (bytes, dir) = (noise(1000), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("a.gz.part"), &bytes[..600]).unwrap();
    let server = Server::new(Manner::NoRanges, &[("a.gz", &bytes)]);
    fetch_quietly(&single(&bytes), &server, dir.path()).unwrap();
    assert_eq!(server.ranges(), ["bytes=600-"]);
    assert_eq!(fs::read(dir.path().join("a.gz")).unwrap(), bytes);
}

/// Stopped between the last byte and the new name; or the beginning is of something longer.
#[test]
fn a_part_with_nothing_to_follow_is_fetched_again() {
    let bytes = noise(1000);
    for part in [bytes.clone(), noise(2000)] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.gz.part"), &part).unwrap();
        let server = Server::new(Manner::Proper, &[("a.gz", &bytes)]);
        fetch_quietly(&single(&bytes), &server, dir.path()).unwrap();
        assert_eq!(server.ranges(), [format!("bytes={}-", part.len()), String::new()]);
        assert_eq!(fs::read(dir.path().join("a.gz")).unwrap(), bytes);
    }
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let (bytes, dir) = (noise(1000), tempfile::tempdir().unwrap());
    let mut wrong = bytes.clone();
    wrong[999] ^= 1;
    let server = Server::new(Manner::Proper, &[("a.gz", &wrong)]);
    let message = fetch_quietly(&single(&bytes), &server, dir.path())
        .unwrap_err()
        .to_string();
    let (found, expected) = (md5(&wrong), md5(&bytes));
    let sums = format!("what came has the MD5 sum {found}; expected {expected}");
    assert_eq!(message, format!("{}a.gz: {sums}", server.address));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_address_without_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = single(&[1]);
    let server = Server::new(Manner::Proper, &[]);
    let message = fetch_quietly(&dataset, &server, dir.path()).unwrap_err().to_string();
    assert_eq!(
        message,
        format!("{}a.gz: the server answers 404 Not Found", server.address)
    );
    // A port that was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fetch_into(&dataset, &format!("http://{closed}"), dir.path(), &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("http://{closed}/a.gz: ")),
        "{error}"
    );
    let error = fetch_into(&dataset, "not an address", dir.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Address { .. }), "{error}");
}

#[test]
fn another_file_of_that_name_is_left_alone() {
    let bytes = noise(1000);
    let (dataset, server) = (single(&bytes), Server::new(Manner::Proper, &[("a.gz", &bytes)]));
    // An unpacked one is what readers take; its packed form alone has a checksum.
    for mine in ["a.gz", "a"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(mine), "mine").unwrap();
        assert_eq!(states(&dataset, dir.path()), [FileState::Other]);
        let message = fetch_quietly(&dataset, &server, dir.path()).unwrap_err().to_string();
        assert!(
            message.starts_with(&dir.path().join(mine).display().to_string()),
            "{message}"
        );
        assert_eq!(fs::read(dir.path().join(mine)).unwrap(), b"mine");
    }
    assert!(server.ranges().is_empty());
}

#[test]
fn an_archive_is_unpacked_and_goes() {
    let (dataset, archive) = packed();
    let server = Server::new(Manner::Proper, &[("packed.tar.gz", &archive)]);
    let dir = tempfile::tempdir().unwrap();
    fetch_quietly(&dataset, &server, dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["one.bin", "two.bin"]);
    assert_eq!(states(&dataset, dir.path()), [FileState::Verified; 2]);
    // What a hand has unpacked is used, too.
    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join("folder")).unwrap();
    for name in names(dir.path()) {
        fs::rename(dir.path().join(&name), other.path().join("folder").join(&name)).unwrap();
    }
    fetch_quietly(&dataset, &server, other.path()).unwrap();
    assert_eq!(states(&dataset, other.path()), [FileState::Verified; 2]);
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn an_archive_that_is_here_is_not_fetched() {
    let (dataset, archive) = packed();
    let server = Server::new(Manner::Proper, &[]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("packed.tar.gz"), &archive).unwrap();
    fetch_quietly(&dataset, &server, dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["one.bin", "two.bin"]);
    assert!(server.ranges().is_empty());
}

#[test]
fn an_archive_without_the_files_is_named() {
    let (dataset, archive) = packed();
    let absent = File {
        name: "three.bin",
        ..dataset.files[0]
    };
    let changed = File {
        md5: "0",
        ..dataset.files[0]
    };
    for (file, reason) in [
        (absent, "there is no three.bin in it"),
        (changed, "one.bin in it is not the published file"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packed.tar.gz");
        fs::write(&path, &archive).unwrap();
        let files = vec![dataset.files[1], file].leak();
        let error = fetch_quietly(
            &Published { files, ..dataset },
            &Server::new(Manner::Proper, &[]),
            dir.path(),
        );
        assert_eq!(error.unwrap_err().to_string(), format!("{}: {reason}", path.display()));
    }
}

/// What can be fetched is what is known, with names that the readers look for.
#[test]
fn the_published_datasets_are_the_known_ones() {
    let known: Vec<_> = crate::list().into_iter().map(|i| i.name).collect();
    for dataset in DATASETS {
        assert!(known.iter().any(|name| name == dataset.name), "{}", dataset.name);
        let dir = tempfile::tempdir().unwrap();
        for file in dataset.files {
            fs::write(dir.path().join(file.name), []).unwrap();
        }
        let read = crate::load(&format!("{}:train", dir.path().display()));
        // Empty files of the right names: recognised, and damaged.
        assert!(
            matches!(read, Err(crate::DataError::Malformed { .. })),
            "{}: {read:?}",
            dataset.name
        );
        let sums = dataset
            .files
            .iter()
            .chain(dataset.archive.as_ref().map(|a| &a.file))
            .map(|f| f.md5);
        assert!(sums.into_iter().all(|sum| sum.len() == 32), "{}", dataset.name);
    }
    let unknown = verify("imagenet").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no dataset `imagenet` to fetch; there are cifar-10, cifar-100, fashion-mnist, mnist"
    );
}
