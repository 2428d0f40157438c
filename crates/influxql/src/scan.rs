//! Text to tokens, on demand.
//!
//! The parser asks for one token at a time, because what a `/` starts depends on the place: [`Scanner::scan`] reads it
//! as the sign, [`Scanner::scan_regex`] as a regular expression. A scanner is a small copyable cursor: to look ahead,
//! keep a copy and go back to it.
//!
//! Positions follow the reference to the character, because they are printed in errors. Three habits of it:
//! - A string, a regex or a quoted identifier that is broken stands at the character *before* its opening quote.
//! - An unknown escape stands at the character after the backslash.
//! - The end of the text stands one further if it has been touched before: by a bare word, a line comment or white
//!   space that ran into it, or by looking for a regex there.
//!
//! A carriage return, alone or before a line feed, reads as a line feed. A NUL ends the text.

use std::borrow::Cow;

use crate::error::Pos;
use crate::token::{Lexeme, Token, is_identifier_part, is_identifier_start, lookup};

/// Who wrote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A client: the language as specified.
    Client,
    /// Our own printer. It may also use the escapes `\r` and `\0`, for characters that no client can write in a
    /// literal but that a bound parameter can bring in, and a regex wherever an operand may stand.
    Canonical,
}

/// A cursor in a query text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    dialect: Dialect,
    /// Bytes consumed.
    offset: usize,
    /// Place of the next character.
    next: Pos,
    /// Place of the last character consumed; the start of the text before any is.
    last: Pos,
    end_touched: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Scanner<'a> {
        // A NUL ends the text, so what is behind it need not be looked at.
        let end = text.bytes().position(|byte| byte == 0);
        let text = end.map_or(text, |end| &text[..end]);
        Scanner { text, dialect, offset: 0, next: Pos::default(), last: Pos::default(), end_touched: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Bytes consumed.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The next character, without consuming it; line ends read as `\n`.
    pub(crate) fn peek(&self) -> Option<char> {
        match *self.text.as_bytes().get(self.offset)? {
            b'\r' => Some('\n'),
            byte if byte.is_ascii() => Some(char::from(byte)),
            _ => self.text[self.offset..].chars().next(),
        }
    }

    /// Like `peek`, but leaves the mark that looking at the end leaves.
    pub(crate) fn look(&mut self) -> Option<char> {
        let ch = self.peek();
        self.end_touched |= ch.is_none();
        ch
    }

    /// Consumes one character.
    fn read(&mut self) -> Option<char> {
        let ch = self.peek()?;
        self.last = self.next;
        if ch == '\n' {
            self.offset += if self.text.as_bytes()[self.offset..].starts_with(b"\r\n") { 2 } else { 1 };
            self.next = Pos { line: self.next.line + 1, column: 0 };
        } else {
            self.offset += ch.len_utf8();
            self.next.column += 1;
        }
        Some(ch)
    }

    /// Consumes the next character if it is `want`.
    fn read_if(&mut self, want: char) -> bool {
        let found = self.peek() == Some(want);
        if found {
            self.read();
        }
        found
    }

    /// Consumes ASCII characters other than line ends while `keep` holds, and returns them.
    fn read_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.offset..];
        let length = rest.bytes().position(|byte| !byte.is_ascii() || !keep(char::from(byte))).unwrap_or(rest.len());
        if let Some(behind) = u32::try_from(length).unwrap_or(u32::MAX).checked_sub(1) {
            self.offset += length;
            self.last = Pos { column: self.next.column.saturating_add(behind), ..self.next };
            self.next.column = self.last.column.saturating_add(1);
        }
        &rest[..length]
    }

    /// The next token; a `/` is the sign.
    pub(crate) fn scan(&mut self) -> Lexeme<'a> {
        let Some(ch) = self.peek() else {
            let mut pos = self.next;
            pos.column += u32::from(self.end_touched);
            self.end_touched = true;
            return lexeme(Token::End, "", pos);
        };
        match ch {
            ' ' | '\t' | '\n' => self.scan_whitespace(),
            '"' => self.scan_quoted_identifier(),
            '\'' => self.scan_string(),
            '$' => self.scan_parameter(),
            '0'..='9' => self.scan_number(),
            '.' if self.text[self.offset + 1..].starts_with(|ch: char| ch.is_ascii_digit()) => self.scan_number(),
            _ if is_identifier_start(ch) => self.scan_word(),
            _ => self.scan_sign(),
        }
    }

    fn scan_whitespace(&mut self) -> Lexeme<'a> {
        let (start, pos) = (self.offset, self.next);
        while matches!(self.peek(), Some(' ' | '\t' | '\n')) {
            self.read();
        }
        self.end_touched |= self.peek().is_none();
        lexeme(Token::Whitespace, &self.text[start..self.offset], pos)
    }

    fn scan_word(&mut self) -> Lexeme<'a> {
        let pos = self.next;
        let word = self.read_while(is_identifier_part);
        self.end_touched |= self.peek().is_none();
        match lookup(word) {
            Some(keyword) => lexeme(Token::Keyword(keyword), "", pos),
            None => Lexeme { bare: true, ..lexeme(Token::Identifier, word, pos) },
        }
    }

    fn scan_quoted_identifier(&mut self) -> Lexeme<'a> {
        let pos = self.next;
        let quoted = self.scan_string();
        match quoted.token {
            Token::String => Lexeme { token: Token::Identifier, pos, ..quoted },
            _ => quoted,
        }
    }

    /// A string in the quotes that the next character is.
    fn scan_string(&mut self) -> Lexeme<'a> {
        let pos = self.last;
        let Some(quote) = self.read() else { return lexeme(Token::BadString, "", pos) };
        let start = self.offset;
        // Borrowed as long as the text can be taken as it is.
        let mut owned: Option<String> = None;
        loop {
            let end = self.offset;
            match self.read() {
                Some(ch) if ch == quote => {
                    let text = owned.map_or(Cow::Borrowed(&self.text[start..end]), Cow::Owned);
                    return Lexeme { token: Token::String, text, bare: false, pos };
                }
                None | Some('\n') => {
                    let text = owned.map_or(Cow::Borrowed(&self.text[start..end]), Cow::Owned);
                    return Lexeme { token: Token::BadString, text, bare: false, pos };
                }
                Some('\\') => {
                    let text = owned.get_or_insert_with(|| self.text[start..end].to_owned());
                    let pos = self.next;
                    let escaped = self.read();
                    match unescape(escaped, self.dialect) {
                        Some(ch) => text.push(ch),
                        None => {
                            let text = Cow::Owned(['\\'].into_iter().chain(escaped).collect());
                            return Lexeme { token: Token::BadEscape, text, bare: false, pos };
                        }
                    }
                }
                Some(ch) => {
                    if let Some(text) = &mut owned {
                        text.push(ch);
                    }
                }
            }
        }
    }

    /// `$name` or `$"name"`.
    fn scan_parameter(&mut self) -> Lexeme<'a> {
        let pos = self.next;
        self.read();
        let (token, name) = match self.peek() {
            Some('"') => {
                let quoted = self.scan_string();
                (if quoted.token == Token::String { Token::BoundParameter } else { quoted.token }, quoted.text)
            }
            _ => {
                let name = self.read_while(is_identifier_part);
                self.end_touched |= self.peek().is_none();
                (Token::BoundParameter, Cow::Borrowed(name))
            }
        };
        Lexeme { token, text: Cow::Owned(format!("${name}")), bare: false, pos }
    }

    /// An integer, a number or a duration; the next character is a digit, or a dot before one.
    fn scan_number(&mut self) -> Lexeme<'a> {
        let (start, pos) = (self.offset, self.next);
        self.read_while(|ch| ch.is_ascii_digit());
        if self.read_if('.') {
            let end = self.offset;
            let fraction = self.read_while(|ch| ch.is_ascii_digit());
            // `10.` is the number 10.
            let end = if fraction.is_empty() { end - 1 } else { self.offset };
            return lexeme(Token::Number, &self.text[start..end], pos);
        }
        let unit = |ch: char| ch.is_ascii_alphabetic() || ch == 'µ';
        if !self.peek().is_some_and(unit) {
            return lexeme(Token::Integer, &self.text[start..self.offset], pos);
        }
        while self.peek().is_some_and(|ch| unit(ch) || ch.is_ascii_digit()) {
            self.read();
        }
        lexeme(Token::Duration, &self.text[start..self.offset], pos)
    }

    fn scan_sign(&mut self) -> Lexeme<'a> {
        let (start, pos) = (self.offset, self.next);
        let token = match self.read() {
            Some('+') => Token::Add,
            Some('-') if self.read_if('-') => {
                while !matches!(self.peek(), None | Some('\n')) {
                    self.read();
                }
                self.end_touched |= self.peek().is_none();
                Token::Comment
            }
            Some('-') => Token::Sub,
            Some('*') => Token::Mul,
            Some('/') if self.read_if('*') => match self.text[self.offset..].find("*/") {
                Some(length) => {
                    let end = self.offset + length + "*/".len();
                    while self.offset < end {
                        self.read();
                    }
                    Token::Comment
                }
                None => {
                    while self.read().is_some() {}
                    Token::Illegal
                }
            },
            Some('/') => Token::Div,
            Some('%') => Token::Mod,
            Some('&') => Token::BitAnd,
            Some('|') => Token::BitOr,
            Some('^') => Token::BitXor,
            Some('=') if self.read_if('~') => Token::EqRegex,
            Some('=') => Token::Eq,
            Some('!') if self.read_if('=') => Token::NotEq,
            Some('!') if self.read_if('~') => Token::NotEqRegex,
            Some('<') if self.read_if('=') => Token::LtEq,
            Some('<') if self.read_if('>') => Token::NotEq,
            Some('<') => Token::Lt,
            Some('>') if self.read_if('=') => Token::GtEq,
            Some('>') => Token::Gt,
            Some('(') => Token::LeftParen,
            Some(')') => Token::RightParen,
            Some(',') => Token::Comma,
            Some(';') => Token::Semicolon,
            Some('.') => Token::Dot,
            Some(':') if self.read_if(':') => Token::DoubleColon,
            Some(':') => Token::Colon,
            _ => return lexeme(Token::Illegal, &self.text[start..self.offset], pos),
        };
        lexeme(token, "", pos)
    }

    /// A regular expression; the next character is `/`. Only `\/` is an escape, whatever stands before it; all other
    /// backslashes are the pattern's own.
    pub(crate) fn scan_regex(&mut self) -> Lexeme<'a> {
        let pos = self.last;
        self.read();
        let mut pattern = String::new();
        loop {
            match self.read() {
                Some('/') => {
                    return Lexeme { token: Token::Regex, text: Cow::Owned(pattern), bare: false, pos };
                }
                None | Some('\n') => return lexeme(Token::BadRegex, "", pos),
                Some('\\') if self.read_if('/') => pattern.push('/'),
                Some(ch) => pattern.push(ch),
            }
        }
    }
}

fn lexeme(token: Token, text: &str, pos: Pos) -> Lexeme<'_> {
    Lexeme { token, text: Cow::Borrowed(text), bare: false, pos }
}

/// The character that a backslash and `escaped` stand for.
fn unescape(escaped: Option<char>, dialect: Dialect) -> Option<char> {
    match escaped? {
        'n' => Some('\n'),
        ch @ ('\\' | '"' | '\'') => Some(ch),
        'r' if dialect == Dialect::Canonical => Some('\r'),
        '0' if dialect == Dialect::Canonical => Some('\0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
