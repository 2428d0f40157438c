//! Runs seeds: one in this process, or many in processes of their own.

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use sim::many::{self, say};
use sim::plan::{Plan, Plant};
use telemetry::log::Format;

/// Simulates a cluster under faults.
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
    /// Put a bug in that the checker has to find.
    #[arg(long, value_enum, default_value_t)]
    plant: Plant,
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
