//! The program of a meta node: flags, configuration file, signals.

mod meta_arguments;

use std::process::ExitCode;

use config::{MetaNodeConfig, Program};
use env::Env;
use influxd::lookup;
use influxd::meta_only::MetaOnly;
use influxd::program::{self, Ended, complain, exit_code, print, signal};
use influxd::tls::NodeTls;

use crate::meta_arguments::{Command, ConfigCommand, Run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = meta_arguments::read();
    match arguments.command {
        None => exit_code("run", run(arguments.run)),
        Some(Command::Run(flags)) => exit_code("run", run(flags)),
        Some(Command::Config(command)) => exit_code("config", print_config(&command)),
        Some(Command::Version) => {
            let (level, release, note) = (influxd::CLUSTER_VERSION, env!("CARGO_PKG_VERSION"), program::build_note());
            print(&format!("InfluxDB Meta v{level} (Mainstem {release}{note})\n"));
            ExitCode::SUCCESS
        }
    }
}

fn print_config(command: &ConfigCommand) -> anyhow::Result<()> {
    let found = lookup::find(Program::InfluxdMeta, command.config.as_deref())?;
    if let Some(file) = &found.file {
        complain(&format!("Merging with configuration at: {}\n", file.display()));
    }
    // What would not start is not worth printing.
    influxd::tls::policy(&MetaNodeConfig::new(&found.settings, None)?.tls)?;
    print(&config::print::print(&found.settings));
    Ok(())
}

fn run(flags: Run) -> anyhow::Result<()> {
    let found = lookup::find(Program::InfluxdMeta, flags.config.as_deref())?;
    let meta_config = MetaNodeConfig::new(&found.settings, flags.hostname.as_deref())?;
    let env = Env::real();
    program::start_log(&env, &meta_config.log_level, &meta_config.log_format);
    program::raise_descriptors(&env);
    found.log();
    program::check_fips(&found.settings)?;
    program::warn(&meta_config.cluster_auth.warnings());
    let hashing = (&meta_config.password_hash, &meta_config.password_hash_text);
    program::check_password_hash(hashing.0, hashing.1, meta_config.ensure_fips)?;
    let pidfile = flags.pidfile.clone();
    program::with_pidfile(pidfile.as_deref(), || program::block_on(serve(env, meta_config, flags)))
}

/// Runs the node until a signal ends it or it cannot go on.
async fn serve(env: Env, meta_config: MetaNodeConfig, flags: Run) -> anyhow::Result<()> {
    let single_server = flags.single_server;
    let tls = NodeTls::open(&env, &meta_config.tls)?;
    env.spawn(tls.clone().watch_expiry());
    let reloaded = tls.clone();
    program::on_hangup(&env, move || {
        // The file first: once the certificates are told to be read, it has been.
        let found = lookup::find(Program::InfluxdMeta, flags.config.as_deref());
        let read =
            |found: lookup::Found| Ok(MetaNodeConfig::new(&found.settings, flags.hostname.as_deref())?.log_level);
        let level = found.and_then(read);
        reloaded.reload();
        program::reload_level(level);
    });
    let mut node = MetaOnly::start(env.clone(), meta_config.clone(), tls.clone(), single_server).await?;
    loop {
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
            Ended::Left => {
                node.stop().await;
                node = MetaOnly::start_again(env.clone(), meta_config.clone(), tls.clone(), single_server).await?;
            }
        }
    }
}
