//! The bytes of a data file, apart from the blocks themselves.

use model::{FieldType, ShardId};
use stdx::varint;

use super::CHUNK_PAGES;
use super::stats::{FieldSummary, Ruler};
use crate::manifest::FileEntry;

/// The version that is written, and the latest that is read.
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 48;
pub(crate) const TRAILER_BYTES: usize = 32;

const HEADER_MAGIC: &[u8; 8] = b"MSTMDATA";
pub(super) const TRAILER_MAGIC: &[u8; 8] = b"MSTMDEND";

/// Longest part of a file that is read at once, so that damage cannot ask for all memory.
const PART_BYTES_MAX: u64 = 1 << 31;

/// Why bytes are no part of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockError {
    #[error("cut short")]
    Cut,
    #[error("{0}")]
    Damaged(&'static str),
    #[error("format version {0} is not known")]
    Version(u32),
}

use BlockError::{Cut, Damaged};

/// The checksum of bytes at their place in their file.
pub(crate) fn checksum(identity: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&identity.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place);
    hasher.update(bytes);
    hasher.finalize()
}

pub(crate) fn encode_header(shard: ShardId, number: u64, identity: u64) -> Vec<u8> {
    let mut out = HEADER_MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(&identity.to_le_bytes());
    out.extend_from_slice(&shard.0.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    let sum = checksum(identity, 0, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    debug_assert_eq!(out.len(), HEADER_BYTES);
    out
}

/// The version of a file that a later release wrote. `bytes` are its first [`HEADER_BYTES`]; a header that is damaged is
/// of no version.
pub(crate) fn later_version(bytes: &[u8]) -> Option<u32> {
    let rest = bytes.strip_prefix(HEADER_MAGIC)?;
    let version = u32::from_le_bytes(*rest.first_chunk()?);
    let identity = u64::from_le_bytes(*rest.get(8..)?.first_chunk()?);
    let (body, sum) = bytes.split_last_chunk()?;
    (version > VERSION && checksum(identity, 0, body) == u32::from_le_bytes(*sum)).then_some(version)
}

/// `bytes` are the first [`HEADER_BYTES`] of a file. Of which shard they speak does not count: the shard may have another
/// number by now, and it is the identity that tells its files from others.
pub(crate) fn check_header(bytes: &[u8], entry: &FileEntry) -> Result<(), BlockError> {
    let rest = bytes.strip_prefix(HEADER_MAGIC).ok_or(Damaged("no data file"))?;
    let version = u32::from_le_bytes(*rest.first_chunk().ok_or(Cut)?);
    if version > VERSION {
        return Err(BlockError::Version(version));
    }
    let shard = ShardId(u64::from_le_bytes(*rest.get(16..).and_then(|rest| rest.first_chunk()).ok_or(Cut)?));
    if bytes != encode_header(shard, entry.number, entry.identity) {
        return Err(Damaged("header of another file"));
    }
    Ok(())
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartRef {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) sum: u32,
}

pub(crate) fn encode_trailer(footer: PartRef, identity: u64, offset: u64) -> Vec<u8> {
    let mut out = footer.offset.to_le_bytes().to_vec();
    out.extend_from_slice(&footer.length.to_le_bytes());
    out.extend_from_slice(&footer.sum.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    let sum = checksum(identity, offset, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(TRAILER_MAGIC);
    debug_assert_eq!(out.len(), TRAILER_BYTES);
    out
}

/// `bytes` are the last [`TRAILER_BYTES`] of a file, at `offset`.
pub(crate) fn decode_trailer(bytes: &[u8], entry: &FileEntry, offset: u64) -> Result<PartRef, BlockError> {
    let rest = bytes.strip_suffix(TRAILER_MAGIC).ok_or(Damaged("no end of a data file"))?;
    let (body, sum) = rest.split_last_chunk().ok_or(Cut)?;
    if checksum(entry.identity, offset, body) != u32::from_le_bytes(*sum) {
        return Err(Damaged("checksum of the trailer"));
    }
    let (footer_offset, rest) = body.split_first_chunk().ok_or(Cut)?;
    let (length, rest) = rest.split_first_chunk().ok_or(Cut)?;
    let sum = rest.first_chunk().ok_or(Cut)?;
    let footer = PartRef {
        offset: u64::from_le_bytes(*footer_offset),
        length: u32::from_le_bytes(*length),
        sum: u32::from_le_bytes(*sum),
    };
    match footer.offset.checked_add(u64::from(footer.length)) {
        Some(end) if end == offset && u64::from(footer.length) <= PART_BYTES_MAX => Ok(footer),
        _ => Err(Damaged("place of the footer")),
    }
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Sorted by name.
    pub(crate) measurements: Vec<FooterMeasurement>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FooterMeasurement {
    pub(crate) name: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, FieldType)>,
    /// Canonical keys, sorted, with the number of their chunks.
    pub(crate) series: Vec<(Vec<u8>, u32)>,
    /// Those of the first series, then those of the next.
    pub(crate) chunks: Vec<ChunkRef>,
}

/// Where a chunk lies and what time it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) offset: u64,
    /// Bytes of the blocks, from `offset`.
    pub(crate) data_bytes: u32,
    /// Bytes of the index, which comes behind the blocks.
    pub(crate) index_bytes: u32,
    pub(crate) index_sum: u32,
    pub(crate) rows: u32,
    pub(crate) time_first: i64,
    pub(crate) time_last: i64,
    /// Whether some instants come more than once.
    pub(crate) repeats: bool,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put_u64(&mut out, self.measurements.len() as u64);
        for measurement in &self.measurements {
            varint::put_bytes(&mut out, &measurement.name);
            varint::put_u64(&mut out, measurement.fields.len() as u64);
            for (name, field_type) in &measurement.fields {
                varint::put_bytes(&mut out, name);
                out.push(*field_type as u8);
            }
            varint::put_u64(&mut out, measurement.series.len() as u64);
            let mut before: &[u8] = &[];
            for (key, chunk_count) in &measurement.series {
                let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
                varint::put_u64(&mut out, shared as u64);
                varint::put_bytes(&mut out, &key[shared..]);
                varint::put_u64(&mut out, u64::from(*chunk_count));
                before = key;
            }
            for chunk in &measurement.chunks {
                chunk.encode(&mut out);
            }
        }
        out
    }

    fn decode(input: &mut &[u8]) -> Result<Footer, BlockError> {
        let mut footer = Footer::default();
        for _ in 0..take_count(input)? {
            let mut measurement = FooterMeasurement { name: take_bytes(input)?, ..FooterMeasurement::default() };
            for _ in 0..take_count(input)? {
                let name = take_bytes(input)?;
                let field_type = FieldType::from_code(take_byte(input)?).ok_or(Damaged("type of a field"))?;
                measurement.fields.push((name, field_type));
            }
            let mut chunk_count = 0u64;
            for _ in 0..take_count(input)? {
                let before: &[u8] = measurement.series.last().map(|(key, _)| key.as_slice()).unwrap_or_default();
                let shared = take(input)? as usize;
                let mut key = before.get(..shared).ok_or(Damaged("series key"))?.to_vec();
                key.extend_from_slice(varint::take_bytes(input).ok_or(Cut)?);
                let count = u32::try_from(take(input)?).map_err(|_| Damaged("number of chunks"))?;
                chunk_count += u64::from(count);
                measurement.series.push((key, count));
            }
            if chunk_count > input.len() as u64 {
                return Err(Cut);
            }
            for _ in 0..chunk_count {
                measurement.chunks.push(ChunkRef::decode(input)?);
            }
            footer.measurements.push(measurement);
        }
        Ok(footer)
    }
}

/// `bytes` are those that `part` names.
pub(crate) fn decode_footer(bytes: &[u8], entry: &FileEntry, part: PartRef) -> Result<Footer, BlockError> {
    if checksum(entry.identity, part.offset, bytes) != part.sum {
        return Err(Damaged("checksum of the footer"));
    }
    let mut input = bytes;
    let footer = Footer::decode(&mut input)?;
    if !input.is_empty() {
        return Err(Damaged("bytes after the footer"));
    }
    let chunks = footer.measurements.iter().flat_map(|measurement| &measurement.chunks);
    for chunk in chunks {
        let length = u64::from(chunk.data_bytes) + u64::from(chunk.index_bytes);
        let end = chunk.offset.checked_add(length).ok_or(Damaged("place of a chunk"))?;
        if end > part.offset || length > PART_BYTES_MAX {
            return Err(Damaged("place of a chunk"));
        }
    }
    Ok(footer)
}

impl ChunkRef {
    fn encode(&self, out: &mut Vec<u8>) {
        varint::put_u64(out, self.offset);
        varint::put_u64(out, u64::from(self.data_bytes));
        varint::put_u64(out, u64::from(self.index_bytes));
        out.extend_from_slice(&self.index_sum.to_le_bytes());
        varint::put_u64(out, u64::from(self.rows) << 1 | u64::from(self.repeats));
        varint::put_i64(out, self.time_first);
        varint::put_u64(out, self.time_last.wrapping_sub(self.time_first) as u64);
    }

    fn decode(input: &mut &[u8]) -> Result<ChunkRef, BlockError> {
        let offset = take(input)?;
        let data_bytes = take_u32(input)?;
        let index_bytes = take_u32(input)?;
        let (sum, rest) = input.split_first_chunk().ok_or(Cut)?;
        *input = rest;
        let rows = take(input)?;
        let time_first = varint::take_i64(input).ok_or(Cut)?;
        let time_last = time_first.wrapping_add(take(input)? as i64);
        Ok(ChunkRef {
            offset,
            data_bytes,
            index_bytes,
            index_sum: u32::from_le_bytes(*sum),
            rows: u32::try_from(rows >> 1).map_err(|_| Damaged("rows of a chunk"))?,
            time_first,
            time_last,
            repeats: rows & 1 == 1,
        })
    }
}

/// What lies where in a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChunkIndex {
    pub(crate) pages: Vec<PageHead>,
    pub(crate) times: Vec<BlockRef>,
    pub(crate) stamps: Vec<BlockRef>,
    /// By the file's number of the field.
    pub(crate) fields: Vec<FieldIndex>,
}

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHead {
    pub(crate) rows: u32,
    /// Its first and last instant, and how others between them are written.
    pub(crate) times: Ruler,
    pub(crate) repeats: bool,
}

/// A block within its chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockRef {
    /// From the start of the chunk.
    pub(crate) offset: u32,
    /// Zero: no row of the page has a value.
    pub(crate) length: u32,
    pub(crate) sum: u32,
}

/// A field in a chunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldIndex {
    pub(crate) field: u32,
    pub(crate) field_type: FieldType,
    /// One for each page.
    pub(crate) blocks: Vec<BlockRef>,
    /// One for each page; `None` where no row has a value.
    pub(crate) stats: Vec<Option<FieldSummary>>,
}

impl ChunkIndex {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put_u64(&mut out, self.pages.len() as u64);
        let mut before = 0i64;
        for page in &self.pages {
            varint::put_u64(&mut out, u64::from(page.rows) << 1 | u64::from(page.repeats));
            let Ruler { first, last, digits } = page.times;
            out.push(digits);
            varint::put_i64(&mut out, first.wrapping_sub(before));
            varint::put_u64(&mut out, last.wrapping_sub(first) as u64);
            before = last;
        }
        for block in self.times.iter().chain(&self.stamps) {
            block.encode(&mut out);
        }
        varint::put_u64(&mut out, self.fields.len() as u64);
        for field in &self.fields {
            varint::put_u64(&mut out, u64::from(field.field));
            out.push(field.field_type as u8);
            for ((block, stats), page) in field.blocks.iter().zip(&field.stats).zip(&self.pages) {
                block.encode(&mut out);
                if let Some(stats) = stats {
                    stats.encode(page.rows, page.times, &mut out);
                }
            }
        }
        out
    }

    /// `bytes` are the index of `chunk`, their checksum verified.
    pub(crate) fn decode(bytes: &[u8], chunk: &ChunkRef) -> Result<ChunkIndex, BlockError> {
        let mut input = bytes;
        let mut index = ChunkIndex::default();
        let page_count = take(&mut input)?;
        if page_count == 0 || page_count > CHUNK_PAGES as u64 {
            return Err(Damaged("number of pages"));
        }
        let (mut rows_before, mut before) = (0u64, 0i64);
        for _ in 0..page_count {
            let rows = take(&mut input)?;
            let digits = take_byte(&mut input)?;
            let first = before.wrapping_add(varint::take_i64(&mut input).ok_or(Cut)?);
            let last = first.wrapping_add(take(&mut input)? as i64);
            before = last;
            let times = Ruler::new(first, last, digits).ok_or(Damaged("unit of times"))?;
            rows_before += rows >> 1;
            if rows >> 1 == 0 || rows >> 1 > block_codec::block::BLOCK_ROWS_MAX as u64 {
                return Err(Damaged("rows of a page"));
            }
            index.pages.push(PageHead { rows: (rows >> 1) as u32, times, repeats: rows & 1 == 1 });
        }
        if rows_before != u64::from(chunk.rows) {
            return Err(Damaged("rows of a chunk"));
        }
        let mut place = Place { next: 0, end: chunk.data_bytes };
        for _ in 0..page_count {
            index.times.push(place.take(&mut input)?);
        }
        for _ in 0..page_count {
            index.stamps.push(place.take(&mut input)?);
        }
        for _ in 0..take_count(&mut input)? {
            let field = take_u32(&mut input)?;
            let field_type = FieldType::from_code(take_byte(&mut input)?).ok_or(Damaged("type of a field"))?;
            let (mut blocks, mut stats) = (Vec::new(), Vec::new());
            for page in &index.pages {
                let block = place.take(&mut input)?;
                blocks.push(block);
                stats.push(match block.length {
                    0 => None,
                    _ => {
                        let summary = FieldSummary::decode(&mut input, page.rows, page.times, field_type);
                        Some(summary.ok_or(Damaged("statistics"))?)
                    }
                });
            }
            index.fields.push(FieldIndex { field, field_type, blocks, stats });
        }
        let ordered = index.fields.windows(2).all(|pair| pair[0].field < pair[1].field);
        if !input.is_empty() || !ordered || place.next != place.end {
            return Err(Damaged("chunk index"));
        }
        Ok(index)
    }

    /// The entry of a field, by the file's number.
    pub(crate) fn field(&self, field: u32) -> Option<&FieldIndex> {
        let index = self.fields.binary_search_by_key(&field, |entry| entry.field).ok()?;
        Some(&self.fields[index])
    }
}

impl BlockRef {
    fn encode(&self, out: &mut Vec<u8>) {
        varint::put_u64(out, u64::from(self.length));
        if self.length > 0 {
            out.extend_from_slice(&self.sum.to_le_bytes());
        }
    }
}

/// Where the next block of a chunk begins.
struct Place {
    next: u32,
    end: u32,
}

impl Place {
    fn take(&mut self, input: &mut &[u8]) -> Result<BlockRef, BlockError> {
        let length = take_u32(input)?;
        let offset = self.next;
        self.next = offset.checked_add(length).filter(|end| *end <= self.end).ok_or(Damaged("place of a block"))?;
        if length == 0 {
            return Ok(BlockRef { offset, length, sum: 0 });
        }
        let (sum, rest) = input.split_first_chunk().ok_or(Cut)?;
        *input = rest;
        Ok(BlockRef { offset, length, sum: u32::from_le_bytes(*sum) })
    }
}

fn take(input: &mut &[u8]) -> Result<u64, BlockError> {
    varint::take_u64(input).ok_or(Cut)
}

fn take_u32(input: &mut &[u8]) -> Result<u32, BlockError> {
    u32::try_from(take(input)?).map_err(|_| Damaged("a number is too large"))
}

fn take_byte(input: &mut &[u8]) -> Result<u8, BlockError> {
    let (byte, rest) = input.split_first().ok_or(Cut)?;
    *input = rest;
    Ok(*byte)
}

fn take_bytes(input: &mut &[u8]) -> Result<Vec<u8>, BlockError> {
    Ok(varint::take_bytes(input).ok_or(Cut)?.to_vec())
}

/// A number of things of which each takes at least one byte.
fn take_count(input: &mut &[u8]) -> Result<u64, BlockError> {
    let count = take(input)?;
    if count > input.len() as u64 { Err(Cut) } else { Ok(count) }
}
