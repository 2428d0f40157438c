//! Expressions and literals.

use std::fmt::{self, Display, Formatter};

use stdx::human::print_instant;

use super::{Ident, quote_regex, quote_string, write_list};
use crate::ast::{Binary, BinaryOp, Call, Expr, Literal, VarRef, WildcardKind};
use crate::duration::format_duration;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::VarRef(var_ref) => var_ref.fmt(f),
            Expr::Call(call) => call.fmt(f),
            Expr::Binary(binary) => binary.fmt(f),
            Expr::Paren(inner) => write!(f, "({inner})"),
            Expr::Distinct(name) => write!(f, "DISTINCT {}", Ident(name)),
            Expr::Wildcard(None) => f.write_str("*"),
            Expr::Wildcard(Some(WildcardKind::Field)) => f.write_str("*::field"),
            Expr::Wildcard(Some(WildcardKind::Tag)) => f.write_str("*::tag"),
            Expr::Literal(literal) => literal.fmt(f),
        }
    }
}

impl Display for VarRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Ident(&self.name).fmt(f)?;
        match self.cast {
            Some(cast) => write!(f, "::{}", cast.as_str()),
            None => Ok(()),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The one keyword that is also the name of a function.
        if self.name == "distinct" {
            f.write_str("distinct")?;
        } else {
            Ident(&self.name).fmt(f)?;
        }
        f.write_str("(")?;
        write_list(f, &self.args)?;
        f.write_str(")")
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_operand(f, &self.lhs, |inner| inner.precedence() < self.op.precedence())?;
        write!(f, " {} ", self.op.as_str())?;
        // Operators are read from left to right; only AND and OR mean the same from right to left.
        write_operand(f, &self.rhs, |inner| {
            inner.precedence() < self.op.precedence()
                || inner.precedence() == self.op.precedence() && !self.op.is_logical()
        })
    }
}

/// One side of a binary expression, in parentheses if it would be torn apart without. The parser never makes such a
/// tree, but a rewrite can.
fn write_operand(f: &mut Formatter<'_>, operand: &Expr, torn: impl Fn(BinaryOp) -> bool) -> fmt::Result {
    match operand {
        Expr::Binary(inner) if torn(inner.op) => write!(f, "({inner})"),
        _ => operand.fmt(f),
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Integer(value) => value.fmt(f),
            Literal::Unsigned(value) => value.fmt(f),
            Literal::Number(value) => write_number(f, *value),
            Literal::String(text) => f.write_str(&quote_string(text)),
            Literal::Boolean(value) => value.fmt(f),
            Literal::Duration(value) => f.write_str(&format_duration(*value)),
            Literal::Time(value) => write!(f, "'{}'", print_instant(*value)),
            Literal::Regex(pattern) => f.write_str(&quote_regex(pattern)),
            Literal::Nil => f.write_str("nil"),
        }
    }
}

/// The shortest digits that denote exactly this value, without an exponent, which the language does not have.
pub(super) fn write_number(f: &mut Formatter<'_>, value: f64) -> fmt::Result {
    let digits = value.to_string();
    let point = if digits.contains('.') { "" } else { ".0" };
    write!(f, "{digits}{point}")
}
