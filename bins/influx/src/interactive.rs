//! The shell with a person in front of it.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use api_client::Credentials;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use crate::command::Command;
use crate::complete;
use crate::history::History;
use crate::session::{Outcome, Session};

/// Reads lines and does what they say, until the user leaves.
pub(crate) fn run(session: &mut Session, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let mut history = History::load(home.as_deref());
    let mut editor: Editor<Words, DefaultHistory> = Editor::new()?;
    editor.set_helper(Some(Words));
    for line in history.lines() {
        editor.add_history_entry(line)?;
    }
    let mut out = io::stdout();
    let mut is_garbled = false;
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // The line is thrown away, not the session.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => {
                writeln!(out)?;
                break;
            }
            Err(error) if is_no_text(&error) => {
                // Each byte of a paste is told to be wrong; that is said once.
                if !std::mem::replace(&mut is_garbled, true) {
                    writeln!(out, "ERR: what was typed is not valid UTF-8 and was thrown away")?;
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        is_garbled = false;
        if Command::parse(&line) != Command::Exit
            && let Some(line) = history.add(&line)
        {
            editor.add_history_entry(line)?;
        }
        match runtime.block_on(run_line(session, &line, &mut out))? {
            None | Some(Outcome::Done | Outcome::Failed(_)) => {}
            Some(Outcome::Exit) => break,
            Some(Outcome::NeedsPerson(Command::History)) => {
                for line in history.lines() {
                    writeln!(out, "{line}")?;
                }
            }
            Some(Outcome::NeedsPerson(Command::Auth(user, password))) => {
                authenticate(session, &mut editor, user, password, &mut out)?;
            }
            Some(Outcome::NeedsPerson(_)) => {}
        }
        out.flush()?;
    }
    Ok(())
}

/// Whether bytes from the terminal were no UTF-8. What was typed of the line is gone then; the terminal works.
fn is_no_text(error: &ReadlineError) -> bool {
    matches!(error, ReadlineError::Io(error) if error.kind() == io::ErrorKind::InvalidData)
}

/// Runs a line; `None` when the user interrupted it, which cancels its query.
async fn run_line(session: &mut Session, line: &str, out: &mut impl Write) -> io::Result<Option<Outcome>> {
    tokio::select! {
        // What was not printed yet is not wanted any more.
        outcome = session.run_line(line, out) => outcome.map(Some),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Ok(None)
        }
    }
}

fn authenticate(
    session: &mut Session,
    editor: &mut Editor<Words, DefaultHistory>,
    user: Option<String>,
    password: Option<String>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let username = match user {
        Some(user) => user,
        None => match editor.readline("username: ") {
            Ok(user) => user.trim().to_owned(),
            Err(_) => return Ok(()),
        },
    };
    let password = match password {
        Some(password) => password,
        None => prompt_password()?,
    };
    if let Err(error) = session.set_credentials(Credentials { username, password }) {
        writeln!(out, "ERR: {error}")?;
    }
    Ok(())
}

/// Asks for a password without showing what is typed.
pub(crate) fn prompt_password() -> anyhow::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let terminal = io::stdin();
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let mut out = io::stdout();
    write!(out, "password: ")?;
    out.flush()?;
    tcsetattr(&terminal, OptionalActions::Now, &hidden)?;
    let mut line = String::new();
    let read = terminal.lock().read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Now, &shown)?;
    writeln!(out)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Completes words; hints, colours and checks nothing.
struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete::complete(&line[..position]))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Borrowed(line)
    }
}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_shell() {
        assert!(is_no_text(&ReadlineError::from(io::ErrorKind::InvalidData)));
        assert!(!is_no_text(&ReadlineError::Eof) && !is_no_text(&ReadlineError::from(io::ErrorKind::BrokenPipe)));
    }
}
