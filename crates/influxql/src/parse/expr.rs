//! Expressions: operators by precedence, operands, calls.

use super::{EXPR_HEIGHT_MAX, Parser, compile, unexpected};
use crate::ast::{BinaryOp, Call, DataType, Expr, Literal, VarRef, WildcardKind};
use crate::duration::parse_duration;
use crate::error::ParseError;
use crate::scan::Dialect;
use crate::token::{Keyword, Lexeme, Token};

/// What starts an operand, as errors list it.
pub(super) const OPERAND: &[&str] = &["identifier", "string", "number", "bool"];

/// An expression and how many levels it has.
struct Tree {
    expr: Expr,
    height: usize,
}

impl Tree {
    fn leaf(expr: Expr) -> Tree {
        Tree { expr, height: 1 }
    }

    fn literal(literal: Literal) -> Tree {
        Tree::leaf(Expr::Literal(literal))
    }

    fn binary(op: BinaryOp, lhs: Tree, rhs: Tree) -> Result<Tree, ParseError> {
        let below = lhs.height.max(rhs.height);
        Tree::above(below, Expr::binary(op, lhs.expr, rhs.expr))
    }

    fn paren(inner: Tree) -> Result<Tree, ParseError> {
        Tree::above(inner.height, Expr::paren(inner.expr))
    }

    /// `expr`, whose children have up to `below` levels.
    fn above(below: usize, expr: Expr) -> Result<Tree, ParseError> {
        if below >= EXPR_HEIGHT_MAX {
            return Err(ParseError::new(format!("expression has too many levels: at most {EXPR_HEIGHT_MAX}")));
        }
        Ok(Tree { expr, height: below + 1 })
    }
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, ParseError> {
        Ok(self.tree()?.expr)
    }

    /// Operands and operators: an OR of ANDs of chains of the rest.
    fn tree(&mut self) -> Result<Tree, ParseError> {
        let mut or_terms = Vec::new();
        let mut and_terms = Vec::new();
        loop {
            let (term, op) = self.comparison()?;
            and_terms.push(term);
            if op != Some(BinaryOp::And) {
                or_terms.push(balance(BinaryOp::And, std::mem::take(&mut and_terms))?);
            }
            if op.is_none() {
                return balance(BinaryOp::Or, or_terms);
            }
        }
    }

    /// A chain of comparisons and arithmetic, and the `AND` or `OR` that ends it.
    fn comparison(&mut self) -> Result<(Tree, Option<BinaryOp>), ParseError> {
        let mut operands = vec![self.operand()?];
        // Operators that wait for their right side, of strictly growing precedence.
        let mut waiting: Vec<BinaryOp> = Vec::new();
        loop {
            let op = self.operator();
            let precedence = op.filter(|op| !op.is_logical()).map_or(0, BinaryOp::precedence);
            while let Some(top) = waiting.pop_if(|top| top.precedence() >= precedence) {
                let (rhs, lhs) = (operands.pop(), operands.pop());
                let (lhs, rhs) = lhs.zip(rhs).expect("an operator waits between two operands");
                operands.push(Tree::binary(top, lhs, rhs)?);
            }
            let Some(op) = op.filter(|op| !op.is_logical()) else {
                let tree = operands.pop().expect("all operators are applied, one tree is left");
                return Ok((tree, op));
            };
            let operand =
                if op.is_regex() { Tree::literal(Literal::Regex(self.expect_regex()?)) } else { self.operand()? };
            // `a / -b` is `a / (-1 * b)`: without the parentheses its text would read as `(a / -1) * b`.
            let product = matches!(operand.expr, Expr::Binary(_)) && op.precedence() == BinaryOp::Mul.precedence();
            operands.push(if product { Tree::paren(operand)? } else { operand });
            waiting.push(op);
        }
    }

    fn operator(&mut self) -> Option<BinaryOp> {
        let op = match self.next().token {
            Token::Keyword(Keyword::Or) => BinaryOp::Or,
            Token::Keyword(Keyword::And) => BinaryOp::And,
            Token::Eq => BinaryOp::Eq,
            Token::NotEq => BinaryOp::NotEq,
            Token::EqRegex => BinaryOp::EqRegex,
            Token::NotEqRegex => BinaryOp::NotEqRegex,
            Token::Lt => BinaryOp::Lt,
            Token::LtEq => BinaryOp::LtEq,
            Token::Gt => BinaryOp::Gt,
            Token::GtEq => BinaryOp::GtEq,
            Token::Add => BinaryOp::Add,
            Token::Sub => BinaryOp::Sub,
            Token::BitOr => BinaryOp::BitOr,
            Token::BitXor => BinaryOp::BitXor,
            Token::Mul => BinaryOp::Mul,
            Token::Div => BinaryOp::Div,
            Token::Mod => BinaryOp::Mod,
            Token::BitAnd => BinaryOp::BitAnd,
            _ => {
                self.unread();
                return None;
            }
        };
        Some(op)
    }

    fn operand(&mut self) -> Result<Tree, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::LeftParen => self.parenthesized(),
            Token::Identifier => self.name(lexeme),
            Token::Keyword(Keyword::Distinct) => self.distinct(),
            Token::Mul => self.wildcard(),
            Token::Add | Token::Sub => self.signed(lexeme.token == Token::Sub),
            Token::Div if self.scanner.dialect() == Dialect::Canonical => self.canonical_regex(),
            Token::BoundParameter => Err(unbound(&lexeme)),
            _ => literal(lexeme),
        }
    }

    fn parenthesized(&mut self) -> Result<Tree, ParseError> {
        let inner = self.nested(Self::tree)?;
        self.expect_token(Token::RightParen)?;
        Tree::paren(inner)
    }

    /// A call or a column; `lexeme` is the identifier it starts with.
    fn name(&mut self, lexeme: Lexeme<'_>) -> Result<Tree, ParseError> {
        if self.next_adjacent().token == Token::LeftParen {
            return self.call(&lexeme.text);
        }
        self.unread();
        self.var_ref(lexeme)
    }

    /// A regex as an operand; its slash has been read.
    fn canonical_regex(&mut self) -> Result<Tree, ParseError> {
        self.unread();
        Ok(Tree::literal(Literal::Regex(self.expect_regex()?)))
    }

    /// What follows a `+` or `-` that is no operator.
    fn signed(&mut self, negative: bool) -> Result<Tree, ParseError> {
        let lexeme = self.next();
        if !matches!(
            lexeme.token,
            Token::Number | Token::Integer | Token::Duration | Token::LeftParen | Token::Identifier
        ) {
            return Err(unexpected(&lexeme, &["identifier", "number", "duration", "("]));
        }
        self.unread();
        let operand = self.operand()?;
        let sign = if negative { -1 } else { 1 };
        match operand.expr {
            Expr::Literal(literal) => Ok(Tree::literal(if negative { negate(literal)? } else { literal })),
            _ => Tree::binary(BinaryOp::Mul, Tree::literal(Literal::Integer(sign)), operand),
        }
    }

    /// A column name that starts with `first`, and its cast.
    fn var_ref(&mut self, first: Lexeme<'_>) -> Result<Tree, ParseError> {
        let name = self.segments_after(first.text.into_owned())?.join(".");
        let cast = if self.next_adjacent().token == Token::DoubleColon {
            Some(self.data_type()?)
        } else {
            self.unread();
            None
        };
        Ok(Tree::leaf(Expr::VarRef(VarRef { name, cast })))
    }

    fn data_type(&mut self) -> Result<DataType, ParseError> {
        let lexeme = self.next_adjacent();
        match lexeme.token {
            Token::Keyword(Keyword::Field) => Ok(DataType::AnyField),
            Token::Keyword(Keyword::Tag) => Ok(DataType::Tag),
            Token::Identifier => match lexeme.text.to_ascii_lowercase().as_str() {
                "float" => Ok(DataType::Float),
                "integer" => Ok(DataType::Integer),
                "unsigned" => Ok(DataType::Unsigned),
                "string" => Ok(DataType::String),
                "boolean" => Ok(DataType::Boolean),
                _ => Err(unexpected(&lexeme, &["float", "integer", "unsigned", "string", "boolean", "field", "tag"])),
            },
            // Here the reference forgets one.
            _ => Err(unexpected(&lexeme, &["float", "integer", "string", "boolean", "field", "tag"])),
        }
    }

    fn wildcard(&mut self) -> Result<Tree, ParseError> {
        if self.next_adjacent().token != Token::DoubleColon {
            self.unread();
            return Ok(Tree::leaf(Expr::Wildcard(None)));
        }
        let lexeme = self.next_adjacent();
        let kind = match lexeme.token {
            Token::Keyword(Keyword::Field) => WildcardKind::Field,
            Token::Keyword(Keyword::Tag) => WildcardKind::Tag,
            _ => return Err(unexpected(&lexeme, &["field", "tag"])),
        };
        Ok(Tree::leaf(Expr::Wildcard(Some(kind))))
    }

    /// `DISTINCT v`, or a call of `distinct`.
    fn distinct(&mut self) -> Result<Tree, ParseError> {
        let lexeme = self.next_adjacent();
        match lexeme.token {
            Token::LeftParen => self.call("distinct"),
            Token::Whitespace | Token::Comment => Ok(Tree::leaf(Expr::Distinct(self.identifier()?))),
            _ => Err(unexpected(&lexeme, &["(", "identifier"])),
        }
    }

    /// The arguments of a call, behind its opening parenthesis.
    fn call(&mut self, name: &str) -> Result<Tree, ParseError> {
        let mut args = Vec::new();
        let mut below = 0;
        loop {
            let arg = if let Some(pattern) = self.regex()? {
                Tree::literal(Literal::Regex(pattern))
            } else {
                if args.is_empty() {
                    if self.next().token == Token::RightParen {
                        break;
                    }
                    self.unread();
                }
                self.nested(Self::tree)?
            };
            below = below.max(arg.height);
            args.push(arg.expr);
            if !self.accept_comma() {
                self.expect_token(Token::RightParen)?;
                break;
            }
        }
        Tree::above(below, Expr::Call(Call { name: name.to_lowercase(), args }))
    }
}

/// The terms joined by `op`, which is associative, in as few levels as possible.
fn balance(op: BinaryOp, mut terms: Vec<Tree>) -> Result<Tree, ParseError> {
    if terms.len() > 1 {
        let right = terms.split_off(terms.len().div_ceil(2));
        return Tree::binary(op, balance(op, terms)?, balance(op, right)?);
    }
    Ok(terms.pop().expect("a chain has at least one term"))
}

fn literal(lexeme: Lexeme<'_>) -> Result<Tree, ParseError> {
    let literal = match lexeme.token {
        Token::String => Literal::String(lexeme.text.into_owned()),
        Token::Integer => integer(&lexeme)?,
        Token::Number => match lexeme.text.parse::<f64>() {
            Ok(value) if value.is_finite() => Literal::Number(value),
            _ => return Err(ParseError::at("unable to parse number", lexeme.pos)),
        },
        Token::Duration => Literal::Duration(parse_duration(&lexeme.text)?),
        Token::Keyword(Keyword::True) => Literal::Boolean(true),
        Token::Keyword(Keyword::False) => Literal::Boolean(false),
        Token::Regex => Literal::Regex(compile(lexeme)?),
        _ => return Err(unexpected(&lexeme, OPERAND)),
    };
    Ok(Tree::literal(literal))
}

fn integer(lexeme: &Lexeme<'_>) -> Result<Literal, ParseError> {
    if let Ok(value) = lexeme.text.parse() {
        return Ok(Literal::Integer(value));
    }
    match lexeme.text.parse() {
        Ok(value) => Ok(Literal::Unsigned(value)),
        Err(_) => Err(ParseError::at("unable to parse integer", lexeme.pos)),
    }
}

fn negate(literal: Literal) -> Result<Literal, ParseError> {
    const MIN_MAGNITUDE: u64 = i64::MIN.unsigned_abs();
    Ok(match literal {
        // Only a parameter brings an integer here that has a sign already, and so one that does not fit negated.
        Literal::Integer(value) => value.checked_neg().map_or(Literal::Unsigned(MIN_MAGNITUDE), Literal::Integer),
        Literal::Unsigned(MIN_MAGNITUDE) => Literal::Integer(i64::MIN),
        Literal::Unsigned(value) => return Err(ParseError::new(format!("constant -{value} underflows int64"))),
        Literal::Number(value) => Literal::Number(-value),
        Literal::Duration(value) => Literal::Duration(-value),
        other => other,
    })
}

/// The error of a parameter without a usable value.
fn unbound(lexeme: &Lexeme<'_>) -> ParseError {
    ParseError::new(match lexeme.text.strip_prefix('$') {
        Some("") => "empty bound parameter".to_owned(),
        Some(name) => format!("missing parameter: {name}"),
        None => lexeme.text.to_string(),
    })
}
