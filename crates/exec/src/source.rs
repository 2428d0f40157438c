//! Where rows come from: the trait that this crate reads through.
//!
//! A storage shard is wrapped to be a [`Source`] by whoever runs queries; subqueries and tests use [`memory`]. A source
//! knows series by a handle of its own and gives the rows of one series at a time, in batches of columns that share one
//! time column.

pub mod memory;

use std::fmt;
use std::sync::Arc;

pub use influxql::ast::Direction;
use model::{Column, FieldType, FieldValue, TagFilter, Tags, TimeRange};

pub use memory::MemorySource;

/// Why a source could not give rows. The text is for people; what to do about it is decided where the source was made.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The rows cannot be read from where they are kept.
    #[error("{0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rows were read but are damaged.
    #[error("{0}")]
    Damaged(String),
}

/// One series that a source has.
#[derive(Clone, Debug)]
pub struct SourceSeries {
    /// What the source calls it; means nothing elsewhere.
    pub handle: u64,
    /// The canonical series key. Orders rows of equal time.
    pub key: Arc<[u8]>,
    /// The tags of the key.
    pub tags: Arc<Tags>,
}

/// A field to read, and the type that the query wants it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequest {
    /// The field key, raw.
    pub name: Vec<u8>,
    /// The type of the column that the query computes with. A source that has the field under several types gives the
    /// values of this one if it has them; it need not convert.
    pub field_type: FieldType,
}

/// Some consecutive rows of one series.
///
/// Every column has as many rows as `times`. Rows in which no requested field has a value may be present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowBatch {
    /// Nanoseconds, ascending (or descending, if rows were asked for so). A stored series has no two rows of one time;
    /// the rows of a subquery may.
    pub times: Vec<i64>,
    /// One for each requested field, in that order, of whatever type the values are stored in.
    pub columns: Vec<Column>,
}

/// What is known about the values of one field in a batch that was not read.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSummary {
    /// The type of the values.
    pub field_type: FieldType,
    /// How many rows have a value. The rest is meaningless when there are none.
    pub count: u64,
    /// The sum of the values; `None` for strings and booleans.
    pub sum: Option<SummarySum>,
    /// The smallest value and the time of its first occurrence; `None` where there is no order.
    pub min: Option<(FieldValue, i64)>,
    /// The largest value and the time of its first occurrence.
    pub max: Option<(FieldValue, i64)>,
    /// The earliest value.
    pub first: Option<(FieldValue, i64)>,
    /// The latest value.
    pub last: Option<(FieldValue, i64)>,
}

/// The sum in a [`FieldSummary`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SummarySum {
    /// Double-double: a rounded sum and the rest.
    Float(f64, f64),
    /// Wrapping.
    Integer(i64),
    /// Wrapping.
    Unsigned(u64),
}

/// What is known about a batch that was not read.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSummary {
    /// The earliest time of a row.
    pub time_first: i64,
    /// The latest time of a row.
    pub time_last: i64,
    /// One for each requested field; `None` where nothing is known.
    pub fields: Vec<Option<FieldSummary>>,
}

/// The rows of one series, in batches of some thousand rows.
pub trait RowCursor {
    /// The next rows, or `None` after the last. A batch has at least one row.
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError>;

    /// What is known about the batch that `next` would give. Must describe exactly the rows of that batch, all of them
    /// inside the range asked for. `None` when that would cost as much as reading it.
    fn peek(&mut self) -> Result<Option<BatchSummary>, SourceError> {
        Ok(None)
    }

    /// Passes over the batch that `peek` described.
    fn skip(&mut self) -> Result<(), SourceError> {
        self.next().map(|_| ())
    }
}

/// Rows of series, by measurement.
pub trait Source {
    /// The series of a measurement whose tags pass `filter`, sorted by key.
    fn series(&self, measurement: &[u8], filter: &TagFilter) -> Result<Vec<SourceSeries>, SourceError>;

    /// The rows of one series inside `range`, in order of time. A series that lacks a field gives a column without
    /// values for it.
    fn rows<'a>(
        &'a self,
        handle: u64,
        fields: &[FieldRequest],
        range: TimeRange,
        direction: Direction,
    ) -> Result<Box<dyn RowCursor + 'a>, SourceError>;
}

impl fmt::Debug for dyn Source + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl fmt::Debug for dyn RowCursor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowCursor")
    }
}
