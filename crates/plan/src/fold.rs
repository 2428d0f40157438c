//! Folding of constants in the syntax tree.
//!
//! Follows the reference in what folds and what does not (`30s * 2` does, `2 * 30s` does not), because an expression
//! that stays an expression is an error in some places. A fold that would give a number that is not finite is left
//! alone, for the tree only holds finite ones.

use influxql::ast::{Binary, BinaryOp, Call, Expr, Literal};

use crate::error::PlanError;
use crate::expr::MathFunction;
use crate::time_text::{looks_like_time, parse_time, time_out_of_range};
use crate::window::Zone;

/// What names stand for while folding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Constants<'a> {
    /// What `now()` is, in nanoseconds; `None` where it is not allowed.
    pub(crate) now: Option<i64>,
    /// Zone of time texts without one.
    pub(crate) zone: Option<&'a Zone>,
    /// Whether functions of numbers fold.
    pub(crate) math: bool,
}

/// Folds `expr` from the leaves up.
///
/// # Errors
/// A sum of an instant and a duration that no timestamp can hold, or a time text that is no time.
pub(crate) fn fold(expr: &Expr, constants: &Constants<'_>) -> Result<Expr, PlanError> {
    Ok(match expr {
        Expr::Binary(binary) => {
            let lhs = fold(&binary.lhs, constants)?;
            let rhs = fold(&binary.rhs, constants)?;
            fold_binary(binary.op, lhs, rhs, constants)?
        }
        Expr::Paren(inner) => match fold(inner, constants)? {
            inner @ Expr::Binary(_) => Expr::paren(inner),
            inner => inner,
        },
        Expr::Call(call) => fold_call(call, constants)?,
        leaf => leaf.clone(),
    })
}

fn fold_binary(op: BinaryOp, lhs: Expr, rhs: Expr, constants: &Constants<'_>) -> Result<Expr, PlanError> {
    // Parentheses stay around a binary expression that does not fold; those of one that did are gone.
    let (Expr::Literal(a), Expr::Literal(b)) = (&lhs, &rhs) else {
        return Ok(Expr::Binary(Box::new(Binary { op, lhs, rhs })));
    };
    let folded = match (a, b) {
        (Literal::Integer(a), b) => integer_left(op, *a, b, constants)?,
        (Literal::Unsigned(a), b) => unsigned_left(op, *a, b),
        (Literal::Number(a), b) => number_left(op, *a, b),
        (Literal::Duration(a), b) => duration_left(op, *a, b, constants)?,
        (Literal::Time(a), b) => time_left(op, *a, b, constants)?,
        (Literal::String(a), b) => string_left(op, a, b, constants)?,
        (Literal::Boolean(a), Literal::Boolean(b)) => boolean_pair(op, *a, *b),
        _ => None,
    };
    Ok(folded.map_or_else(|| Expr::Binary(Box::new(Binary { op, lhs, rhs })), Expr::Literal))
}

fn fold_call(call: &Call, constants: &Constants<'_>) -> Result<Expr, PlanError> {
    if let ("now", [], Some(now)) = (call.name.as_str(), call.args.as_slice(), constants.now) {
        return Ok(Expr::Literal(Literal::Time(now)));
    }
    let args = call.args.iter().map(|arg| fold(arg, constants)).collect::<Result<Vec<_>, _>>()?;
    let function = MathFunction::from_name(&call.name).filter(|function| function.arity() == args.len());
    let literals = args.iter().map(|arg| match arg {
        Expr::Literal(literal) => Some(literal),
        _ => None,
    });
    if let (true, Some(function), Some(literals)) = (constants.math, function, literals.collect::<Option<Vec<_>>>()) {
        return Ok(Expr::Literal(math_of_literals(function, &literals)));
    }
    Ok(Expr::Call(Call { name: call.name.clone(), args }))
}

/// A function of constants. `Nil` for arguments that are no numbers and results that are not finite.
fn math_of_literals(function: MathFunction, args: &[&Literal]) -> Literal {
    if let (true, [literal]) = (function.keeps_type(), args) {
        match literal {
            Literal::Integer(value) => {
                let value = if function == MathFunction::Abs { value.wrapping_abs() } else { *value };
                return Literal::Integer(value);
            }
            Literal::Unsigned(_) => return (*literal).clone(),
            _ => {}
        }
    }
    let doubles: Option<Vec<f64>> = args
        .iter()
        .map(|literal| match literal {
            Literal::Integer(value) => Some(*value as f64),
            Literal::Unsigned(value) => Some(*value as f64),
            Literal::Number(value) => Some(*value),
            _ => None,
        })
        .collect();
    let result = match doubles.as_deref() {
        Some([x]) => function.apply(*x, 0.0),
        Some([x, y]) => function.apply(*x, *y),
        _ => f64::NAN,
    };
    if result.is_finite() { Literal::Number(result) } else { Literal::Nil }
}

fn compare<T: PartialOrd>(op: BinaryOp, a: T, b: T) -> Option<Literal> {
    Some(Literal::Boolean(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::NotEq => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::LtEq => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::GtEq => a >= b,
        _ => return None,
    }))
}

fn integer_left(op: BinaryOp, a: i64, b: &Literal, constants: &Constants<'_>) -> Result<Option<Literal>, PlanError> {
    Ok(match b {
        Literal::Integer(b) => {
            let b = *b;
            match op {
                BinaryOp::Add => Some(Literal::Integer(a.wrapping_add(b))),
                BinaryOp::Sub => Some(Literal::Integer(a.wrapping_sub(b))),
                BinaryOp::Mul => Some(Literal::Integer(a.wrapping_mul(b))),
                BinaryOp::Div => Some(Literal::Number(if b == 0 { 0.0 } else { a as f64 / b as f64 })),
                BinaryOp::Mod => Some(Literal::Integer(if b == 0 { 0 } else { a.wrapping_rem(b) })),
                BinaryOp::BitAnd => Some(Literal::Integer(a & b)),
                BinaryOp::BitOr => Some(Literal::Integer(a | b)),
                BinaryOp::BitXor => Some(Literal::Integer(a ^ b)),
                _ => compare(op, a, b),
            }
        }
        Literal::Number(b) => number_pair(op, a as f64, *b),
        Literal::Unsigned(b) => unsigned_pair(op, a as u64, *b),
        // The integer is an instant.
        Literal::Duration(b) => match op {
            BinaryOp::Add => Some(instant(i128::from(a) + i128::from(*b))?),
            BinaryOp::Sub => Some(instant(i128::from(a) - i128::from(*b))?),
            _ => None,
        },
        // The integer is a duration.
        Literal::Time(_) => duration_left(op, a, b, constants)?.filter(|folded| matches!(folded, Literal::Time(_))),
        Literal::String(text) => match text_as_time(text, constants)? {
            Some(time) => duration_left(op, a, &time, constants)?.filter(|folded| matches!(folded, Literal::Time(_))),
            None => None,
        },
        _ => None,
    })
}

fn unsigned_left(op: BinaryOp, a: u64, b: &Literal) -> Option<Literal> {
    match b {
        Literal::Unsigned(b) => unsigned_pair(op, a, *b),
        Literal::Integer(b) => unsigned_pair(op, a, *b as u64),
        Literal::Number(b) => number_pair(op, a as f64, *b),
        _ => None,
    }
}

fn unsigned_pair(op: BinaryOp, a: u64, b: u64) -> Option<Literal> {
    let value = match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div => a.checked_div(b).unwrap_or(0),
        BinaryOp::Mod => a.checked_rem(b).unwrap_or(0),
        BinaryOp::BitAnd => a & b,
        BinaryOp::BitOr => a | b,
        BinaryOp::BitXor => a ^ b,
        _ => return compare(op, a, b),
    };
    // The tree keeps what fits into a signed integer as one.
    Some(i64::try_from(value).map_or(Literal::Unsigned(value), Literal::Integer))
}

fn number_left(op: BinaryOp, a: f64, b: &Literal) -> Option<Literal> {
    match b {
        Literal::Number(b) => number_pair(op, a, *b),
        Literal::Integer(b) => number_pair(op, a, *b as f64),
        Literal::Unsigned(b) => number_pair(op, a, *b as f64),
        _ => None,
    }
}

fn number_pair(op: BinaryOp, a: f64, b: f64) -> Option<Literal> {
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div if b == 0.0 => 0.0,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        _ => return compare(op, a, b),
    };
    value.is_finite().then_some(Literal::Number(value))
}

fn duration_left(op: BinaryOp, a: i64, b: &Literal, constants: &Constants<'_>) -> Result<Option<Literal>, PlanError> {
    Ok(match b {
        Literal::Duration(b) => match op {
            BinaryOp::Add => Some(Literal::Duration(a.saturating_add(*b))),
            BinaryOp::Sub => Some(Literal::Duration(a.saturating_sub(*b))),
            _ => compare(op, a, *b),
        },
        Literal::Number(b) => match op {
            BinaryOp::Mul => Some(Literal::Duration((a as f64 * b) as i64)),
            BinaryOp::Div if *b == 0.0 => Some(Literal::Duration(0)),
            BinaryOp::Div => Some(Literal::Duration((a as f64 / b) as i64)),
            _ => None,
        },
        Literal::Integer(b) => match op {
            BinaryOp::Mul => Some(Literal::Duration(a.saturating_mul(*b))),
            BinaryOp::Div if *b == 0 => Some(Literal::Duration(0)),
            BinaryOp::Div => Some(Literal::Duration(a.saturating_div(*b))),
            _ => None,
        },
        Literal::Time(b) if op == BinaryOp::Add => Some(instant(i128::from(a) + i128::from(*b))?),
        Literal::String(text) => match text_as_time(text, constants)? {
            Some(time) => duration_left(op, a, &time, constants)?,
            None => None,
        },
        _ => None,
    })
}

fn time_left(op: BinaryOp, a: i64, b: &Literal, constants: &Constants<'_>) -> Result<Option<Literal>, PlanError> {
    Ok(match b {
        Literal::Duration(b) | Literal::Integer(b) => match op {
            BinaryOp::Add => Some(instant(i128::from(a) + i128::from(*b))?),
            BinaryOp::Sub => Some(instant(i128::from(a) - i128::from(*b))?),
            _ => None,
        },
        Literal::Time(b) => match op {
            BinaryOp::Sub => Some(Literal::Duration(a.saturating_sub(*b))),
            _ => compare(op, a, *b),
        },
        Literal::String(text) => match text_as_time(text, constants)? {
            Some(time) => time_left(op, a, &time, constants)?,
            None => None,
        },
        _ => None,
    })
}

fn string_left(op: BinaryOp, a: &str, b: &Literal, constants: &Constants<'_>) -> Result<Option<Literal>, PlanError> {
    Ok(match b {
        Literal::String(b) => match op {
            BinaryOp::Eq => Some(Literal::Boolean(a == b)),
            BinaryOp::NotEq => Some(Literal::Boolean(a != b)),
            BinaryOp::Add => Some(Literal::String(format!("{a}{b}"))),
            _ => None,
        },
        Literal::Duration(_) | Literal::Time(_) | Literal::Integer(_) => match text_as_time(a, constants)? {
            Some(Literal::Time(a)) => time_left(op, a, b, constants)?,
            _ => None,
        },
        _ => None,
    })
}

fn boolean_pair(op: BinaryOp, a: bool, b: bool) -> Option<Literal> {
    Some(Literal::Boolean(match op {
        BinaryOp::And | BinaryOp::BitAnd => a && b,
        BinaryOp::Or | BinaryOp::BitOr => a || b,
        BinaryOp::BitXor | BinaryOp::NotEq => a != b,
        BinaryOp::Eq => a == b,
        _ => return None,
    }))
}

/// The instant that a text denotes; `None` when it does not look like one.
fn text_as_time(text: &str, constants: &Constants<'_>) -> Result<Option<Literal>, PlanError> {
    if !looks_like_time(text) {
        return Ok(None);
    }
    instant(parse_time(text, constants.zone)?).map(Some)
}

fn instant(ns: i128) -> Result<Literal, PlanError> {
    i64::try_from(ns).map(Literal::Time).map_err(|_| time_out_of_range(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let expr = influxql::parse_expr(text).expect("an expression");
        let constants = Constants { now: Some(1_000), zone: None, math: true };
        let got = fold(&expr, &constants).map_or_else(|error| error.to_string(), |folded| folded.to_string());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn integers_stay_integers_but_for_division() {
        check("1 + 2 * 3", "7");
        check("7 / 2", "3.5");
        check("7 / 0", "0.0");
        check("7 % 0", "0");
        check("6 & 3 | 8", "10");
        check("9223372036854775807 + 1", "-9223372036854775808");
        check("2 > 1", "true");
        check("1 + 1.5", "2.5");
    }

    #[test]
    fn only_constants_fold() {
        check("v * (1 + 2)", "v * 3");
        check("(v) + 1", "v + 1");
        check("(v + 1) * 2", "(v + 1) * 2");
        check("1 + 'x'", "1 + 'x'");
        check("v + 1 + 1", "v + 1 + 1");
    }

    #[test]
    fn durations_multiply_from_the_left_only() {
        check("30s * 2", "1m");
        check("30s / 4", "7500ms");
        check("2 * 30s", "2 * 30s");
        check("30s + 1m", "90s");
        check("30s + 1", "30s + 1");
    }

    #[test]
    fn instants_move_by_durations() {
        check("now() + 1u", "'1970-01-01T00:00:00.000002Z'");
        check("'1970-01-01' + (30s + 1m)", "'1970-01-01T00:01:30Z'");
        check("0 + 30s", "'1970-01-01T00:00:30Z'");
        check("now() - now()", "0s");
        check("'2262-04-11T00:00:00Z' + 365d", "time 2263-04-11T00:00:00Z overflows time literal");
        check("'2000-13-01' + 1s", "invalid timestamp string");
    }

    #[test]
    fn functions_of_numbers_fold() {
        check("abs(-3)", "3");
        check("pow(2, 3)", "8.0");
        check("sqrt(-1)", "nil");
        check("abs('x')", "nil");
        check("abs(v)", "abs(v)");
        check("abs(1, 2)", "abs(1, 2)");
    }
}
