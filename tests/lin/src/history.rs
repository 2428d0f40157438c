//! What clients did and saw: one line an operation, `key began ended what`, times in microseconds.
//!
//! `ended` is `-` where no answer came: the operation may have happened at any time since, or never.

use std::fmt::Write as _;

use anyhow::{Context, bail};

/// What an operation does, with what came of it where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The value was seen; 0 is "there is none".
    Read(u64),
    /// The value replaces any other. 0 removes the key.
    Write(u64),
    /// The value is put where there was none, or was there already.
    Create(u64),
    /// There was another value, and it stayed.
    Conflict(u64),
    /// [`Action::Create`] or [`Action::Conflict`]: no answer came.
    MaybeCreate(u64),
}

/// One operation on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which key.
    pub key: String,
    /// When it was sent.
    pub began: u64,
    /// When it was answered.
    pub ended: Option<u64>,
    /// What it was.
    pub action: Action,
}

/// As text.
pub fn write(operations: &[Operation]) -> String {
    let mut text = String::new();
    for Operation { key, began, ended, action } in operations {
        let ended = ended.map_or("-".to_owned(), |ended| ended.to_string());
        let (name, value) = match action {
            Action::Read(value) => ("read", value),
            Action::Write(value) => ("write", value),
            Action::Create(value) => ("create", value),
            Action::Conflict(value) => ("conflict", value),
            Action::MaybeCreate(value) => ("maybe-create", value),
        };
        let _ = writeln!(text, "{key} {began} {ended} {name} {value}");
    }
    text
}

/// From text; blank lines and what follows a `#` mean nothing.
///
/// # Errors
/// The number of the line that cannot be read.
pub fn read(text: &str) -> anyhow::Result<Vec<Operation>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| read_line(line).with_context(|| format!("line {}", index + 1)))
        .collect()
}

fn read_line(line: &str) -> anyhow::Result<Operation> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [key, began, ended, name, value] = words[..] else { bail!("five words are expected") };
    let value = value.parse()?;
    let action = match name {
        "read" => Action::Read(value),
        "write" => Action::Write(value),
        "create" => Action::Create(value),
        "conflict" => Action::Conflict(value),
        "maybe-create" => Action::MaybeCreate(value),
        _ => bail!("no operation is called {name}"),
    };
    let ended = if ended == "-" { None } else { Some(ended.parse()?) };
    Ok(Operation { key: key.to_owned(), began: began.parse()?, ended, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_comes_back_the_same() {
        let text = "a 1 2 create 7\na 3 - write 0\nb 4 9 read 0\nb 5 6 conflict 3\nb 8 - maybe-create 4\n";
        let operations = read(text).expect("readable");
        assert_eq!(write(&operations), text);
        assert!(read("a 1 2 create").is_err() && read("a 1 2 swap 3").is_err());
        assert_eq!(read("# nothing\n\n").expect("readable"), []);
    }
}
