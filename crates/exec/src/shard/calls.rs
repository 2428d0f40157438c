//! States of calls, for queries with aggregates.

use std::sync::Arc;

use model::Timestamp;
use plan::{ColumnKind, Direction, Function, PartialCall, ShardPlan};

use super::accumulate::{Accumulate, CallRows, accumulator, is_uncut};
use super::cut::{Cutter, Span};
use super::{Batch, Reader, Rows};
use crate::error::{Budget, ExecError};
use crate::evaluate::Vector;
use crate::partial::Body;
use crate::source::{BatchSummary, RowCursor, SourceSeries};
use crate::states::CallStates;

/// The states of each call over the series of a group, and how many bytes they take. `None` when no call saw a value.
pub(super) fn read(
    reader: &Reader<'_>,
    series: &[SourceSeries],
    calls: &[PartialCall],
    budget: &mut dyn Budget,
) -> Result<(Option<Body>, usize), ExecError> {
    let mut group = Group::new(reader, calls)?;
    let mut bytes = 0;
    for one in series {
        bytes += group.read_series(reader, one, budget)?;
    }
    let states: Vec<CallStates> = group.calls.into_iter().map(|call| call.states.finish()).collect();
    Ok((states.iter().any(|states| !states.is_empty()).then_some(Body::Calls(states)), bytes))
}

/// Whether only the values of the results matter: then their times and rows need not be kept.
pub(crate) fn is_bare(plan: &ShardPlan, calls: &[PartialCall], call: &PartialCall) -> bool {
    call.auxiliary.is_empty() && (calls.len() > 1 || plan.window.is_some())
}

/// The calls of a group and what they made of the rows so far.
struct Group<'a> {
    calls: Vec<Call<'a>>,
    cutter: Cutter<'a>,
    /// Whether windows change nothing for any call.
    uncut: bool,
    ends: Option<Direction>,
    /// Whether it may be enough to know of a batch instead of reading it.
    summable: bool,
    spans: Vec<Span>,
}

struct Call<'a> {
    call: &'a PartialCall,
    /// The times that the call sees, from the first to before the last; `None` for all that are read.
    times: Option<(i64, i64)>,
    states: Box<dyn Accumulate>,
}

impl<'a> Group<'a> {
    fn new(reader: &Reader<'a>, calls: &'a [PartialCall]) -> Result<Group<'a>, ExecError> {
        let plan = reader.plan;
        let make = |call: &'a PartialCall| {
            let column = plan.columns.get(call.column).ok_or(ExecError::Mismatch("a call of no column"))?;
            let states = accumulator(call, column.kind.value_type(), is_bare(plan, calls, call))?;
            Ok(Call { call, times: times(plan, call, reader.rows), states })
        };
        Ok(Group {
            calls: calls.iter().map(make).collect::<Result<_, ExecError>>()?,
            cutter: Cutter::new(plan.window.as_ref()),
            uncut: plan.window.is_none(),
            ends: ends(plan, calls),
            summable: plan.condition.is_none() && calls.iter().all(is_summable),
            spans: Vec::new(),
        })
    }

    fn read_series(
        &mut self,
        reader: &Reader<'_>,
        series: &SourceSeries,
        budget: &mut dyn Budget,
    ) -> Result<usize, ExecError> {
        let mut kept = 0;
        let direction = self.ends.unwrap_or(Direction::Ascending);
        let mut cursor = reader.source.rows(series.handle, &reader.requests, reader.plan.range, direction)?;
        loop {
            if self.skip_known(reader, &series.key, cursor.as_mut())? {
                continue;
            }
            let Some(batch) = cursor.next()? else { break };
            budget.rows(batch.times.len()).map_err(ExecError::Refused)?;
            let batch = reader.prepare(batch, &series.tags)?;
            let bytes = self.add(&batch, series, direction);
            kept += bytes;
            budget.grow(bytes).map_err(ExecError::Refused)?;
            if self.ends.is_some() && self.found_ends(&batch) {
                break;
            }
        }
        self.calls.iter_mut().for_each(|call| call.states.end_series());
        Ok(kept)
    }

    /// Takes in the next batch by what is known of it, when that is enough. `false` when it must be read.
    fn skip_known(
        &mut self,
        reader: &Reader<'_>,
        key: &Arc<[u8]>,
        cursor: &mut (dyn RowCursor + '_),
    ) -> Result<bool, ExecError> {
        if !self.summable || self.ends.is_some() {
            return Ok(false);
        }
        let Some(summary) = cursor.peek()? else { return Ok(false) };
        if !self.add_summary(reader, key, &summary) {
            return Ok(false);
        }
        cursor.skip()?;
        Ok(true)
    }

    /// All or nothing: a batch that one call has to see is read.
    fn add_summary(&mut self, reader: &Reader<'_>, key: &Arc<[u8]>, summary: &BatchSummary) -> bool {
        let (start, end) = self.cutter.window(summary.time_first);
        if summary.time_last >= end || summary.time_last < summary.time_first {
            return false;
        }
        let mut fields = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let range = call.call.range;
            let ColumnKind::Field(input) = reader.plan.columns[call.call.column].kind else { return false };
            let known = summary.fields.get(reader.request_index(call.call.column)).and_then(Option::as_ref);
            let within = range.start().0 <= summary.time_first && summary.time_last < range.end().0;
            match known.filter(|field| within && field.field_type == input) {
                Some(field) if field.count == 0 || call.states.takes_summary(field, key) => fields.push(field),
                _ => return false,
            }
        }
        for (call, field) in self.calls.iter_mut().zip(fields).filter(|(_, field)| field.count > 0) {
            call.states.add_summary(start, field, key);
        }
        true
    }

    /// Folds a batch into the states. Returns how many bytes more are kept.
    fn add(&mut self, batch: &Batch, series: &SourceSeries, direction: Direction) -> usize {
        let mut bytes = 0;
        let mut cut = None;
        for call in &mut self.calls {
            let column = batch.column(call.call.column);
            let counted = batch.passing.clone().and_valid(column.validity());
            let Some(mask) = counted.mask() else { continue };
            let uncut = self.uncut || is_uncut(&call.call.function);
            if cut != Some((call.times, uncut)) {
                cut = Some((call.times, uncut));
                // Where nothing is cut off, rows may be in an order other than that of time.
                let rows = call.times.map_or(0..batch.times.len(), |times| positions(&batch.times, times));
                if uncut {
                    Cutter::new(None).cut(&batch.times, rows, &mut self.spans);
                } else {
                    self.cutter.cut(&batch.times, rows, &mut self.spans);
                }
            }
            let auxiliary: Vec<Vector<'_>> =
                call.call.auxiliary.iter().map(|index| batch.vectors[*index].borrowed()).collect();
            bytes += call.states.add(&CallRows {
                times: &batch.times,
                descending: direction == Direction::Descending,
                column: &column,
                mask,
                spans: &self.spans,
                key: &series.key,
                tags: &series.tags,
                auxiliary: &auxiliary,
            });
        }
        bytes
    }

    /// Whether the batch had a value for each call, so that no other row of the series can be the first or last.
    fn found_ends(&self, batch: &Batch) -> bool {
        self.calls.iter().all(|call| {
            let counted = batch.passing.clone().and_valid(batch.column(call.call.column).validity());
            counted.mask().is_some_and(|mask| mask.first(0..batch.times.len()).is_some())
        })
    }
}

/// If each call wants nothing but the first or the last value of a series: the direction in which it comes first.
fn ends(plan: &ShardPlan, calls: &[PartialCall]) -> Option<Direction> {
    let whole = plan.window.is_none() && calls.iter().all(|call| call.range == plan.range);
    let all = |function: &Function| calls.iter().all(|call| call.function == *function);
    match whole {
        true if all(&Function::First) => Some(Direction::Ascending),
        true if all(&Function::Last) => Some(Direction::Descending),
        _ => None,
    }
}

/// The times that a call sees when those are fewer than are read.
fn times(plan: &ShardPlan, call: &PartialCall, rows: Rows<'_>) -> Option<(i64, i64)> {
    if call.range == plan.range {
        return None;
    }
    let (start, end) = (call.range.start(), call.range.end());
    match (rows, &plan.window, plan.direction) {
        (Rows::Stored, ..) | (Rows::OfSubquery { .. }, None, _) => Some((start.0, end.0)),
        // Rows of a subquery lie outside the range too; only the windows in which another call warms up are not seen.
        (Rows::OfSubquery { .. }, Some(window), Direction::Ascending) => Some((window.start(start).0, i64::MAX)),
        (Rows::OfSubquery { .. }, Some(window), Direction::Descending) => {
            Some((i64::MIN, window.of(Timestamp(end.0 - 1)).end().0))
        }
    }
}

/// Whether there are accumulators that take in what is known of a batch.
fn is_summable(call: &PartialCall) -> bool {
    let function = matches!(
        call.function,
        Function::Count
            | Function::Sum
            | Function::Mean
            | Function::Spread
            | Function::Min
            | Function::Max
            | Function::First
            | Function::Last
    );
    function && call.auxiliary.is_empty()
}

/// The positions of the times from the first of two to before the second; all ascend.
fn positions(times: &[i64], (start, end): (i64, i64)) -> std::ops::Range<usize> {
    let start = times.partition_point(|time| *time < start);
    let end = times.partition_point(|time| *time < end);
    start..end.max(start)
}
