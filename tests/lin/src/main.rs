//! `lin`: runs clusters under faults and looks for an order in what clients saw. See `docs/testing.md`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lin::hosts;
use lin::run::{self, Plan};

const HELP: &str = "\
usage: lin run [--bin DIR] [--seconds N] [--seed N] [--runs N] [--dir DIR] [--plant stale-reads]
       lin check FILE
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody listening is fine.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn dispatch(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.first().map(String::as_str) {
        Some("run") => run_all(&Options::read(&arguments[1..])?),
        Some("inside") => run_one(&Options::read(&arguments[1..])?),
        Some("check") => {
            let file = arguments.get(1).context(HELP)?;
            let count = run::check_file(Path::new(file))?;
            say(&format!("linearizable: {count} operations\n"));
            Ok(())
        }
        _ => bail!("{HELP}"),
    }
}

struct Options {
    words: Vec<String>,
    bin: PathBuf,
    seconds: u64,
    seed: u64,
    runs: u64,
    dir: PathBuf,
    prefix: String,
    stale_reads: bool,
}

impl Options {
    fn read(words: &[String]) -> anyhow::Result<Options> {
        let value = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at + 1).cloned()
        };
        let number = |name: &str, default: u64| value(name).map_or(Ok(default), |text| text.parse().context(HELP));
        for pair in words.chunks(2) {
            let known = ["--bin", "--seconds", "--seed", "--runs", "--dir", "--plant", "--prefix"];
            ensure!(pair.len() == 2 && known.contains(&pair[0].as_str()), "{HELP}");
        }
        let plant = value("--plant");
        ensure!(plant.as_deref().is_none_or(|plant| plant == "stale-reads"), "{HELP}");
        let beside = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
        let dir = value("--dir").map_or_else(|| std::env::temp_dir().join("mainstem-lin"), PathBuf::from);
        Ok(Options {
            words: words.to_vec(),
            bin: value("--bin").map_or(beside, PathBuf::from),
            seconds: number("--seconds", 360)?,
            seed: number("--seed", 1)?,
            runs: number("--runs", 1)?,
            dir,
            prefix: value("--prefix").unwrap_or_else(|| format!("mm-{}", std::process::id() % 100_000)),
            stale_reads: plant.is_some(),
        })
    }
}

/// Runs one after the other, each by a process of its own among the hosts.
fn run_all(options: &Options) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        let (prefix, dir) = (&options.prefix, options.dir.join(format!("seed-{seed}")));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let ended = hosts::make_bridge(prefix).and_then(|()| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &hosts::clients(prefix)]).arg(std::env::current_exe()?).arg("inside");
            let rest = options.words.chunks(2).filter(|pair| pair[0] != "--seed" && pair[0] != "--dir");
            command.args(rest.flatten()).args(["--seed", &seed.to_string(), "--prefix", prefix, "--dir"]).arg(&dir);
            Ok(command.status()?)
        });
        hosts::remove_all(prefix);
        if !ended?.success() {
            failed.push(seed);
        }
    }
    ensure!(failed.is_empty(), "{} of {} runs did not pass: seeds {failed:?}", failed.len(), options.runs);
    say(&format!("{} runs passed\n", options.runs));
    Ok(())
}

fn run_one(options: &Options) -> anyhow::Result<()> {
    let plan = Plan {
        seed: options.seed,
        lasts: Duration::from_secs(options.seconds),
        bin: options.bin.clone(),
        dir: options.dir.clone(),
        prefix: options.prefix.clone(),
        stale_reads: options.stale_reads,
    };
    let summary = run::run(&plan).with_context(|| format!("seed {}", plan.seed))?;
    say(&format!(
        "seed {}: linearizable, {} operations in {:.0} s ({:.0}/s), {} without an answer, {:?}, checked in {:.1} s\n",
        plan.seed,
        summary.operations,
        summary.lasted.as_secs_f64(),
        summary.operations as f64 / summary.lasted.as_secs_f64(),
        summary.unknown,
        summary.disturbances,
        summary.checked_in.as_secs_f64(),
    ));
    Ok(())
}
