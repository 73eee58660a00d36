//! Rules about the text of tracked files.

use super::Violation;
use super::rust_text;
use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;

/// Lines of a source file; one that grows past them has become two ideas.
const MAX_LINES: usize = 600;

/// Names of source files end so.
const SOURCES: &[&str] = &[".rs", ".py", ".sh"];

/// Where `unsafe` code is.
const UNSAFE_HOME: &str = "crates/farad-kernels/";

/// What no file may hold, because a clone elsewhere does not have it: paths of one machine, folders beside the checkout,
/// settings that name another package registry. (In pieces, or this file would break its own rule.)
const ELSEWHERE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("../sha", "red"),
    concat!("index-", "url"),
    concat!("replace-", "with"),
];

/// Files that git tracks or would track, relative to `root`.
pub(super) fn tracked(root: &Path) -> anyhow::Result<Vec<String>> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    ensure!(
        git.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&git.stderr)
    );
    let names = String::from_utf8(git.stdout).context("a file name is not UTF-8")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// Rules that `text`, the file at `path`, breaks.
pub(super) fn violations(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if SOURCES.iter().any(|end| path.ends_with(end)) {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            found.push(Violation::new(
                path,
                format!("{lines} lines; a source file has at most {MAX_LINES}"),
            ));
        }
    }
    if path.ends_with(".rs") && !path.starts_with(UNSAFE_HOME) {
        // The word of a block or function, and the lint that an `allow` would name.
        for word in ["unsafe", "unsafe_code"] {
            for line in rust_text::lines_with_word(text, word) {
                let what = format!("`{word}`; only {UNSAFE_HOME} has unsafe code");
                found.push(Violation::new(format!("{path}:{line}"), what));
            }
        }
    }
    for (i, line) in text.lines().enumerate() {
        for text in ELSEWHERE.iter().filter(|text| line.contains(**text)) {
            let what = format!("`{text}`; a file names only what every clone has");
            found.push(Violation::new(format!("{path}:{}", i + 1), what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        violations(path, text).into_iter().map(|v| v.place).collect()
    }

    #[test]
    fn a_long_source_file_is_named() {
        assert_eq!(places("a/b.rs", &"x\n".repeat(600)), [""; 0]);
        assert_eq!(places("a/b.rs", &"x\n".repeat(601)), ["a/b.rs"]);
        assert_eq!(places("data.txt", &"x\n".repeat(601)), [""; 0]);
    }

    #[test]
    fn unsafe_code_is_named_outside_its_home() {
        let text = "fn f() {\n    unsafe { g() }\n}\n#![allow(unsafe_code)]\n";
        assert_eq!(
            places("crates/farad-sim/src/fast.rs", text),
            ["crates/farad-sim/src/fast.rs:2", "crates/farad-sim/src/fast.rs:4"]
        );
        assert_eq!(places("crates/farad-kernels/src/adc.rs", text), [""; 0]);
    }

    #[test]
    fn paths_of_one_machine_are_named() {
        for text in ELSEWHERE {
            assert_eq!(places("README.md", &format!("see\nthe {text}x\n")), ["README.md:2"]);
        }
    }
}
