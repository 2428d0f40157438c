//! The server program: flags, configuration file, signals.

mod arguments;

use std::process::ExitCode;
use std::sync::Arc;

use cluster::Schedule;
use config::{DataNodeConfig, Program};
use env::Env;
use influxd::access_file::AccessFile;
use influxd::lookup::{self, Found};
use influxd::node::{Node, repair_interval};
use influxd::program::{self, Ended, complain, exit_code, print, signal};
use influxd::tls::NodeTls;

use crate::arguments::{Command, ConfigCommand, Run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = arguments::read();
    match arguments.command {
        None => exit_code("run", run(arguments.run)),
        Some(Command::Run(flags)) => exit_code("run", run(flags)),
        Some(Command::Config(command)) => exit_code("config", print_config(&command)),
        Some(Command::Version) => {
            let (level, release, note) =
                (influxd::COMPATIBLE_VERSION, env!("CARGO_PKG_VERSION"), program::build_note());
            print(&format!("InfluxDB v{level} (Mainstem {release}{note})\n"));
            ExitCode::SUCCESS
        }
    }
}

fn print_config(command: &ConfigCommand) -> anyhow::Result<()> {
    let found = lookup::find(Program::Influxd, command.config.as_deref())?;
    if let Some(file) = &found.file {
        complain(&format!("Merging with configuration at: {}\n", file.display()));
    }
    // What would not start is not worth printing.
    influxd::tls::policy(&node_config(&found, &Run::default())?.tls)?;
    print(&config::print::print(&found.settings));
    Ok(())
}

fn node_config(found: &Found, run: &Run) -> anyhow::Result<DataNodeConfig> {
    Ok(DataNodeConfig::new(&found.settings, run.join.as_deref(), run.hostname.as_deref())?)
}

fn run(flags: Run) -> anyhow::Result<()> {
    let found = lookup::find(Program::Influxd, flags.config.as_deref())?;
    let node_config = node_config(&found, &flags)?;
    let env = Env::real();
    program::start_log(&env, &node_config.log_level, &node_config.log_format);
    program::raise_descriptors(&env);
    found.log();
    program::check_fips(&found.settings)?;
    program::warn(&node_config.cluster_auth.warnings());
    let hashing = (&node_config.password_hash, &node_config.password_hash_text);
    program::check_password_hash(hashing.0, hashing.1, node_config.ensure_fips)?;
    let pidfile = flags.pidfile.clone();
    program::with_pidfile(pidfile.as_deref(), || program::block_on(serve(env, node_config, flags.clone())))
}

/// Runs the node until a signal ends it or it cannot go on.
async fn serve(env: Env, node_config: DataNodeConfig, flags: Run) -> anyhow::Result<()> {
    let tls = NodeTls::open(&env, &node_config.tls)?;
    env.spawn(tls.clone().watch_expiry());
    let schedule = Schedule::new(repair_interval(&node_config));
    let access_file = match &node_config.access_log_path {
        Some(path) => Some(AccessFile::open(&env, path).await),
        None => None,
    };
    let (reloaded, changed, reopened) = (tls.clone(), schedule.clone(), access_file.clone());
    program::on_hangup(&env, move || {
        if let Some(file) = &reopened {
            file.reopen();
        }
        // The file first: once the certificates are told to be read, it has been.
        let found = lookup::find(Program::Influxd, flags.config.as_deref());
        let read = found.and_then(|found| self::node_config(&found, &flags));
        if let Ok(config) = &read {
            changed.change(repair_interval(config));
        }
        reloaded.reload();
        program::reload_level(read.map(|config| config.log_level));
    });
    let parts = Parts { tls, schedule, access_file };
    let ended = keep_running(&env, &node_config, &parts).await;
    if let Some(file) = &parts.access_file {
        file.close().await;
    }
    ended
}

/// What a node uses and the next one after it.
struct Parts {
    tls: NodeTls,
    schedule: Schedule,
    access_file: Option<Arc<AccessFile>>,
}

/// Runs the node, and the one that waits to be added after it has left.
async fn keep_running(env: &Env, node_config: &DataNodeConfig, parts: &Parts) -> anyhow::Result<()> {
    let command_line: Vec<String> = std::env::args().collect();
    loop {
        let Parts { tls, schedule, access_file } = parts;
        let (tls, schedule, access_file) = (tls.clone(), schedule.clone(), access_file.clone());
        let (env, config) = (env.clone(), node_config.clone());
        let starting = Node::start_with(env, config, tls, schedule, access_file, command_line.clone());
        let node = tokio::select! {
            // Joining can take for ever; losing a start half-way leaves directories that the next start takes up.
            node = starting => node?,
            signal = signal() => {
                tracing::info!(signal, "stopped while starting");
                return Ok(());
            }
        };
        let ended = tokio::select! {
            signal = signal() => {
                tracing::info!(signal, "Signal received, initializing clean shutdown...");
                node.stop().await;
                return Ok(());
            }
            ended = node.ended() => ended,
        };
        match ended {
            Ended::Failed(why) => return Err(anyhow::anyhow!(why)),
            Ended::Left => node.stop().await,
        }
    }
}
