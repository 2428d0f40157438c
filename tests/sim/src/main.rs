//! Runs seeds: one in this process, or many in processes of their own.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, ExitCode, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use sim::plan::{Plan, Plant};
use telemetry::log::Format;

/// Simulates a cluster under faults.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Run these seeds, as in 0..60.
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// Seeds at once.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Put a bug in that the checker has to find.
    #[arg(long, value_enum, default_value_t)]
    plant: Plant,
    /// Show what the nodes log from this level on.
    #[arg(long)]
    log: Option<String>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts.ok_or_else(|| "not a range such as 0..60".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.seed, &arguments.seeds) {
        (Some(seed), _) => one(seed, &arguments),
        (None, Some(seeds)) => many(seeds.clone(), &arguments),
        (None, None) => ExitCode::FAILURE,
    }
}

fn say(text: &str) {
    // Nobody listening is fine.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    if let Some(level) = &arguments.log {
        let now = Box::new(sim::run::simulated_now);
        telemetry::log::init(level, Format::Logfmt, now, Box::new(std::io::stderr()));
    }
    let plan = Plan::new(seed, arguments.plant);
    say(&format!("seed {seed}: {plan}\n"));
    match sim::run::run(&plan) {
        Ok(summary) => {
            say(&format!(
                "seed {seed}: passed, {} points sent, {} acknowledged, {} crashes, converged after {} ms, {} simulated ms, trace {:016x}\n",
                summary.sent,
                summary.acked,
                summary.crashes,
                summary.converged.as_millis(),
                summary.elapsed.as_millis(),
                summary.trace,
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("seed {seed}: failed: {error:#}\nto repeat: {}\n", plan.command()));
            ExitCode::FAILURE
        }
    }
}

fn many(seeds: Range<u64>, arguments: &Arguments) -> ExitCode {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let (passed, text) = match child(seed, arguments.plant) {
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

fn child(seed: u64, plant: Plant) -> std::io::Result<Output> {
    let program = std::env::current_exe()?;
    Command::new(program).args(["--seed", &seed.to_string(), "--plant", plant.name()]).output()
}
