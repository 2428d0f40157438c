//! Runs seeds of the simulation of meta nodes: one in this process, or many in processes of their own.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use sim::churn::{self, Bug};
use telemetry::log::Format;

/// Simulates meta nodes whose members come and go under faults.
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
    /// Put a bug in that has to be found.
    #[arg(long, value_enum, default_value_t)]
    plant: Bug,
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
    match (arguments.seed, arguments.seeds.clone()) {
        (Some(seed), _) => one(seed, &arguments),
        (None, Some(seeds)) => many(seeds, &arguments),
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
    match churn::run(seed, arguments.plant) {
        Ok(done) => {
            say(&format!(
                "seed {seed}: passed, {} acknowledged, {} reads, {} elections, {} entries, {} simulated s; {}\n",
                done.acked,
                done.reads,
                done.elections,
                done.committed,
                done.elapsed.as_secs(),
                done.events,
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let plant = if arguments.plant == Bug::None {
                String::new()
            } else {
                format!(" --plant {}", arguments.plant.name())
            };
            say(&format!(
                "seed {seed}: failed: {error:#}\nto repeat: cargo run -p sim --bin churn -- --seed {seed}{plant}\n"
            ));
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
                    let output = std::env::current_exe().and_then(|program| {
                        let seed = seed.to_string();
                        Command::new(program).args(["--seed", &seed, "--plant", arguments.plant.name()]).output()
                    });
                    let (passed, text) = match output {
                        Ok(output) => (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()),
                        Err(error) => (false, format!("seed {seed}: cannot be run: {error}\n")),
                    };
                    say(&text);
                    if !passed {
                        failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(seed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.sort_unstable();
    let count = seeds.end.saturating_sub(seeds.start);
    if !failed.is_empty() {
        say(&format!("failed seeds: {failed:?}\n"));
    }
    say(&format!("{} passed, {} failed\n", count - failed.len() as u64, failed.len()));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
