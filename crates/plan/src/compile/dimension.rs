//! The `GROUP BY` list.

use influxql::ast::{Call, Expr, Literal};

use super::Interval;
use crate::error::PlanError;
use crate::fold::{Constants, fold};
use crate::time_text::{looks_like_time, parse_time};

/// Takes `time(...)` out of the list. The rest is names, wildcards and patterns.
pub(super) fn compile_dimensions(
    dimensions: &[Expr],
    constants: &Constants<'_>,
) -> Result<(Option<Interval>, Vec<Expr>), PlanError> {
    let mut interval: Option<Interval> = None;
    let mut rest = Vec::with_capacity(dimensions.len());
    // `now()` keeps its name here, for the messages below.
    let plain = Constants { now: None, ..*constants };
    for dimension in dimensions {
        match fold(dimension, &plain)? {
            Expr::VarRef(var) if var.name.eq_ignore_ascii_case("time") => {
                return Err(PlanError::new("time() is a function and expects at least one argument"));
            }
            Expr::Call(call) => {
                let length_ns = length(&call)?;
                if interval.is_some() {
                    return Err(PlanError::new("multiple time dimensions not allowed"));
                }
                let offset_ns = call.args.get(1).map_or(Ok(0), |arg| offset(arg, length_ns, constants))?;
                // An interval of nothing is no interval.
                interval = (length_ns != 0).then_some(Interval { length_ns, offset_ns });
            }
            expr @ (Expr::VarRef(_) | Expr::Wildcard(_) | Expr::Literal(Literal::Regex(_))) => rest.push(expr),
            _ => return Err(PlanError::new("only time and tag dimensions allowed")),
        }
    }
    Ok((interval, rest))
}

fn length(call: &Call) -> Result<i64, PlanError> {
    if call.name != "time" {
        return Err(PlanError::new("only time() calls allowed in dimensions"));
    }
    match call.args.as_slice() {
        [Expr::Literal(Literal::Duration(length_ns))] | [Expr::Literal(Literal::Duration(length_ns)), _] => {
            Ok(*length_ns)
        }
        [_] | [_, _] => Err(PlanError::new("time dimension must have duration argument")),
        _ => Err(PlanError::new("time dimension expected 1 or 2 arguments")),
    }
}

fn offset(arg: &Expr, length_ns: i64, constants: &Constants<'_>) -> Result<i64, PlanError> {
    let refuse = |text: &str| Err(PlanError::new(text));
    match arg {
        Expr::Literal(Literal::Duration(offset_ns)) => Ok(offset_ns.checked_rem(length_ns).unwrap_or(0)),
        Expr::Call(call) if call.name != "now" => refuse("time dimension offset function must be now()"),
        Expr::Call(call) if !call.args.is_empty() => {
            refuse("time dimension offset now() function requires no arguments")
        }
        Expr::Call(_) => {
            let now = constants.now.unwrap_or(0);
            Ok(now.checked_rem_euclid(length_ns).unwrap_or(0))
        }
        // The reference reads the text and then refuses it all the same.
        Expr::Literal(Literal::String(text)) if looks_like_time(text) => {
            parse_time(text, constants.zone)?;
            Err(PlanError::new(format!("invalid time dimension offset: {arg}")))
        }
        _ => refuse("time dimension offset must be duration or now()"),
    }
}
