//! `cargo xtask bench`: ingest and dashboard queries, this server and the reference side by side.

use anyhow::bail;

pub(crate) fn run(_quick: bool) -> anyhow::Result<()> {
    bail!("the benchmark is not there yet")
}
