//! The rows of one series, merged from everywhere, in the order of time.
//!
//! Each source (a run of the memory table, a data file) gives blocks of rows in order. Where one source alone has the
//! next rows they are copied in bulk; where several have rows at one instant, each field takes the value with the
//! largest stamp among those that have one.
//!
//! Invariants
//! - A source gives its blocks in the order of the cursor and never splits rows of one instant between two blocks.
//! - Of rows with equal stamps the one of the later source counts, within a source the one that arrived later.

use std::fmt::Debug;

use model::{Column, FieldType};
use stdx::Bitmap;

use crate::column;
use crate::error::ReadError;
use crate::file::FieldSummary;
use crate::stamps::Stamps;

mod merge;
#[cfg(test)]
mod tests;

pub(crate) use merge::{Keep, Merge};

/// Most rows of one [`RowBatch`], except where rows are dropped for having no value.
pub const BATCH_ROWS: usize = 4_096;

/// A batch ends when its values have about this many bytes, however few its rows.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// Some rows of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct RowBatch {
    /// Distinct, in the order of the cursor, nanoseconds.
    pub times: Vec<i64>,
    /// One for each field that was asked for, as long as `times`.
    pub columns: Vec<Column>,
}

/// Rows as a source gives them.
#[derive(Debug)]
pub(crate) struct Block {
    /// In the order of the cursor; equal ones only where `repeats` is set.
    pub(crate) times: Vec<i64>,
    pub(crate) stamps: Stamps,
    /// One for each field of the cursor; `None` where no row has a value.
    pub(crate) columns: Vec<Option<Column>>,
    /// Whether some instants come more than once.
    pub(crate) repeats: bool,
}

impl Block {
    /// Turns the order around.
    pub(crate) fn reversed(self) -> Block {
        let order: Vec<u32> = (0..self.times.len() as u32).rev().collect();
        Block {
            times: self.times.iter().rev().copied().collect(),
            stamps: self.stamps.gathered(&order),
            columns: self.columns.iter().map(|c| c.as_ref().map(|c| column::gathered(c, &order))).collect(),
            repeats: self.repeats,
        }
    }
}

/// Gives the blocks of one series.
pub(crate) trait Source: Send + Debug {
    /// The next block that is not empty, or `None` at the end.
    fn next_block(&mut self) -> Result<Option<Block>, ReadError>;

    /// An instant that no row of the next block lies before, in the order of the cursor, known without reading.
    fn bound(&self) -> Option<i64> {
        None
    }

    /// What is known about all rows of the next block without reading it. `None` when nothing is, or at the end.
    fn peek(&mut self) -> Result<Option<PageSummary>, ReadError> {
        Ok(None)
    }

    /// Passes over the block that `peek` described.
    fn skip(&mut self) {}
}

/// What is known about some rows that were not read.
#[derive(Clone, Debug, PartialEq)]
pub struct PageSummary {
    /// The earliest instant of a row.
    pub time_first: i64,
    /// The latest instant of a row.
    pub time_last: i64,
    /// One for each field that was asked for.
    pub fields: Vec<FieldSummary>,
}

/// The merged rows of one series. Rows in which none of the fields has a value are left out.
#[derive(Debug)]
pub struct RowCursor {
    merge: Merge,
}

impl RowCursor {
    /// Merges `sources`, older ones first.
    pub(crate) fn new(sources: Vec<Box<dyn Source>>, field_types: Vec<FieldType>, descending: bool) -> RowCursor {
        RowCursor { merge: Merge::new(sources, field_types, descending, Keep::Newest) }
    }

    /// The next rows, or `None` at the end. A batch is never empty.
    ///
    /// # Errors
    /// See [`ReadError`]; the cursor gives nothing more afterwards.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<RowBatch>, ReadError> {
        while let Some(batch) = self.merge.next_rows()? {
            let batch = without_empty_rows(batch);
            if !batch.times.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// What is known about exactly the rows that [`RowCursor::next`] would give, when that costs nothing: they are a
    /// whole page of a file and no other source has rows in its time. `None` otherwise.
    pub fn peek(&mut self) -> Result<Option<PageSummary>, ReadError> {
        self.merge.peek()
    }

    /// Passes over the rows that `peek` described.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.merge.skip()
    }
}

/// The batch without the rows in which no field has a value.
fn without_empty_rows(batch: RowBatch) -> RowBatch {
    let RowBatch { times, columns } = batch;
    let Some(used) = rows_with_values(&columns) else { return RowBatch { times, columns } };
    if used.count_ones() == times.len() {
        return RowBatch { times, columns };
    }
    let order: Vec<u32> = used.ones().map(|row| row as u32).collect();
    RowBatch {
        times: order.iter().map(|row| times[*row as usize]).collect(),
        columns: columns.iter().map(|column| column::gathered(column, &order)).collect(),
    }
}

/// Which rows have a value in some column; `None` when all have.
fn rows_with_values(columns: &[Column]) -> Option<Bitmap> {
    let (first, rest) = columns.split_first()?;
    let mut words = first.validity()?.words().to_vec();
    for column in rest {
        let other = column.validity()?.words();
        words.iter_mut().zip(other).for_each(|(word, other)| *word |= other);
    }
    Bitmap::from_words(words, first.len())
}
