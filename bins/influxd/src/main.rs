//! The server program: flags, configuration file, log, signals.

mod arguments;
mod lookup;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use config::DataNodeConfig;
use env::Env;
use influxd::node::Node;
use telemetry::log::Format;

use crate::arguments::{Command, ConfigCommand, Run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = arguments::read();
    let word = if matches!(arguments.command, Some(Command::Config(_))) { "config" } else { "run" };
    let result = match arguments.command {
        None => run(arguments.run),
        Some(Command::Run(flags)) => run(flags),
        Some(Command::Config(command)) => print_config(&command),
        Some(Command::Version) => {
            print(&format!("InfluxDB v{} (Mainstem {})\n", influxd::COMPATIBLE_VERSION, env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{word}: {}\n", sentence(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error and what led to it, each told once: many errors quote their cause.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn print(text: &str) {
    // Nobody listening is fine.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn print_config(command: &ConfigCommand) -> anyhow::Result<()> {
    let found = lookup::find(command.config.as_deref())?;
    if let Some(file) = &found.file {
        complain(&format!("Merging with configuration at: {}\n", file.display()));
    }
    // What would not start is not worth printing.
    lookup::node_config(&found, &Run::default())?;
    print(&config::print::print(&found.settings));
    Ok(())
}

fn run(flags: Run) -> anyhow::Result<()> {
    let found = lookup::find(flags.config.as_deref())?;
    let node_config = lookup::node_config(&found, &flags)?;
    let env = Env::real();
    start_log(&env, &node_config.log_level, &node_config.log_format);
    match &found.file {
        Some(file) => tracing::info!(path = %file.display(), "Using configuration file"),
        None => tracing::info!("No configuration provided, using default settings"),
    }
    for warning in &found.warnings {
        tracing::warn!("{}", warning.0);
    }
    if let Some(pidfile) = &flags.pidfile {
        write_pidfile(Path::new(pidfile)).with_context(|| format!("write {pidfile}"))?;
    }
    serve(env, node_config)?;
    if let Some(pidfile) = &flags.pidfile {
        std::fs::remove_file(pidfile).with_context(|| format!("remove {pidfile}"))?;
    }
    Ok(())
}

/// Writes the number of the process where init scripts look for it.
fn write_pidfile(path: &Path) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, std::process::id().to_string())
}

/// Runs the node until a signal ends it or it cannot go on.
fn serve(env: Env, node_config: DataNodeConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let command_line = std::env::args().collect();
    runtime.block_on(async move {
        let starting = Node::start(env, node_config, command_line);
        let node = tokio::select! {
            // Joining can take for ever; losing a start half-way leaves directories that the next start takes up.
            node = starting => node?,
            signal = signal() => {
                tracing::info!(signal, "stopped while starting");
                return Ok(());
            }
        };
        tokio::select! {
            signal = signal() => {
                tracing::info!(signal, "Signal received, initializing clean shutdown...");
                node.stop().await;
                Ok(())
            }
            // The node must not go on: what it would write could contradict what it promised.
            why = node.failed() => Err(anyhow::anyhow!(why)),
        }
    })
}

fn start_log(env: &Env, level: &str, format: &str) {
    // A terminal is read by people, anything else by programs; both read logfmt.
    let format = if format.eq_ignore_ascii_case("json") { Format::Json } else { Format::Logfmt };
    let env = env.clone();
    telemetry::log::init(level, format, Box::new(move || env.now().0), Box::new(std::io::stderr()));
}

/// Waits for a signal that ends the process; tells its name.
async fn signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_quotes_is_told_once() {
        let io = || std::io::Error::other("node.json: expected value");
        let quoted = anyhow::Error::new(meta_node::StartError::Disk(io()));
        assert_eq!(sentence(&quoted), "node.json: expected value");
        let behind = anyhow::Error::new(io()).context("read the directory").context("start");
        assert_eq!(sentence(&behind), "start: read the directory: node.json: expected value");
    }
}
