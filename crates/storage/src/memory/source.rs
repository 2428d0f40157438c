//! A run as a source of a cursor.

use std::ops::Range;
use std::sync::Arc;

use model::Stamp;

use super::run::Run;
use crate::column;
use crate::cursor::{BATCH_BYTES, BATCH_ROWS, Block, Source};
use crate::error::ReadError;
use crate::file::Wanted;
use crate::stamps::Stamps;

#[derive(Debug)]
pub(crate) struct RunSource {
    run: Arc<Run>,
    rows: Range<usize>,
    fields: Arc<[Option<u32>]>,
    descending: bool,
    /// Whether another source has rows in the same time, so that stamps decide.
    contested: bool,
}

impl RunSource {
    /// The rows of `series` in `range`; `None` when there are none.
    pub(crate) fn new(run: &Arc<Run>, series: u32, wanted: &Wanted) -> Option<RunSource> {
        let rows = run.rows_of(series);
        let times = &run.times()[rows.clone()];
        let start = rows.start + times.partition_point(|time| *time < wanted.range.start().0);
        let end = rows.start + times.partition_point(|time| *time < wanted.range.end().0);
        let (fields, descending) = (wanted.fields.clone(), wanted.descending);
        (start < end).then(|| RunSource { run: run.clone(), rows: start..end, fields, descending, contested: true })
    }

    /// Says that no other source has rows in its time: stamps are left out then.
    pub(crate) fn set_uncontested(&mut self) {
        self.contested = false;
    }

    /// The first and last instant that it will give.
    pub(crate) fn extent(&self) -> (i64, i64) {
        let times = &self.run.times()[self.rows.clone()];
        (times[0], times[times.len() - 1])
    }

    /// Takes the next rows off, without splitting an instant.
    fn take(&mut self) -> Range<usize> {
        let times = self.run.times();
        let Range { start, end } = self.rows;
        let row_bytes = self.run.byte_count() / self.run.row_count().max(1);
        let rows_max = (BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS);
        if end - start <= rows_max {
            self.rows = end..end;
            return start..end;
        }
        if self.descending {
            let mut cut = end - rows_max;
            while cut > start && times[cut - 1] == times[cut] {
                cut -= 1;
            }
            self.rows = start..cut;
            cut..end
        } else {
            let mut cut = start + rows_max;
            while cut < end && times[cut - 1] == times[cut] {
                cut += 1;
            }
            self.rows = cut..end;
            start..cut
        }
    }
}

impl Source for RunSource {
    fn bound(&self) -> Option<i64> {
        let row = if self.descending { self.rows.end.checked_sub(1)? } else { self.rows.start };
        self.run.times().get(row).copied()
    }

    fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let rows = self.take();
        let times = self.run.times()[rows.clone()].to_vec();
        let columns = self.fields.iter().map(|field| {
            let column = self.run.column((*field)?)?;
            Some(column::sliced(column, rows.clone()))
        });
        let columns = columns.collect();
        let repeats = times.windows(2).any(|pair| pair[0] == pair[1]);
        let stamps = match self.contested || repeats {
            true => self.run.stamps().sliced(rows),
            false => Stamps::one(Stamp::ZERO),
        };
        let block = Block { times, stamps, columns, repeats };
        Ok(Some(if self.descending { block.reversed() } else { block }))
    }
}
