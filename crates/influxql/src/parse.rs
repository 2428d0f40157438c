//! Text to tree, by recursive descent.
//!
//! One function per production, named after it. A function that finds the wrong token reports it with the list of
//! those it would have taken, in the words of the reference; so the order in which tokens are tried is part of our
//! compatibility.
//!
//! Invariants
//! - The first error ends the parse; there is no recovery.
//! - Recursion is bounded by [`NESTING_MAX`], the height of a tree by [`EXPR_HEIGHT_MAX`], so that no input overflows
//!   the stack, neither here nor where the tree is walked.
//!
//! Not here: meaning. Unknown functions, wrong types, impossible times are found in `plan`.

mod define;
mod expr;
mod remove;
mod select;
mod show;
mod users;

use std::borrow::Cow;

use model::Pattern;

use crate::ast::{Expr, SelectStatement, Statement};
use crate::error::{ParseError, Pos};
use crate::params::{ParamValue, Params, writable_pattern};
use crate::scan::{Dialect, Scanner};
use crate::token::{Keyword, Lexeme, Token};

/// Longest text that [`parse_query`] takes, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 20;

/// How deep parentheses, calls and subqueries may nest, together.
pub const NESTING_MAX: usize = 100;

/// Most levels of one expression tree. A chain of `AND`s or `OR`s of any length takes few; `a + b + c` takes three.
pub const EXPR_HEIGHT_MAX: usize = 500;

/// Nesting of texts of our own printer, which adds parentheses to trees that were built and not parsed.
const NESTING_CANONICAL_MAX: usize = 2 * NESTING_MAX;

/// Parses the statements of a request, replacing bound parameters by their values. An empty text is no statement.
pub fn parse_query(text: &str, params: &Params) -> Result<Vec<Statement>, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ParseError::new(format!("query is too long: {} bytes, at most {QUERY_BYTES_MAX}", text.len())));
    }
    Parser::new(text, Dialect::Client, params).query()
}

/// Reads back what [`Statement`]'s `Display` printed, also where that is not InfluxQL: strings may hold characters that
/// a client can only bring in by a parameter. There is no limit to the length.
pub fn parse_canonical(text: &str) -> Result<Vec<Statement>, ParseError> {
    Parser::new(text, Dialect::Canonical, &Params::new()).query()
}

/// Like [`parse_canonical`] for the text of one `SELECT`.
pub fn parse_canonical_select(text: &str) -> Result<SelectStatement, ParseError> {
    let params = Params::new();
    let mut parser = Parser::new(text, Dialect::Canonical, &params);
    parser.expect(Keyword::Select)?;
    let select = parser.select(select::Into::Allowed)?;
    parser.expect_end()?;
    Ok(select)
}

/// Parses a single expression, such as a condition.
pub fn parse_expr(text: &str) -> Result<Expr, ParseError> {
    let params = Params::new();
    let mut parser = Parser::new(text, Dialect::Client, &params);
    let expr = parser.expr()?;
    parser.expect_end()?;
    Ok(expr)
}

/// Like [`parse_expr`], for the text that [`Expr`]'s `Display` printed.
pub fn parse_canonical_expr(text: &str) -> Result<Expr, ParseError> {
    let params = Params::new();
    let mut parser = Parser::new(text, Dialect::Canonical, &params);
    let expr = parser.expr()?;
    parser.expect_end()?;
    Ok(expr)
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// Where `unread` goes back to.
    before: Scanner<'a>,
    /// The last token that was read, and the one that was it before.
    last: Option<Lexeme<'a>>,
    last_before: Option<Lexeme<'a>>,
    /// What was put back: most tokens are looked at by several productions before one takes them.
    unread: Option<Unread<'a>>,
    params: &'a Params,
    depth: usize,
}

/// A token that was read and put back.
struct Unread<'a> {
    lexeme: Lexeme<'a>,
    /// Where the reading began, in bytes. The token stands for the next one only while the scanner is there.
    start: usize,
    /// The scanner behind the token.
    behind: Scanner<'a>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect, params: &'a Params) -> Parser<'a> {
        let scanner = Scanner::new(text, dialect);
        Parser { scanner, before: scanner, last: None, last_before: None, unread: None, params, depth: 0 }
    }

    fn query(&mut self) -> Result<Vec<Statement>, ParseError> {
        let mut statements = Vec::new();
        let mut separated = true;
        loop {
            let lexeme = self.next();
            match lexeme.token {
                Token::End => return Ok(statements),
                Token::Semicolon => separated = true,
                _ if !separated => return Err(unexpected(&lexeme, &[";"])),
                _ => {
                    self.unread();
                    statements.push(self.statement()?);
                    separated = false;
                }
            }
        }
    }

    fn statement(&mut self) -> Result<Statement, ParseError> {
        const EXPECTED: &[&str] =
            &["SELECT", "DELETE", "SHOW", "CREATE", "DROP", "EXPLAIN", "GRANT", "REVOKE", "ALTER", "SET", "KILL"];
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Select) => Ok(Statement::Select(Box::new(self.select(select::Into::Allowed)?))),
            Token::Keyword(Keyword::Delete) => self.delete(),
            Token::Keyword(Keyword::Show) => self.show(),
            Token::Keyword(Keyword::Create) => self.create(),
            Token::Keyword(Keyword::Drop) => self.drop(),
            Token::Keyword(Keyword::Explain) => self.explain(),
            Token::Keyword(Keyword::Grant) => self.grant(),
            Token::Keyword(Keyword::Revoke) => self.revoke(),
            Token::Keyword(Keyword::Alter) => self.alter(),
            Token::Keyword(Keyword::Set) => self.set_password(),
            Token::Keyword(Keyword::Kill) => self.kill(),
            _ => Err(unexpected(&lexeme, EXPECTED)),
        }
    }

    /// The next token that is not white space or a comment.
    fn next(&mut self) -> Lexeme<'a> {
        if let Some(Unread { lexeme, start, behind }) = self.unread.take()
            && start == self.scanner.offset()
            && !is_space(lexeme.token)
        {
            self.before = self.scanner;
            self.scanner = behind;
            self.last_before = self.last.replace(lexeme.clone());
            return lexeme;
        }
        self.before = self.scanner;
        loop {
            let lexeme = self.scanner.scan();
            if !is_space(lexeme.token) {
                return self.take(lexeme);
            }
        }
    }

    /// The next token, even if it is white space.
    fn next_adjacent(&mut self) -> Lexeme<'a> {
        self.unread = None;
        self.before = self.scanner;
        let lexeme = self.scanner.scan();
        self.take(lexeme)
    }

    fn take(&mut self, lexeme: Lexeme<'a>) -> Lexeme<'a> {
        let lexeme = if lexeme.token == Token::BoundParameter { self.substitute(lexeme) } else { lexeme };
        self.last_before = self.last.replace(lexeme.clone());
        lexeme
    }

    /// Goes back to before the last token; works once.
    fn unread(&mut self) {
        let behind = std::mem::replace(&mut self.scanner, self.before);
        let lexeme = std::mem::replace(&mut self.last, self.last_before.take());
        self.unread = lexeme.map(|lexeme| Unread { lexeme, start: self.before.offset(), behind });
    }

    /// The value of a parameter in place of its name; itself if it has none.
    fn substitute(&self, parameter: Lexeme<'a>) -> Lexeme<'a> {
        let name = &parameter.text[1..];
        let Some(value) = self.params.get(name).filter(|_| !name.is_empty()) else { return parameter };
        let (token, text) = match value {
            ParamValue::String(text) => (Token::String, Cow::Borrowed(text.as_str())),
            ParamValue::Integer(value) => (Token::Integer, Cow::Owned(value.to_string())),
            ParamValue::Number(value) => (Token::Number, Cow::Owned(value.to_string())),
            ParamValue::Boolean(true) => (Token::Keyword(Keyword::True), Cow::Borrowed("")),
            ParamValue::Boolean(false) => (Token::Keyword(Keyword::False), Cow::Borrowed("")),
            ParamValue::Identifier(name) => (Token::Identifier, Cow::Borrowed(name.as_str())),
            ParamValue::Regex(pattern) => (Token::Regex, writable_pattern(pattern)),
            ParamValue::Duration(text) => (Token::Duration, Cow::Borrowed(text.as_str())),
            ParamValue::Unusable(reason) => (Token::BoundParameter, Cow::Borrowed(reason.as_str())),
        };
        Lexeme { token, text, bare: false, pos: parameter.pos }
    }

    /// Consumes the next token if it is `keyword`.
    fn accept(&mut self, keyword: Keyword) -> bool {
        let found = self.next().is(keyword);
        if !found {
            self.unread();
        }
        found
    }

    /// Consumes the next token if it is the unquoted identifier `word`.
    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.next().is_word(word);
        if !found {
            self.unread();
        }
        found
    }

    /// Consumes the next token if it is a comma.
    fn accept_comma(&mut self) -> bool {
        let found = self.next().token == Token::Comma;
        if !found {
            self.unread();
        }
        found
    }

    fn expect(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        self.expect_token(Token::Keyword(keyword))
    }

    fn expect_token(&mut self, token: Token) -> Result<(), ParseError> {
        let lexeme = self.next();
        if lexeme.token == token { Ok(()) } else { Err(unexpected(&lexeme, &[token.name()])) }
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        self.expect_token(Token::End)
    }

    fn identifier(&mut self) -> Result<String, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Identifier => Ok(lexeme.text.into_owned()),
            _ => Err(unexpected(&lexeme, &["identifier"])),
        }
    }

    /// An optional name: the empty identifier counts as absent.
    fn identifier_or_empty(&mut self) -> Result<Option<String>, ParseError> {
        Ok(Some(self.identifier()?).filter(|name| !name.is_empty()))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::String => Ok(lexeme.text.into_owned()),
            _ => Err(unexpected(&lexeme, &["string"])),
        }
    }

    /// The digits of an integer (a parameter can bring a minus sign along), and where they stand.
    fn integer(&mut self) -> Result<(Cow<'a, str>, Pos), ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Integer => Ok((lexeme.text, lexeme.pos)),
            _ => Err(unexpected(&lexeme, &["integer"])),
        }
    }

    /// An id; the texts of its errors are those of the reference.
    fn unsigned(&mut self) -> Result<u64, ParseError> {
        let (digits, pos) = self.integer()?;
        digits.parse().map_err(|_| {
            let reason = if digits.starts_with('-') { "invalid syntax" } else { "value out of range" };
            ParseError::at(format!("strconv.ParseUint: parsing \"{digits}\": {reason}"), pos)
        })
    }

    /// `a.b.c`: up to three names without white space before the dots. Stops behind a dot that is followed by the
    /// slash of a regex or by a colon, which the caller knows what to do with.
    fn segments(&mut self) -> Result<Vec<String>, ParseError> {
        let first = self.identifier()?;
        self.segments_after(first)
    }

    /// `segments`, the first of which has been read.
    fn segments_after(&mut self, first: String) -> Result<Vec<String>, ParseError> {
        let mut segments = vec![first];
        loop {
            if self.next_adjacent().token != Token::Dot {
                self.unread();
                break;
            }
            match self.scanner.look() {
                Some('/' | ':') => break,
                Some('.') => segments.push(String::new()),
                _ => segments.push(self.identifier()?),
            }
        }
        match segments.len() {
            ..=3 => Ok(segments),
            _ => Err(ParseError::at(
                format!("too many segments in {}", crate::print::quote_segments(&segments)),
                Pos::default(),
            )),
        }
    }

    /// A regex, if one stands here.
    fn regex(&mut self) -> Result<Option<String>, ParseError> {
        self.skip_whitespace();
        let lexeme = match self.scanner.look() {
            Some('$') => {
                let lexeme = self.next_adjacent();
                if lexeme.token != Token::Regex {
                    self.unread();
                    return Ok(None);
                }
                lexeme
            }
            Some('/') => {
                self.before = self.scanner;
                let lexeme = self.scanner.scan_regex();
                self.take(lexeme)
            }
            _ => return Ok(None),
        };
        if lexeme.token == Token::BadRegex {
            return Err(ParseError::at("bad regex: ", lexeme.pos));
        }
        compile(lexeme).map(Some)
    }

    /// A regex, which must stand here.
    fn expect_regex(&mut self) -> Result<String, ParseError> {
        match self.regex()? {
            Some(pattern) => Ok(pattern),
            None => Err(unexpected(&self.next(), &["regex"])),
        }
    }

    fn skip_whitespace(&mut self) {
        loop {
            let start = self.scanner;
            if !is_space(self.scanner.scan().token) {
                self.scanner = start;
                return;
            }
        }
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        let depth_max = match self.scanner.dialect() {
            Dialect::Client => NESTING_MAX,
            Dialect::Canonical => NESTING_CANONICAL_MAX,
        };
        if self.depth == depth_max {
            return Err(ParseError::new(format!("query is nested too deeply: at most {depth_max} levels")));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }
}

fn is_space(token: Token) -> bool {
    matches!(token, Token::Whitespace | Token::Comment)
}

/// `found X, expected A, B at ...`.
fn unexpected(lexeme: &Lexeme<'_>, expected: &[&str]) -> ParseError {
    ParseError::unexpected(lexeme.found(), expected, lexeme.pos)
}

/// The text of a regex token, if it is a pattern.
fn compile(lexeme: Lexeme<'_>) -> Result<String, ParseError> {
    match Pattern::compile(&lexeme.text) {
        Ok(_) => Ok(lexeme.text.into_owned()),
        Err(error) => Err(ParseError::at(format!("error parsing regexp: {error}"), lexeme.pos)),
    }
}

#[cfg(test)]
mod tests;
