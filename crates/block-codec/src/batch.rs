//! The record form of a batch: what the shard log, the replicas and the hint queues carry.
//!
//! A batch lives for milliseconds in memory, then for minutes in a log, so the record is made for speed: one pass to
//! see the range of a column, one to write it with as few whole bytes a value as the range needs. Decimal floats
//! become integers first, times and series numbers are tried as differences, text is compressed when that pays. The
//! exact bytes stand in `docs/format/batch.md`.
//!
//! Invariants
//! - Whatever [`encode`] accepts, [`decode`] gives back: the same rows, floats bit for bit. Places without a value
//!   come back as zeros.
//! - Any bytes decode to an error or to a batch that keeps its promises. No length is believed before the bytes that
//!   back it were seen or the limits below were asked.
//! - A version that was written once is read for ever.
//!
//! Not here: checksums and framing. Whoever stores or sends the record has both.

mod numbers;
mod text;
mod values;

#[cfg(test)]
mod tests;

use model::{Batch, KeyList, Table};
use stdx::varint;

/// The version that [`encode`] writes, and the first byte of a record.
pub const VERSION: u8 = 1;

/// Most places of one batch: rows times (columns + 2), over all tables. At eight bytes a place a decoded batch stays
/// below 512 MiB, however few bytes its record has.
pub const PLACES_MAX: u64 = 1 << 26;

/// Most bytes of series keys and string values of one batch.
pub const TEXT_BYTES_MAX: u64 = 1 << 29;

/// The batch exceeds [`PLACES_MAX`] or [`TEXT_BYTES_MAX`]. Nothing was written; the caller cuts it in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch of {places} places and {text_bytes} bytes of text is too large for one record")]
pub struct TooLarge {
    /// Rows times (columns + 2), over all tables.
    pub places: u64,
    /// Bytes of series keys and string values.
    pub text_bytes: u64,
}

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a later release. The bytes may be whole; they are kept, not skipped.
    #[error("batch record version {0} is not known")]
    Version(u8),
    /// The bytes end too early.
    #[error("batch record is cut short")]
    Cut,
    /// The bytes say something that no encoder writes.
    #[error("batch record is damaged: {0}")]
    Damaged(&'static str),
    /// More rows or text than a record may hold; said by damaged or hostile bytes only.
    #[error("batch record exceeds the limit of {0}")]
    Limit(&'static str),
}

/// Appends the record of `batch` to `out`.
///
/// Cost: about two passes over the columns; some scratch memory of one column.
///
/// # Errors
/// [`TooLarge`] with `out` unchanged.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) -> Result<(), TooLarge> {
    debug_assert_eq!(batch.validate(), Ok(()));
    let size = TooLarge { places: place_count(batch), text_bytes: text_byte_count(batch) };
    if size.places > PLACES_MAX || size.text_bytes > TEXT_BYTES_MAX {
        return Err(size);
    }
    let mut scratch = Scratch::default();
    out.push(VERSION);
    varint::put_u64(out, batch.tables.len() as u64);
    for table in &batch.tables {
        encode_table(table, out, &mut scratch);
    }
    Ok(())
}

/// The batch of a record that fills `bytes` exactly.
///
/// # Errors
/// See [`DecodeError`]. Memory stays within the limits of this module whatever the bytes say.
pub fn decode(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let mut input = Input { rest: bytes, places_left: PLACES_MAX, text_bytes_left: TEXT_BYTES_MAX };
    let version = input.byte()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let table_count = input.count()?;
    let mut batch = Batch::default();
    for _ in 0..table_count {
        batch.tables.push(decode_table(&mut input)?);
    }
    if !input.rest.is_empty() {
        return Err(DecodeError::Damaged("bytes after the end"));
    }
    batch.validate().map_err(DecodeError::Damaged)?;
    Ok(batch)
}

/// Room that is used again from column to column.
#[derive(Debug, Default)]
struct Scratch {
    numbers: Vec<i64>,
    decimals: Vec<i64>,
    text: Vec<u8>,
}

/// What is left to read, and how much may still be built from it.
#[derive(Debug)]
struct Input<'a> {
    rest: &'a [u8],
    places_left: u64,
    text_bytes_left: u64,
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Cut)?;
        self.rest = rest;
        Ok(*first)
    }

    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        varint::take_u64(&mut self.rest).ok_or(DecodeError::Cut)
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        varint::take_i64(&mut self.rest).ok_or(DecodeError::Cut)
    }

    /// A number of things of which each takes at least one byte.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.unsigned()?;
        if count > self.rest.len() as u64 { Err(DecodeError::Cut) } else { Ok(count as usize) }
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Cut)?;
        self.rest = rest;
        Ok(front)
    }

    fn counted_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        varint::take_bytes(&mut self.rest).ok_or(DecodeError::Cut)
    }

    fn claim_places(&mut self, rows: u64, columns: u64) -> Result<(), DecodeError> {
        let wanted = rows.checked_mul(columns);
        let left = wanted.and_then(|wanted| self.places_left.checked_sub(wanted));
        self.places_left = left.ok_or(DecodeError::Limit("places"))?;
        Ok(())
    }

    fn claim_text(&mut self, bytes: u64) -> Result<(), DecodeError> {
        self.text_bytes_left = self.text_bytes_left.checked_sub(bytes).ok_or(DecodeError::Limit("text"))?;
        Ok(())
    }
}

fn place_count(batch: &Batch) -> u64 {
    let tables = batch.tables.iter();
    // Series keys are decoded to places of their own, so those beyond one a row count too.
    tables.map(|table| table.row_count() as u64 * (table.columns.len() as u64 + 2) + table.series.len() as u64).sum()
}

fn text_byte_count(batch: &Batch) -> u64 {
    let tables = batch.tables.iter();
    tables.map(|table| table.series.byte_count() as u64 + values::text_byte_count(&table.columns)).sum()
}

fn encode_table(table: &Table, out: &mut Vec<u8>, scratch: &mut Scratch) {
    varint::put_bytes(out, &table.measurement);
    varint::put_u64(out, table.row_count() as u64);
    varint::put_u64(out, table.series.len() as u64);
    varint::put_u64(out, table.columns.len() as u64);
    text::encode(table.series.iter(), out, scratch);
    numbers::encode_series(&table.row_series, out, scratch);
    numbers::encode_times(&table.row_times, out);
    for field in &table.columns {
        varint::put_bytes(out, &field.name);
        values::encode(&field.column, out, scratch);
    }
}

fn decode_table(input: &mut Input<'_>) -> Result<Table, DecodeError> {
    let mut table = Table::new(input.counted_bytes()?);
    let row_count = input.unsigned()?;
    let series_count = input.unsigned()?;
    let column_count = input.count()?;
    input.claim_places(row_count, column_count as u64 + 2)?;
    input.claim_places(series_count, 1)?;
    let (row_count, series_count) = (row_count as usize, series_count as usize);
    table.series = decode_keys(input, series_count)?;
    table.row_series = numbers::decode_series(input, row_count, series_count)?;
    table.row_times = numbers::decode(input, row_count)?;
    for _ in 0..column_count {
        let name = input.counted_bytes()?.to_vec();
        table.columns.push(model::FieldColumn { name, column: values::decode(input, row_count)? });
    }
    Ok(table)
}

fn decode_keys(input: &mut Input<'_>, count: usize) -> Result<KeyList, DecodeError> {
    let (ends, bytes) = text::decode(input, count)?;
    let mut keys = KeyList::default();
    let mut start = 0;
    for end in ends {
        keys.push(&bytes[start..end as usize]);
        start = end as usize;
    }
    Ok(keys)
}
