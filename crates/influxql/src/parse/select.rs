//! `SELECT`, its clauses (which other statements share), and `EXPLAIN`.

use super::{Parser, unexpected};
use crate::ast::{
    Binary, Direction, Explain, Expr, Field, Fill, FillNumber, Literal, Measurement, MeasurementName, OrderBy,
    SelectStatement, Source, Statement, Target, TargetName, VarRef,
};
use crate::error::{ParseError, Pos};
use crate::token::{Keyword, Token};
use crate::visit::find_expr;
use crate::zone;

/// Whether a `SELECT` has an `INTO` clause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Allowed,
    Required,
}

/// Whether a subquery may stand in `FROM`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subqueries {
    Allowed,
    Refused,
}

impl Parser<'_> {
    /// Behind `SELECT`.
    pub(super) fn select(&mut self, into: Into) -> Result<SelectStatement, ParseError> {
        let fields = self.fields()?;
        let target = self.target(into)?;
        self.expect(Keyword::From)?;
        let sources = self.sources(Subqueries::Allowed)?;
        let mut select = SelectStatement { target, ..SelectStatement::new(fields, sources) };
        self.clauses(&mut select)?;
        Ok(select)
    }

    /// What may follow the sources. Apart from `select`, so that a level of nesting takes little of the stack.
    fn clauses(&mut self, select: &mut SelectStatement) -> Result<(), ParseError> {
        select.condition = self.condition()?;
        select.dimensions = self.dimensions()?;
        select.fill = self.fill()?;
        select.order_by = self.order_by()?;
        select.limit = self.count(Keyword::Limit)?;
        select.offset = self.count(Keyword::Offset)?;
        select.slimit = self.count(Keyword::Slimit)?;
        select.soffset = self.count(Keyword::Soffset)?;
        select.tz = self.tz()?;
        Ok(())
    }

    pub(super) fn explain(&mut self) -> Result<Statement, ParseError> {
        let analyze = self.accept(Keyword::Analyze);
        let verbose = self.accept_word("VERBOSE");
        self.expect(Keyword::Select)?;
        let statement = Box::new(self.select(Into::Allowed)?);
        Ok(Statement::Explain(Explain { analyze, verbose, statement }))
    }

    fn fields(&mut self) -> Result<Vec<Field>, ParseError> {
        let mut fields = vec![self.field()?];
        while self.accept_comma() {
            fields.push(self.field()?);
        }
        Ok(fields)
    }

    fn field(&mut self) -> Result<Field, ParseError> {
        let expr = match self.regex()? {
            Some(pattern) => Expr::Literal(Literal::Regex(pattern)),
            None => {
                let pos = self.next().pos;
                self.unread();
                let expr = self.expr()?;
                check_operators(&expr, pos)?;
                expr
            }
        };
        let alias = if self.accept(Keyword::As) { self.identifier_or_empty()? } else { None };
        Ok(Field { expr, alias })
    }

    fn target(&mut self, into: Into) -> Result<Option<Target>, ParseError> {
        let lexeme = self.next();
        if !lexeme.is(Keyword::Into) {
            if into == Into::Required {
                return Err(unexpected(&lexeme, &["INTO"]));
            }
            self.unread();
            return Ok(None);
        }
        self.skip_whitespace();
        let same_as_source = |parser: &mut Self| {
            parser.expect_token(Token::Colon)?;
            parser.expect(Keyword::Measurement)
        };
        let mut segments = Vec::new();
        if self.is_same_as_source() {
            same_as_source(self)?;
            segments.push(String::new());
        } else {
            segments.extend(self.segments()?);
            if segments.len() < 3 && self.is_behind_dot() && self.scanner.look() == Some(':') {
                same_as_source(self)?;
                segments.push(String::new());
            }
        }
        let (database, retention_policy, name) = qualified(segments);
        // The reference, too, takes an empty name for `:MEASUREMENT`.
        let name = if name.is_empty() { TargetName::SameAsSource } else { TargetName::Name(name) };
        Ok(Some(Target { database, retention_policy, name }))
    }

    /// Whether `:MEASUREMENT` comes next.
    fn is_same_as_source(&mut self) -> bool {
        let start = self.scanner;
        let found = self.scanner.scan().token == Token::Colon && self.scanner.scan().is(Keyword::Measurement);
        self.scanner = start;
        found
    }

    pub(super) fn sources(&mut self, subqueries: Subqueries) -> Result<Vec<Source>, ParseError> {
        let mut sources = vec![self.source(subqueries)?];
        while self.accept_comma() {
            sources.push(self.source(subqueries)?);
        }
        Ok(sources)
    }

    /// Sources behind `FROM`; none without it. Subqueries are refused.
    pub(super) fn optional_sources(&mut self) -> Result<Vec<Source>, ParseError> {
        if self.accept(Keyword::From) { self.sources(Subqueries::Refused) } else { Ok(Vec::new()) }
    }

    fn source(&mut self, subqueries: Subqueries) -> Result<Source, ParseError> {
        if let Some(pattern) = self.regex()? {
            let name = MeasurementName::Regex(pattern);
            return Ok(Source::Measurement(Measurement { database: None, retention_policy: None, name }));
        }
        if subqueries == Subqueries::Allowed {
            if self.next().token == Token::LeftParen {
                return self.subquery();
            }
            self.unread();
        }
        self.measurement().map(Source::Measurement)
    }

    /// Behind its opening parenthesis.
    fn subquery(&mut self) -> Result<Source, ParseError> {
        self.expect(Keyword::Select)?;
        let select = self.nested(|parser| parser.select(Into::Allowed).map(Box::new))?;
        self.expect_token(Token::RightParen)?;
        Ok(Source::Subquery(select))
    }

    fn measurement(&mut self) -> Result<Measurement, ParseError> {
        let mut segments = self.segments()?;
        let pattern = if segments.len() < 3 && self.is_behind_dot() && self.scanner.look() == Some('/') {
            segments.push(String::new());
            self.regex()?
        } else {
            None
        };
        let (database, retention_policy, name) = qualified(segments);
        let name = pattern.map_or(MeasurementName::Name(name), MeasurementName::Regex);
        Ok(Measurement { database, retention_policy, name })
    }

    /// Whether the last token read is a dot.
    fn is_behind_dot(&self) -> bool {
        self.last.as_ref().is_some_and(|lexeme| lexeme.token == Token::Dot)
    }

    pub(super) fn condition(&mut self) -> Result<Option<Expr>, ParseError> {
        if self.accept(Keyword::Where) { self.expr().map(Some) } else { Ok(None) }
    }

    /// The `GROUP BY` list.
    pub(super) fn dimensions(&mut self) -> Result<Vec<Expr>, ParseError> {
        if !self.accept(Keyword::Group) {
            return Ok(Vec::new());
        }
        self.expect(Keyword::By)?;
        let mut dimensions = vec![self.dimension()?];
        while self.accept_comma() {
            dimensions.push(self.dimension()?);
        }
        Ok(dimensions)
    }

    fn dimension(&mut self) -> Result<Expr, ParseError> {
        match self.regex()? {
            Some(pattern) => Ok(Expr::Literal(Literal::Regex(pattern))),
            None => self.expr(),
        }
    }

    fn fill(&mut self) -> Result<Fill, ParseError> {
        let Some(args) = self.clause_call("fill")? else { return Ok(Fill::Null) };
        let [arg] = args.as_slice() else {
            return Err(ParseError::new("fill requires an argument, e.g.: 0, null, none, previous, linear"));
        };
        match arg {
            Expr::VarRef(VarRef { name, cast: None }) if name == "null" => Ok(Fill::Null),
            Expr::VarRef(VarRef { name, cast: None }) if name == "none" => Ok(Fill::None),
            Expr::VarRef(VarRef { name, cast: None }) if name == "previous" => Ok(Fill::Previous),
            Expr::VarRef(VarRef { name, cast: None }) if name == "linear" => Ok(Fill::Linear),
            Expr::Literal(Literal::Integer(value)) => Ok(Fill::Number(FillNumber::Integer(*value))),
            Expr::Literal(Literal::Number(value)) => Ok(Fill::Number(FillNumber::Float(*value))),
            _ => Err(ParseError::new("expected number argument in fill()")),
        }
    }

    fn tz(&mut self) -> Result<Option<String>, ParseError> {
        let Some(args) = self.clause_call("tz")? else { return Ok(None) };
        let [arg] = args.as_slice() else {
            return Err(ParseError::new("tz requires exactly one argument"));
        };
        let Expr::Literal(Literal::String(name)) = arg else {
            return Err(ParseError::new("expected string argument in tz()"));
        };
        match zone::canonical(name) {
            Some(name) => Ok(Some(name)),
            None => Err(ParseError::new(format!("unable to find time zone {name}"))),
        }
    }

    /// The arguments of a clause that looks like a call. Its name is an ordinary identifier.
    fn clause_call(&mut self, name: &str) -> Result<Option<Vec<Expr>>, ParseError> {
        let lexeme = self.next();
        let found = lexeme.token == Token::Identifier && lexeme.text.eq_ignore_ascii_case(name);
        self.unread();
        if !found {
            return Ok(None);
        }
        match self.expr()? {
            Expr::Call(call) => Ok(Some(call.args)),
            _ => Err(ParseError::new(format!("{name} must be a function call"))),
        }
    }

    pub(super) fn order_by(&mut self) -> Result<Option<OrderBy>, ParseError> {
        const ONLY_TIME: &str = "only ORDER BY time supported at this time";
        if !self.accept(Keyword::Order) {
            return Ok(None);
        }
        self.expect(Keyword::By)?;
        let lexeme = self.next();
        let order_by = match lexeme.token {
            Token::Keyword(Keyword::Asc) => OrderBy { names_time: false, direction: Direction::Ascending },
            Token::Keyword(Keyword::Desc) => OrderBy { names_time: false, direction: Direction::Descending },
            Token::Identifier if lexeme.text.eq_ignore_ascii_case("time") => {
                let descending = self.accept(Keyword::Desc);
                if !descending {
                    self.accept(Keyword::Asc);
                }
                let direction = if descending { Direction::Descending } else { Direction::Ascending };
                OrderBy { names_time: true, direction }
            }
            Token::Identifier => return Err(ParseError::new(ONLY_TIME)),
            _ => return Err(unexpected(&lexeme, &["identifier", "ASC", "DESC"])),
        };
        if self.accept_comma() {
            self.identifier()?;
            return Err(ParseError::new(ONLY_TIME));
        }
        Ok(Some(order_by))
    }

    /// The number behind `LIMIT` and the like; 0 without it.
    pub(super) fn count(&mut self, keyword: Keyword) -> Result<u64, ParseError> {
        if !self.accept(keyword) {
            return Ok(0);
        }
        let (digits, pos) = self.integer()?;
        if digits.starts_with('-') {
            return Err(ParseError::at(format!("{} must be >= 0", keyword.as_str()), pos));
        }
        // Too large is as good as the largest.
        Ok(digits.parse::<i64>().unwrap_or(i64::MAX).unsigned_abs())
    }
}

/// Database, retention policy and name of one to three segments.
fn qualified(segments: Vec<String>) -> (Option<String>, Option<String>, String) {
    let mut segments = segments.into_iter().rev();
    let name = segments.next().unwrap_or_default();
    let retention_policy = segments.next().filter(|segment| !segment.is_empty());
    let database = segments.next().filter(|segment| !segment.is_empty());
    (database, retention_policy, name)
}

/// Refuses comparisons in a select list; `pos` is where the field starts.
fn check_operators(field: &Expr, pos: Pos) -> Result<(), ParseError> {
    let comparison = find_expr(field, &mut |expr| match expr {
        Expr::Binary(binary) => !binary.op.is_arithmetic(),
        _ => false,
    });
    match comparison {
        Some(Expr::Binary(binary)) => {
            let Binary { op, .. } = **binary;
            Err(ParseError::new(format!(
                "invalid operator {} in SELECT clause at {pos}; operator is intended for WHERE clause",
                op.as_str()
            )))
        }
        _ => Ok(()),
    }
}
