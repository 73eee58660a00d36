//! `farad data`: where datasets are kept, and what is said of them. How they are fetched is tested in farad-data.

use crate::harness::{Bench, text};
use std::io::{Read, Write};
use std::net::TcpListener;

#[test]
fn names_that_nobody_publishes_are_refused() {
    let bench = Bench::new();
    for command in ["fetch", "verify"] {
        bench.refuses_in_one_line(&["data", command, "imagenet"], "there are cifar-10, cifar-100, ");
    }
}

#[test]
fn what_is_not_here_is_said_file_by_file() {
    let bench = Bench::new();
    bench.write("data/mnist/t10k-labels-idx1-ubyte.gz", "not it");
    let mut command = bench.command(&["data", "verify", "mnist"]);
    let output = command.env("FARAD_DATA", bench.path("data")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let table = text(&output.stdout);
    let rows: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert_eq!(rows.iter().filter(|r| r.ends_with("not here")).count(), 3, "{table}");
    assert!(
        rows[3].contains("mnist/t10k-labels") && rows[3].ends_with("another file"),
        "{table}"
    );
}

/// An address that gives something else: one line, exit code 1, and no file.
#[test]
fn a_mirror_with_other_files_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone")
            .unwrap();
        text(&request[..read])
    });
    let bench = Bench::new();
    let output = bench.run(&["data", "fetch", "mnist", "--from", &mirror]);
    let request = server.join().unwrap();
    assert!(
        request.starts_with("GET /train-images-idx3-ubyte.gz HTTP/1.1\r\n"),
        "{request}"
    );
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(
        error.contains(&format!(
            "{mirror}/train-images-idx3-ubyte.gz: what came has the MD5 sum"
        )),
        "{error}"
    );
    assert!(
        output.stdout.is_empty() && bench.files().is_empty(),
        "{:?}",
        bench.files()
    );
}
