//! The operator's program: members, shards, labels and tokens of a cluster.
//!
//! `flags` reads the command line and `program` picks the command; one file per group of commands asks the admin API of a
//! meta node and says what came of it. `print` turns documents into text and `document` is what servers answer. What is
//! printed is what scripts of the reference's operators read.
//!
//! Invariants
//! - A failure is told on standard error and the exit code is 1; what scripts read stands on standard output.
//! - Passwords and secrets are never printed.
//!
//! Not here yet: copying shards by hand, anti-entropy, backups. Each says so.

mod document;
mod failure;
mod flags;
mod join;
mod labels;
mod ldap;
mod leave;
mod members;
mod print;
mod program;
mod settle;
mod shards;
mod show;
mod terminal;
#[cfg(test)]
mod tests;
mod token;
mod usage;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use env::Env;

use program::Surroundings;
use terminal::Terminal;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return stop(&error),
    };
    let (mut out, mut err, mut input) = (io::stdout(), io::stderr(), io::stdin().lock());
    let terminal = Terminal::new(&mut out, &mut err, &mut input, io::stdin().is_terminal());
    let surroundings = Surroundings { env: Env::real(), host };
    ExitCode::from(runtime.block_on(program::run(&words, surroundings, terminal)))
}

fn stop(error: &io::Error) -> ExitCode {
    // Nobody to tell when standard error is closed.
    let _ = io::Write::write_all(&mut io::stderr(), format!("influxd-ctl: {error}\n").as_bytes());
    ExitCode::FAILURE
}
