//! A call of the select list as a chain: one function below the cut, transformations of its results above.

use influxql::ast::{Call, Expr, Literal, VarRef};

use crate::error::PlanError;
use crate::finish_plan::{Exponential, Transform, Warmup};
use crate::shard_plan::Function;

const SECOND_NS: i64 = 1_000_000_000;

/// A call, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    pub(super) function: Function,
    pub(super) column: VarRef,
    /// Innermost first, each with the name it is called by.
    pub(super) transforms: Vec<(String, Transform)>,
}

/// Takes a call apart that has been checked by `compile`.
///
/// # Errors
/// `unsupported call: abs` where a function of numbers stands inside a transformation.
pub(super) fn chain_of(call: &Call, interval_ns: Option<i64>) -> Result<Chain, PlanError> {
    if let Some(transform) = transform_of(call, interval_ns) {
        let mut chain = match call.args.first() {
            Some(Expr::Call(inner)) => chain_of(inner, interval_ns)?,
            Some(Expr::VarRef(column)) => {
                Chain { function: Function::Points, column: column.clone(), transforms: Vec::new() }
            }
            _ => return Err(unsupported(call)),
        };
        chain.transforms.push((call.name.clone(), transform));
        return Ok(chain);
    }
    let function = function_of(call).ok_or_else(|| unsupported(call))?;
    let column = match call.args.first() {
        Some(Expr::VarRef(column)) => column,
        Some(Expr::Call(inner)) if call.name == "count" => match inner.args.first() {
            Some(Expr::VarRef(column)) => column,
            _ => return Err(unsupported(inner)),
        },
        _ => return Err(unsupported(call)),
    };
    Ok(Chain { function, column: column.clone(), transforms: Vec::new() })
}

fn unsupported(call: &Call) -> PlanError {
    PlanError::new(format!("unsupported call: {}", call.name))
}

fn function_of(call: &Call) -> Option<Function> {
    Some(match call.name.as_str() {
        "count" if matches!(call.args.first(), Some(Expr::Call(_))) => Function::CountDistinct,
        "count" => Function::Count,
        "sum" => Function::Sum,
        "mean" => Function::Mean,
        "min" => Function::Min,
        "max" => Function::Max,
        "first" => Function::First,
        "last" => Function::Last,
        "spread" => Function::Spread,
        "stddev" => Function::Stddev,
        "median" => Function::Median,
        "mode" => Function::Mode,
        "distinct" => Function::Distinct,
        "percentile" => Function::Percentile { percent: number(call.args.get(1)?)? },
        "integral" => Function::Integral { unit_ns: duration(call.args.get(1)).unwrap_or(SECOND_NS) },
        "sample" => Function::Sample { count: count(call.args.get(1))? },
        "top" => Function::Top { count: count(call.args.last())?, by: Vec::new() },
        "bottom" => Function::Bottom { count: count(call.args.last())?, by: Vec::new() },
        _ => return None,
    })
}

fn transform_of(call: &Call, interval_ns: Option<i64>) -> Option<Transform> {
    let args = call.args.as_slice();
    let unit = |default| duration(args.get(1)).unwrap_or(default);
    let name = call.name.as_str();
    Some(match name {
        "derivative" | "non_negative_derivative" => Transform::Derivative {
            unit_ns: unit(interval_ns.unwrap_or(SECOND_NS)),
            non_negative: name == "non_negative_derivative",
        },
        "difference" | "non_negative_difference" => {
            Transform::Difference { non_negative: name == "non_negative_difference" }
        }
        "elapsed" => Transform::Elapsed { unit_ns: unit(1) },
        "cumulative_sum" => Transform::CumulativeSum,
        "moving_average" => Transform::MovingAverage { count: count(args.get(1))? },
        "kaufmans_efficiency_ratio" | "kaufmans_adaptive_moving_average" => Transform::Kaufmans {
            adaptive: name == "kaufmans_adaptive_moving_average",
            period: count(args.get(1))?,
            hold: hold(args),
        },
        "relative_strength_index" => Transform::RelativeStrengthIndex {
            period: count(args.get(1))?,
            hold: hold(args),
            warmup: warmup(args).unwrap_or(Warmup::Exponential),
        },
        "chande_momentum_oscillator" => {
            Transform::ChandeMomentumOscillator { period: count(args.get(1))?, hold: hold(args), warmup: warmup(args) }
        }
        "holt_winters" | "holt_winters_with_fit" => Transform::HoltWinters {
            count: count(args.get(1))?,
            season: count(args.get(2))?,
            with_fit: name == "holt_winters_with_fit",
            interval_ns: interval_ns?,
        },
        _ => Transform::Exponential {
            kind: match name {
                "exponential_moving_average" => Exponential::Single,
                "double_exponential_moving_average" => Exponential::Double,
                "triple_exponential_moving_average" => Exponential::Triple,
                "triple_exponential_derivative" => Exponential::TripleDerivative,
                _ => return None,
            },
            period: count(args.get(1))?,
            hold: hold(args),
            warmup: warmup(args).unwrap_or(Warmup::Exponential),
        },
    })
}

fn number(arg: &Expr) -> Option<f64> {
    match arg {
        Expr::Literal(Literal::Integer(value)) => Some(*value as f64),
        Expr::Literal(Literal::Number(value)) => Some(*value),
        _ => None,
    }
}

fn count(arg: Option<&Expr>) -> Option<u64> {
    match arg {
        Some(Expr::Literal(Literal::Integer(value))) => u64::try_from(*value).ok(),
        _ => None,
    }
}

fn duration(arg: Option<&Expr>) -> Option<i64> {
    match arg {
        Some(Expr::Literal(Literal::Duration(value))) => Some(*value),
        _ => None,
    }
}

/// The third argument; -1 and absent mean the default.
fn hold(args: &[Expr]) -> Option<u64> {
    count(args.get(2))
}

/// The fourth argument; `None` for `'none'` and absent.
fn warmup(args: &[Expr]) -> Option<Warmup> {
    match args.get(3) {
        Some(Expr::Literal(Literal::String(word))) if word == "simple" => Some(Warmup::Simple),
        Some(Expr::Literal(Literal::String(word))) if word == "exponential" => Some(Warmup::Exponential),
        _ => None,
    }
}

impl Chain {
    /// How many windows the transformations want before the first.
    pub(super) fn warmup_windows(&self) -> i64 {
        let wants =
            |transform: &Transform| !matches!(transform, Transform::CumulativeSum | Transform::HoltWinters { .. });
        self.transforms.iter().filter(|(_, transform)| wants(transform)).count() as i64
    }
}
