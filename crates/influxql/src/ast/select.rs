//! `SELECT`, its clauses and `EXPLAIN`.

use super::expr::Expr;

/// A `SELECT` statement or subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectStatement {
    /// At least one.
    pub fields: Vec<Field>,
    /// The `INTO` clause. A subquery may have one, which means nothing.
    pub target: Option<Target>,
    /// At least one.
    pub sources: Vec<Source>,
    /// The `WHERE` clause, with the time conditions still in it.
    pub condition: Option<Expr>,
    /// The `GROUP BY` list as written: `time(...)` calls, names, wildcards, regexes, or something `plan` refuses.
    pub dimensions: Vec<Expr>,
    /// [`Fill::Null`] when absent.
    pub fill: Fill,
    pub order_by: Option<OrderBy>,
    /// Rows per series; 0 for no limit.
    pub limit: u64,
    /// Rows skipped per series.
    pub offset: u64,
    /// Series; 0 for no limit.
    pub slimit: u64,
    /// Series skipped.
    pub soffset: u64,
    /// Time zone name of the `tz()` clause: a name of the IANA database, `UTC` or `Local`.
    pub tz: Option<String>,
}

/// One entry of the select list.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub expr: Expr,
    /// The name after `AS`.
    pub alias: Option<String>,
}

/// Where a `SELECT` (or a `FROM` of another statement) reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Measurement(Measurement),
    Subquery(Box<SelectStatement>),
}

/// A possibly qualified measurement, or the measurements that match a regex.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    pub name: MeasurementName,
}

/// The last segment of a measurement source.
#[derive(Clone, Debug, PartialEq)]
pub enum MeasurementName {
    Name(String),
    /// Source text of a regular expression.
    Regex(String),
}

/// Where `INTO` writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    pub name: TargetName,
}

/// The last segment of an `INTO` clause.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetName {
    Name(String),
    /// `:MEASUREMENT`: each source measurement keeps its name.
    SameAsSource,
}

/// What stands in for a window without points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fill {
    /// Also the default: the printer leaves it out.
    #[default]
    Null,
    None,
    Previous,
    Linear,
    Number(FillNumber),
}

/// The number of `fill(N)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FillNumber {
    Integer(i64),
    /// Finite.
    Float(f64),
}

/// The `ORDER BY` clause; only time can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// Whether the word `time` is written: `ORDER BY DESC` leaves it out.
    pub names_time: bool,
    pub direction: Direction,
}

/// Order of rows by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// `EXPLAIN [ANALYZE] [VERBOSE] SELECT ...`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    pub statement: Box<SelectStatement>,
}

impl SelectStatement {
    /// A statement with nothing but a select list and sources.
    pub fn new(fields: Vec<Field>, sources: Vec<Source>) -> SelectStatement {
        SelectStatement {
            fields,
            target: None,
            sources,
            condition: None,
            dimensions: Vec::new(),
            fill: Fill::Null,
            order_by: None,
            limit: 0,
            offset: 0,
            slimit: 0,
            soffset: 0,
            tz: None,
        }
    }

    /// Direction of the rows: ascending unless `ORDER BY` says otherwise.
    pub fn direction(&self) -> Direction {
        self.order_by.map_or(Direction::Ascending, |order_by| order_by.direction)
    }
}

impl Direction {
    /// `ASC` or `DESC`.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        }
    }
}

impl Field {
    /// A field without alias.
    pub fn new(expr: Expr) -> Field {
        Field { expr, alias: None }
    }
}

impl Measurement {
    /// An unqualified measurement.
    pub fn named(name: impl Into<String>) -> Measurement {
        Measurement { database: None, retention_policy: None, name: MeasurementName::Name(name.into()) }
    }
}
