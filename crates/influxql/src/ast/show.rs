//! `SHOW` statements that read the schema.

use super::expr::Expr;
use super::select::{OrderBy, Source};

/// `SHOW MEASUREMENTS`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowMeasurements {
    pub on: Option<OnDatabase>,
    /// `WITH MEASUREMENT`.
    pub filter: Option<MeasurementFilter>,
    pub condition: Option<Expr>,
    pub order_by: Option<OrderBy>,
    pub limit: u64,
    pub offset: u64,
}

/// What `SHOW MEASUREMENTS ON` covers: `db`, `db.rp`, `db.*`, `*.*`, and also `*` and `*.rp`, which parse but are
/// refused when executed.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDatabase {
    pub database: NameOrWildcard,
    pub retention_policy: Option<NameOrWildcard>,
}

/// A name or `*`.
#[derive(Clone, Debug, PartialEq)]
pub enum NameOrWildcard {
    Name(String),
    Wildcard,
}

/// `WITH MEASUREMENT = name` or `=~ /regex/`.
#[derive(Clone, Debug, PartialEq)]
pub enum MeasurementFilter {
    Name(String),
    /// Source text of a regular expression.
    Regex(String),
}

/// `SHOW SERIES`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowSeries {
    pub database: Option<String>,
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
    pub order_by: Option<OrderBy>,
    pub limit: u64,
    pub offset: u64,
}

/// `SHOW TAG KEYS`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowTagKeys {
    pub database: Option<String>,
    pub sources: Vec<Source>,
    /// `WITH KEY`.
    pub key: Option<KeyCondition>,
    pub condition: Option<Expr>,
    pub order_by: Option<OrderBy>,
    /// Keys per measurement.
    pub limit: u64,
    pub offset: u64,
    /// Measurements.
    pub slimit: u64,
    pub soffset: u64,
}

/// `SHOW TAG VALUES`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowTagValues {
    pub database: Option<String>,
    pub sources: Vec<Source>,
    /// `WITH KEY`.
    pub key: KeyCondition,
    pub condition: Option<Expr>,
    pub order_by: Option<OrderBy>,
    pub limit: u64,
    pub offset: u64,
}

/// The tag keys that `WITH KEY` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyCondition {
    Eq(String),
    NotEq(String),
    /// `=~`, source text of a regular expression.
    Matches(String),
    /// `!~`, source text of a regular expression.
    NotMatches(String),
    In(Vec<String>),
}

/// `SHOW FIELD KEYS`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowFieldKeys {
    pub database: Option<String>,
    pub sources: Vec<Source>,
    pub order_by: Option<OrderBy>,
    pub limit: u64,
    pub offset: u64,
}

/// `SHOW ... [EXACT] CARDINALITY`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowCardinality {
    pub of: CardinalityOf,
    pub exact: bool,
    pub database: Option<String>,
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
    /// The `GROUP BY` list.
    pub dimensions: Vec<Expr>,
    pub limit: u64,
    pub offset: u64,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq)]
pub enum CardinalityOf {
    Series,
    Measurement,
    TagKey,
    FieldKey,
    /// Values of the keys that `WITH KEY` asks for.
    TagValues(KeyCondition),
}

impl CardinalityOf {
    /// The words between `SHOW` and `[EXACT] CARDINALITY`.
    pub fn as_str(&self) -> &'static str {
        match self {
            CardinalityOf::Series => "SERIES",
            CardinalityOf::Measurement => "MEASUREMENT",
            CardinalityOf::TagKey => "TAG KEY",
            CardinalityOf::FieldKey => "FIELD KEY",
            CardinalityOf::TagValues(_) => "TAG VALUES",
        }
    }
}
