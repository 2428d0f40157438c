//! What people forget, found by reading the sources as text.
//!
//! Rules: a module opens by explaining itself; only `env` touches the outside world; no `unwrap` outside tests; tests do
//! not sleep; every crate is on the map and every dependency in its list; a row of `docs/compat.md` that works names a
//! test that exists; a fuzz target is built, described and has seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::shape;

/// Files longer than this are told about.
const LINES_MAX: usize = 1_000;

/// What only `env` may touch, and programs where they begin and end.
const OUTSIDE: &[&str] = &[
    "std::fs::",
    "use std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "SystemTime::now",
    "Instant::now()",
    "std::thread::",
    "use std::thread",
    "thread::spawn",
    "tokio::net::",
    "tokio::fs::",
    "tokio::spawn",
    "tokio::task::spawn",
    "rand::random",
    "thread_rng",
    "getrandom::",
];

/// Places whose code may: the door itself, the programs' own ends, development tools, and the file that hands Raft its
/// seeded dice under the name that Raft wants.
const DOORS: &[&str] = &["crates/env/", "bins/", "xtask/", "tests/", "fuzz/", "crates/meta-node/src/raft/runtime.rs"];

/// This file spells out what it looks for.
const THIS_FILE: &str = "xtask/src/tidy.rs";

pub(crate) fn check() -> anyhow::Result<()> {
    let root = crate::root();
    let mut broken = Vec::new();
    let files = sources(&root)?;
    for file in &files {
        let text = fs::read_to_string(root.join(file)).with_context(|| format!("read {}", file.display()))?;
        broken.extend(read_source(&file.to_string_lossy(), &text));
    }
    broken.extend(map(&root)?);
    broken.extend(dependencies(&root)?);
    broken.extend(compat(&root, &files)?);
    broken.extend(fuzz_targets(&root)?);
    for line in &broken {
        crate::say(&format!("{line}\n"));
    }
    if !broken.is_empty() {
        bail!("{} things to tidy up", broken.len());
    }
    crate::say(&format!("tidy: {} files\n", files.len()));
    Ok(())
}

/// Every Rust file of ours, relative to the root.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = ["crates", "bins", "xtask", "tests", "fuzz"].iter().map(PathBuf::from).collect();
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                if !path.ends_with("target") {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with one file.
fn read_source(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if path == THIS_FILE {
        return broken;
    }
    let in_tests = path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/benches/");
    let explained = text.starts_with("//!") || text.starts_with("#!") || path.ends_with("tests.rs");
    if !explained {
        broken.push(format!("{path}:1: a module opens by explaining itself (//!)"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !in_tests {
        broken.push(format!("{path}: {lines} lines; is there a seam waiting for a name?"));
    }
    let door = DOORS.iter().any(|door| path.starts_with(door));
    let mut test_code = in_tests;
    for (index, line) in text.lines().enumerate() {
        let at = |what: &str| format!("{path}:{}: {what}", index + 1);
        let code = line.split("//").next().unwrap_or_default();
        test_code |= code.trim_start().starts_with("#[cfg(test)]");
        if !door && !test_code && OUTSIDE.iter().any(|touch| code.contains(touch)) {
            broken.push(at("only `env` touches the outside world"));
        }
        if !test_code && (code.contains(".unwrap()") || code.contains("todo!(") || code.contains("unimplemented!(")) {
            broken.push(at("say why it cannot happen (expect), or handle it"));
        }
        if test_code && !path.starts_with("xtask/") && code.contains("thread::sleep") {
            broken.push(at("tests do not sleep: wait for a condition or move the clock"));
        }
        if code.contains("#[ignore") {
            broken.push(at("assert today's wrong behaviour and say so"));
        }
    }
    broken
}

/// Crates that the map lacks.
fn map(root: &Path) -> anyhow::Result<Vec<String>> {
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).context("read ARCHITECTURE.md")?;
    let crates = shape::crates()?.into_iter().filter(|known| known.folder.starts_with("crates/"));
    let missing = crates.filter(|known| !map.contains(&format!("`{}`", known.name)));
    Ok(missing.map(|known| format!("ARCHITECTURE.md: `{}` is not on the map", known.name)).collect())
}

/// Dependencies without a line that says what they are for.
fn dependencies(root: &Path) -> anyhow::Result<Vec<String>> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("read Cargo.toml")?;
    let list = fs::read_to_string(root.join("docs/dependencies.md")).context("read docs/dependencies.md")?;
    Ok(undocumented(&manifest, &list))
}

fn undocumented(manifest: &str, list: &str) -> Vec<String> {
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let entries = section.lines().filter(|line| !line.starts_with('#') && !line.contains("path ="));
    let names = entries.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim());
    let missing = names.filter(|name| !list.contains(&format!("`{name}`")));
    missing.map(|name| format!("docs/dependencies.md: `{name}` is not in the list")).collect()
}

/// Rows of the compatibility list that work without a test, or have another status than the three.
fn compat(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let list = fs::read_to_string(root.join("docs/compat.md")).context("read docs/compat.md")?;
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(root.join(file))?;
        names.extend(test_names(&text));
    }
    let exists = |path: &str| root.join(path).exists();
    Ok(broken_rows(&list, &names, &exists))
}

/// Names of functions in a file; a row may name any that is a test.
fn test_names(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.split("fn ").nth(1));
    names.filter_map(|rest| rest.split('(').next()).map(|name| name.trim().to_owned()).collect()
}

fn broken_rows(list: &str, names: &BTreeSet<String>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (index, line) in list.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let is_row = line.starts_with("| ") && cells.len() == 3 && cells[1] != "status" && !line.starts_with("| ---");
        if !is_row {
            continue;
        }
        let at = |what: String| format!("docs/compat.md:{}: {what}", index + 1);
        match cells[1] {
            "works" => {
                let tests: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
                if tests.is_empty() {
                    broken.push(at(format!("{} works but names no test", cells[0])));
                }
                for test in tests {
                    let name = test.rsplit("::").next().unwrap_or(test);
                    let known = names.contains(name) || (test.contains('/') && exists(test));
                    if !known {
                        broken.push(at(format!("there is no test {test}")));
                    }
                }
            }
            "differs" | "not yet" if cells[2].is_empty() => broken.push(at(format!("{}: why?", cells[0]))),
            "differs" | "not yet" => {}
            other => broken.push(at(format!("status {other:?} is none of works, differs, not yet"))),
        }
    }
    broken
}

/// Fuzz targets that cargo-fuzz does not know, that `docs/testing.md` does not describe, or that have no seeds.
fn fuzz_targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).context("read fuzz/Cargo.toml")?;
    let testing = fs::read_to_string(root.join("docs/testing.md")).context("read docs/testing.md")?;
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/targets")).context("read fuzz/targets")? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    let has_seeds = |name: &str| root.join("fuzz/corpus").join(name).is_dir();
    Ok(names.iter().flat_map(|name| broken_target(name, &manifest, &testing, has_seeds(name))).collect())
}

fn broken_target(name: &str, manifest: &str, testing: &str, has_seeds: bool) -> Vec<String> {
    let mut broken = Vec::new();
    if !manifest.contains(&format!("path = \"targets/{name}.rs\"")) {
        broken.push(format!("fuzz/Cargo.toml: target {name} is not in it"));
    }
    if !testing.contains(&format!("\n| `{name}` | ")) {
        broken.push(format!("docs/testing.md: fuzz target {name} is not in the table"));
    }
    if !has_seeds {
        broken.push(format!("fuzz/corpus/{name}: no seeds"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_targets_are_listed_described_and_seeded() {
        let (manifest, testing) = ("path = \"targets/block.rs\"\n", "| target |\n| `block` | `f` |\n");
        assert_eq!(broken_target("block", manifest, testing, true), Vec::<String>::new());
        assert_eq!(
            broken_target("blocks", manifest, testing, false),
            [
                "fuzz/Cargo.toml: target blocks is not in it",
                "docs/testing.md: fuzz target blocks is not in the table",
                "fuzz/corpus/blocks: no seeds",
            ]
        );
    }

    #[test]
    fn sources_are_read() {
        let text = "use std::fs;\nfn f() { x.unwrap(); }\n#[cfg(test)]\nmod tests { fn g() { y.unwrap(); thread::sleep(z); } }\n";
        let broken = read_source("crates/storage/src/a.rs", text);
        assert_eq!(broken.len(), 4, "{broken:?}");
        assert!(broken[0].contains("explaining itself") && broken[3].contains(":4: tests do not sleep"));
        assert_eq!(read_source("crates/env/src/a.rs", "//! The door.\nuse std::fs;\n"), Vec::<String>::new());
    }

    #[test]
    fn comments_do_not_count() {
        assert_eq!(read_source("crates/a/src/a.rs", "//! Not `std::fs::` but env.\n"), Vec::<String>::new());
    }

    #[test]
    fn dependencies_need_a_line() {
        let manifest = "[workspace.dependencies]\nmodel = { path = \"x\" }\nbytes = \"1\"\nregex = \"1\"\n\n[profile.dev]\nx = 1\n";
        assert_eq!(
            undocumented(manifest, "| `bytes` | shared buffers |"),
            ["docs/dependencies.md: `regex` is not in the list"]
        );
    }

    #[test]
    fn rows_that_work_name_a_test_that_exists() {
        let names = BTreeSet::from(["a_test".to_owned()]);
        let list = "| what | status | test or reason |\n| --- | --- | --- |\n| A | works | `x::a_test` |\n\
                    | B | works | `gone` |\n| C | works | nothing |\n| D | perhaps | x |\n| E | not yet | later |\n\
                    | F | works | `tests/cases/f.txt` |\n";
        let broken = broken_rows(list, &names, &|path| path == "tests/cases/f.txt");
        assert_eq!(
            broken,
            [
                "docs/compat.md:4: there is no test gone",
                "docs/compat.md:5: C works but names no test",
                "docs/compat.md:6: status \"perhaps\" is none of works, differs, not yet",
            ]
        );
    }
}
