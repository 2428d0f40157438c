//! Running other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a command in the project's root to its end and shows what it prints.
///
/// # Errors
/// When it cannot be started or ends with another code than 0.
pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(crate::root())
        .status()
        .with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// What a command prints to standard output.
///
/// # Errors
/// As [`run`].
pub(crate) fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let shown = format!("{program} {}", arguments.join(" "));
    let done = Command::new(program)
        .args(arguments)
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{shown}`"))?;
    if !done.status.success() {
        bail!("`{shown}` failed: {}", done.status);
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{shown}` printed something else than text"))
}

/// Cargo, as the one that started this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The folder that holds built programs of a profile (`debug`, `release`).
pub(crate) fn target_dir(profile: &str) -> std::path::PathBuf {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), Into::into);
    crate::root().join(dir).join(profile)
}
