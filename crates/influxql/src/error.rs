//! Why a text is not InfluxQL.

use std::fmt;

/// A place in a query. Displays 1-based: `line 1, char 8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pos {
    /// Counts from 0.
    pub line: u32,
    /// Characters, not bytes. Counts from 0.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, char {}", self.line + 1, self.column + 1)
    }
}

/// The request is wrong: its text cannot be parsed. Displays what the client reads after
/// `error parsing query: `; the wording is part of our compatibility.
///
/// One type without variants, because all that a caller can do is to pass the text on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    message: String,
    pos: Option<Pos>,
}

impl ParseError {
    /// `found X, expected A, B at line L, char C`.
    pub(crate) fn unexpected(found: &str, expected: &[&str], pos: Pos) -> ParseError {
        ParseError::at(format!("found {found}, expected {}", expected.join(", ")), pos)
    }

    /// `message at line L, char C`.
    pub(crate) fn at(message: impl Into<String>, pos: Pos) -> ParseError {
        ParseError { message: message.into(), pos: Some(pos) }
    }

    /// A message for which the reference gives no position.
    pub(crate) fn new(message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), pos: None }
    }

    /// The same message with a position.
    pub(crate) fn placed(self, pos: Pos) -> ParseError {
        ParseError { pos: Some(pos), ..self }
    }

    /// Where, if the text says where.
    pub fn pos(&self) -> Option<Pos> {
        self.pos
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.pos {
            Some(pos) => write!(f, " at {pos}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}
