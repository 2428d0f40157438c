//! What must pass before a change lands, and the tests among it.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::{self, cargo, run};

/// Licences that the programs may be distributed with.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Seeds of the simulation that every change is run with, beside those of its tests: about a minute of two cores.
const SEEDS: &str = "1000..1040";

/// One named step.
type Step<'a> = (&'a str, &'a dyn Fn() -> anyhow::Result<()>);

/// `cargo xtask ci`.
pub(crate) fn run_steps() -> anyhow::Result<()> {
    let format = || run(&cargo(), &["fmt", "--all", "--check"]);
    let clippy = || run(&cargo(), &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let sim = || run(&cargo(), &["run", "--quiet", "--package", "sim", "--", "--seeds", SEEDS, "--jobs", "2"]);
    let steps: [Step<'_>; 7] = [
        ("format", &format),
        ("layers", &crate::shape::check),
        ("tidy", &crate::tidy::check),
        ("licences", &licences),
        ("clippy", &clippy),
        ("tests", &|| test(false)),
        ("simulation", &sim),
    ];
    for (name, step) in steps {
        crate::say(&format!("\n== {name}\n"));
        step().with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// All tests. With `hosts` those that need root and network namespaces instead.
pub(crate) fn test(hosts: bool) -> anyhow::Result<()> {
    if hosts {
        run(&cargo(), &["build", "--quiet", "--package", "influxd"])?;
        let programs = process::target_dir("debug").display().to_string();
        return run("python3", &["tests/hosts/run.py", "--bin", &programs]);
    }
    run(&cargo(), &["test", "--workspace", "--quiet"])
}

pub(crate) fn fix() -> anyhow::Result<()> {
    run(&cargo(), &["fmt", "--all"])?;
    run(&cargo(), &["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"])
}

/// Every crate in the tree has a licence that we may ship.
fn licences() -> anyhow::Result<()> {
    let text = process::output(&cargo(), &["metadata", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&text).context("read the output of cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut refused = BTreeSet::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if !may_ship(licence) {
            refused.insert(format!("{}: {licence}", package["name"].as_str().unwrap_or("?")));
        }
    }
    if !refused.is_empty() {
        bail!("licences that are not on the list: {refused:?}");
    }
    crate::say(&format!("licences: {} crates\n", packages.len()));
    Ok(())
}

/// Whether one of the alternatives of a licence expression consists of licences on the list.
fn may_ship(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let listed = |licence: &str| LICENCES.contains(&licence.trim());
    plain.split(" OR ").any(|alternative| alternative.split(" AND ").all(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_alternative_is_enough() {
        assert!(may_ship("MIT OR Apache-2.0") && may_ship("MIT/Apache-2.0") && may_ship("GPL-3.0 OR MIT"));
        assert!(may_ship("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!may_ship("GPL-3.0") && !may_ship("MIT AND GPL-2.0") && !may_ship("none"));
    }
}
