//! The answer of a subquery as a source of rows for the query around it.
//!
//! Output columns become fields, the tags of the series become tags. Aggregates see the rows of each series in order of
//! time, as those of any other source. Where the order matters, in queries without aggregates and to transformations of a
//! column, it is that of the reference, see [`RowOrder`].

use std::sync::Arc;

use model::result::{Series, Value};
use model::{Column, FieldType, FieldValue, TagFilter, Tags, TimeRange, Timestamp};
use plan::{Direction, Function, Input, RowTime, SelectPlan, ShardPlan, Window, Work};

use crate::columns;
use crate::error::{Budget, ExecError};
use crate::finish::Finish;
use crate::partial::{Body, Partial};
use crate::shard::{self, Rows};
use crate::source::{FieldRequest, RowBatch, RowCursor, Source, SourceError, SourceSeries};
use crate::state::SeriesRows;

/// The rows of a subquery.
#[derive(Debug)]
pub struct SubqueryRows {
    /// The columns that can have values, and their types.
    columns: Vec<(Vec<u8>, FieldType)>,
    /// The tags of all series.
    tags: Vec<Vec<u8>>,
    /// Ascending, in whatever direction the rows are.
    series: Vec<InnerSeries>,
    direction: Direction,
    order: RowOrder,
}

/// In which order the rows of several series come.
#[derive(Clone, Debug, PartialEq)]
enum RowOrder {
    /// By time, then by series: the subquery has no aggregates, or its rows stand at the starts of windows.
    Time,
    /// Series after series: its rows are those of one window each.
    Series,
    /// By window, then by series: it has windows, but its rows stand at the times of points.
    Window(Window),
}

#[derive(Debug)]
struct InnerSeries {
    name: String,
    tags: Arc<Tags>,
    times: Vec<i64>,
    columns: Vec<Column>,
}

impl SubqueryRows {
    /// Takes all rows of the answer of `plan`, the plan of a subquery.
    ///
    /// # Errors
    /// Those of the pieces, and the refusals of the budget.
    pub fn collect(plan: &SelectPlan, pieces: Finish<'_>, budget: &mut dyn Budget) -> Result<SubqueryRows, ExecError> {
        let typed = plan.finish.columns.iter().enumerate();
        let typed: Vec<(usize, Vec<u8>, FieldType)> = typed
            .filter_map(|(index, column)| Some((index, column.name.as_bytes().to_vec(), column.expr.value_type()?)))
            .collect();
        let mut rows = SubqueryRows {
            columns: typed.iter().map(|(_, name, field_type)| (name.clone(), *field_type)).collect(),
            tags: plan.finish.group_by.iter().map(|tag| tag.as_bytes().to_vec()).collect(),
            series: Vec::new(),
            direction: plan.finish.direction,
            order: row_order(plan),
        };
        let mut continues = false;
        for piece in pieces {
            let piece = piece?;
            budget.grow(piece.series.rows.len() * (8 + 16 * typed.len())).map_err(ExecError::Refused)?;
            if !continues {
                rows.series.push(InnerSeries::new(&piece.series, &rows.columns));
            }
            let series = rows.series.last_mut().expect("a series was just added or goes on");
            for row in piece.series.rows.iter() {
                series.push(row, &typed);
            }
            continues = piece.continues;
        }
        if rows.direction == Direction::Descending {
            rows.series.reverse();
        }
        Ok(rows)
    }
}

fn row_order(plan: &SelectPlan) -> RowOrder {
    let input = plan.outputs.iter().flat_map(|output| &output.inputs).next();
    let Some(Input::Shards { plan: shard, .. } | Input::Subquery { plan: shard, .. }) = input else {
        return RowOrder::Time;
    };
    let uncut = match &shard.work {
        Work::Calls(calls) => calls.iter().all(|call| call.function == Function::Points),
        Work::Rows { .. } => true,
    };
    if uncut {
        // What neither cuts nor sorts keeps the order that it finds.
        return match input {
            Some(Input::Subquery { index, .. }) => plan.subqueries.get(*index).map_or(RowOrder::Time, row_order),
            _ => RowOrder::Time,
        };
    }
    match &plan.finish.window {
        None => RowOrder::Series,
        Some(window) if plan.finish.streams.iter().any(|stream| stream.time == RowTime::Point) => {
            RowOrder::Window(window.clone())
        }
        Some(_) => RowOrder::Time,
    }
}

impl InnerSeries {
    fn new(series: &Series, columns: &[(Vec<u8>, FieldType)]) -> InnerSeries {
        let pair = |(key, value): &(String, String)| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        InnerSeries {
            name: series.name.clone(),
            tags: Arc::new(Tags::new(series.tags.iter().map(pair).collect())),
            times: Vec::new(),
            columns: columns.iter().map(|(_, field_type)| Column::new(*field_type)).collect(),
        }
    }

    fn push(&mut self, row: &[Value], typed: &[(usize, Vec<u8>, FieldType)]) {
        let Some(Value::Time { ns, .. }) = row.first() else { return };
        self.times.push(*ns);
        for (column, (index, _, field_type)) in self.columns.iter_mut().zip(typed) {
            // The first cell is the time. A number that fill put into a column of strings is no value of it.
            match row.get(index + 1).and_then(field_value).filter(|value| value.field_type() == *field_type) {
                Some(value) => column.push(&value),
                None => column.pad_to(self.times.len()),
            }
        }
    }
}

fn field_value(value: &Value) -> Option<FieldValue> {
    match value {
        Value::Float(value) => Some(FieldValue::Float(*value)),
        Value::Integer(value) => Some(FieldValue::Integer(*value)),
        Value::Unsigned(value) => Some(FieldValue::Unsigned(*value)),
        Value::Boolean(value) => Some(FieldValue::Boolean(*value)),
        Value::String(value) => Some(FieldValue::String(value.as_bytes().to_vec())),
        Value::Null | Value::Time { .. } | Value::List(_) => None,
    }
}

/// Runs `plan`, whose input is a subquery, over the rows of that.
///
/// # Errors
/// The refusals of the budget.
pub fn run_subquery(plan: &ShardPlan, rows: &SubqueryRows, budget: &mut dyn Budget) -> Result<Partial, ExecError> {
    let as_given = rows.order != RowOrder::Time;
    let in_order = match &plan.work {
        Work::Rows { .. } => true,
        Work::Calls(calls) => {
            as_given && calls.iter().all(|call| call.function == Function::Points && call.range == plan.range)
        }
    };
    let kind = Rows::OfSubquery { tags: &rows.tags };
    let mut partial = shard::run(plan, &View { rows, in_order }, kind, budget)?;
    partial.as_given = in_order && as_given;
    if let RowOrder::Window(window) = &rows.order {
        for body in partial.groups.values_mut() {
            if let Body::Rows(pieces) = body {
                *pieces = by_window(std::mem::take(pieces), window, rows.direction);
            }
        }
    }
    Ok(partial)
}

/// Cuts rows where the window changes and puts the pieces in the order of the windows.
fn by_window(pieces: Vec<SeriesRows>, window: &Window, direction: Direction) -> Vec<SeriesRows> {
    let mut cut: Vec<(i64, SeriesRows)> = Vec::new();
    for piece in pieces {
        let starts: Vec<i64> = piece.times.iter().map(|time| window.start(Timestamp(*time)).0).collect();
        let mut from = 0;
        for run in starts.chunk_by(|a, b| a == b) {
            cut.push((run[0], piece.slice(from..from + run.len())));
            from += run.len();
        }
    }
    match direction {
        Direction::Ascending => cut.sort_by_key(|(start, _)| *start),
        Direction::Descending => cut.sort_by_key(|(start, _)| !*start),
    }
    cut.into_iter().map(|(_, piece)| piece).collect()
}

/// The rows of a subquery as one kind of work wants them.
struct View<'a> {
    rows: &'a SubqueryRows,
    /// Whether in the order of the subquery, else in that of time.
    in_order: bool,
}

impl Source for View<'_> {
    /// Series keep their order by keys that are numbers.
    fn series(&self, measurement: &[u8], filter: &TagFilter) -> Result<Vec<SourceSeries>, SourceError> {
        let all = self.rows.series.iter().enumerate();
        let wanted = all.filter(|(_, series)| series.name.as_bytes() == measurement && filter.accepts(&series.tags));
        Ok(wanted
            .map(|(index, series)| SourceSeries {
                handle: index as u64,
                key: (index as u64).to_be_bytes().as_slice().into(),
                tags: Arc::clone(&series.tags),
            })
            .collect())
    }

    /// All rows, whatever their time: windows begin before the range of a query, predictions lie after it.
    fn rows<'a>(
        &'a self,
        handle: u64,
        fields: &[FieldRequest],
        _: TimeRange,
        direction: Direction,
    ) -> Result<Box<dyn RowCursor + 'a>, SourceError> {
        let series = usize::try_from(handle).ok().and_then(|index| self.rows.series.get(index));
        let Some(series) = series else {
            return Err(SourceError::Damaged(format!("no series {handle} in a subquery")));
        };
        let mut rows: Vec<usize> = (0..series.times.len()).collect();
        if !self.in_order {
            if direction != self.rows.direction {
                rows.reverse();
            }
            match direction {
                Direction::Ascending => rows.sort_by_key(|row| series.times[*row]),
                Direction::Descending => rows.sort_by_key(|row| !series.times[*row]),
            }
        }
        let column = |field: &FieldRequest| {
            self.rows.columns.iter().position(|(name, _)| *name == field.name).map(|index| &series.columns[index])
        };
        let columns = fields.iter().map(|field| column(field).ok_or(field.field_type)).collect();
        Ok(Box::new(Cursor { series, columns, rows, taken: 0 }))
    }
}

/// Most rows in a batch.
const BATCH_ROWS_MAX: usize = 4_096;

struct Cursor<'a> {
    series: &'a InnerSeries,
    /// The column, or the type of one that is not there.
    columns: Vec<Result<&'a Column, FieldType>>,
    rows: Vec<usize>,
    taken: usize,
}

impl RowCursor for Cursor<'_> {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        let end = self.rows.len().min(self.taken + BATCH_ROWS_MAX);
        let rows = &self.rows[self.taken..end];
        if rows.is_empty() {
            return Ok(None);
        }
        self.taken = end;
        let gather = |column: &Result<&Column, FieldType>| match column {
            Err(field_type) => columns::nulls(*field_type, rows.len()),
            Ok(from) => {
                let mut column = Column::new(from.field_type());
                rows.iter().for_each(|row| column.push_from(from, *row));
                column
            }
        };
        let times = rows.iter().map(|row| self.series.times[*row]).collect();
        Ok(Some(RowBatch { times, columns: self.columns.iter().map(gather).collect() }))
    }
}
