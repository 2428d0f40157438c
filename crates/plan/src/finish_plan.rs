//! The part of a plan above the cut: what the coordinator makes of what the shards send.
//!
//! For [`Work::Rows`](crate::Work::Rows) the rows of all shards are merged by time and every row gives one output row:
//! the inputs of the output expressions are the columns of the work, by position.
//!
//! For [`Work::Calls`](crate::Work::Calls) the states of each call are merged, and each [`Stream`] turns the results of
//! one call into values at times: fill, then transformations. The streams of a group are joined by time into rows, one
//! for each time at which a stream has a value or a null of its fill. The inputs of the output expressions are the
//! streams by position, then the auxiliary columns of the only call.
//!
//! Last, per series: OFFSET and LIMIT of the rows; per measurement: SOFFSET and SLIMIT of the series. Series are
//! ordered by measurement and tag values, and descending with `Direction::Descending`.

use influxql::ast::{Direction, FillNumber};
use model::{FieldType, FieldValue, TimeRange, Timestamp};

use crate::expr::Expr;
use crate::window::{Window, Zone};

/// What the coordinator does. The same for every measurement of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishPlan {
    /// Name of column 0: `time` or its alias.
    pub time_column: String,
    /// The columns after it. Aliases may repeat, and in a subquery other names too: there the first of a name counts.
    pub columns: Vec<OutputColumn>,
    /// One for each different call of the select list; empty for rows.
    pub streams: Vec<Stream>,
    /// What stands for an input that is null in a row where another has a value.
    pub absent: Absent,
    /// The window of `GROUP BY time`, with which the streams fill.
    pub window: Option<Window>,
    /// Tag keys of the series in the answer, in the order of `ShardPlan::group_by`.
    pub group_by: Vec<String>,
    /// Order of rows and of series.
    pub direction: Direction,
    /// Rows of each series.
    pub limit: Option<u64>,
    /// Rows of each series that are skipped first.
    pub offset: u64,
    /// Series of each measurement.
    pub slimit: Option<u64>,
    /// Series of each measurement that are skipped first.
    pub soffset: u64,
    /// In which times are printed as text; `None` means UTC.
    pub zone: Option<Zone>,
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its value, from the inputs of the row.
    pub expr: Expr,
}

/// What stands for an input without value. Only numbers of `fill(N)` and `fill(previous)` reach beyond the grid of a
/// call: they also apply to rows of raw queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Absent {
    /// Null.
    Null,
    /// This number, even in columns of strings.
    Number(FillNumber),
    /// The value of that input in the previous output row of the series, null in the first.
    Previous,
}

/// The results of one call as values at times.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Index into the calls of [`Work::Calls`](crate::Work::Calls).
    pub call: usize,
    /// The time at which a result of the call stands.
    pub time: RowTime,
    /// What stands in the windows of `range` without result, from the first of the range (from the first result if the
    /// range begins at [`Timestamp::MIN`]) to the last.
    pub fill: Fill,
    /// The range of the call, windows of which are filled.
    pub range: TimeRange,
    /// Applied in this order. Nulls of the fill do not enter the first.
    pub transforms: Vec<Transform>,
    /// Type of what the call gives, which goes into the fill and the first transformation.
    pub call_type: FieldType,
    /// Type of what the stream gives in the end.
    pub value_type: FieldType,
}

/// The time of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowTime {
    /// Of the point that was picked, or of each point.
    Point,
    /// The start of the window.
    Window,
    /// Always this.
    Fixed(Timestamp),
}

/// What stands in a window without result.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// Nothing: no row on account of this stream.
    None,
    /// A null.
    Null,
    /// This value, of the type of the call.
    Value(FieldValue),
    /// The value of the window before it in the order of the output, null if there is none.
    Previous,
    /// On the line between the neighbours that have a value; null outside and for types that are no numbers.
    Linear,
}

/// A function of the values of a series in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// Change per unit, a double.
    Derivative {
        /// Nanoseconds; positive.
        unit_ns: i64,
        /// Whether falls are left out.
        non_negative: bool,
    },
    /// Change, of the same type.
    Difference {
        /// Whether falls are left out.
        non_negative: bool,
    },
    /// Time since the previous value in whole units, an integer.
    Elapsed {
        /// Nanoseconds; positive.
        unit_ns: i64,
    },
    /// Sum so far, of the same type.
    CumulativeSum,
    /// Mean of the last values, a double.
    MovingAverage {
        /// How many values; at least 2.
        count: u64,
    },
    /// `exponential_moving_average`, a double, as all that follow.
    Exponential {
        /// How often the average is taken of itself, and how it is combined.
        kind: Exponential,
        /// At least 1.
        period: u64,
        /// Rows held back; `None` for the default of the function.
        hold: Option<u64>,
        /// How it starts.
        warmup: Warmup,
    },
    /// `relative_strength_index`
    RelativeStrengthIndex {
        /// At least 1.
        period: u64,
        /// Rows held back; `None` for the default.
        hold: Option<u64>,
        /// How it starts.
        warmup: Warmup,
    },
    /// `chande_momentum_oscillator`
    ChandeMomentumOscillator {
        /// At least 1.
        period: u64,
        /// Rows held back; `None` for the default.
        hold: Option<u64>,
        /// How it starts; `None` for `'none'`, the default of this function.
        warmup: Option<Warmup>,
    },
    /// `kaufmans_efficiency_ratio` and `kaufmans_adaptive_moving_average`
    Kaufmans {
        /// Whether it is the average.
        adaptive: bool,
        /// At least 1.
        period: u64,
        /// Rows held back; `None` for the default.
        hold: Option<u64>,
    },
    /// `holt_winters` and `holt_winters_with_fit`
    HoltWinters {
        /// Predictions; at least 1.
        count: u64,
        /// Length of a season in values; below 2 there is none.
        season: u64,
        /// Whether the fitted values come first.
        with_fit: bool,
        /// The length of a window in nanoseconds.
        interval_ns: i64,
    },
}

/// The family of the exponential moving average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exponential {
    /// `exponential_moving_average`
    Single,
    /// `double_exponential_moving_average`
    Double,
    /// `triple_exponential_moving_average`
    Triple,
    /// `triple_exponential_derivative`
    TripleDerivative,
}

/// How an average starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// `'exponential'`
    Exponential,
    /// `'simple'`
    Simple,
}

impl Transform {
    /// The type of the results over values of `input`; `None` when it does not take that type.
    pub fn output_type(&self, input: FieldType) -> Option<FieldType> {
        match self {
            Transform::Elapsed { .. } => Some(FieldType::Integer),
            Transform::Difference { .. } | Transform::CumulativeSum => input.is_numeric().then_some(input),
            _ => input.is_numeric().then_some(FieldType::Float),
        }
    }
}
