//! Expressions and literals.

use std::fmt::{self, Display, Formatter};

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
            Literal::Time(value) => write!(f, "'{}'", Rfc3339(*value)),
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

/// An instant in nanoseconds, in UTC, with as many digits after the second as it needs.
struct Rfc3339(i64);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const SECOND: i64 = 1_000_000_000;
        const DAY: i64 = 86_400;
        let (seconds, nanoseconds) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (year, month, day) = civil_date(seconds.div_euclid(DAY));
        let second_of_day = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanoseconds > 0 {
            let digits = format!("{nanoseconds:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day counted from the epoch, in the Gregorian calendar. Counts in years that begin in
/// March, so that the leap day is the last of its year, and in eras of 400 years, which all have the same length.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    const EPOCH_IN_ERAS: i64 = 719_468;
    let shifted = days + EPOCH_IN_ERAS;
    let (era, day_of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
