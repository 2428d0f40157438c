//! Runs many seeds, each in a process of its own: the program that is running, started again.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, ExitCode, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Reads seeds as in `0..60`.
///
/// # Errors
/// When it is no range.
pub fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts.ok_or_else(|| "not a range such as 0..60".to_owned())
}

/// Writes text to standard output.
pub fn say(text: &str) {
    // Nobody listening is fine.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Runs `seeds`, `jobs` at a time, with the bug of this name put in. Fails when one does.
pub fn run(seeds: Range<u64>, jobs: usize, plant: &str) -> ExitCode {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let (passed, text) = match child(seed, plant) {
                        Ok(output) => (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()),
                        Err(error) => (false, format!("seed {seed}: cannot be run: {error}\n")),
                    };
                    say(&text);
                    if !passed {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable();
    let count = seeds.end.saturating_sub(seeds.start);
    if !failed.is_empty() {
        say(&format!("failed seeds: {failed:?}\n"));
    }
    say(&format!("{} passed, {} failed\n", count - failed.len() as u64, failed.len()));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn child(seed: u64, plant: &str) -> std::io::Result<Output> {
    let program = std::env::current_exe()?;
    Command::new(program).args(["--seed", &seed.to_string(), "--plant", plant]).output()
}
