//! The shell: asks a server and shows what it answers, in lines, from scripts, or with a person at the keys.
//!
//! `flags` reads the command line, `command` a line of the shell, `session` does what it says, `format` shows answers,
//! `interactive` talks with a person, `import` reads files. What is said and how it looks is that of the reference's
//! shell, on which scripts rely.
//!
//! Not here yet: unix sockets, proxies named by the environment, Flux.

mod command;
mod complete;
mod flags;
mod format;
mod history;
mod import;
mod interactive;
mod session;
#[cfg(test)]
mod testing;
mod text;

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use api_client::{Address, Credentials};
use env::Env;
use tls::ClientSettings;

use flags::{Flags, Stop, USAGE};
use format::Format;
use import::{Import, Log};
use session::{Outcome, Session, Settings, parse_consistency, parse_precision};

/// The version that scripts and servers are told.
pub(crate) const VERSION: &str = "1.12.4";

fn main() -> ExitCode {
    let flags = match Flags::read(std::env::args().skip(1)) {
        Ok(flags) => flags,
        Err(stop) => return stop_early(&stop),
    };
    match run(&flags) {
        Ok(code) => code,
        // Whoever read the output has gone.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("{error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn stop_early(stop: &Stop) -> ExitCode {
    let code = match stop {
        Stop::Help => ExitCode::SUCCESS,
        Stop::Wrong(why) => {
            complain(&format!("{why}\n"));
            ExitCode::from(2)
        }
        Stop::Unknown(words) => {
            complain(&format!("unknown arguments: {words}\n"));
            ExitCode::FAILURE
        }
    };
    // Nobody to tell when standard output is closed.
    let _ = io::stdout().write_all(USAGE.as_bytes());
    code
}

fn complain(text: &str) {
    // Nobody to tell when standard error is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    if flags.version {
        out.write_all(text::version().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut session = open(flags)?;
    let ping = match runtime.block_on(session.client().ping()) {
        Ok(ping) => ping,
        Err(error) => {
            complain(&text::not_connected(session.client().address(), &error));
            return Ok(ExitCode::FAILURE);
        }
    };
    if !flags.execute.is_empty() {
        return runtime.block_on(execute(&mut session, &flags.execute, &mut out));
    }
    if flags.import {
        return runtime.block_on(import(flags, &session));
    }
    if !io::stdin().is_terminal() {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(code_of(&runtime.block_on(session.query(&text, &mut out))?));
    }
    out.write_all(text::connected(session.client().address(), &ping).as_bytes())?;
    out.write_all(text::version().as_bytes())?;
    out.flush()?;
    interactive::run(&mut session, &runtime)?;
    Ok(ExitCode::SUCCESS)
}

/// A session as the flags and the environment want it.
fn open(flags: &Flags) -> anyhow::Result<Session> {
    let Some(format) = Format::parse(&flags.format) else {
        anyhow::bail!("Unknown format {:?}. Please use json, csv, or column.", flags.format);
    };
    let Some(precision) = parse_precision(&flags.precision) else {
        anyhow::bail!("Unknown precision {:?}. Please use rfc3339, h, m, s, ms, u or ns.", flags.precision);
    };
    let Some(consistency) = parse_consistency(&flags.consistency) else {
        anyhow::bail!("Unknown consistency level {:?}. Please use any, one, quorum, or all.", flags.consistency);
    };
    if !flags.socket.is_empty() {
        anyhow::bail!("-socket is not supported yet: connect with -host and -port");
    }
    if !flags.language.eq_ignore_ascii_case("influxql") {
        anyhow::bail!("-type {} is not supported: queries are InfluxQL", flags.language);
    }
    let mut address = Address::parse(&flags.host, Some(flags.port))?;
    address.tls |= flags.ssl || flags.unsafe_ssl;
    if !flags.path_prefix.is_empty() {
        address = address.with_path_prefix(&flags.path_prefix);
    }
    let settings = Settings {
        database: flags.database.clone(),
        retention_policy: String::new(),
        format,
        precision: precision.to_owned(),
        consistency: consistency.to_owned(),
        pretty: flags.pretty,
        chunked: true,
        chunk_size: 0,
        node_id: flags.node,
    };
    let tls = ClientSettings { insecure: flags.unsafe_ssl, ..ClientSettings::default() };
    Ok(Session::new(Env::real(), address, tls, credentials(flags)?, settings)?)
}

/// Who connects: the flags come before the environment; an empty password on the command line is asked for.
fn credentials(flags: &Flags) -> anyhow::Result<Option<Credentials>> {
    let from_environment = |name: &str| std::env::var(name).unwrap_or_default();
    let username = flags.username.clone().unwrap_or_else(|| from_environment("INFLUX_USERNAME"));
    let password = match flags.password.as_deref() {
        None => from_environment("INFLUX_PASSWORD"),
        Some("") if !io::stdin().is_terminal() => anyhow::bail!("unable to prompt for a password with no TTY"),
        Some("") => interactive::prompt_password()?,
        Some(password) => password.to_owned(),
    };
    Ok((!username.is_empty()).then_some(Credentials { username, password }))
}

/// Runs the lines of a command one by one, up to the first query that fails.
async fn execute(session: &mut Session, command: &str, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    for line in command.split('\n') {
        let outcome = session.run_line(line, out).await?;
        match &outcome {
            // There is nothing to leave; the reference goes on as well.
            Outcome::Done | Outcome::Exit => {}
            Outcome::Failed(_) => return Ok(code_of(&outcome)),
            Outcome::NeedsPerson(_) => {
                let word = line.split_whitespace().next().unwrap_or_default();
                anyhow::bail!("{word} is for interactive shells only");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a query, whose error is told on standard error as well.
fn code_of(outcome: &Outcome) -> ExitCode {
    match outcome {
        Outcome::Failed(error) => {
            complain(&format!("{error}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

async fn import(flags: &Flags, session: &Session) -> anyhow::Result<ExitCode> {
    if flags.path.is_empty() {
        complain("ERROR: file argument required\n");
        return Ok(ExitCode::FAILURE);
    }
    let import = Import {
        path: flags.path.clone(),
        compressed: flags.compressed,
        points_per_second: flags.pps,
        target: api_client::Write {
            db: session.settings.database.clone(),
            rp: String::new(),
            precision: session.unit().to_owned(),
            consistency: session.settings.consistency.clone(),
        },
    };
    let env = Env::real();
    let mut log = Terminal::new(env.clone(), import.size());
    let summary = import.run(&env, session.client(), &mut log).await;
    log.bar.finish_and_clear();
    match summary {
        Err(error) => complain(&format!("ERROR: {error}\n")),
        Ok(summary) if summary.failed > 0 => complain(&format!("ERROR: {} points were not inserted\n", summary.failed)),
        Ok(_) => return Ok(ExitCode::SUCCESS),
    }
    Ok(ExitCode::FAILURE)
}

/// Lines with the time in front, and a bar below them where somebody sees it.
struct Terminal {
    env: Env,
    bar: indicatif::ProgressBar,
}

impl Terminal {
    fn new(env: Env, size: Option<u64>) -> Terminal {
        let bar = match size {
            Some(size) if io::stderr().is_terminal() => indicatif::ProgressBar::new(size),
            _ => indicatif::ProgressBar::hidden(),
        };
        let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = indicatif::ProgressStyle::with_template(template).expect("the template is well formed");
        Terminal { env, bar: bar.with_style(style) }
    }

    fn stamped(&self, line: &str) -> String {
        let now = jiff::Timestamp::from_nanosecond(i128::from(self.env.now().0)).unwrap_or_default();
        let local = now.to_zoned(jiff::tz::TimeZone::system());
        format!("{} {line}\n", local.strftime("%Y/%m/%d %H:%M:%S"))
    }
}

impl Log for Terminal {
    fn say(&mut self, line: &str) {
        let line = self.stamped(line);
        // Nobody to tell when standard output is closed; the import goes on.
        let _ = self.bar.suspend(|| io::stdout().write_all(line.as_bytes()));
    }

    fn complain(&mut self, line: &str) {
        let line = self.stamped(line);
        self.bar.suspend(|| complain(&line));
    }

    fn progress(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}
