//! What the programs of this package share: the log, signals, the pid file, how a run ends.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use config::Settings;
use credentials::Scheme;
use env::Env;
use telemetry::log::Format;

/// How a node came to its end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It must not go on: what it would write could contradict what it promised. The text tells why.
    Failed(String),
    /// It has left its cluster, or was removed: stopped and started again it waits to be added.
    Left,
}

/// Turns the result of a sub-command into that of the process; `word` begins what is said of a failure.
pub fn exit_code(word: &str, result: anyhow::Result<()>) -> ExitCode {
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

/// Writes to standard output.
pub fn print(text: &str) {
    // Nobody listening is fine.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error.
pub fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Arguments with two dashes where a flag has one: `-config` as `--config`. `-h` and a lone dash stay.
pub fn double_dashed(arguments: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    arguments.enumerate().map(|(index, argument)| {
        let long = index > 0 && argument.starts_with('-') && !argument.starts_with("--") && argument.len() > 2;
        if long { format!("-{argument}") } else { argument }
    })
}

/// Starts the log on standard error.
pub fn start_log(env: &Env, level: &str, format: &str) {
    // A terminal is read by people, anything else by programs; both read logfmt.
    let format = if format.eq_ignore_ascii_case("json") { Format::Json } else { Format::Logfmt };
    let env = env.clone();
    telemetry::log::init(level, format, Box::new(move || env.now().0), Box::new(std::io::stderr()));
}

/// Lets the process have as many files and connections as the system allows: what starts it often sets a low soft limit
/// for the sake of old programs.
pub fn raise_descriptors(env: &Env) {
    match env.raise_descriptors() {
        Ok((before, now)) => tracing::info!(before, now, "limit of files and connections"),
        Err(error) => tracing::warn!(%error, "the limit of files and connections stays as it is"),
    }
}

/// Tells the log what an operator should know.
pub fn warn(texts: &[String]) {
    texts.iter().for_each(|text| tracing::warn!("{text}"));
}

/// Tells the log how passwords are hashed; `text` is the value as it was given.
///
/// # Errors
/// When FIPS 140 is asked for and does not allow it.
pub fn check_password_hash(scheme: &Scheme, text: &str, ensure_fips: bool) -> anyhow::Result<()> {
    tracing::info!("Password hashing configuration: {scheme}");
    tracing::info!("Password hashing is FIPS-ready: {}", scheme.is_fips_ready());
    // The build with the FIPS module need not be asked to.
    if (ensure_fips || ::tls::IS_FIPS) && !scheme.is_fips_ready() {
        return Err(anyhow!("create server: passwordhash: not FIPS-ready: config: '{text}'"));
    }
    Ok(())
}

/// Refuses what a build with the FIPS module does not do.
///
/// # Errors
/// When a licence is named that would be fetched from elsewhere, or the module is not at work.
pub fn check_fips(settings: &Settings) -> anyhow::Result<()> {
    if !::tls::IS_FIPS {
        return Ok(());
    }
    if !settings.text("enterprise", "license-key").is_empty() {
        let place = settings.place("enterprise", "license-key");
        return Err(anyhow!("{place}: a build with FIPS takes license-path alone"));
    }
    ensure!(::tls::Policy::usual().is_fips(), "the FIPS module is not at work");
    tracing::info!("FIPS 140: the module of AWS-LC is at work");
    Ok(())
}

/// What `version` prints of this build behind its number.
pub fn build_note() -> &'static str {
    if ::tls::IS_FIPS { ", FIPS" } else { "" }
}

/// Runs `work` with the number of the process in the file that init scripts look for, if they name one.
///
/// # Errors
/// Those of `work`, and of the file.
pub fn with_pidfile(pidfile: Option<&str>, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let Some(pidfile) = pidfile else { return work() };
    write_pidfile(Path::new(pidfile)).with_context(|| format!("write {pidfile}"))?;
    work()?;
    std::fs::remove_file(pidfile).with_context(|| format!("remove {pidfile}"))
}

fn write_pidfile(path: &Path) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, std::process::id().to_string())
}

/// Runs `future` on the threads of a server.
///
/// # Errors
/// Its own, and that of starting the threads.
pub fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(future)
}

/// Has `reload` done whenever the process is sent SIGHUP, off the async threads; without this the signal ends it.
pub fn on_hangup(env: &Env, reload: impl Fn() + Send + Sync + 'static) {
    use tokio::signal::unix::{SignalKind, signal};

    let reload = Arc::new(reload);
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        tracing::warn!("SIGHUP cannot be listened to; it ends this process");
        return;
    };
    let copy = env.clone();
    env.spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "Signal received, reading certificates and log level again...");
            let reload = Arc::clone(&reload);
            copy.blocking(move || reload()).await;
        }
    });
}

/// Sets the level of the log to what the configuration says now.
pub fn reload_level(level: anyhow::Result<String>) {
    match level {
        Ok(level) => telemetry::log::set_level(&level),
        Err(error) => tracing::error!(error = sentence(&error), "the configuration cannot be read again"),
    }
}

/// Waits for a signal that ends the process; tells its name.
pub async fn signal() -> &'static str {
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
