//! The part of a plan below the cut: what the owner of a shard does with it.
//!
//! The same plan runs over the rows of a subquery at the coordinator; the differences are said at
//! [`Input::Subquery`](crate::Input::Subquery).
//!
//! How to run it: take the series of `measurement` that `series` accepts, read the points of `range` with the
//! `columns`, drop the rows for which `condition` is not true (null is not true), put the rows into groups by the
//! values of the `group_by` tags, and do the `work` for each group.

use influxql::ast::Direction;
use model::{FieldType, TagFilter, TimeRange};

use crate::expr::Expr;
use crate::window::Window;

/// What to read of one measurement and what to make of it.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    /// The measurement, raw.
    pub measurement: Vec<u8>,
    /// Everything the work reads lies inside.
    pub range: TimeRange,
    /// Order of the rows by time. Ties: by series key, ascending.
    pub direction: Direction,
    /// What condition and work refer to by index.
    pub columns: Vec<Column>,
    /// The series to read.
    pub series: TagFilter,
    /// The rows to keep of those series; a boolean over `columns` as its inputs.
    pub condition: Option<Expr>,
    /// Tags whose values make the group of a row, sorted, distinct. A series without the tag counts as having an empty
    /// value. Empty: all rows are one group.
    pub group_by: Vec<Vec<u8>>,
    /// Cuts the time of [`Work::Calls`]; `None` means one window as long as the call's range.
    pub window: Option<Window>,
    /// What to do with each group.
    pub work: Work,
}

/// One column of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Key of the field or tag, raw.
    pub name: Vec<u8>,
    /// How it is read.
    pub kind: ColumnKind,
}

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A field, as values of this type. Values stored under another numeric type are converted (a double to an integer
    /// by truncation, integers to each other by wrapping); if either type is not numeric the value reads as null. A
    /// field that is not there reads as null.
    Field(FieldType),
    /// A tag, as strings; null where the series lacks it.
    Tag,
}

impl ColumnKind {
    /// The type of the values as the rows have them.
    pub fn value_type(self) -> FieldType {
        match self {
            ColumnKind::Field(kind) => kind,
            ColumnKind::Tag => FieldType::String,
        }
    }
}

/// What is done with the rows of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Send rows. A row exists at each time of a series at which one of the `columns` that is a field has a value.
    Rows {
        /// Indexes into [`ShardPlan::columns`]; in the plan for a shard at least one of them is a field.
        columns: Vec<usize>,
        /// Only the first so many rows of each group are wanted.
        limit: Option<u64>,
    },
    /// Send a partial state for each call, group and window in which the call sees a value. At least one call, no two
    /// equal.
    Calls(Vec<PartialCall>),
}

/// A function over one column. It sees the rows in which that column has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct PartialCall {
    /// What is computed.
    pub function: Function,
    /// Index into [`ShardPlan::columns`].
    pub column: usize,
    /// Columns to send along from the row of each point that a selector picks, as indexes. Not empty only when
    /// `function` is a selector and the only call.
    pub auxiliary: Vec<usize>,
    /// Times it sees: those of the statement, and one window more where a transformation needs a start.
    pub range: TimeRange,
}

/// The functions below the cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// How many values: an integer.
    Count,
    /// How many different values: an integer.
    CountDistinct,
    /// Of the column's type; integers wrap.
    Sum,
    /// A double.
    Mean,
    /// Smallest value, of several the earliest. Selector.
    Min,
    /// Largest value, of several the earliest. Selector.
    Max,
    /// Earliest value, of several the larger (of booleans: false). Selector.
    First,
    /// Latest value, of several the larger (of booleans: true). Selector.
    Last,
    /// Largest less smallest, of the column's type.
    Spread,
    /// Of the sample, a double.
    Stddev,
    /// A double.
    Median,
    /// The most frequent value.
    Mode,
    /// Different values in order of their first appearance; many rows a window.
    Distinct,
    /// Nearest rank. Selector.
    Percentile {
        /// In percent; any finite number.
        percent: f64,
    },
    /// Area under the curve, a double.
    Integral {
        /// The unit of time in nanoseconds; positive.
        unit_ns: i64,
    },
    /// Some of the values, at random, at their own times. Selector.
    Sample {
        /// At most so many in each window; at least 1.
        count: u64,
    },
    /// The largest values, at their own times. Selector.
    Top {
        /// At most so many in each window; at least 1.
        count: u64,
        /// If not empty: first the largest value of each combination of the values of these tags (keys, raw), and the
        /// largest of those.
        by: Vec<Vec<u8>>,
    },
    /// The smallest values, as [`Function::Top`]. Selector.
    Bottom {
        /// At most so many in each window; at least 1.
        count: u64,
        /// As in [`Function::Top`].
        by: Vec<Vec<u8>>,
    },
    /// Every value with its time, for a transformation of a field; not cut into windows.
    Points,
}

impl Function {
    /// Whether its results are points of the input, so that they have a time and a row of their own.
    pub fn is_selector(&self) -> bool {
        matches!(
            self,
            Function::Min
                | Function::Max
                | Function::First
                | Function::Last
                | Function::Percentile { .. }
                | Function::Sample { .. }
                | Function::Top { .. }
                | Function::Bottom { .. }
        )
    }

    /// The type of the results over a column of `input`; `None` when the function does not take that type.
    pub fn output_type(&self, input: FieldType) -> Option<FieldType> {
        let numeric = input.is_numeric();
        match self {
            Function::Count | Function::CountDistinct => Some(FieldType::Integer),
            Function::Mean | Function::Stddev | Function::Median | Function::Integral { .. } => {
                numeric.then_some(FieldType::Float)
            }
            Function::Sum
            | Function::Spread
            | Function::Percentile { .. }
            | Function::Top { .. }
            | Function::Bottom { .. } => numeric.then_some(input),
            Function::Min | Function::Max => (numeric || input == FieldType::Boolean).then_some(input),
            Function::First
            | Function::Last
            | Function::Mode
            | Function::Distinct
            | Function::Sample { .. }
            | Function::Points => Some(input),
        }
    }
}
