//! Rules about packages: who may depend on whom, from where, and that each says what it is.

use super::Violation;
use anyhow::Context;
use cargo_metadata::{Package, TargetKind};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What each crate may use of the others, in any kind of dependency. Edges go one way; the hardware and the networks
/// do not know each other before farad-map joins them.
const MAY_USE: &[(&str, &[&str])] = &[
    ("farad-core", &[]),
    ("farad-data", &[]),
    ("farad-hw", &["farad-core"]),
    ("farad-net", &["farad-core"]),
    ("farad-kernels", &["farad-core"]),
    ("farad-map", &["farad-core", "farad-hw", "farad-net"]),
    (
        "farad-sim",
        &["farad-core", "farad-hw", "farad-net", "farad-kernels", "farad-map"],
    ),
    (
        "farad-report",
        &["farad-core", "farad-hw", "farad-net", "farad-map", "farad-sim"],
    ),
    (
        "farad-sweep",
        &[
            "farad-core",
            "farad-hw",
            "farad-net",
            "farad-map",
            "farad-sim",
            "farad-data",
            "farad-report",
        ],
    ),
    (
        "farad-train",
        &[
            "farad-core",
            "farad-hw",
            "farad-net",
            "farad-kernels",
            "farad-map",
            "farad-sim",
            "farad-data",
        ],
    ),
    (
        "farad",
        &[
            "farad-core",
            "farad-hw",
            "farad-net",
            "farad-map",
            "farad-sim",
            "farad-data",
            "farad-report",
            "farad-sweep",
            "farad-train",
        ],
    ),
    ("xtask", &[]),
];

/// The only crate behind which candle may be.
const TRAINER: &str = "farad-train";

/// The public registry, as Cargo.lock spells it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Edges between the packages of the workspace that [`MAY_USE`] does not have.
pub(super) fn edges(packages: &[Package]) -> Vec<Violation> {
    let members: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let uses = packages.iter().map(|package| {
        let used = package.dependencies.iter().map(|d| d.name.as_str());
        (
            package.name.as_str(),
            used.filter(|name| members.contains(name)).collect(),
        )
    });
    wrong_edges(uses)
}

fn wrong_edges<'a>(uses: impl Iterator<Item = (&'a str, BTreeSet<&'a str>)>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, used) in uses {
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            violations.push(Violation::new(
                name,
                "this crate has no line in MAY_USE of crates/xtask/src/tidy/crates.rs",
            ));
            continue;
        };
        for other in used.iter().filter(|other| !allowed.contains(other)) {
            let rule = format!("{name} may use only {allowed:?} of the workspace (MAY_USE)");
            violations.push(Violation::new(format!("{name} -> {other}"), rule));
        }
    }
    violations
}

/// The resolved packages of Cargo.lock.
#[derive(Debug, Deserialize)]
pub(super) struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Lock {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).context("Cargo.lock")
    }

    /// What each package uses, by name; packages of several versions are taken together.
    fn graph(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut graph = BTreeMap::<&str, BTreeSet<&str>>::new();
        for package in &self.package {
            // An entry is "name", "name version" or "name version (source)".
            let names = package.dependencies.iter().filter_map(|d| d.split(' ').next());
            graph.entry(&package.name).or_default().extend(names);
        }
        graph
    }

    /// A path from `from` to candle that does not lead through [`TRAINER`].
    fn path_to_candle<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> Option<Vec<&'a str>> {
        let mut came_from = BTreeMap::from([(from, from)]);
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if at.starts_with("candle") {
                let mut path = vec![at];
                while path.last() != Some(&from) {
                    path.push(came_from[path[path.len() - 1]]);
                }
                path.reverse();
                return Some(path);
            }
            for &next in graph.get(at).into_iter().flatten() {
                if next != TRAINER && !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    open.push(next);
                }
            }
        }
        None
    }
}

/// Packages of the workspace that reach candle by another way than through [`TRAINER`].
pub(super) fn candle(lock: &Lock) -> Vec<Violation> {
    let graph = lock.graph();
    let members = lock.package.iter().filter(|p| p.source.is_none() && p.name != TRAINER);
    let paths = members.filter_map(|p| Lock::path_to_candle(&graph, &p.name));
    paths
        .map(|path| Violation::new(path.join(" -> "), format!("candle is for {TRAINER} only")))
        .collect()
}

/// Locked packages that do not come from crates.io.
pub(super) fn sources(lock: &Lock) -> Vec<Violation> {
    let strangers = lock
        .package
        .iter()
        .filter(|p| p.source.as_deref().is_some_and(|source| source != REGISTRY));
    let say = |p: &Locked| {
        Violation::new(
            format!("Cargo.lock: {}", p.name),
            "every dependency comes from crates.io",
        )
    };
    strangers.map(say).collect()
}

/// Libraries and programs that do not begin with a description.
pub(super) fn docs(packages: &[Package]) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for target in packages.iter().flat_map(|p| &p.targets) {
        if target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Bin))
        {
            let text = std::fs::read_to_string(&target.src_path).context(target.src_path.clone())?;
            if !has_docs(&text) {
                violations.push(Violation::new(
                    target.src_path.as_str(),
                    "a crate begins with its documentation (`//!`)",
                ));
            }
        }
    }
    Ok(violations)
}

fn has_docs(text: &str) -> bool {
    text.lines()
        .next()
        .is_some_and(|line| line.strip_prefix("//! ").is_some_and(|words| !words.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(violations: &[Violation]) -> Vec<&str> {
        violations.iter().map(|v| v.place.as_str()).collect()
    }

    #[test]
    fn an_edge_that_goes_up_or_across_is_named() {
        let uses = [
            ("farad-map", BTreeSet::from(["farad-hw", "farad-net"])),
            ("farad-hw", BTreeSet::from(["farad-core", "farad-net"])),
            ("farad-sim", BTreeSet::from(["farad-report"])),
            ("farad-new", BTreeSet::new()),
        ];
        let found = wrong_edges(uses.into_iter());
        assert_eq!(
            places(&found),
            ["farad-hw -> farad-net", "farad-sim -> farad-report", "farad-new"]
        );
    }

    #[test]
    fn allowed_edges_have_no_cycle() {
        // In the order of the table, a crate uses only crates above it.
        for (i, (name, allowed)) in MAY_USE.iter().enumerate() {
            let above: Vec<&str> = MAY_USE[..i].iter().map(|(name, _)| *name).collect();
            assert!(allowed.iter().all(|other| above.contains(other)), "{name}");
        }
    }

    #[test]
    fn candle_is_reached_through_the_trainer_only() {
        let text = |sim: &str| {
            format!(
                "[[package]]\nname = 'candle-core'\nsource = 'x'\n\
                 [[package]]\nname = 'helper'\nsource = 'x'\ndependencies = ['candle-core 0.9.1']\n\
                 [[package]]\nname = 'farad-train'\ndependencies = ['helper', 'candle-core']\n\
                 [[package]]\nname = 'farad-sim'\ndependencies = [{sim}]\n\
                 [[package]]\nname = 'farad'\ndependencies = ['farad-train', 'farad-sim']\n"
            )
        };
        assert_eq!(candle(&Lock::parse(&text("")).unwrap()), []);
        let found = candle(&Lock::parse(&text("'helper'")).unwrap());
        let paths = [
            "farad-sim -> helper -> candle-core",
            "farad -> farad-sim -> helper -> candle-core",
        ];
        assert_eq!(places(&found), paths);
    }

    #[test]
    fn other_sources_than_crates_io_are_named() {
        let text = format!(
            "[[package]]\nname = 'own'\n[[package]]\nname = 'good'\nsource = '{REGISTRY}'\n\
             [[package]]\nname = 'fork'\nsource = 'git+https://example.org/fork'\n"
        );
        assert_eq!(places(&sources(&Lock::parse(&text).unwrap())), ["Cargo.lock: fork"]);
    }

    #[test]
    fn documentation_is_words_on_the_first_line() {
        assert!(has_docs("//! What it is.\nmod a;\n"));
        assert!(!has_docs("mod a;\n//! Late.\n"));
        assert!(!has_docs("//!  \nmod a;\n"));
    }
}
