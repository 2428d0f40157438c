//! Expressions to values.

use std::borrow::Cow;

use model::{Column, ColumnData, FieldType, FieldValue};
use plan::expr::cast_constant;
use plan::{Expr, MathFunction, Node, Operator};
use stdx::Bitmap;

use super::truth::{compare, truth};
use super::{Inputs, Lane, Truth, Vector, join_bits, tag_test};
use crate::columns;

/// The values of `expr` for all rows.
pub(crate) fn vector<'a>(expr: &Expr, inputs: Inputs<'a>) -> Vector<'a> {
    match expr.node() {
        Node::Null => Vector::Constant(None),
        Node::Literal(value) => Vector::Constant(Some(value.clone())),
        Node::Input(index) => input(*index, expr, inputs),
        Node::TagTest { .. } => Vector::Constant(Some(FieldValue::Boolean(tag_test(expr, inputs)))),
        Node::Cast(value) => cast(vector(value, inputs), expr.value_type()),
        Node::Binary { operator: Operator::And | Operator::Or, .. } => boolean(truth(expr, inputs)),
        Node::Binary { operator, lhs, rhs } => {
            binary(*operator, &vector(lhs, inputs), &vector(rhs, inputs), inputs.len)
        }
        Node::Match { value, .. } => {
            let value = vector(value, inputs);
            if value.is_null() {
                return Vector::Constant(None);
            }
            let validity = value.validity().cloned();
            with_validity(boolean_data(truth(expr, inputs), inputs.len), validity)
        }
        Node::Math { function, args } => {
            let args: Vec<Vector<'_>> = args.iter().map(|arg| vector(arg, inputs)).collect();
            math(*function, &args, inputs.len)
        }
    }
}

/// An input in the type that the expression expects; null should it have come in another.
fn input<'a>(index: usize, expr: &Expr, inputs: Inputs<'a>) -> Vector<'a> {
    let Some(vector) = inputs.vectors.get(index) else { return Vector::Constant(None) };
    if type_of(vector) == expr.value_type() { vector.borrowed() } else { Vector::Constant(None) }
}

fn boolean<'a>(truth: Truth) -> Vector<'a> {
    match truth {
        Truth::All => Vector::Constant(Some(FieldValue::Boolean(true))),
        Truth::None => Vector::Constant(Some(FieldValue::Boolean(false))),
        Truth::Some(bits) => {
            let len = bits.len();
            with_validity(boolean_data(Truth::Some(bits), len), None)
        }
    }
}

fn boolean_data(truth: Truth, len: usize) -> ColumnData {
    ColumnData::Boolean(match truth {
        Truth::All => vec![true; len],
        Truth::None => vec![false; len],
        Truth::Some(bits) => (0..len).map(|index| bits.get(index)).collect(),
    })
}

fn with_validity<'a>(data: ColumnData, validity: Option<Bitmap>) -> Vector<'a> {
    Vector::Column(Cow::Owned(Column::from_parts(data, validity).expect("operators keep the number of rows")))
}

fn cast(value: Vector<'_>, to: Option<FieldType>) -> Vector<'_> {
    let Some(to) = to else { return Vector::Constant(None) };
    match value {
        Vector::Constant(value) => Vector::Constant(value.and_then(|value| cast_constant(&value, to))),
        Vector::Column(column) => Vector::Column(Cow::Owned(columns::convert(column.into_owned(), to))),
    }
}

/// Which rows have a value in both; the outer `None` when no row has.
fn joint_validity(values: &[Vector<'_>]) -> Option<Option<Bitmap>> {
    let mut joint: Option<Bitmap> = None;
    for value in values {
        if value.is_null() {
            return None;
        }
        joint = match (joint, value.validity()) {
            (None, bits) => bits.cloned(),
            (joint, None) => joint,
            (Some(joint), Some(bits)) => Some(join_bits(&joint, bits, |a, b| a & b)),
        };
    }
    Some(joint)
}

fn zip<T: Copy, U>(a: Lane<'_, T>, b: Lane<'_, T>, len: usize, f: impl Fn(T, T) -> U) -> Vec<U> {
    match (a, b) {
        (Lane::Slice(a), Lane::Slice(b)) => a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect(),
        (Lane::Slice(a), Lane::One(b)) => a.iter().map(|a| f(*a, b)).collect(),
        (Lane::One(a), Lane::Slice(b)) => b.iter().map(|b| f(a, *b)).collect(),
        (Lane::One(a), Lane::One(b)) => (0..len).map(|_| f(a, b)).collect(),
    }
}

fn map<T: Copy, U>(a: Lane<'_, T>, len: usize, f: impl Fn(T) -> U) -> Vec<U> {
    match a {
        Lane::Slice(a) => a.iter().map(|a| f(*a)).collect(),
        Lane::One(a) => (0..len).map(|_| f(a)).collect(),
    }
}

pub(super) fn type_of(value: &Vector<'_>) -> Option<FieldType> {
    match value {
        Vector::Constant(value) => value.as_ref().map(FieldValue::field_type),
        Vector::Column(column) => Some(column.field_type()),
    }
}

fn binary<'a>(operator: Operator, lhs: &Vector<'_>, rhs: &Vector<'_>, len: usize) -> Vector<'a> {
    let Some(validity) = joint_validity(&[lhs.borrowed(), rhs.borrowed()]) else { return Vector::Constant(None) };
    let data = if operator.is_comparison() {
        boolean_data(compare(operator, lhs, rhs, len), len)
    } else {
        match type_of(lhs) {
            Some(FieldType::Float) => ColumnData::Float(floats(operator, lhs.floats(), rhs.floats(), len)),
            Some(FieldType::Integer) => ColumnData::Integer(integers(operator, lhs.integers(), rhs.integers(), len)),
            Some(FieldType::Unsigned) => ColumnData::Unsigned(unsigned(operator, lhs.unsigned(), rhs.unsigned(), len)),
            Some(FieldType::Boolean) => ColumnData::Boolean(booleans(operator, lhs.booleans(), rhs.booleans(), len)),
            _ => return Vector::Constant(None),
        }
    };
    with_validity(data, validity)
}

fn floats(operator: Operator, a: Lane<'_, f64>, b: Lane<'_, f64>, len: usize) -> Vec<f64> {
    match operator {
        Operator::Add => zip(a, b, len, |a, b| a + b),
        Operator::Sub => zip(a, b, len, |a, b| a - b),
        Operator::Mul => zip(a, b, len, |a, b| a * b),
        Operator::Div => zip(a, b, len, |a, b| if b == 0.0 { 0.0 } else { a / b }),
        Operator::Mod => zip(a, b, len, |a, b| a % b),
        _ => vec![f64::NAN; len],
    }
}

fn integers(operator: Operator, a: Lane<'_, i64>, b: Lane<'_, i64>, len: usize) -> Vec<i64> {
    match operator {
        Operator::Add => zip(a, b, len, i64::wrapping_add),
        Operator::Sub => zip(a, b, len, i64::wrapping_sub),
        Operator::Mul => zip(a, b, len, i64::wrapping_mul),
        Operator::Div => zip(a, b, len, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
        Operator::Mod => zip(a, b, len, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        Operator::BitAnd => zip(a, b, len, |a, b| a & b),
        Operator::BitOr => zip(a, b, len, |a, b| a | b),
        _ => zip(a, b, len, |a, b| a ^ b),
    }
}

fn unsigned(operator: Operator, a: Lane<'_, u64>, b: Lane<'_, u64>, len: usize) -> Vec<u64> {
    match operator {
        Operator::Add => zip(a, b, len, u64::wrapping_add),
        Operator::Sub => zip(a, b, len, u64::wrapping_sub),
        Operator::Mul => zip(a, b, len, u64::wrapping_mul),
        Operator::Div => zip(a, b, len, |a, b| a.checked_div(b).unwrap_or(0)),
        Operator::Mod => zip(a, b, len, |a, b| a.checked_rem(b).unwrap_or(0)),
        Operator::BitAnd => zip(a, b, len, |a, b| a & b),
        Operator::BitOr => zip(a, b, len, |a, b| a | b),
        _ => zip(a, b, len, |a, b| a ^ b),
    }
}

fn booleans(operator: Operator, a: Lane<'_, bool>, b: Lane<'_, bool>, len: usize) -> Vec<bool> {
    match operator {
        Operator::BitAnd => zip(a, b, len, |a, b| a & b),
        Operator::BitOr => zip(a, b, len, |a, b| a | b),
        _ => zip(a, b, len, |a, b| a ^ b),
    }
}

fn math<'a>(function: MathFunction, args: &[Vector<'_>], len: usize) -> Vector<'a> {
    let Some(validity) = joint_validity(args) else { return Vector::Constant(None) };
    let Some(first) = args.first() else { return Vector::Constant(None) };
    let data = match (function, type_of(first)) {
        (MathFunction::Abs, Some(FieldType::Integer)) => {
            ColumnData::Integer(map(first.integers(), len, i64::wrapping_abs))
        }
        // Rounding an integer, and the size of an unsigned one, are the number itself.
        (_, Some(FieldType::Integer)) => ColumnData::Integer(map(first.integers(), len, |a| a)),
        (_, Some(FieldType::Unsigned)) => ColumnData::Unsigned(map(first.unsigned(), len, |a| a)),
        (_, Some(FieldType::Float)) => {
            let second = args.get(1).map_or(Lane::One(0.0), Vector::floats);
            ColumnData::Float(float_math(function, first.floats(), second, len))
        }
        _ => return Vector::Constant(None),
    };
    with_validity(data, validity)
}

fn float_math(function: MathFunction, a: Lane<'_, f64>, b: Lane<'_, f64>, len: usize) -> Vec<f64> {
    match function {
        MathFunction::Abs => map(a, len, f64::abs),
        MathFunction::Floor => map(a, len, f64::floor),
        MathFunction::Ceil => map(a, len, f64::ceil),
        MathFunction::Round => map(a, len, f64::round),
        MathFunction::Sin => map(a, len, f64::sin),
        MathFunction::Cos => map(a, len, f64::cos),
        MathFunction::Tan => map(a, len, f64::tan),
        MathFunction::Asin => map(a, len, f64::asin),
        MathFunction::Acos => map(a, len, f64::acos),
        MathFunction::Atan => map(a, len, f64::atan),
        MathFunction::Atan2 => zip(a, b, len, f64::atan2),
        MathFunction::Exp => map(a, len, f64::exp),
        MathFunction::Ln => map(a, len, f64::ln),
        MathFunction::Log2 => map(a, len, f64::log2),
        MathFunction::Log10 => map(a, len, f64::log10),
        MathFunction::Log => zip(a, b, len, |a, b| a.ln() / b.ln()),
        MathFunction::Pow => zip(a, b, len, f64::powf),
        MathFunction::Sqrt => map(a, len, f64::sqrt),
    }
}
