//! The time conditions of a `WHERE`: taken out of the condition and made into one range.
//!
//! Every comparison with `time`, wherever it stands, narrows the one range, even below an `OR`; what remains is the
//! condition on rows. InfluxQL counts both ends as inside; [`Bounds::range`] is the one place where that becomes half
//! open.

use influxql::ast::{Binary, BinaryOp, Expr, Literal};
use model::{TimeRange, Timestamp};

use crate::error::PlanError;
use crate::fold::{Constants, fold};
use crate::time_text::{is_in_range, looks_like_time, parse_time, time_out_of_range};

/// First and last instant, both inside; `None` where there is no bound. May be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
}

impl Bounds {
    /// What both have in common.
    pub(crate) fn intersect(self, other: Bounds) -> Bounds {
        Bounds {
            first: self.first.max(other.first),
            last: match (self.last, other.last) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// The instants inside, half open; `None` when there is none.
    pub(crate) fn range(self) -> Option<TimeRange> {
        let start = self.first.map_or(Timestamp::MIN, |first| Timestamp(first).max(Timestamp::MIN));
        let end = self.last.map_or(i64::MAX, |last| last.saturating_add(1));
        TimeRange::new(start, Timestamp(end))
    }
}

/// Splits a condition into what it says about time and the rest, which is folded and without parentheses around it.
/// `None` when nothing is left, or only `true`.
///
/// # Errors
/// A comparison with `time` that makes no sense, or an operand of `AND` and `OR` that is no condition.
pub(crate) fn split_time(
    condition: Option<&Expr>,
    constants: &Constants<'_>,
) -> Result<(Option<Expr>, Bounds), PlanError> {
    let Some(condition) = condition else { return Ok((None, Bounds::default())) };
    let mut bounds = Bounds::default();
    let rest = split(&fold(condition, constants)?, constants, &mut bounds)?;
    let rest = rest.map(|rest| rest.without_parens().clone());
    let rest = rest.filter(|rest| !matches!(rest, Expr::Literal(Literal::Boolean(true))));
    Ok((rest, bounds))
}

fn split(condition: &Expr, constants: &Constants<'_>, bounds: &mut Bounds) -> Result<Option<Expr>, PlanError> {
    match condition {
        Expr::Binary(binary) if binary.op.is_logical() => {
            let lhs = split(&binary.lhs, constants, bounds)?;
            let rhs = split(&binary.rhs, constants, bounds)?;
            Ok(match (lhs, rhs) {
                (Some(lhs), Some(rhs)) => Some(join(binary.op, lhs, rhs)),
                (one, other) => one.or(other),
            })
        }
        Expr::Binary(binary) => match time_comparison(binary) {
            Some((op, value)) => {
                narrow(bounds, op, value, constants)?;
                Ok(None)
            }
            None => Ok(Some(condition.clone())),
        },
        Expr::Paren(inner) => Ok(split(inner, constants, bounds)?.map(|inner| match inner {
            Expr::Binary(_) => Expr::paren(inner),
            other => other,
        })),
        Expr::Literal(Literal::Boolean(_)) => Ok(Some(condition.clone())),
        other => Err(PlanError::new(format!("invalid condition expression: {other}"))),
    }
}

/// `lhs AND rhs` or `lhs OR rhs`, without the constants.
fn join(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    let constant = |side: &Expr| match side {
        Expr::Literal(Literal::Boolean(value)) => Some(*value),
        _ => None,
    };
    let absorbing = op == BinaryOp::Or;
    match (constant(&lhs), constant(&rhs)) {
        (Some(value), _) => {
            if value == absorbing {
                lhs
            } else {
                rhs
            }
        }
        (_, Some(value)) => {
            if value == absorbing {
                rhs
            } else {
                lhs
            }
        }
        _ => Expr::binary(op, lhs, rhs),
    }
}

/// The operator and the other side, if one side is `time`. The operator is turned round if that is the right one.
fn time_comparison(binary: &Binary) -> Option<(BinaryOp, &Expr)> {
    if is_time(&binary.lhs) {
        return Some((binary.op, &binary.rhs));
    }
    let turned = match binary.op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        op => op,
    };
    is_time(&binary.rhs).then_some((turned, &binary.lhs))
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::VarRef(var) if var.name.eq_ignore_ascii_case("time"))
}

fn narrow(bounds: &mut Bounds, op: BinaryOp, value: &Expr, constants: &Constants<'_>) -> Result<(), PlanError> {
    let instant = instant_of(value, constants)?;
    let (first, last) = match op {
        BinaryOp::Eq => (Some(instant), Some(instant)),
        BinaryOp::Gt => (Some(instant.saturating_add(1)), None),
        BinaryOp::GtEq => (Some(instant), None),
        BinaryOp::Lt => (None, Some(instant.saturating_sub(1))),
        BinaryOp::LtEq => (None, Some(instant)),
        op => return Err(PlanError::new(format!("invalid time comparison operator: {}", op.as_str()))),
    };
    *bounds = bounds.intersect(Bounds { first, last });
    Ok(())
}

fn instant_of(value: &Expr, constants: &Constants<'_>) -> Result<i64, PlanError> {
    let checked = |ns: i128| match i64::try_from(ns) {
        Ok(instant) if is_in_range(ns) => Ok(instant),
        _ => Err(time_out_of_range(ns)),
    };
    match value {
        Expr::Literal(Literal::Time(ns)) => checked(i128::from(*ns)),
        Expr::Literal(Literal::Duration(ns) | Literal::Integer(ns)) => Ok(*ns),
        Expr::Literal(Literal::Number(value)) => Ok(*value as i64),
        Expr::Literal(Literal::String(text)) if looks_like_time(text) => checked(parse_time(text, constants.zone)?),
        other => {
            let kind = go_type(other);
            Err(PlanError::new(format!("invalid operation: time and {kind} are not compatible")))
        }
    }
}

/// What the reference calls a kind of expression in its errors.
pub(crate) fn go_type(expr: &Expr) -> &'static str {
    match expr {
        Expr::VarRef(_) => "*influxql.VarRef",
        Expr::Call(_) => "*influxql.Call",
        Expr::Binary(_) => "*influxql.BinaryExpr",
        Expr::Paren(_) => "*influxql.ParenExpr",
        Expr::Distinct(_) => "*influxql.Distinct",
        Expr::Wildcard(_) => "*influxql.Wildcard",
        Expr::Literal(literal) => match literal {
            Literal::Integer(_) => "*influxql.IntegerLiteral",
            Literal::Unsigned(_) => "*influxql.UnsignedLiteral",
            Literal::Number(_) => "*influxql.NumberLiteral",
            Literal::String(_) => "*influxql.StringLiteral",
            Literal::Boolean(_) => "*influxql.BooleanLiteral",
            Literal::Duration(_) => "*influxql.DurationLiteral",
            Literal::Time(_) => "*influxql.TimeLiteral",
            Literal::Regex(_) => "*influxql.RegexLiteral",
            Literal::Nil => "*influxql.nilLiteral",
        },
    }
}
