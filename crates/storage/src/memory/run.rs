//! An immutable piece of the memory table, sorted by (series, time, stamp, arrival).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Column, Stamp};

use super::FieldSlot;
use super::open::OpenBuffer;
use crate::column::{self, ColumnBuilder};
use crate::file::FILE_IDENTITY_BIT;
use crate::stamps::Stamps;

#[derive(Debug)]
pub(crate) struct Run {
    /// Series numbers, ascending, each with the row after its last.
    series: Vec<(u32, u32)>,
    times: Vec<i64>,
    stamps: Stamps,
    columns: Vec<(FieldSlot, Column)>,
    byte_count: usize,
    identity: u64,
}

/// Tells runs apart while the process lives. No behaviour depends on the numbers themselves.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(0);

impl Run {
    /// Sorts rows that came in any order. `stamps` has the stamp of all rows from a row on.
    pub(crate) fn sort(
        series: &[u32],
        times: &[i64],
        stamps: &[(u32, Stamp)],
        columns: &[Option<ColumnBuilder>],
    ) -> Run {
        let row_count = times.len();
        let row_stamps = Stamps::from_spans(stamps, row_count);
        let order = sorted_order(series, times, &row_stamps);
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (position, row) in order.iter().enumerate() {
            let id = series[*row as usize];
            match ranges.last_mut() {
                Some(last) if last.0 == id => last.1 = position as u32 + 1,
                _ => ranges.push((id, position as u32 + 1)),
            }
        }
        let columns = columns.iter().enumerate().filter_map(|(id, builder)| {
            let builder = builder.as_ref().filter(|builder| builder.has_values())?;
            let column = builder.gathered(&order);
            Some((FieldSlot { id: id as u32, field_type: column.field_type() }, column))
        });
        let mut run = Run {
            series: ranges,
            times: order.iter().map(|row| times[*row as usize]).collect(),
            stamps: row_stamps.gathered(&order),
            columns: columns.collect(),
            byte_count: 0,
            // Those of files are random: the highest bit keeps them apart from these.
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed) & !FILE_IDENTITY_BIT,
        };
        run.byte_count = run.series.len() * 8
            + run.times.len() * 8
            + run.stamps.byte_count()
            + run.columns.iter().map(|(_, column)| column::byte_count(column)).sum::<usize>();
        run
    }

    /// The rows of both; where they are equal in series, time and stamp, those of `newer` come last.
    pub(crate) fn join(older: &Run, newer: &Run) -> Run {
        let mut buffer = OpenBuffer::default();
        buffer.append_run(older);
        buffer.append_run(newer);
        buffer.seal()
    }

    pub(crate) fn row_count(&self) -> usize {
        self.times.len()
    }

    /// No other run and no file has it.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(crate) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    pub(crate) fn columns(&self) -> &[(FieldSlot, Column)] {
        &self.columns
    }

    /// The column of a field, if any row has it.
    pub(crate) fn column(&self, field: u32) -> Option<&Column> {
        let index = self.columns.binary_search_by_key(&field, |(slot, _)| slot.id).ok()?;
        Some(&self.columns[index].1)
    }

    /// Series and their rows, ascending.
    pub(crate) fn series_ranges(&self) -> impl Iterator<Item = (u32, Range<usize>)> {
        let mut start = 0;
        self.series.iter().map(move |(series, end)| {
            let range = start..*end as usize;
            start = range.end;
            (*series, range)
        })
    }

    /// The rows of a series; empty when there are none.
    pub(crate) fn rows_of(&self, series: u32) -> Range<usize> {
        match self.series.binary_search_by_key(&series, |(id, _)| *id) {
            Ok(index) => {
                let start = if index == 0 { 0 } else { self.series[index - 1].1 as usize };
                start..self.series[index].1 as usize
            }
            Err(_) => 0..0,
        }
    }

    /// Rows at which the stamp changes, and the stamp from there on.
    pub(crate) fn stamp_spans(&self) -> impl Iterator<Item = (usize, Stamp)> {
        let mut last = None;
        (0..self.row_count()).filter_map(move |row| {
            let stamp = self.stamps.get(row);
            (last.replace(stamp) != Some(stamp)).then_some((row, stamp))
        })
    }
}

/// The rows in the order (series, time, stamp, arrival).
fn sorted_order(series: &[u32], times: &[i64], stamps: &Stamps) -> Vec<u32> {
    let mut order = order_by_series(series);
    let mut start = 0;
    while start < order.len() {
        let id = series[order[start] as usize];
        let count = order[start..].iter().take_while(|row| series[**row as usize] == id).count();
        let group = &mut order[start..start + count];
        let key = |row: &u32| (times[*row as usize], stamps.get(*row as usize), *row);
        if !group.is_sorted_by_key(key) {
            group.sort_unstable_by_key(key);
        }
        start += count;
    }
    order
}

/// The rows by series, those of one series in the order of arrival. Counts where the numbers lie close together.
fn order_by_series(series: &[u32]) -> Vec<u32> {
    let (Some(min), Some(max)) = (series.iter().min(), series.iter().max()) else { return Vec::new() };
    let span = (max - min) as usize + 1;
    if span > 4 * series.len() + 1024 {
        let mut keys: Vec<u64> = series.iter().zip(0u64..).map(|(id, row)| u64::from(*id) << 32 | row).collect();
        keys.sort_unstable();
        return keys.into_iter().map(|key| key as u32).collect();
    }
    let mut next = vec![0u32; span];
    for id in series {
        next[(id - min) as usize] += 1;
    }
    let mut start = 0;
    for slot in &mut next {
        (*slot, start) = (start, start + *slot);
    }
    let mut order = vec![0u32; series.len()];
    for (id, row) in series.iter().zip(0u32..) {
        let slot = &mut next[(id - min) as usize];
        order[*slot as usize] = row;
        *slot += 1;
    }
    order
}
