//! The fields of one measurement: their texts, types and order.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{Batch, FieldColumn, FieldType, Table};

use super::super::spare::Spare;
use super::{NONE, hash};
use crate::escape;
use crate::scan::Value;

/// A field key that is not found in so many bytes is left to the slow reader.
const FIELD_KEY_SCAN_BYTES: usize = 256;

/// The fields of one measurement.
#[derive(Debug)]
pub(in crate::parse) struct TableCache {
    measurement: Vec<u8>,
    columns: Vec<ColumnCache>,
    /// The first column of each text; others with that text and another type hang on it.
    column_index: HashTable<u32>,
    hashes: FixedState,
    /// The longest text of a field key, with its `=`.
    text_bytes_max: usize,
    batch_index: u32,
    /// The last request with rows of this measurement.
    pub(super) request: u32,
    /// The last request for which the places of all columns were forgotten.
    cleared_request: u32,
    /// Columns may be longer than the rows of the table.
    stale: bool,
    /// Bytes that were taken since `leave`.
    uncounted_bytes: usize,
    /// The first column of the series that came last.
    first_column: u32,
    /// How many rows there may be: as many as last time. Memory that is not written costs nothing.
    row_hint: usize,
}

/// One field key as a client writes it, with one type.
#[derive(Debug)]
pub(in crate::parse) struct ColumnCache {
    /// The first 16 bytes of the text, zeros behind its end, and which of them count.
    head: [u64; 2],
    mask: [u64; 2],
    /// Bytes of the text: the raw key and `=`.
    pub(in crate::parse) text_bytes: u32,
    /// The place in the batch, or `NONE`.
    pub(in crate::parse) index: u32,
    /// The column that came after this one.
    pub(in crate::parse) next: u32,
    /// The next column of this text, with another type.
    other: u32,
    pub(in crate::parse) field_type: FieldType,
    text: Box<[u8]>,
}

impl TableCache {
    pub(super) fn new(measurement: &[u8], hashes: FixedState) -> TableCache {
        TableCache {
            measurement: measurement.to_vec(),
            columns: Vec::new(),
            column_index: HashTable::new(),
            hashes,
            text_bytes_max: 0,
            batch_index: 0,
            request: 0,
            cleared_request: 0,
            stale: false,
            uncounted_bytes: 0,
            first_column: NONE,
            row_hint: 0,
        }
    }

    #[cold]
    pub(super) fn enter(&mut self, request: u32, rows_max: usize, batch: &mut Batch, spare: &mut Spare) {
        self.request = request;
        self.stale = false;
        self.row_hint = self.row_hint.min(rows_max);
        self.batch_index = u32::try_from(batch.tables.len()).expect("a body holds fewer measurements");
        // A table may enter again and again, when its first lines are refused.
        if self.cleared_request != request {
            self.cleared_request = request;
            for column in &mut self.columns {
                column.index = NONE;
            }
        }
        let mut table = spare.table(&self.measurement);
        table.row_series.reserve(self.row_hint);
        table.row_times.reserve(self.row_hint);
        batch.tables.push(table);
    }

    /// Raw.
    pub(in crate::parse) fn measurement(&self) -> &[u8] {
        &self.measurement
    }

    /// What the next new series may start with.
    #[inline]
    pub(super) fn first_column(&self) -> u32 {
        self.first_column
    }

    pub(in crate::parse) fn set_first_column(&mut self, column: u32) {
        self.first_column = column;
    }

    #[inline]
    pub(in crate::parse) fn batch_index(&self) -> usize {
        self.batch_index as usize
    }

    #[inline]
    pub(in crate::parse) fn text_bytes_max(&self) -> usize {
        self.text_bytes_max
    }

    #[inline]
    pub(in crate::parse) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(in crate::parse) fn set_stale(&mut self) {
        self.stale = true;
    }

    /// Ends the request: remembers how many rows there were and tells how many bytes more than before the table takes.
    pub(super) fn leave(&mut self, batch: &Batch) -> usize {
        self.stale = false;
        self.row_hint = batch.tables[self.batch_index()].row_count();
        std::mem::take(&mut self.uncounted_bytes)
    }

    pub(in crate::parse) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Column `id`, when `rest` starts with its text.
    #[inline]
    pub(in crate::parse) fn column_at(&self, id: u32, rest: &[u8]) -> Option<&ColumnCache> {
        let column = self.columns.get(id as usize)?;
        let low = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        if (low ^ column.head[0]) & column.mask[0] != 0 {
            return None;
        }
        if column.text_bytes <= 8 {
            return Some(column);
        }
        let high = u64::from_le_bytes(*rest.get(8..)?.first_chunk::<8>()?);
        if (high ^ column.head[1]) & column.mask[1] != 0 {
            return None;
        }
        (column.text_bytes <= 16 || rest.get(16..)?.starts_with(&column.text[16..])).then_some(column)
    }

    /// The first column with whose text `rest` starts.
    pub(in crate::parse) fn find_column(&self, rest: &[u8]) -> Option<u32> {
        let equals = memchr::memchr(b'=', &rest[..rest.len().min(FIELD_KEY_SCAN_BYTES)])?;
        self.lookup(&rest[..=equals])
    }

    fn lookup(&self, text: &[u8]) -> Option<u32> {
        let found = self.column_index.find(hash(&self.hashes, text), |id| *self.columns[*id as usize].text == *text);
        found.copied()
    }

    /// The column of a field key as it stands in the line, for a value like this one.
    pub(in crate::parse) fn known_column(&self, key: &[u8], value: Value) -> Option<u32> {
        self.find_text(&canonical_text(key), field_type(value)).ok()
    }

    /// The same, made when it is new.
    pub(in crate::parse) fn column(&mut self, key: &[u8], value: Value) -> u32 {
        let text = canonical_text(key);
        match self.find_text(&text, field_type(value)) {
            Ok(found) => found,
            Err(last) => self.push_column(text, field_type(value), last),
        }
    }

    /// The column of a text and type, or the last column of that text with another type.
    fn find_text(&self, text: &[u8], field_type: FieldType) -> Result<u32, u32> {
        let mut last = NONE;
        let mut id = self.lookup(text).unwrap_or(NONE);
        while let Some(column) = self.columns.get(id as usize) {
            if column.field_type == field_type {
                return Ok(id);
            }
            (last, id) = (id, column.other);
        }
        Err(last)
    }

    fn push_column(&mut self, text: Vec<u8>, field_type: FieldType, before: u32) -> u32 {
        let id = u32::try_from(self.columns.len()).expect("a body holds fewer fields");
        let word = |from: usize, fill: fn(u8) -> u8| {
            let mut bytes = [0; 8];
            for (place, byte) in bytes.iter_mut().zip(text.iter().skip(from)) {
                *place = fill(*byte);
            }
            u64::from_le_bytes(bytes)
        };
        let (head, mask) = ([word(0, |byte| byte), word(8, |byte| byte)], [word(0, |_| 0xff), word(8, |_| 0xff)]);
        self.uncounted_bytes += size_of::<ColumnCache>() + text.len();
        let text_bytes = u32::try_from(text.len()).expect("keys are short");
        self.text_bytes_max = self.text_bytes_max.max(text.len());
        let text_hash = hash(&self.hashes, &text);
        self.columns.push(ColumnCache {
            head,
            mask,
            text_bytes,
            index: NONE,
            next: NONE,
            other: NONE,
            field_type,
            text: text.into_boxed_slice(),
        });
        match self.columns.get_mut(before as usize) {
            Some(before) => before.other = id,
            None => {
                let (columns, hashes) = (&self.columns, &self.hashes);
                let rehash = |id: &u32| hash(hashes, &columns[*id as usize].text);
                self.column_index.insert_unique(text_hash, id, rehash);
            }
        }
        id
    }

    pub(in crate::parse) fn is_in_batch(&self, id: u32) -> bool {
        self.columns[id as usize].index != NONE
    }

    /// The place of column `id` in `table`, where it is made when it is new.
    pub(in crate::parse) fn column_in(&mut self, id: u32, table: &mut Table, spare: &mut Spare) -> usize {
        let column = &mut self.columns[id as usize];
        if column.index == NONE {
            column.index = u32::try_from(table.columns.len()).expect("a body holds fewer fields");
            let name = escape::unescape_field_key(&column.text[..column.text.len() - 1]);
            table.columns.push(FieldColumn { name, column: spare.column(column.field_type, self.row_hint) });
        }
        column.index as usize
    }

    /// Undoes `column_in` for the columns that were made last.
    pub(in crate::parse) fn unmake_columns(&mut self, ids: &[u32], table: &mut Table) {
        for id in ids {
            self.columns[*id as usize].index = NONE;
        }
        table.columns.truncate(table.columns.len() - ids.len());
    }

    #[inline]
    pub(in crate::parse) fn set_next_column(&mut self, id: u32, next: u32) {
        self.columns[id as usize].next = next;
    }
}

/// The text of a field key, with its `=`. Keys can be written in two ways, since a quote may have a backslash; there is
/// one column all the same.
fn canonical_text(key: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(key.len() + 1);
    match memchr::memchr(b'\\', key) {
        None => text.extend_from_slice(key),
        Some(_) => escape::escape_field_key(&mut text, &escape::unescape_field_key(key)),
    }
    text.push(b'=');
    text
}

fn field_type(value: Value) -> FieldType {
    match value {
        Value::Float(_) => FieldType::Float,
        Value::Integer(_) => FieldType::Integer,
        Value::Boolean(_) => FieldType::Boolean,
        Value::String(..) => FieldType::String,
    }
}
