//! The merge itself, for readers (one row an instant) and for writers of files (one row an instant and stamp).

use model::{Column, FieldType, Stamp};

use super::{BATCH_BYTES, BATCH_ROWS, Block, PageSummary, RowBatch, Source};
use crate::column::{self, ColumnBuilder};
use crate::error::ReadError;
use crate::stamps::Stamps;

/// Blocks of at least this many rows that nothing else interrupts are handed on as they are, not copied.
const WHOLE_ROWS: usize = 512;

/// What is made of several rows at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// One row with the newest value of each field.
    Newest,
    /// A row for each stamp that has the newest value of some field, with those values alone, ascending.
    Stamps,
}

/// Merges sources, older ones first.
#[derive(Debug)]
pub(crate) struct Merge {
    heads: Vec<Head>,
    field_types: Vec<FieldType>,
    descending: bool,
    keep: Keep,
    /// The head whose next block was described by `peek`.
    peeked: Option<usize>,
}

#[derive(Debug)]
struct Head {
    source: Box<dyn Source>,
    /// `None` before the next block was read, and at the end.
    block: Option<Block>,
    position: usize,
    /// Bytes of values in a row of the block, about; at least 1.
    row_bytes: usize,
    ended: bool,
}

impl Head {
    /// The time of the next row.
    fn time(&self) -> Option<i64> {
        self.block.as_ref().map(|block| block.times[self.position])
    }

    /// Reads the next block where there is none.
    fn load(&mut self) -> Result<(), ReadError> {
        if self.block.is_none() && !self.ended {
            self.block = self.source.next_block()?;
            self.position = 0;
            self.ended = self.block.is_none();
            let columns = self.block.iter().flat_map(|block| block.columns.iter().flatten());
            self.row_bytes = column::row_bytes(columns).max(1);
            debug_assert!(self.block.as_ref().is_none_or(|block| !block.times.is_empty()), "blocks have rows");
        }
        Ok(())
    }

    fn advance(&mut self, position: usize) {
        self.position = position;
        if self.block.as_ref().is_some_and(|block| block.times.len() <= position) {
            self.block = None;
        }
    }
}

/// A row among those of one instant; ordered by who wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Contender {
    stamp: Stamp,
    rank: usize,
    arrival: usize,
    row: usize,
}

impl Merge {
    pub(crate) fn new(
        sources: Vec<Box<dyn Source>>,
        field_types: Vec<FieldType>,
        descending: bool,
        keep: Keep,
    ) -> Merge {
        let heads =
            sources.into_iter().map(|source| Head { source, block: None, position: 0, row_bytes: 1, ended: false });
        Merge { heads: heads.collect(), field_types, descending, keep, peeked: None }
    }

    /// The next rows, some thousand, or `None` at the end. After an error there are none.
    pub(crate) fn next_rows(&mut self) -> Result<Option<RowBatch>, ReadError> {
        let Some(out) = self.next_output()? else { return Ok(None) };
        let rows = out.times.len();
        let columns = match out.whole {
            Some(block) => {
                let columns = block.columns.into_iter().zip(&self.field_types);
                columns.map(|(column, kind)| column.unwrap_or_else(|| column::nulls(*kind, rows))).collect()
            }
            None => out.columns.into_iter().map(ColumnBuilder::finish).collect(),
        };
        Ok(Some(RowBatch { times: out.times, columns }))
    }

    /// The next rows with their stamps.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
        assert_eq!(self.keep, Keep::Stamps, "only then stamps are kept");
        let Some(out) = self.next_output()? else { return Ok(None) };
        if let Some(block) = out.whole {
            return Ok(Some(Block { times: out.times, ..block }));
        }
        let spans: Vec<(u32, Stamp)> = (0u32..).zip(out.stamps).collect();
        Ok(Some(Block {
            stamps: Stamps::from_spans(&spans, out.times.len()),
            repeats: out.times.windows(2).any(|pair| pair[0] == pair[1]),
            columns: out.columns.into_iter().map(|column| Some(column.finish())).collect(),
            times: out.times,
        }))
    }

    fn next_output(&mut self) -> Result<Option<Output>, ReadError> {
        let mut out = Output::new(&self.field_types);
        let result = self.fill(&mut out);
        if result.is_err() {
            self.heads.clear();
        }
        result.map(|()| (!out.times.is_empty()).then_some(out))
    }

    fn fill(&mut self, out: &mut Output) -> Result<(), ReadError> {
        if let Some(index) = self.peeked.take() {
            // Exactly the block that was described.
            let head = &mut self.heads[index];
            head.load()?;
            if let Some(block) = head.block.take() {
                out.take_whole(block);
                return Ok(());
            }
        }
        while out.whole.is_none() && out.times.len() < BATCH_ROWS && out.bytes < BATCH_BYTES && self.step(out)? {}
        Ok(())
    }

    /// What is known about the rows that come next, see [`super::RowCursor::peek`].
    pub(crate) fn peek(&mut self) -> Result<Option<PageSummary>, ReadError> {
        self.peeked = None;
        let mut best: Option<(i64, usize, PageSummary)> = None;
        let mut bound: Option<i64> = None;
        for index in 0..self.heads.len() {
            let summary = match &self.heads[index].block {
                Some(_) => None,
                None => self.heads[index].source.peek()?,
            };
            let next = match &summary {
                Some(summary) => self.key(if self.descending { summary.time_last } else { summary.time_first }),
                None => {
                    self.heads[index].load()?;
                    let Some(time) = self.heads[index].time() else { continue };
                    self.key(time)
                }
            };
            let before = best.as_ref().map(|(least, ..)| *least);
            match summary {
                Some(summary) if before.is_none_or(|least| next < least) => {
                    bound = least_of(bound, before);
                    best = Some((next, index, summary));
                }
                _ => bound = least_of(bound, Some(next)),
            }
        }
        let Some((_, index, summary)) = best else { return Ok(None) };
        let end = self.key(if self.descending { summary.time_first } else { summary.time_last });
        if bound.is_some_and(|bound| bound <= end) {
            return Ok(None);
        }
        self.peeked = Some(index);
        Ok(Some(summary))
    }

    /// Passes over the rows that `peek` described; nothing where it described none.
    pub(crate) fn skip(&mut self) -> Result<(), ReadError> {
        match self.peeked.take() {
            Some(index) => self.heads[index].source.skip(),
            None => drop(self.next_output()?),
        }
        Ok(())
    }

    /// Orders instants as the cursor does.
    fn key(&self, time: i64) -> i64 {
        if self.descending { !time } else { time }
    }

    /// Appends the next rows to `out`. Tells whether there were any.
    fn step(&mut self, out: &mut Output) -> Result<bool, ReadError> {
        let Some((least, index, bound)) = self.load_first()? else { return Ok(false) };
        let descending = self.descending;
        let key = |time: i64| if descending { !time } else { time };
        let head = &mut self.heads[index];
        let block = head.block.as_ref().expect("a head with a time has a block");
        if bound == Some(least) || block.repeats {
            self.merge_instant(key(least), out);
            return Ok(true);
        }
        let room = (BATCH_ROWS - out.times.len()).min((BATCH_BYTES - out.bytes).div_ceil(head.row_bytes));
        let rest = &block.times[head.position..];
        let rest = &rest[..rest.len().min(room)];
        let count = match bound {
            Some(bound) => rest.partition_point(|time| key(*time) < bound),
            None => rest.len(),
        };
        let is_whole = head.position == 0 && count == block.times.len() && count >= WHOLE_ROWS;
        if is_whole && out.times.is_empty() {
            let block = head.block.take().expect("a head with a time has a block");
            out.take_whole(block);
            return Ok(true);
        }
        let end = head.position + count;
        out.extend(block, head.position, end);
        out.bytes += count * head.row_bytes;
        if self.keep == Keep::Stamps {
            out.stamps.extend((head.position..end).map(|row| block.stamps.get(row)));
        }
        head.advance(end);
        Ok(true)
    }

    /// The head with the next row, its block read, the key of its time and the least that the others may have. Blocks
    /// that come later are not read yet.
    fn load_first(&mut self) -> Result<Option<(i64, usize, Option<i64>)>, ReadError> {
        loop {
            let mut first: Option<(i64, usize)> = None;
            let mut bound: Option<i64> = None;
            let mut unread = None;
            for (index, head) in self.heads.iter().enumerate() {
                let time = match (head.time(), head.ended) {
                    (Some(time), _) => self.key(time),
                    (None, true) => continue,
                    (None, false) => match head.source.bound() {
                        Some(time) => self.key(time),
                        None => i64::MIN,
                    },
                };
                // Of those that may have the next row, unread ones are read first.
                if head.block.is_none() && first.is_none_or(|(least, _)| time <= least) {
                    unread = Some(index);
                } else if first.is_none_or(|(least, _)| time < least) {
                    unread = None;
                }
                match first {
                    Some((least, _)) if least <= time => bound = least_of(bound, Some(time)),
                    _ => {
                        bound = least_of(bound, first.map(|(least, _)| least));
                        first = Some((time, index));
                    }
                }
            }
            match (unread, first) {
                (Some(index), _) => self.heads[index].load()?,
                (None, Some((least, index))) => return Ok(Some((least, index, bound))),
                (None, None) => return Ok(None),
            }
        }
    }

    /// Merges all rows at one instant.
    fn merge_instant(&mut self, time: i64, out: &mut Output) {
        let mut rows = Vec::new();
        let mut ends = Vec::new();
        for (rank, head) in self.heads.iter().enumerate() {
            let Some(block) = head.block.as_ref().filter(|block| block.times[head.position] == time) else { continue };
            let count = block.times[head.position..].iter().take_while(|other| **other == time).count();
            let end = head.position + count;
            for row in head.position..end {
                let arrival = if self.descending { end - row } else { row };
                rows.push(Contender { stamp: block.stamps.get(row), rank, arrival, row });
            }
            ends.push((rank, end));
        }
        rows.sort_unstable();
        let winners: Vec<Option<Contender>> = (0..self.field_types.len())
            .map(|field| rows.iter().rev().find(|row| self.value(field, row).is_some()).copied())
            .collect();
        match self.keep {
            Keep::Newest => self.put_row(time, None, &winners, out),
            Keep::Stamps => {
                let mut stamps: Vec<Stamp> = winners.iter().flatten().map(|winner| winner.stamp).collect();
                stamps.sort_unstable();
                stamps.dedup();
                for stamp in stamps {
                    self.put_row(time, Some(stamp), &winners, out);
                }
            }
        }
        for (rank, end) in ends {
            out.bytes += self.heads[rank].row_bytes;
            self.heads[rank].advance(end);
        }
    }

    /// Appends one row of the winners, or of those with one stamp.
    fn put_row(&self, time: i64, stamp: Option<Stamp>, winners: &[Option<Contender>], out: &mut Output) {
        out.times.push(time);
        out.stamps.extend(stamp);
        for (field, builder) in out.columns.iter_mut().enumerate() {
            let winner = winners[field].filter(|winner| stamp.is_none_or(|stamp| winner.stamp == stamp));
            match winner.and_then(|winner| Some((self.value(field, &winner)?, winner.row))) {
                Some((column, row)) => builder.push_from(column, row),
                None => builder.pad_to(out.times.len()),
            }
        }
    }

    /// The column of a field in which a contender has a value.
    fn value(&self, field: usize, row: &Contender) -> Option<&Column> {
        let column = self.heads[row.rank].block.as_ref()?.columns[field].as_ref()?;
        column.is_valid(row.row).then_some(column)
    }
}

fn least_of(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Rows under construction.
#[derive(Debug)]
struct Output {
    times: Vec<i64>,
    /// Only where stamps are kept.
    stamps: Vec<Stamp>,
    columns: Vec<ColumnBuilder>,
    /// Of values, about.
    bytes: usize,
    /// All there is, as its source gave it; its times are above.
    whole: Option<Block>,
}

impl Output {
    fn new(field_types: &[FieldType]) -> Output {
        let columns = field_types.iter().map(|kind| ColumnBuilder::new(*kind)).collect();
        Output { times: Vec::new(), stamps: Vec::new(), columns, bytes: 0, whole: None }
    }

    fn take_whole(&mut self, mut block: Block) {
        self.times = std::mem::take(&mut block.times);
        self.whole = Some(block);
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
}
