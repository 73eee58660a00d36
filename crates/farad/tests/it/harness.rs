//! Runs the program away from the user's own data, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A working directory that is removed afterwards.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with its directories, and returns its name.
    pub(crate) fn write<'a>(&self, name: &'a str, bytes: impl AsRef<[u8]>) -> &'a str {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        name
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farad"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("FARAD_DATA")
            .env_remove("RUST_BACKTRACE")
            .env("XDG_CACHE_HOME", self.path("no-cache"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a run that must succeed.
    pub(crate) fn stdout(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Every file below the working directory.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.dir.path(), &mut files);
        files.sort();
        files
    }

    /// Asserts that the program refuses `args` as a clear program does: exit code 2, nothing on standard output, an
    /// error that contains `expected`, no panic, and not one file more than before. Returns the error's text.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], expected: &str) -> String {
        let before = self.files();
        let output = self.run(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert!(error.starts_with("error"), "{args:?}: {error}");
        for absent in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!error.contains(absent), "{args:?}: {error}");
        }
        assert_eq!(self.files(), before, "{args:?}");
        error
    }

    /// Runs `args` where nothing can be written in the directory `within`, with no more rights than a user has.
    #[cfg(unix)]
    pub(crate) fn run_read_only(&self, args: &[&str], within: &str) -> Output {
        let folder = self.path(within);
        let mut command = self.unprivileged(args);
        set_mode(&folder, 0o555);
        let output = command.output().unwrap();
        set_mode(&folder, 0o755);
        output
    }

    /// The program as a user that permissions hold for: not as root.
    #[cfg(unix)]
    fn unprivileged(&self, args: &[&str]) -> Command {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        let mut command = self.command(args);
        if fs::metadata(self.path(".")).unwrap().uid() == 0 {
            const NOBODY: u32 = 65534;
            // Root's own folders are closed to others, so that the program must come along.
            let program = self.path("farad");
            fs::copy(env!("CARGO_BIN_EXE_farad"), &program).unwrap();
            set_mode(&self.path(""), 0o755);
            command = Command::new(program);
            command
                .args(args)
                .current_dir(self.dir.path())
                .env_clear()
                .env("XDG_CACHE_HOME", self.path("no-cache"))
                .stdin(Stdio::null())
                .uid(NOBODY)
                .gid(NOBODY);
        }
        command
    }

    /// As [`refuses`](Self::refuses), with an error of exactly one line.
    #[track_caller]
    pub(crate) fn refuses_in_one_line(&self, args: &[&str], expected: &str) {
        let error = self.refuses(args, expected);
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Sets the permissions of a file or folder.
#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bundled network's file.
pub(crate) fn bundled_network() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/pretrained/fashion-mnist-cnn-int8.onnx");
    fs::read(path).unwrap()
}

/// An `.npy` file, version 1.0, of bytes in C order.
/// <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>
pub(crate) fn npy(shape: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
