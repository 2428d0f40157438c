//! Types of the expressions in a select list, and the errors of those that have none.

use influxql::ast::{Binary, BinaryOp, Call, DataType, Expr, Literal};

use crate::error::PlanError;
use crate::expr::MathFunction;

/// The type of an expression whose names have their types as casts; `None` when it is not known, which fits everywhere.
///
/// # Errors
/// Operands or arguments that do not fit.
pub(crate) fn type_of(expr: &Expr) -> Result<Option<DataType>, PlanError> {
    match expr {
        Expr::VarRef(var) => Ok(var.cast.filter(|cast| *cast != DataType::AnyField)),
        Expr::Paren(inner) => type_of(inner),
        Expr::Literal(literal) => Ok(type_of_literal(literal)),
        Expr::Binary(binary) => type_of_binary(binary, expr),
        Expr::Call(call) => match MathFunction::from_name(&call.name) {
            Some(function) => type_of_math(function, call),
            None => type_of_call(call),
        },
        Expr::Distinct(_) | Expr::Wildcard(_) => Ok(None),
    }
}

fn type_of_literal(literal: &Literal) -> Option<DataType> {
    Some(match literal {
        Literal::Integer(_) => DataType::Integer,
        Literal::Unsigned(_) => DataType::Unsigned,
        Literal::Number(_) => DataType::Float,
        Literal::String(_) => DataType::String,
        Literal::Boolean(_) => DataType::Boolean,
        Literal::Duration(_) | Literal::Time(_) | Literal::Regex(_) | Literal::Nil => return None,
    })
}

fn type_of_binary(binary: &Binary, whole: &Expr) -> Result<Option<DataType>, PlanError> {
    let (lhs, rhs) = (type_of(&binary.lhs)?, type_of(&binary.rhs)?);
    let refuse = |text: String| Err(PlanError::new(format!("type error: {whole}: {text}")));
    let (integer, unsigned) = match (lhs, rhs) {
        (Some(DataType::Integer), Some(DataType::Unsigned)) => (&binary.lhs, &binary.rhs),
        (Some(DataType::Unsigned), Some(DataType::Integer)) => (&binary.rhs, &binary.lhs),
        (None, other) | (other, None) => return Ok(other),
        (Some(lhs), Some(rhs)) => match common_type(binary.op, lhs, rhs) {
            Some(common) => return Ok(Some(common)),
            None => return refuse(format!("incompatible types: {} and {}", lhs.as_str(), rhs.as_str())),
        },
    };
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(_));
    let op = binary.op.as_str();
    if is_literal(unsigned) {
        refuse(format!("cannot use {op} with an integer and unsigned literal"))
    } else if is_literal(integer) {
        Ok(Some(DataType::Unsigned))
    } else {
        refuse(format!("cannot use {op} between an integer and unsigned, an explicit cast is required"))
    }
}

/// The type of `lhs op rhs`. Integers and unsigned integers do not meet here.
fn common_type(op: BinaryOp, lhs: DataType, rhs: DataType) -> Option<DataType> {
    let is_number = |kind| matches!(kind, DataType::Float | DataType::Integer | DataType::Unsigned);
    if matches!(op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor) {
        return match (lhs, rhs) {
            // Also with what is no boolean: the reference takes it so.
            (DataType::Boolean, _) => Some(DataType::Boolean),
            (DataType::Integer | DataType::Unsigned, _) if lhs == rhs => Some(lhs),
            _ => None,
        };
    }
    if !op.is_arithmetic() || !is_number(lhs) || !is_number(rhs) {
        return None;
    }
    Some(match (lhs, rhs) {
        (DataType::Integer, DataType::Integer) if op == BinaryOp::Div => DataType::Float,
        _ if lhs == rhs => lhs,
        _ => DataType::Float,
    })
}

fn type_of_math(function: MathFunction, call: &Call) -> Result<Option<DataType>, PlanError> {
    let mut first = None;
    for (index, (arg, word)) in call.args.iter().zip(["first", "second"]).enumerate() {
        let kind = type_of(arg)?;
        // The base of a logarithm is not looked at.
        let checked = index == 0 || function != MathFunction::Log;
        let fits = match kind {
            None | Some(DataType::Float) => true,
            Some(DataType::Integer | DataType::Unsigned) => {
                !matches!(function, MathFunction::Asin | MathFunction::Acos)
            }
            Some(_) => false,
        };
        if let (true, false, Some(kind)) = (checked, fits, kind) {
            let (name, kind) = (function.name(), kind.as_str());
            return Err(PlanError::new(format!("invalid argument type for the {word} argument in {name}(): {kind}")));
        }
        if index == 0 {
            first = kind;
        }
    }
    Ok(if function.keeps_type() { first } else { Some(DataType::Float) })
}

/// The type that a call has in the eyes of an operator. Whether the call takes its argument is looked at later.
fn type_of_call(call: &Call) -> Result<Option<DataType>, PlanError> {
    let arg = call.args.first().map_or(Ok(None), type_of)?;
    Ok(match call.name.as_str() {
        "count" | "elapsed" => Some(DataType::Integer),
        "sum"
        | "min"
        | "max"
        | "first"
        | "last"
        | "mode"
        | "spread"
        | "distinct"
        | "percentile"
        | "sample"
        | "top"
        | "bottom"
        | "difference"
        | "non_negative_difference"
        | "cumulative_sum" => arg,
        _ => Some(DataType::Float),
    })
}
