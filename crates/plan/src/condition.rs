//! A condition on rows, cut in two: what it says of series, which the index answers, and the rest.
//!
//! A row is kept if its series passes the filter and the rest is true. The filter never leaves out a series that has
//! such a row. A condition on tags alone leaves no rest; `host = 'a' OR v > 3` keeps all series and tests the tag again
//! in the rest, once for each series.
//!
//! Comparisons that make no sense are false, whatever the operator. An arithmetic expression where a condition should
//! be is true, as in the reference.

use influxql::ast::{Binary, BinaryOp, Expr as Ast, Literal, VarRef};
use model::{FieldValue, TagFilter, TagTest};

use crate::error::PlanError;
use crate::expr::{Expr, MathFunction, Operator};
use crate::operand::{Division, arithmetic, comparison, constant, math};
use crate::resolve::compile_pattern;

/// A condition in two parts; both must hold.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) series: TagFilter,
    /// `None` for true.
    pub(crate) rows: Option<Expr>,
}

/// What a name in a condition means to one source.
pub(crate) enum Meaning {
    /// A tag, with its raw key.
    Tag(Vec<u8>),
    /// A value of the row.
    Value(Expr),
    /// The name of the measurement.
    Measurement,
}

/// How names are looked up; asked once for each occurrence.
pub(crate) trait Names {
    /// What the name means.
    fn meaning(&mut self, var: &VarRef) -> Meaning;
    /// The value of a tag as a string of the row, null where the series lacks it.
    fn tag_value(&mut self, key: &[u8]) -> Expr;
    /// The measurement.
    fn measurement(&self) -> &[u8];
}

/// Splits a condition whose names have their types as casts.
///
/// # Errors
/// An operand of `AND` or `OR` that is no condition.
pub(crate) fn split(condition: &Ast, names: &mut impl Names) -> Result<Split, PlanError> {
    match condition {
        Ast::Paren(inner) => split(inner, names),
        Ast::Literal(Literal::Boolean(value)) => Ok(Split::constant(*value)),
        Ast::Binary(binary) => match binary.op {
            BinaryOp::And => Ok(split(&binary.lhs, names)?.and(split(&binary.rhs, names)?)),
            BinaryOp::Or => Ok(split(&binary.lhs, names)?.or(split(&binary.rhs, names)?)),
            op if op.is_comparison() => compare(binary, names),
            _ => Ok(Split::constant(true)),
        },
        other => Err(PlanError::new(format!("invalid condition expression: {other}"))),
    }
}

impl Split {
    fn constant(value: bool) -> Split {
        Split { series: if value { TagFilter::All } else { TagFilter::None }, rows: None }
    }

    fn series(series: TagFilter) -> Split {
        Split { series, rows: None }
    }

    /// A condition on rows; null and what has no value are never true.
    fn rows(rows: Option<Expr>) -> Split {
        match rows {
            Some(rows) if rows.value_type().is_some() => Split { series: TagFilter::All, rows: Some(rows) },
            _ => Split::constant(false),
        }
    }

    fn and(self, other: Split) -> Split {
        let rows = match (self.rows, other.rows) {
            (Some(one), Some(other)) => Expr::binary(Operator::And, one, other),
            (one, other) => one.or(other),
        };
        Split { series: all_of(self.series, other.series), rows }
    }

    fn or(self, other: Split) -> Split {
        if self.rows.is_none() && other.rows.is_none() {
            return Split::series(any_of(self.series, other.series));
        }
        if matches!(self.series, TagFilter::None) {
            return other;
        }
        if matches!(other.series, TagFilter::None) {
            return self;
        }
        let series = any_of(self.series.clone(), other.series.clone());
        match (self.into_expr(), other.into_expr()) {
            (Some(one), Some(other)) => Split { series, rows: Expr::binary(Operator::Or, one, other) },
            // One side is always true.
            _ => Split::constant(true),
        }
    }

    /// Both parts as one expression; `None` for true.
    fn into_expr(self) -> Option<Expr> {
        match (expr_of(&self.series), self.rows) {
            (Some(series), Some(rows)) => Expr::binary(Operator::And, series, rows),
            (series, rows) => series.or(rows),
        }
    }
}

pub(crate) fn all_of(one: TagFilter, other: TagFilter) -> TagFilter {
    match (one, other) {
        (TagFilter::All, other) | (other, TagFilter::All) => other,
        (TagFilter::None, _) | (_, TagFilter::None) => TagFilter::None,
        (TagFilter::And(mut one), TagFilter::And(other)) => {
            one.extend(other);
            TagFilter::And(one)
        }
        (TagFilter::And(mut many), other) => {
            many.push(other);
            TagFilter::And(many)
        }
        (one, TagFilter::And(mut many)) => {
            many.insert(0, one);
            TagFilter::And(many)
        }
        (one, other) => TagFilter::And(vec![one, other]),
    }
}

pub(crate) fn any_of(one: TagFilter, other: TagFilter) -> TagFilter {
    match (one, other) {
        (TagFilter::None, other) | (other, TagFilter::None) => other,
        (TagFilter::All, _) | (_, TagFilter::All) => TagFilter::All,
        (TagFilter::Or(mut one), TagFilter::Or(other)) => {
            one.extend(other);
            TagFilter::Or(one)
        }
        (TagFilter::Or(mut many), other) => {
            many.push(other);
            TagFilter::Or(many)
        }
        (one, TagFilter::Or(mut many)) => {
            many.insert(0, one);
            TagFilter::Or(many)
        }
        (one, other) => TagFilter::Or(vec![one, other]),
    }
}

/// A filter as an expression of the row; `None` for true.
fn expr_of(filter: &TagFilter) -> Option<Expr> {
    match filter {
        TagFilter::All => None,
        TagFilter::None => Some(Expr::literal(FieldValue::Boolean(false))),
        TagFilter::Test { key, test } => Some(Expr::tag_test(key.clone(), test.clone())),
        TagFilter::And(all) => balanced(Operator::And, &all.iter().filter_map(expr_of).collect::<Vec<_>>()),
        TagFilter::Or(any) => {
            let terms: Option<Vec<Expr>> = any.iter().map(expr_of).collect();
            balanced(Operator::Or, &terms?)
        }
    }
}

/// The terms joined into a tree that is as low as can be.
fn balanced(operator: Operator, terms: &[Expr]) -> Option<Expr> {
    match terms {
        [] => None,
        [term] => Some(term.clone()),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            Expr::binary(operator, balanced(operator, left)?, balanced(operator, right)?)
        }
    }
}

fn compare(binary: &Binary, names: &mut impl Names) -> Result<Split, PlanError> {
    let (lhs, rhs) = (binary.lhs.without_parens(), binary.rhs.without_parens());
    if let Ast::Literal(Literal::Regex(text)) = rhs {
        return match_pattern(lhs, text, binary.op == BinaryOp::NotEqRegex, names);
    }
    let left = side(lhs, names)?;
    let right = side(rhs, names)?;
    Ok(match (left, right) {
        (Side::Tag(key), Side::Text(text)) | (Side::Text(text), Side::Tag(key)) => match binary.op {
            BinaryOp::Eq => Split::series(test(key, TagTest::Equal(text))),
            BinaryOp::NotEq => Split::series(test(key, TagTest::NotEqual(text))),
            _ => Split::constant(false),
        },
        (Side::Measurement, Side::Text(text)) | (Side::Text(text), Side::Measurement) => {
            let equal = names.measurement() == text;
            Split::constant(match binary.op {
                BinaryOp::Eq => equal,
                BinaryOp::NotEq => !equal,
                _ => false,
            })
        }
        (Side::Tag(one), Side::Tag(other)) => compare_tags(binary.op, one, other, names),
        (left, right) => {
            let (left, right) = (left.value(names), right.value(names));
            Split::rows(comparison(binary.op, left, right))
        }
    })
}

/// Two tags are equal where the series has both, with one value; everywhere else they are not.
fn compare_tags(op: BinaryOp, one: Vec<u8>, other: Vec<u8>, names: &mut impl Names) -> Split {
    let rows = comparison(op, names.tag_value(&one), names.tag_value(&other));
    match op {
        BinaryOp::Eq => {
            let present = |key| Split::series(test(key, TagTest::NotEqual(Vec::new())));
            present(one).and(present(other)).and(Split::rows(rows))
        }
        BinaryOp::NotEq => {
            let absent = |key| Split { series: TagFilter::All, rows: Some(Expr::tag_test(key, equal_to_nothing())) };
            Split::rows(rows).or(absent(one)).or(absent(other))
        }
        _ => Split::constant(false),
    }
}

fn equal_to_nothing() -> TagTest {
    TagTest::Equal(Vec::new())
}

fn test(key: Vec<u8>, test: TagTest) -> TagFilter {
    TagFilter::Test { key, test }
}

fn match_pattern(value: &Ast, text: &str, negated: bool, names: &mut impl Names) -> Result<Split, PlanError> {
    let pattern = compile_pattern(text)?;
    Ok(match side(value, names)? {
        Side::Tag(key) => {
            Split::series(test(key, if negated { TagTest::NotMatch(pattern) } else { TagTest::Match(pattern) }))
        }
        Side::Text(text) => Split::constant(pattern.is_match(&text) != negated),
        Side::Measurement => Split::constant(pattern.is_match(names.measurement()) != negated),
        Side::Value(value) => Split::rows(Expr::matches(value, pattern, negated)),
    })
}

/// One side of a comparison.
enum Side {
    Tag(Vec<u8>),
    Text(Vec<u8>),
    Measurement,
    Value(Expr),
}

impl Side {
    fn value(self, names: &mut impl Names) -> Expr {
        let text = |text| Expr::literal(FieldValue::String(text));
        match self {
            Side::Tag(key) => names.tag_value(&key),
            Side::Text(bytes) => text(bytes),
            Side::Measurement => text(names.measurement().to_vec()),
            Side::Value(value) => value,
        }
    }
}

fn side(expr: &Ast, names: &mut impl Names) -> Result<Side, PlanError> {
    Ok(match expr {
        Ast::Paren(inner) => side(inner, names)?,
        Ast::Literal(Literal::String(text)) => Side::Text(text.clone().into_bytes()),
        Ast::VarRef(var) => match names.meaning(var) {
            Meaning::Tag(key) => Side::Tag(key),
            Meaning::Value(value) => Side::Value(value),
            Meaning::Measurement => Side::Measurement,
        },
        Ast::Literal(literal) => Side::Value(constant(literal)),
        Ast::Binary(binary) if binary.op.is_arithmetic() => {
            let lhs = side(&binary.lhs, names)?.value(names);
            let rhs = side(&binary.rhs, names)?.value(names);
            Side::Value(arithmetic(binary.op, lhs, rhs, Division::Truncated))
        }
        Ast::Binary(_) => {
            let whole = split(expr, names)?.into_expr();
            Side::Value(whole.unwrap_or_else(|| Expr::literal(FieldValue::Boolean(true))))
        }
        Ast::Call(call) => match MathFunction::from_name(&call.name) {
            Some(function) => {
                let args = call.args.iter().map(|arg| Ok(side(arg, names)?.value(names)));
                Side::Value(math(function, args.collect::<Result<Vec<_>, PlanError>>()?))
            }
            None => return Err(PlanError::new(format!("invalid function call in condition: {expr}"))),
        },
        Ast::Wildcard(_) | Ast::Distinct(_) => Side::Value(Expr::null()),
    })
}
