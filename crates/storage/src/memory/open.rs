//! The buffer that takes the rows of requests, in the order of arrival.

use model::{Stamp, Table};

use super::RUN_ROWS;
use super::run::Run;
use crate::column::ColumnBuilder;

/// A buffer that was sealed with fewer rows gives its memory back.
const KEEP_ROWS: usize = RUN_ROWS / 2;

#[derive(Debug, Default)]
pub(crate) struct OpenBuffer {
    series: Vec<u32>,
    times: Vec<i64>,
    /// The stamp of all rows from a row on, rows ascending.
    stamps: Vec<(u32, Stamp)>,
    /// By field number; `None` for fields that no row here has.
    columns: Vec<Option<ColumnBuilder>>,
    byte_count: usize,
}

impl OpenBuffer {
    pub(crate) fn row_count(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// Copies the rows of `table`; `series` and `fields` translate its numbers.
    pub(crate) fn append(&mut self, stamp: Stamp, table: &Table, series: &[u32], fields: &[u32]) {
        let before = self.row_count();
        if self.stamps.last().is_none_or(|(_, last)| *last != stamp) {
            self.stamps.push((before as u32, stamp));
        }
        self.series.extend(table.row_series.iter().map(|index| series[*index as usize]));
        self.times.extend_from_slice(&table.row_times);
        for (field, id) in table.columns.iter().zip(fields) {
            let id = *id as usize;
            if self.columns.len() <= id {
                self.columns.resize_with(id + 1, || None);
            }
            let column = self.columns[id].get_or_insert_with(|| ColumnBuilder::new(field.column.field_type()));
            column.pad_to(before);
            column.extend(&field.column, 0..table.row_count());
        }
        self.recount();
    }

    /// Copies all rows of a run.
    pub(crate) fn append_run(&mut self, run: &Run) {
        let before = self.row_count();
        for (start, stamp) in run.stamp_spans() {
            self.stamps.push(((before + start) as u32, stamp));
        }
        for (series, rows) in run.series_ranges() {
            self.series.resize(before + rows.end, series);
        }
        self.times.extend_from_slice(run.times());
        for (slot, column) in run.columns() {
            let id = slot.id as usize;
            if self.columns.len() <= id {
                self.columns.resize_with(id + 1, || None);
            }
            let builder = self.columns[id].get_or_insert_with(|| ColumnBuilder::new(slot.field_type));
            builder.pad_to(before);
            builder.extend(column, 0..column.len());
        }
        self.recount();
    }

    /// The rows as a run; the buffer is empty afterwards and keeps its memory, for fresh memory costs more than the
    /// copying.
    pub(crate) fn seal(&mut self) -> Run {
        let rows = self.row_count();
        self.columns.iter_mut().flatten().for_each(|column| column.pad_to(rows));
        let run = Run::sort(&self.series, &self.times, &self.stamps, &self.columns);
        if rows < KEEP_ROWS {
            *self = OpenBuffer::default();
            return run;
        }
        self.series.clear();
        self.times.clear();
        self.stamps.clear();
        for column in &mut self.columns {
            match column {
                // A field that no row of the last run had has left.
                Some(builder) if builder.has_values() => builder.clear(),
                _ => *column = None,
            }
        }
        self.byte_count = 0;
        run
    }

    fn recount(&mut self) {
        // Fields that only kept their memory have no rows yet.
        let columns = self.columns.iter().flatten().map(ColumnBuilder::byte_count).sum::<usize>();
        self.byte_count = columns + self.times.len() * 12 + self.stamps.len() * 24;
    }
}
