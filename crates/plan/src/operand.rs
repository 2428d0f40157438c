//! Operators and functions over typed operands: which conversions they need.
//!
//! What does not fit together is null here. Whether it is an error is decided before, from the types (see `output`), and
//! in conditions it never is.

use influxql::ast::{BinaryOp, Literal};
use model::{FieldType, FieldValue};

use crate::expr::{Expr, MathFunction, Operator};

/// What an integer by an integer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// A double, as in a select list.
    Exact,
    /// An integer, as in a condition.
    Truncated,
}

/// A constant; null for kinds that no column can have.
pub(crate) fn constant(literal: &Literal) -> Expr {
    Expr::literal(match literal {
        Literal::Integer(value) => FieldValue::Integer(*value),
        Literal::Unsigned(value) => FieldValue::Unsigned(*value),
        Literal::Number(value) => FieldValue::Float(*value),
        Literal::String(text) => FieldValue::String(text.clone().into_bytes()),
        Literal::Boolean(value) => FieldValue::Boolean(*value),
        Literal::Duration(_) | Literal::Time(_) | Literal::Regex(_) | Literal::Nil => return Expr::null(),
    })
}

/// `lhs op rhs` for `+ - * / % & | ^`.
pub(crate) fn arithmetic(op: BinaryOp, lhs: Expr, rhs: Expr, division: Division) -> Expr {
    let (Some(left), Some(right)) = (lhs.value_type(), rhs.value_type()) else { return Expr::null() };
    let Some(operator) = operator(op) else { return Expr::null() };
    let bitwise = matches!(operator, Operator::BitAnd | Operator::BitOr | Operator::BitXor);
    if left == FieldType::Boolean && right != FieldType::Boolean && bitwise {
        // The reference takes what is no boolean for one that makes the whole false.
        let never = Expr::literal(FieldValue::Boolean(false));
        return Expr::binary(Operator::BitAnd, lhs, never).unwrap_or_else(Expr::null);
    }
    let common = match (left, right) {
        (FieldType::Boolean, FieldType::Boolean) => FieldType::Boolean,
        (left, right) if !left.is_numeric() || !right.is_numeric() => return Expr::null(),
        (FieldType::Float, _) | (_, FieldType::Float) => FieldType::Float,
        (FieldType::Unsigned, _) | (_, FieldType::Unsigned) => FieldType::Unsigned,
        _ if operator == Operator::Div && division == Division::Exact => FieldType::Float,
        _ => FieldType::Integer,
    };
    match (convert(lhs, common), convert(rhs, common)) {
        (Some(lhs), Some(rhs)) => Expr::binary(operator, lhs, rhs).unwrap_or_else(Expr::null),
        _ => Expr::null(),
    }
}

/// `lhs op rhs` for comparisons; `None` when the operands cannot be compared so.
pub(crate) fn comparison(op: BinaryOp, lhs: Expr, rhs: Expr) -> Option<Expr> {
    let (left, right) = (lhs.value_type()?, rhs.value_type()?);
    let operator = operator(op)?;
    if left.is_numeric() && right.is_numeric() && (left == FieldType::Float || right == FieldType::Float) {
        return Expr::binary(operator, convert(lhs, FieldType::Float)?, convert(rhs, FieldType::Float)?);
    }
    Expr::binary(operator, lhs, rhs)
}

/// A function of numbers; null when an argument is no number.
pub(crate) fn math(function: MathFunction, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| match arg.value_type() {
        Some(kind) if kind.is_numeric() && function.keeps_type() => Some(arg),
        Some(_) => convert(arg, FieldType::Float),
        None => None,
    });
    let args: Option<Vec<Expr>> = args.collect();
    args.and_then(|args| Expr::math(function, args)).unwrap_or_else(Expr::null)
}

fn convert(value: Expr, to: FieldType) -> Option<Expr> {
    if value.value_type() == Some(to) { Some(value) } else { Expr::cast(value, to) }
}

fn operator(op: BinaryOp) -> Option<Operator> {
    Some(match op {
        BinaryOp::And => Operator::And,
        BinaryOp::Or => Operator::Or,
        BinaryOp::Eq => Operator::Eq,
        BinaryOp::NotEq => Operator::NotEq,
        BinaryOp::Lt => Operator::Lt,
        BinaryOp::LtEq => Operator::LtEq,
        BinaryOp::Gt => Operator::Gt,
        BinaryOp::GtEq => Operator::GtEq,
        BinaryOp::Add => Operator::Add,
        BinaryOp::Sub => Operator::Sub,
        BinaryOp::Mul => Operator::Mul,
        BinaryOp::Div => Operator::Div,
        BinaryOp::Mod => Operator::Mod,
        BinaryOp::BitAnd => Operator::BitAnd,
        BinaryOp::BitOr => Operator::BitOr,
        BinaryOp::BitXor => Operator::BitXor,
        BinaryOp::EqRegex | BinaryOp::NotEqRegex => return None,
    })
}
