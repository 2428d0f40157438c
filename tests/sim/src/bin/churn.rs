//! Runs seeds of the simulation of meta nodes: one in this process, or many in processes of their own.

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use sim::churn::{self, Bug};
use sim::many::{self, say};
use telemetry::log::Format;

/// Simulates meta nodes whose members come and go under faults.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Run these seeds, as in 0..60.
    #[arg(long, value_parser = many::range)]
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.seed, &arguments.seeds) {
        (Some(seed), _) => one(seed, &arguments),
        (None, Some(seeds)) => many::run(seeds.clone(), arguments.jobs, arguments.plant.name()),
        (None, None) => ExitCode::FAILURE,
    }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    if let Some(level) = &arguments.log {
        let now = Box::new(sim::run::simulated_now);
        telemetry::log::init(level, Format::Logfmt, now, Box::new(std::io::stderr()));
    }
    match churn::run(seed, arguments.plant) {
        Ok(done) => {
            say(&format!(
                "seed {seed}: passed, {} acknowledged, {} reads, {} leases, {} versions seen, {} elections, {} entries, {} simulated s, trace \
                 {:016x}; {}\n",
                done.acked,
                done.reads,
                done.leases,
                done.versions,
                done.elections,
                done.committed,
                done.elapsed.as_secs(),
                done.trace,
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
