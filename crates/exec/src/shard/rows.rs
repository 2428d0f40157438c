//! Rows as they are, for queries without aggregates.

use std::sync::Arc;

use super::{Reader, Rows, any_valid};
use crate::columns;
use crate::error::{Budget, ExecError};
use crate::evaluate::{Truth, Vector};
use crate::kernel::Mask;
use crate::partial::Body;
use crate::source::SourceSeries;
use crate::state::{Cells, SeriesRows};

/// The rows of the series of a group, at most `limit` of each series, and how many bytes they take. `None` when there are
/// none.
pub(super) fn read(
    reader: &Reader<'_>,
    series: &[SourceSeries],
    columns: &[usize],
    limit: Option<u64>,
    budget: &mut dyn Budget,
) -> Result<(Option<Body>, usize), ExecError> {
    let mut pieces = Vec::new();
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    for one in series {
        read_series(reader, one, columns, limit, budget, &mut pieces)?;
    }
    let bytes = pieces.iter().map(SeriesRows::bytes).sum();
    Ok(((!pieces.is_empty()).then_some(Body::Rows(pieces)), bytes))
}

fn read_series(
    reader: &Reader<'_>,
    series: &SourceSeries,
    columns: &[usize],
    limit: usize,
    budget: &mut dyn Budget,
    pieces: &mut Vec<SeriesRows>,
) -> Result<(), ExecError> {
    let mut left = limit;
    let mut cursor = reader.source.rows(series.handle, &reader.requests, reader.plan.range, reader.plan.direction)?;
    while left > 0 {
        let Some(batch) = cursor.next()? else { break };
        budget.rows(batch.times.len()).map_err(ExecError::Refused)?;
        let batch = reader.prepare(batch, &series.tags)?;
        let fields = columns.iter().filter_map(|index| match &batch.vectors[*index] {
            Vector::Column(column) => Some(column.as_ref()),
            Vector::Constant(_) => None,
        });
        let present = if reader.rows == Rows::Stored { any_valid(fields) } else { Truth::All };
        let keep = batch.passing.clone().and(present);
        let Some(mask) = keep.mask() else { continue };
        let end = end_of(mask, batch.times.len(), left);
        let count = mask.count(0..end);
        if count == 0 {
            continue;
        }
        left -= count;
        let whole = count == batch.times.len();
        let times = if whole { batch.times.clone() } else { columns::pick_slice(&batch.times, mask, 0..end) };
        let cells = columns.iter().map(|index| match &batch.vectors[*index] {
            Vector::Column(column) if whole => Cells::Field(column.as_ref().clone()),
            Vector::Column(column) => Cells::Field(columns::pick(column, mask, 0..end)),
            Vector::Constant(_) => {
                let tag = reader.tag(&series.tags, &reader.plan.columns[*index].name);
                Cells::Tag(tag.map(Arc::from))
            }
        });
        let rows = SeriesRows { key: Arc::clone(&series.key), times, columns: cells.collect() };
        budget.grow(rows.bytes()).map_err(ExecError::Refused)?;
        pieces.push(rows);
    }
    Ok(())
}

/// The position after the row with which `limit` is reached.
fn end_of(mask: Mask<'_>, len: usize, limit: usize) -> usize {
    if mask.count(0..len) <= limit {
        return len;
    }
    mask.positions(0..len).nth(limit - 1).map_or(len, |last| last + 1)
}
