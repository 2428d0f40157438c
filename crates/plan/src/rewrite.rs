//! What is not a `SELECT` but has a condition or sources: conditions on series, keys of `WITH KEY`, default names.
//!
//! Statements about the schema, `DELETE` and `DROP SERIES` know no fields: every name in their condition is a tag, and
//! time counts by whole shards (or, for `DELETE`, by points). Which operators and operands they take differs, and so do
//! their messages.

use influxql::ast::{Binary, BinaryOp, Expr, KeyCondition, Literal, SelectStatement};
use influxql::visit::for_each_measurement_mut;
use model::{Pattern, TagFilter, TagTest, TimeRange, Timestamp};

use crate::compile::PlanContext;
use crate::error::PlanError;
use crate::fold::Constants;
use crate::resolve::compile_pattern;
use crate::time_bounds::{Bounds, split_time};

/// The statements that have a condition on series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesStatement {
    /// `SHOW SERIES`
    ShowSeries,
    /// `SHOW MEASUREMENTS`
    ShowMeasurements,
    /// `SHOW TAG KEYS`
    ShowTagKeys,
    /// `SHOW TAG VALUES` and its cardinality
    ShowTagValues,
    /// `SHOW SERIES [EXACT] CARDINALITY`
    SeriesCardinality,
    /// `SHOW MEASUREMENT [EXACT] CARDINALITY`
    MeasurementCardinality,
    /// `SHOW TAG KEY [EXACT] CARDINALITY`
    TagKeyCardinality,
    /// `SHOW FIELD KEY [EXACT] CARDINALITY`
    FieldKeyCardinality,
    /// `DELETE`
    Delete,
    /// `DROP SERIES`
    DropSeries,
}

/// A condition on series.
#[derive(Clone, Debug)]
pub struct SeriesCondition {
    /// The series.
    pub series: TagFilter,
    /// The times; `None` when the range is empty, so that nothing is meant.
    pub range: Option<TimeRange>,
    /// Whether there is any bound of time at all.
    pub has_time: bool,
    /// Tests of the values that `SHOW TAG VALUES` answers, from conditions on the word `value`. All must pass.
    pub values: Vec<TagTest>,
}

/// The tag keys that `WITH KEY` asks for.
#[derive(Clone, Debug)]
pub enum KeyFilter {
    /// One of these.
    In(Vec<Vec<u8>>),
    /// All but this.
    NotEqual(Vec<u8>),
    /// Those in which the pattern is found.
    Match(Pattern),
    /// Those in which it is not.
    NotMatch(Pattern),
}

/// Checks the condition of a statement about series.
///
/// # Errors
/// Comparisons that make no sense of tags, time where it is not allowed.
pub fn series_condition(
    statement: SeriesStatement,
    condition: Option<&Expr>,
    context: &PlanContext,
) -> Result<SeriesCondition, PlanError> {
    let constants = Constants { now: Some(context.now.0), zone: None, math: false };
    let (rest, bounds) = split_time(condition, &constants)?;
    let has_time = bounds != Bounds::default();
    if let Some(name) = statement.refuses_time().filter(|_| has_time) {
        return Err(PlanError::new(format!("{name} doesn't support time in WHERE clause")));
    }
    let mut checked = SeriesCondition { series: TagFilter::All, range: bounds.range(), has_time, values: Vec::new() };
    if let Some(rest) = &rest {
        if !statement.deletes() {
            check_operators(rest)?;
        }
        checked.series = filter(statement, rest, Some(&mut checked.values))?;
    }
    Ok(checked)
}

/// Checks and compiles `WITH KEY`.
///
/// # Errors
/// A pattern that does not compile.
pub fn key_filter(condition: &KeyCondition) -> Result<KeyFilter, PlanError> {
    let bytes = |text: &String| text.clone().into_bytes();
    Ok(match condition {
        KeyCondition::Eq(key) => KeyFilter::In(vec![bytes(key)]),
        KeyCondition::In(keys) => KeyFilter::In(keys.iter().map(bytes).collect()),
        KeyCondition::NotEq(key) => KeyFilter::NotEqual(bytes(key)),
        KeyCondition::Matches(text) => KeyFilter::Match(compile_pattern(text)?),
        KeyCondition::NotMatches(text) => KeyFilter::NotMatch(compile_pattern(text)?),
    })
}

/// Puts the names that a statement leaves out into its sources, those of subqueries too: the database of the request,
/// and the default retention policy that `default_policy` knows of a database.
///
/// # Errors
/// `database name required`, or what `default_policy` says.
pub fn qualify<E: From<PlanError>>(
    statement: &mut SelectStatement,
    database: &str,
    mut default_policy: impl FnMut(&str) -> Result<String, E>,
) -> Result<(), E> {
    let mut result = Ok(());
    for_each_measurement_mut(&mut statement.sources, &mut |measurement| {
        if result.is_err() {
            return;
        }
        let database = measurement.database.get_or_insert_with(|| database.to_owned());
        if database.is_empty() {
            result = Err(E::from(PlanError::new("database name required")));
        } else if measurement.retention_policy.is_none() {
            match default_policy(database) {
                Ok(name) => measurement.retention_policy = Some(name),
                Err(error) => result = Err(error),
            }
        }
    });
    result
}

/// Narrows a statement to a range, as each run of a continuous query does. Bounds it has already still count.
pub fn narrow(statement: &mut SelectStatement, range: TimeRange) {
    let time = |op, at: Timestamp| Expr::binary(op, Expr::var("time"), Expr::Literal(Literal::Time(at.0)));
    let last = Timestamp(range.end().0 - 1);
    let bounds = Expr::and(time(BinaryOp::GtEq, range.start()), time(BinaryOp::LtEq, last));
    statement.condition = Some(match statement.condition.take() {
        Some(condition) => Expr::and(Expr::paren(condition), bounds),
        None => bounds,
    });
}

impl SeriesStatement {
    fn deletes(self) -> bool {
        matches!(self, SeriesStatement::Delete | SeriesStatement::DropSeries)
    }

    /// What the statement is called in the message that it takes no time; `None` if it does take it.
    fn refuses_time(self) -> Option<&'static str> {
        match self {
            SeriesStatement::ShowMeasurements => Some("SHOW MEASUREMENTS"),
            SeriesStatement::SeriesCardinality => Some("SHOW SERIES EXACT CARDINALITY"),
            SeriesStatement::MeasurementCardinality => Some("SHOW MEASUREMENT EXACT CARDINALITY"),
            SeriesStatement::TagKeyCardinality => Some("SHOW TAG KEY EXACT CARDINALITY"),
            SeriesStatement::FieldKeyCardinality => Some("SHOW FIELD KEY CARDINALITY"),
            SeriesStatement::DropSeries => Some("DROP SERIES"),
            SeriesStatement::ShowSeries
            | SeriesStatement::ShowTagKeys
            | SeriesStatement::ShowTagValues
            | SeriesStatement::Delete => None,
        }
    }
}

impl KeyFilter {
    /// Whether a key is asked for.
    pub fn accepts(&self, key: &[u8]) -> bool {
        match self {
            KeyFilter::In(keys) => keys.iter().any(|wanted| wanted == key),
            KeyFilter::NotEqual(unwanted) => unwanted != key,
            KeyFilter::Match(pattern) => pattern.is_match(key),
            KeyFilter::NotMatch(pattern) => !pattern.is_match(key),
        }
    }
}

/// Tags are compared for equality and with patterns, nothing else.
fn check_operators(expr: &Expr) -> Result<(), PlanError> {
    if let Expr::Binary(binary) = expr {
        let equality = matches!(binary.op, BinaryOp::Eq | BinaryOp::NotEq);
        if !equality && !binary.op.is_regex() && !binary.op.is_logical() {
            return Err(PlanError::new("invalid tag comparison operator"));
        }
    }
    expr.children().try_for_each(check_operators)
}

/// The filter of a condition without time. `values` takes the tests of the word `value`, where they may be.
fn filter(
    statement: SeriesStatement,
    condition: &Expr,
    mut values: Option<&mut Vec<TagTest>>,
) -> Result<TagFilter, PlanError> {
    match condition {
        Expr::Paren(inner) => filter(statement, inner, values),
        Expr::Literal(Literal::Boolean(true)) => Ok(TagFilter::All),
        Expr::Literal(Literal::Boolean(false)) => Ok(TagFilter::None),
        Expr::Binary(binary) => match binary.op {
            BinaryOp::And => {
                let lhs = filter(statement, &binary.lhs, values.as_deref_mut())?;
                Ok(crate::condition::all_of(lhs, filter(statement, &binary.rhs, values)?))
            }
            // A test of a value cannot be told from one of a series below an OR.
            BinaryOp::Or => {
                let lhs = filter(statement, &binary.lhs, None)?;
                Ok(crate::condition::any_of(lhs, filter(statement, &binary.rhs, None)?))
            }
            _ => comparison(statement, binary, condition, values),
        },
        other => Err(PlanError::new(format!("invalid condition expression: {other}"))),
    }
}

fn comparison(
    statement: SeriesStatement,
    binary: &Binary,
    whole: &Expr,
    values: Option<&mut Vec<TagTest>>,
) -> Result<TagFilter, PlanError> {
    let (lhs, rhs) = (binary.lhs.without_parens(), binary.rhs.without_parens());
    let op = binary.op.as_str();
    let (name, operand) = match (lhs, rhs) {
        (Expr::VarRef(name), Expr::VarRef(other)) => {
            return two_tags(statement, binary.op, &name.name, &other.name, whole);
        }
        (Expr::VarRef(name), operand) | (operand, Expr::VarRef(name)) => (&name.name, operand),
        _ if statement.deletes() => return Err(fields_not_supported()),
        _ => return Err(PlanError::new(format!("left side of '{op}' must be a tag key"))),
    };
    let test = match operand {
        Expr::Literal(Literal::String(text)) => {
            let text = text.clone().into_bytes();
            match binary.op {
                BinaryOp::Eq => TagTest::Equal(text),
                BinaryOp::NotEq => TagTest::NotEqual(text),
                // The reference takes `>` for `!=` here, and deletes by it.
                _ => return Err(PlanError::new("invalid tag comparison operator")),
            }
        }
        Expr::Literal(Literal::Regex(text)) => {
            let pattern = compile_pattern(text)?;
            if binary.op == BinaryOp::NotEqRegex { TagTest::NotMatch(pattern) } else { TagTest::Match(pattern) }
        }
        _ => return no_text(statement, op),
    };
    if statement == SeriesStatement::ShowTagValues && name == "value" {
        let Some(values) = values else {
            return Err(PlanError::new(format!("Expression too complex for metaquery: {whole}")));
        };
        values.push(test);
        return Ok(TagFilter::All);
    }
    Ok(TagFilter::Test { key: name.clone().into_bytes(), test })
}

/// A tag compared with something that is no text.
fn no_text(statement: SeriesStatement, op: &str) -> Result<TagFilter, PlanError> {
    match statement {
        SeriesStatement::ShowMeasurements => {
            Err(PlanError::new(format!("right side of '{op}' must be a tag value string")))
        }
        SeriesStatement::Delete | SeriesStatement::DropSeries => Err(fields_not_supported()),
        // A condition on a field, which says nothing about series.
        _ => Ok(TagFilter::All),
    }
}

/// Two names: the index knows of series that have both, not whether the values are equal.
fn two_tags(
    statement: SeriesStatement,
    op: BinaryOp,
    one: &str,
    other: &str,
    whole: &Expr,
) -> Result<TagFilter, PlanError> {
    match statement {
        SeriesStatement::ShowMeasurements => no_text(statement, op.as_str()),
        // Nearly always a value in the wrong quotes, and nothing should be deleted by that.
        SeriesStatement::ShowTagValues | SeriesStatement::Delete | SeriesStatement::DropSeries => {
            Err(PlanError::new(format!(
                "bad WHERE clause for metaquery; one term must be a string literal tag value within single quotes: {whole}"
            )))
        }
        _ => {
            let present =
                |name: &str| TagFilter::Test { key: name.as_bytes().to_vec(), test: TagTest::NotEqual(Vec::new()) };
            Ok(TagFilter::And(vec![present(one), present(other)]))
        }
    }
}

fn fields_not_supported() -> PlanError {
    PlanError::new("fields not supported in WHERE clause during deletion")
}

#[cfg(test)]
mod tests;
