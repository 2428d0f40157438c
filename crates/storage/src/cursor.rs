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

use crate::column::{self, ColumnBuilder};
use crate::error::ReadError;
use crate::stamps::Stamps;

#[cfg(test)]
mod tests;

/// Most rows of one [`RowBatch`], except where rows are dropped for having no value.
pub const BATCH_ROWS: usize = 4_096;

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
}

/// The merged rows of one series. Rows in which none of the fields has a value are left out.
#[derive(Debug)]
pub struct RowCursor {
    heads: Vec<Head>,
    field_types: Vec<FieldType>,
    descending: bool,
    started: bool,
}

#[derive(Debug)]
struct Head {
    source: Box<dyn Source>,
    block: Option<Block>,
    position: usize,
}

impl Head {
    /// The time of the next row.
    fn time(&self) -> Option<i64> {
        self.block.as_ref().map(|block| block.times[self.position])
    }

    fn advance(&mut self, position: usize) -> Result<(), ReadError> {
        self.position = position;
        if self.block.as_ref().is_none_or(|block| block.times.len() <= position) {
            self.block = self.source.next_block()?;
            self.position = 0;
            debug_assert!(self.block.as_ref().is_none_or(|block| !block.times.is_empty()), "blocks have rows");
        }
        Ok(())
    }
}

impl RowCursor {
    /// Merges `sources`, older ones first.
    pub(crate) fn new(sources: Vec<Box<dyn Source>>, field_types: Vec<FieldType>, descending: bool) -> RowCursor {
        let heads = sources.into_iter().map(|source| Head { source, block: None, position: 0 }).collect();
        RowCursor { heads, field_types, descending, started: false }
    }

    /// The next rows, or `None` at the end. A batch is never empty.
    ///
    /// # Errors
    /// See [`ReadError`]; the cursor gives nothing more afterwards.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<RowBatch>, ReadError> {
        let result = self.merge_some();
        if result.is_err() {
            self.heads.clear();
        }
        result
    }

    fn merge_some(&mut self) -> Result<Option<RowBatch>, ReadError> {
        if !self.started {
            self.started = true;
            for head in &mut self.heads {
                head.advance(0)?;
            }
        }
        loop {
            let mut out = Output::new(&self.field_types);
            while out.times.len() < BATCH_ROWS && self.step(&mut out)? {}
            if out.times.is_empty() {
                return Ok(None);
            }
            let batch = out.finish();
            if !batch.times.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    /// Appends the next rows to `out`. Tells whether there were any.
    fn step(&mut self, out: &mut Output) -> Result<bool, ReadError> {
        let key = |time: i64| if self.descending { !time } else { time };
        let mut first: Option<(i64, usize)> = None;
        let mut bound: Option<i64> = None;
        for (index, head) in self.heads.iter().enumerate() {
            let Some(time) = head.time() else { continue };
            let time = key(time);
            match first {
                Some((least, _)) if least <= time => bound = Some(bound.map_or(time, |bound| bound.min(time))),
                _ => {
                    bound = first.map(|(least, _)| least);
                    first = Some((time, index));
                }
            }
        }
        let Some((least, index)) = first else { return Ok(false) };
        let head = &mut self.heads[index];
        let block = head.block.as_ref().expect("a head with a time has a block");
        if bound == Some(least) || block.repeats {
            self.merge_instant(least, out)?;
            return Ok(true);
        }
        let room = BATCH_ROWS - out.times.len();
        let rest = &block.times[head.position..];
        let rest = &rest[..rest.len().min(room)];
        let count = match bound {
            Some(bound) => rest.partition_point(|time| key(*time) < bound),
            None => rest.len(),
        };
        let end = head.position + count;
        out.extend(block, head.position, end);
        head.advance(end)?;
        Ok(true)
    }

    /// Merges all rows at one instant into one.
    fn merge_instant(&mut self, instant_key: i64, out: &mut Output) -> Result<(), ReadError> {
        let descending = self.descending;
        let time = if descending { !instant_key } else { instant_key };
        let mut rows = Vec::new();
        let mut ends = Vec::new();
        for (rank, head) in self.heads.iter().enumerate() {
            let Some(block) = head.block.as_ref().filter(|block| block.times[head.position] == time) else { continue };
            let count = block.times[head.position..].iter().take_while(|other| **other == time).count();
            let end = head.position + count;
            for row in head.position..end {
                let arrival = if descending { end - row } else { row };
                rows.push((block.stamps.get(row), rank, arrival, row));
            }
            ends.push((rank, end));
        }
        rows.sort_unstable();
        out.times.push(time);
        for (field, builder) in out.columns.iter_mut().enumerate() {
            let newest = rows.iter().rev().find_map(|(_, rank, _, row)| {
                let column = self.heads[*rank].block.as_ref()?.columns[field].as_ref()?;
                column.is_valid(*row).then_some((column, *row))
            });
            match newest {
                Some((column, row)) => builder.push_from(column, row),
                None => builder.pad_to(out.times.len()),
            }
        }
        for (rank, end) in ends {
            self.heads[rank].advance(end)?;
        }
        Ok(())
    }
}

/// A batch under construction.
#[derive(Debug)]
struct Output {
    times: Vec<i64>,
    columns: Vec<ColumnBuilder>,
}

impl Output {
    fn new(field_types: &[FieldType]) -> Output {
        Output { times: Vec::new(), columns: field_types.iter().map(|kind| ColumnBuilder::new(*kind)).collect() }
    }

    fn extend(&mut self, block: &Block, start: usize, end: usize) {
        self.times.extend_from_slice(&block.times[start..end]);
        for (builder, column) in self.columns.iter_mut().zip(&block.columns) {
            match column {
                Some(column) => builder.extend(column, start..end),
                None => builder.pad_to(self.times.len()),
            }
        }
    }

    /// The batch without the rows in which no field has a value.
    fn finish(self) -> RowBatch {
        let columns: Vec<Column> = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        let Some(used) = rows_with_values(&columns) else { return RowBatch { times: self.times, columns } };
        if used.count_ones() == self.times.len() {
            return RowBatch { times: self.times, columns };
        }
        let order: Vec<u32> = used.ones().map(|row| row as u32).collect();
        RowBatch {
            times: order.iter().map(|row| self.times[*row as usize]).collect(),
            columns: columns.iter().map(|column| column::gathered(column, &order)).collect(),
        }
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
