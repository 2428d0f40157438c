//! A series of a data file as a source of a cursor.

use std::ops::Range;
use std::sync::Arc;

use block_codec::{block, integer};
use model::{Column, Stamp, TimeRange};

use super::format::{self, BlockRef, ChunkRef};
use super::write::decode_stamps;
use super::{Chunk, DataFile, FieldSummary, FileMeasurement};
use crate::column;
use crate::cursor::{Block, PageSummary, Source};
use crate::error::ReadError;
use crate::stamps::Stamps;

/// Blocks of one column that lie side by side are read at once up to this many bytes.
const READ_BYTES: u32 = 256 << 10;

/// What a cursor wants of a series.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Numbers of the index; `None` for fields that the shard does not have.
    pub(crate) fields: Arc<[Option<u32>]>,
    pub(crate) range: TimeRange,
    pub(crate) descending: bool,
}

#[derive(Debug)]
pub(crate) struct FileSource {
    file: Arc<DataFile>,
    /// In the order in which they are read.
    chunks: Vec<ChunkRef>,
    /// The file's number of each field that is wanted.
    fields: Vec<Option<u32>>,
    wanted: Wanted,
    /// Whether another source has rows in the same time, so that stamps decide.
    contested: bool,
    next_chunk: usize,
    open: Option<OpenChunk>,
}

/// A chunk being read.
#[derive(Debug)]
struct OpenChunk {
    place: ChunkRef,
    chunk: Arc<Chunk>,
    /// Pages that are still to be read.
    pages: Range<usize>,
    /// Bytes of consecutive blocks of a column, by column: times, stamps, then the fields.
    windows: Vec<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    /// From the start of the chunk.
    offset: u32,
    bytes: Vec<u8>,
}

impl FileSource {
    /// The rows of a series in the range; `None` when there are none.
    pub(crate) fn new(file: &Arc<DataFile>, measurement: u32, series: u32, wanted: &Wanted) -> Option<FileSource> {
        let entry: &FileMeasurement = file.measurement(measurement)?;
        let fields: Vec<Option<u32>> = wanted
            .fields
            .iter()
            .map(|field| {
                let field = (*field)?;
                Some(entry.fields.iter().position(|(id, _)| *id == field)? as u32)
            })
            .collect();
        if !fields.is_empty() && fields.iter().all(Option::is_none) {
            return None;
        }
        let inside =
            |chunk: &&ChunkRef| chunk.time_first < wanted.range.end().0 && chunk.time_last >= wanted.range.start().0;
        let mut chunks: Vec<ChunkRef> = entry.chunks_of(series).iter().filter(inside).copied().collect();
        if chunks.is_empty() {
            return None;
        }
        if wanted.descending {
            chunks.reverse();
        }
        Some(FileSource {
            file: file.clone(),
            chunks,
            fields,
            wanted: wanted.clone(),
            contested: true,
            next_chunk: 0,
            open: None,
        })
    }

    /// The first and last instant that it may give.
    pub(crate) fn extent(&self) -> (i64, i64) {
        let first = self.chunks.iter().map(|chunk| chunk.time_first).min().expect("sources have chunks");
        let last = self.chunks.iter().map(|chunk| chunk.time_last).max().expect("sources have chunks");
        (first, last)
    }

    /// Says that no other source has rows in its time: stamps are not read then.
    pub(crate) fn set_uncontested(&mut self) {
        self.contested = false;
    }

    /// Opens the next chunk. `false` at the end.
    fn open_next(&mut self) -> Result<bool, ReadError> {
        let Some(place) = self.chunks.get(self.next_chunk).copied() else { return Ok(false) };
        self.next_chunk += 1;
        let chunk = self.file.chunk(&place)?;
        let index = &chunk.index;
        let range = self.wanted.range;
        let start = index.pages.partition_point(|page| page.times.last < range.start().0);
        let end = index.pages.partition_point(|page| page.times.first < range.end().0);
        let windows = (0..self.fields.len() + 2).map(|_| None).collect();
        let pages = start..end.max(start);
        self.open = Some(OpenChunk { place, chunk, pages, windows });
        Ok(true)
    }

    /// Reads a page; `None` when nothing of it is wanted.
    fn page(&mut self, page: usize) -> Result<Option<Block>, ReadError> {
        let open = self.open.as_mut().expect("a chunk is open");
        let chunk = open.chunk.clone();
        let index = &chunk.index;
        let head = index.pages[page];
        let entries: Vec<_> = self.fields.iter().map(|field| index.field((*field)?)).collect();
        let has_values = entries.iter().flatten().any(|entry| entry.blocks[page].length > 0);
        if !entries.is_empty() && !has_values {
            return Ok(None);
        }
        let rows = head.rows as usize;
        let ahead = open.pages.clone();
        let mut times = Vec::new();
        {
            let (offset, bytes) = open.bytes(&self.file, 0, &index.times, page, &ahead)?;
            integer::decode(bytes, rows, &mut times).map_err(|e| self.file.damaged(offset, &e.to_string()))?;
        }
        let stamps = if self.contested || head.repeats {
            let (offset, bytes) = open.bytes(&self.file, 1, &index.stamps, page, &ahead)?;
            decode_stamps(bytes, rows).map_err(|reason| self.file.damaged(offset, reason))?
        } else {
            Stamps::one(Stamp::ZERO)
        };
        let mut columns = Vec::with_capacity(entries.len());
        for (number, entry) in entries.iter().enumerate() {
            let Some(entry) = entry.filter(|entry| entry.blocks[page].length > 0) else {
                columns.push(None);
                continue;
            };
            let (offset, bytes) = open.bytes(&self.file, number + 2, &entry.blocks, page, &ahead)?;
            let column = block::decode(bytes, rows).map_err(|e| self.file.damaged(offset, &e.to_string()))?;
            if column.field_type() != entry.field_type {
                return Err(self.file.damaged(offset, "type of a block"));
            }
            columns.push(Some(column));
        }
        let ordered = times.windows(2).all(|pair| pair[0] < pair[1] || (head.repeats && pair[0] == pair[1]));
        if !ordered || times.first() != Some(&head.times.first) || times.last() != Some(&head.times.last) {
            return Err(self.file.damaged(open.place.offset, "times of a page"));
        }
        Ok(self.cut(Block { times, stamps, columns, repeats: head.repeats }))
    }

    /// The rows of a block that lie in the range.
    fn cut(&self, block: Block) -> Option<Block> {
        let range = self.wanted.range;
        let start = block.times.partition_point(|time| *time < range.start().0);
        let end = block.times.partition_point(|time| *time < range.end().0);
        if start >= end {
            return None;
        }
        if start == 0 && end == block.times.len() {
            return Some(block);
        }
        let part = |column: &Option<Column>| column.as_ref().map(|column| column::sliced(column, start..end));
        Some(Block {
            times: block.times[start..end].to_vec(),
            stamps: block.stamps.sliced(start..end),
            columns: block.columns.iter().map(part).collect(),
            repeats: block.repeats,
        })
    }
}

impl OpenChunk {
    /// The bytes of a block, verified, and where they lie in the file. Neighbours that will be wanted next are read
    /// along: `ahead` are the pages still to come.
    fn bytes(
        &mut self,
        file: &DataFile,
        column: usize,
        blocks: &[BlockRef],
        page: usize,
        ahead: &Range<usize>,
    ) -> Result<(u64, &[u8]), ReadError> {
        let block = blocks[page];
        let offset = self.place.offset + u64::from(block.offset);
        if let Some(bytes) = self.chunk.block(&block) {
            return Ok((offset, bytes.map_err(|()| file.damaged(offset, "checksum of a block"))?));
        }
        let covered = |window: &Window| {
            window.offset <= block.offset && block.offset + block.length <= window.offset + window.bytes.len() as u32
        };
        if !self.windows[column].as_ref().is_some_and(covered) {
            let (mut first, mut last) = (block, block);
            // Pages to come lie behind this one, or before it when the order is descending.
            for next in blocks[ahead.clone()].iter().filter(|block| block.length > 0) {
                let start = first.offset.min(next.offset);
                let end = (last.offset + last.length).max(next.offset + next.length);
                if end - start <= READ_BYTES {
                    first = if next.offset < first.offset { *next } else { first };
                    last = if next.offset > last.offset { *next } else { last };
                }
            }
            let length = (last.offset + last.length - first.offset) as usize;
            let bytes = file.read(self.place.offset + u64::from(first.offset), length)?;
            self.windows[column] = Some(Window { offset: first.offset, bytes });
        }
        let window = self.windows[column].as_ref().expect("read above");
        let from = (block.offset - window.offset) as usize;
        let bytes = &window.bytes[from..from + block.length as usize];
        if format::checksum(file.entry.identity, offset, bytes) != block.sum {
            return Err(file.damaged(offset, "checksum of a block"));
        }
        Ok((offset, bytes))
    }
}

impl FileSource {
    /// The next page, which stays the next one. `None` at the end.
    fn next_page(&mut self) -> Result<Option<usize>, ReadError> {
        loop {
            match &self.open {
                Some(open) if open.pages.is_empty() => self.open = None,
                Some(open) if self.wanted.descending => return Ok(Some(open.pages.end - 1)),
                Some(open) => return Ok(Some(open.pages.start)),
                None => {
                    if !self.open_next()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Passes over the next page.
    fn pass(&mut self) {
        let open = self.open.as_mut().expect("a page is next");
        if self.wanted.descending {
            open.pages.next_back();
        } else {
            open.pages.next();
        }
    }
}

impl Source for FileSource {
    fn bound(&self) -> Option<i64> {
        let page = match &self.open {
            Some(open) if self.wanted.descending => {
                open.pages.clone().next_back().map(|page| open.chunk.index.pages[page].times)
            }
            Some(open) => open.pages.clone().next().map(|page| open.chunk.index.pages[page].times),
            None => None,
        };
        let (first, last) = match page {
            Some(page) => (page.first, page.last),
            None => {
                let chunk = self.chunks.get(self.next_chunk)?;
                (chunk.time_first, chunk.time_last)
            }
        };
        let range = self.wanted.range;
        Some(if self.wanted.descending { last.min(range.end().0 - 1) } else { first.max(range.start().0) })
    }

    fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
        while let Some(page) = self.next_page()? {
            self.pass();
            if let Some(block) = self.page(page)? {
                return Ok(Some(if self.wanted.descending { block.reversed() } else { block }));
            }
        }
        Ok(None)
    }

    fn peek(&mut self) -> Result<Option<PageSummary>, ReadError> {
        while let Some(page) = self.next_page()? {
            let open = self.open.as_ref().expect("a page is next");
            let head = open.chunk.index.pages[page];
            let entries = self.fields.iter().map(|field| open.chunk.index.field((*field)?));
            let summaries = entries.map(|entry| match entry.and_then(|entry| entry.stats[page]) {
                Some(summary) => summary,
                None => FieldSummary { count: 0, numbers: None },
            });
            let fields: Vec<FieldSummary> = summaries.collect();
            if !fields.is_empty() && fields.iter().all(|field| field.count == 0) {
                self.pass();
                continue;
            }
            let range = self.wanted.range;
            let is_inside = range.start().0 <= head.times.first && head.times.last < range.end().0;
            let (time_first, time_last) = (head.times.first, head.times.last);
            return Ok((is_inside && !head.repeats).then_some(PageSummary { time_first, time_last, fields }));
        }
        Ok(None)
    }

    fn skip(&mut self) {
        self.pass();
    }
}
