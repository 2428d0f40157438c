//! Writing a data file: rows in, pages and chunks out, one pass, memory of one chunk.
//!
//! The file grows under another name and gets its own when it is whole and synced; what a crash leaves behind has a
//! name that [`super::number_of`] knows and no manifest lists, and is removed at the next open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block_codec::{block, integer};
use env::{Env, File, OpenMode};
use model::{Column, FieldType, ShardId, Stamp};
use stdx::varint;
use xxhash_rust::xxh3::xxh3_64;

use super::format::{self, BlockRef, ChunkIndex, ChunkRef, FieldIndex, Footer, FooterMeasurement, PageHead, PartRef};
use super::stats::{FieldSummary, Ruler};
use super::{CHUNK_PAGES, FILE_IDENTITY_BIT, PAGE_BYTES, PAGE_ROWS, file_path};
use crate::column::{self, ColumnBuilder};
use crate::cursor::Block;
use crate::manifest::FileEntry;
use crate::stamps::Stamps;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct FileWriter {
    env: Env,
    dir: PathBuf,
    unfinished: PathBuf,
    file: Arc<dyn File>,
    number: u64,
    identity: u64,
    /// Where the first byte of `buffer` goes.
    offset: u64,
    buffer: Vec<u8>,
    footer: Footer,
    pages: PageBuilder,
    chunk: ChunkBuilder,
    rows: u64,
    clock_max: u64,
}

impl FileWriter {
    /// Begins file `number` of a shard. Its identity is random.
    pub(crate) fn create(env: &Env, dir: &Path, shard: ShardId, number: u64) -> io::Result<FileWriter> {
        let mut unfinished = file_path(dir, number).into_os_string();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let file = env.fs().open(&unfinished, OpenMode::Create)?;
        file.set_len(0)?;
        // With shard and number, so that even a generator that starts over gives no identity twice.
        let place = [env.random_u64(), shard.0, number].map(u64::to_le_bytes).concat();
        let identity = xxh3_64(&place) | FILE_IDENTITY_BIT;
        Ok(FileWriter {
            env: env.clone(),
            dir: dir.to_owned(),
            unfinished,
            file,
            number,
            identity,
            offset: 0,
            buffer: format::encode_header(shard, number, identity),
            footer: Footer::default(),
            pages: PageBuilder::default(),
            chunk: ChunkBuilder::default(),
            rows: 0,
            clock_max: 0,
        })
    }

    /// Begins a measurement; names ascend. Columns of its blocks come in the order of `fields`.
    pub(crate) fn begin_measurement(&mut self, name: &[u8], fields: &[(Vec<u8>, FieldType)]) {
        debug_assert!(self.footer.measurements.last().is_none_or(|last| *last.name < *name), "names ascend");
        self.footer.measurements.push(FooterMeasurement {
            name: name.to_vec(),
            fields: fields.to_vec(),
            ..FooterMeasurement::default()
        });
        self.pages = PageBuilder::new(fields.iter().map(|(_, kind)| *kind));
        self.chunk = ChunkBuilder::new(fields.iter().map(|(_, kind)| *kind));
    }

    /// Begins a series of the measurement; keys ascend.
    pub(crate) fn begin_series(&mut self, key: &[u8]) {
        let measurement = self.footer.measurements.last_mut().expect("a measurement was begun");
        debug_assert!(measurement.series.last().is_none_or(|(last, _)| **last < *key), "keys ascend");
        measurement.series.push((key.to_vec(), 0));
    }

    /// Appends rows of the series, later than those before. Rows of one instant come in one block.
    pub(crate) fn push(&mut self, block: &Block) -> io::Result<()> {
        let row_bytes = column::row_bytes(block.columns.iter().flatten());
        let step = (PAGE_BYTES / row_bytes.max(1)).clamp(1, PAGE_ROWS);
        let mut start = 0;
        while start < block.times.len() {
            let mut end = (start + step).min(block.times.len());
            end = end.min(start + (PAGE_ROWS - self.pages.times.len().min(PAGE_ROWS - 1)));
            while end < block.times.len() && block.times[end] == block.times[end - 1] {
                end += 1;
            }
            self.pages.push(block, start, end);
            start = end;
            if self.pages.times.len() >= PAGE_ROWS || self.pages.byte_count() >= PAGE_BYTES {
                self.end_page()?;
            }
        }
        Ok(())
    }

    /// Ends the series that was begun last.
    pub(crate) fn end_series(&mut self) -> io::Result<()> {
        self.end_page()?;
        self.end_chunk()
    }

    /// Ends the file, durably: afterwards it may be listed.
    pub(crate) fn finish(mut self) -> io::Result<FileEntry> {
        let bytes = self.footer.encode();
        let offset = self.offset + self.buffer.len() as u64;
        let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("the footer is too long"))?;
        let footer = PartRef { offset, length, sum: format::checksum(self.identity, offset, &bytes) };
        let trailer = format::encode_trailer(footer, self.identity, offset + u64::from(length));
        self.buffer.extend_from_slice(&bytes);
        self.buffer.extend_from_slice(&trailer);
        self.write_buffer()?;
        self.file.sync()?;
        let fs = self.env.fs();
        fs.rename(&self.unfinished, &file_path(&self.dir, self.number))?;
        fs.sync_dir(&self.dir)?;
        Ok(FileEntry {
            number: self.number,
            bytes: self.offset,
            identity: self.identity,
            rows: self.rows,
            clock_max: self.clock_max,
        })
    }

    /// Removes what was written so far.
    pub(crate) fn abandon(self) {
        // What cannot be removed now is removed at the next open.
        let _ = self.env.fs().remove_file(&self.unfinished);
    }

    fn end_page(&mut self) -> io::Result<()> {
        if self.pages.times.is_empty() {
            return Ok(());
        }
        let page = self.pages.take();
        self.rows += page.times.len() as u64;
        self.clock_max = self.clock_max.max(page.stamps.iter().map(|stamp| stamp.clock).max().unwrap_or(0));
        self.chunk.push(page);
        if self.chunk.index.pages.len() == CHUNK_PAGES {
            self.end_chunk()?;
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> io::Result<()> {
        if self.chunk.index.pages.is_empty() {
            return Ok(());
        }
        let offset = self.offset + self.buffer.len() as u64;
        let chunk = self.chunk.finish(self.identity, offset, &mut self.buffer)?;
        let measurement = self.footer.measurements.last_mut().expect("a measurement was begun");
        measurement.series.last_mut().expect("a series was begun").1 += 1;
        measurement.chunks.push(chunk);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_buffer()?;
        }
        Ok(())
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Rows that wait for their page to be full.
#[derive(Debug, Default)]
struct PageBuilder {
    field_types: Vec<FieldType>,
    times: Vec<i64>,
    stamps: Vec<Stamp>,
    columns: Vec<ColumnBuilder>,
}

struct Page {
    times: Vec<i64>,
    stamps: Vec<Stamp>,
    columns: Vec<Column>,
}

impl PageBuilder {
    fn new(field_types: impl Iterator<Item = FieldType>) -> PageBuilder {
        let field_types: Vec<FieldType> = field_types.collect();
        let columns = field_types.iter().map(|kind| ColumnBuilder::new(*kind)).collect();
        PageBuilder { field_types, columns, ..PageBuilder::default() }
    }

    fn push(&mut self, block: &Block, start: usize, end: usize) {
        debug_assert_eq!(block.columns.len(), self.columns.len(), "a column for each field");
        debug_assert!(self.times.last().is_none_or(|last| *last < block.times[start]), "times ascend");
        self.times.extend_from_slice(&block.times[start..end]);
        self.stamps.extend((start..end).map(|row| block.stamps.get(row)));
        for (builder, column) in self.columns.iter_mut().zip(&block.columns) {
            match column {
                Some(column) => builder.extend(column, start..end),
                None => builder.pad_to(self.times.len()),
            }
        }
    }

    fn byte_count(&self) -> usize {
        self.columns.iter().map(ColumnBuilder::byte_count).sum()
    }

    fn take(&mut self) -> Page {
        let next = PageBuilder::new(self.field_types.iter().copied());
        let full = std::mem::replace(self, next);
        let columns = full.columns.into_iter().map(ColumnBuilder::finish).collect();
        Page { times: full.times, stamps: full.stamps, columns }
    }
}

/// The pages of a chunk, encoded, column by column.
#[derive(Debug, Default)]
struct ChunkBuilder {
    /// Offsets and checksums are filled in at the end.
    index: ChunkIndex,
    times: Vec<u8>,
    stamps: Vec<u8>,
    fields: Vec<Vec<u8>>,
}

impl ChunkBuilder {
    fn new(field_types: impl Iterator<Item = FieldType>) -> ChunkBuilder {
        let mut chunk = ChunkBuilder::default();
        for (field, field_type) in (0u32..).zip(field_types) {
            chunk.index.fields.push(FieldIndex { field, field_type, blocks: Vec::new(), stats: Vec::new() });
            chunk.fields.push(Vec::new());
        }
        chunk
    }

    fn push(&mut self, page: Page) {
        self.index.pages.push(PageHead {
            rows: page.times.len() as u32,
            times: Ruler::of(&page.times),
            repeats: page.times.windows(2).any(|pair| pair[0] == pair[1]),
        });
        self.index.times.push(appended(&mut self.times, |out| integer::encode(&page.times, out)));
        self.index.stamps.push(appended(&mut self.stamps, |out| encode_stamps(&page.stamps, out)));
        for ((entry, bytes), column) in self.index.fields.iter_mut().zip(&mut self.fields).zip(&page.columns) {
            if column.valid_count() == 0 {
                entry.blocks.push(BlockRef::default());
                entry.stats.push(None);
                continue;
            }
            entry.blocks.push(appended(bytes, |out| block::encode(column, out)));
            entry.stats.push(Some(FieldSummary::of(column, &page.times)));
        }
    }

    /// Appends blocks and index to `out`, whose end lies at `offset` of the file, and starts over.
    fn finish(&mut self, identity: u64, offset: u64, out: &mut Vec<u8>) -> io::Result<ChunkRef> {
        let field_types: Vec<FieldType> = self.index.fields.iter().map(|field| field.field_type).collect();
        let full = std::mem::replace(self, ChunkBuilder::new(field_types.into_iter()));
        let mut index = full.index;
        let start = out.len();
        let place = |blocks: &mut [BlockRef], bytes: &[u8], out: &mut Vec<u8>| {
            let mut from = 0;
            for block in blocks {
                let to = from + block.length as usize;
                block.offset = (out.len() - start) as u32;
                if block.length > 0 {
                    block.sum = format::checksum(identity, offset + u64::from(block.offset), &bytes[from..to]);
                }
                out.extend_from_slice(&bytes[from..to]);
                from = to;
            }
        };
        place(&mut index.times, &full.times, out);
        place(&mut index.stamps, &full.stamps, out);
        index.fields.iter_mut().zip(&full.fields).for_each(|(field, bytes)| place(&mut field.blocks, bytes, out));
        // Fields that no row of the series has cost nothing.
        index.fields.retain(|field| field.blocks.iter().any(|block| block.length > 0));
        let data_bytes = out.len() - start;
        let encoded = index.encode();
        out.extend_from_slice(&encoded);
        let too_long = |_| io::Error::other("a chunk is too long");
        let (first, last) = (index.pages.first().expect("a page"), index.pages.last().expect("a page"));
        Ok(ChunkRef {
            offset,
            data_bytes: u32::try_from(data_bytes).map_err(too_long)?,
            index_bytes: u32::try_from(encoded.len()).map_err(too_long)?,
            index_sum: format::checksum(identity, offset + data_bytes as u64, &encoded),
            rows: index.pages.iter().map(|page| page.rows).sum(),
            time_first: first.times.first,
            time_last: last.times.last,
            repeats: index.pages.iter().any(|page| page.repeats),
        })
    }
}

/// Appends a block and tells its length.
fn appended(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> BlockRef {
    let before = out.len();
    encode(out);
    BlockRef { length: (out.len() - before) as u32, ..BlockRef::default() }
}

const STAMPS_ONE: u8 = 0;
const STAMPS_MANY: u8 = 1;

fn encode_stamps(stamps: &[Stamp], out: &mut Vec<u8>) {
    let first = stamps[0];
    if stamps.iter().all(|stamp| *stamp == first) {
        out.push(STAMPS_ONE);
        varint::put_u64(out, first.clock);
        varint::put_u64(out, first.coordinator);
        return;
    }
    let mut part = Vec::new();
    integer::encode(&stamps.iter().map(|stamp| stamp.clock as i64).collect::<Vec<_>>(), &mut part);
    out.push(STAMPS_MANY);
    varint::put_bytes(out, &part);
    integer::encode(&stamps.iter().map(|stamp| stamp.coordinator as i64).collect::<Vec<_>>(), out);
}

/// The stamps of `rows` rows. The error names the damage.
pub(super) fn decode_stamps(bytes: &[u8], rows: usize) -> Result<Stamps, &'static str> {
    const DAMAGED: &str = "stamps of a page";
    let (tag, mut input) = bytes.split_first().ok_or(DAMAGED)?;
    match *tag {
        STAMPS_ONE => {
            let clock = varint::take_u64(&mut input).ok_or(DAMAGED)?;
            let coordinator = varint::take_u64(&mut input).ok_or(DAMAGED)?;
            if input.is_empty() { Ok(Stamps::one(Stamp { clock, coordinator })) } else { Err(DAMAGED) }
        }
        STAMPS_MANY => {
            let part = varint::take_bytes(&mut input).ok_or(DAMAGED)?;
            let (mut clocks, mut coordinators) = (Vec::new(), Vec::new());
            integer::decode(part, rows, &mut clocks).map_err(|_| DAMAGED)?;
            integer::decode(input, rows, &mut coordinators).map_err(|_| DAMAGED)?;
            let stamps = clocks.iter().zip(&coordinators);
            let spans: Vec<(u32, Stamp)> = (0u32..)
                .zip(stamps)
                .map(|(row, (clock, node))| (row, Stamp { clock: *clock as u64, coordinator: *node as u64 }))
                .collect();
            Ok(Stamps::from_spans(&spans, rows))
        }
        _ => Err(DAMAGED),
    }
}
