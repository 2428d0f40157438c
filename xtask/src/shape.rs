//! The shape of the workspace: every crate has a layer and depends only on crates of smaller layers; crates marked as
//! pure depend on nothing that does I/O, and on other pure crates only.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process;

/// Crates of others that a pure crate must not depend on: they do I/O, run tasks, log, or draw random numbers.
const IMPURE: &[&str] = &[
    "axum",
    "hyper",
    "hyper-util",
    "mimalloc",
    "openraft",
    "rayon",
    "redb",
    "rustix",
    "rustyline",
    "tokio",
    "tonic",
    "tower",
    "tracing",
    "tracing-subscriber",
    "turmoil",
];

/// One of our crates.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: String,
    layer: i64,
    pure: bool,
    /// Names of what it needs to run, tests aside.
    needs: Vec<String>,
}

/// Our crates, as cargo tells them.
pub(crate) fn crates() -> anyhow::Result<Vec<Crate>> {
    let text = process::output(&process::cargo(), &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("read the output of cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> anyhow::Result<Crate> {
    let name = package["name"].as_str().unwrap_or_default().to_owned();
    let shape = &package["metadata"]["shape"];
    let layer = shape["layer"].as_i64().with_context(|| format!("{name}: no layer in [package.metadata.shape]"))?;
    let pure = shape["pure"].as_bool().with_context(|| format!("{name}: no `pure` in [package.metadata.shape]"))?;
    let needs = package["dependencies"].as_array().into_iter().flatten();
    let needs = needs.filter(|dependency| dependency["kind"].is_null());
    let needs = needs.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect();
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let folder = manifest.strip_prefix(&format!("{}/", crate::root().display())).unwrap_or(manifest);
    let folder = folder.trim_end_matches("/Cargo.toml").to_owned();
    Ok(Crate { name, folder, layer, pure, needs })
}

pub(crate) fn check() -> anyhow::Result<()> {
    let crates = crates()?;
    let broken = violations(&crates);
    for line in &broken {
        crate::say(&format!("{line}\n"));
    }
    if !broken.is_empty() {
        bail!("{} edges between crates are not allowed", broken.len());
    }
    crate::say(&format!("layers: {} crates, every edge leads down\n", crates.len()));
    Ok(())
}

fn violations(crates: &[Crate]) -> Vec<String> {
    let known: BTreeMap<&str, &Crate> = crates.iter().map(|known| (known.name.as_str(), known)).collect();
    let mut broken = Vec::new();
    for from in crates {
        for need in &from.needs {
            match known.get(need.as_str()) {
                Some(to) if to.layer >= from.layer => broken
                    .push(format!("{} (layer {}) depends on {} (layer {})", from.name, from.layer, to.name, to.layer)),
                Some(to) if from.pure && !to.pure => {
                    broken.push(format!("{} is pure and depends on {}, which is not", from.name, to.name));
                }
                None if from.pure && IMPURE.contains(&need.as_str()) => {
                    broken.push(format!("{} is pure and depends on {need}", from.name));
                }
                _ => {}
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, layer: i64, pure: bool, needs: &[&str]) -> Crate {
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        Crate { name: name.to_owned(), folder: String::new(), layer, pure, needs }
    }

    #[test]
    fn an_edge_that_climbs_is_found() {
        let crates = [named("low", 1, true, &["high"]), named("high", 2, true, &["low"])];
        assert_eq!(violations(&crates), ["low (layer 1) depends on high (layer 2)"]);
    }

    #[test]
    fn a_pure_crate_stays_pure() {
        let crates = [named("env", 1, false, &["tokio"]), named("plan", 2, true, &["env", "tokio", "regex"])];
        assert_eq!(
            violations(&crates),
            ["plan is pure and depends on env, which is not", "plan is pure and depends on tokio"]
        );
    }
}
