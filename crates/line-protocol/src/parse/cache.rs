//! What a parser remembers from line to line and from request to request.
//!
//! Series: the raw text of a series key as a client writes it, its table, and the series that came after it. Several
//! texts can mean one series, because tags may stand in any order; the one in canonical order carries the number that
//! the series has in the batch at hand. Columns: the raw text of a field key with its `=`, its type, and the column
//! that came after it.
//!
//! Numbers in a batch belong to one request. They are told from older ones by the number of the request.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{Batch, FieldColumn, FieldType, SeriesKey, Table, series_key};

use super::spare::Spare;
use crate::error::Reason;
use crate::escape;
use crate::scan::{self, Value};

/// No series, no column.
pub(super) const NONE: u32 = u32::MAX;

/// A field key that is not found in so many bytes is left to the slow reader.
const FIELD_KEY_SCAN_BYTES: usize = 256;

/// The series and tables of the last requests.
#[derive(Debug)]
pub(super) struct Cache {
    hashes: FixedState,
    /// Raw keys, each with a space behind it.
    keys: Vec<u8>,
    series: Vec<SeriesCache>,
    series_index: HashTable<u32>,
    tables: Vec<TableCache>,
    table_index: HashTable<u32>,
    request: u32,
    rows_max: usize,
    canonical: Vec<u8>,
    spans: Vec<TagSpan>,
}

/// One way to write one series.
#[derive(Debug)]
pub(super) struct SeriesCache {
    /// Start of the key in `Cache::keys`, and its end, the space included.
    start: u32,
    end: u32,
    table: u32,
    /// The entry with the canonical text; often this one.
    canonical: u32,
    /// The series that came after this one, and its first column.
    next: u32,
    first_column: u32,
    /// In a canonical entry: the number in the batch of `request`.
    number: u32,
    request: u32,
    /// Whether the ends of lines can be found without regard to what is in this key.
    ordinary: bool,
}

/// What a raw key stands for.
pub(super) enum Series {
    /// An entry of the cache.
    Known(u32),
    /// Tag `time` on this measurement (raw).
    TimeTag(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
struct TagSpan {
    start: usize,
    equals: usize,
    end: usize,
}

impl Cache {
    pub(super) fn new(seed: u64) -> Cache {
        Cache {
            hashes: FixedState::with_seed(seed),
            keys: Vec::new(),
            series: Vec::new(),
            series_index: HashTable::new(),
            tables: Vec::new(),
            table_index: HashTable::new(),
            request: 0,
            rows_max: 0,
            canonical: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Starts a request of at most `rows_max` rows, or so.
    pub(super) fn begin(&mut self, rows_max: usize) {
        self.rows_max = rows_max;
        self.request = match self.request.checked_add(1) {
            Some(next) => next,
            None => {
                self.clear();
                1
            }
        };
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        let (hashes, request) = (self.hashes.clone(), self.request);
        *self = Cache { hashes, request, ..Cache::new(0) };
    }

    /// Remembers how long the tables became.
    pub(super) fn finish(&mut self, batch: &Batch) {
        for cache in self.tables.iter_mut().filter(|cache| cache.request == self.request) {
            cache.stale = false;
            cache.row_hint = batch.tables[cache.batch_index as usize].row_count();
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(TableCache::memory_bytes).sum();
        self.keys.capacity()
            + self.series.capacity() * size_of::<SeriesCache>()
            + (self.series_index.capacity() + self.table_index.capacity()) * (size_of::<u32>() + 1)
            + tables
    }

    /// Whether `rest` starts with the key of series `id` and a space.
    #[inline]
    pub(super) fn is_key(&self, id: u32, rest: &[u8]) -> bool {
        let Some(series) = self.series.get(id as usize) else { return false };
        rest.starts_with(&self.keys[series.start as usize..series.end as usize])
    }

    /// The series with whose key `rest` starts, made when it is new. `None` when the key is not ordinary: the slow
    /// reader knows what it is.
    pub(super) fn find(&mut self, rest: &[u8]) -> Option<u32> {
        let end = key_end(rest)?;
        let key = &rest[..end];
        let found = match self.lookup(key) {
            Some(found) => found,
            None => {
                let odd_start = matches!(rest[0], b'#' | b'\t' | 0);
                if odd_start || end > super::KEY_BYTES_MAX || scan::series_key(&rest[..=end]) != Ok(end) {
                    return None;
                }
                let Ok(Series::Known(made)) = self.series(key) else { return None };
                made
            }
        };
        self.series[found as usize].ordinary.then_some(found)
    }

    /// The series of a raw key that was found to be well formed.
    pub(super) fn series(&mut self, key: &[u8]) -> Result<Series, Reason> {
        if let Some(found) = self.lookup(key) {
            return Ok(Series::Known(found));
        }
        let mut canonical = std::mem::take(&mut self.canonical);
        canonical.clear();
        let made = self.make_series(key, &mut canonical);
        self.canonical = canonical;
        made
    }

    fn make_series(&mut self, key: &[u8], canonical: &mut Vec<u8>) -> Result<Series, Reason> {
        let (measurement_end, time_tag) = canonical_key(key, canonical, &mut self.spans)?;
        let measurement = &key[..measurement_end];
        let unescaped;
        let measurement = match memchr::memchr(b'\\', measurement) {
            None => measurement,
            Some(_) => {
                unescaped = series_key::unescape(measurement, b", ");
                &unescaped
            }
        };
        if time_tag {
            return Ok(Series::TimeTag(measurement.to_vec()));
        }
        let table = self.table(measurement);
        let known = if canonical == key { None } else { self.lookup(canonical) };
        let canonical_id = match known {
            Some(known) => known,
            None => self.push_series(canonical, table, None),
        };
        let id = if canonical == key { canonical_id } else { self.push_series(key, table, Some(canonical_id)) };
        Ok(Series::Known(id))
    }

    fn push_series(&mut self, key: &[u8], table: u32, canonical: Option<u32>) -> u32 {
        let id = u32::try_from(self.series.len()).expect("a body holds fewer keys");
        let start = u32::try_from(self.keys.len()).expect("the keys of one body and of the cache are below 4 GiB");
        self.keys.extend_from_slice(key);
        self.keys.push(b' ');
        self.series.push(SeriesCache {
            start,
            end: self.keys.len() as u32,
            table,
            canonical: canonical.unwrap_or(id),
            next: NONE,
            first_column: NONE,
            number: 0,
            request: 0,
            ordinary: is_ordinary(key),
        });
        let hash = hash(&self.hashes, key);
        let (series, keys, hashes) = (&self.series, &self.keys, &self.hashes);
        self.series_index.insert_unique(hash, id, |id| {
            let series = &series[*id as usize];
            self::hash(hashes, &keys[series.start as usize..series.end as usize - 1])
        });
        id
    }

    fn lookup(&self, key: &[u8]) -> Option<u32> {
        let found = self.series_index.find(hash(&self.hashes, key), |id| {
            let series = &self.series[*id as usize];
            self.keys[series.start as usize..series.end as usize - 1] == *key
        });
        found.copied()
    }

    fn table(&mut self, measurement: &[u8]) -> u32 {
        let hash = hash(&self.hashes, measurement);
        let (tables, hashes) = (&self.tables, &self.hashes);
        if let Some(found) = self.table_index.find(hash, |id| tables[*id as usize].measurement == measurement) {
            return *found;
        }
        let id = u32::try_from(self.tables.len()).expect("a body holds fewer measurements");
        self.table_index.insert_unique(hash, id, |id| self::hash(hashes, &tables[*id as usize].measurement));
        self.tables.push(TableCache::new(measurement, self.hashes.clone()));
        id
    }

    /// The table of series `id`.
    pub(super) fn table_of(&self, id: u32) -> &TableCache {
        &self.tables[self.series[id as usize].table as usize]
    }

    /// The table of series `id`, which from now on is in `batch`, and the series.
    #[inline]
    pub(super) fn table_in(
        &mut self,
        id: u32,
        batch: &mut Batch,
        spare: &mut Spare,
    ) -> (&mut TableCache, &mut SeriesCache) {
        let series = &mut self.series[id as usize];
        let table = &mut self.tables[series.table as usize];
        if table.request != self.request {
            table.enter(self.request, self.rows_max, batch, spare);
        }
        (table, series)
    }

    /// The number of series `id` in its table of the batch, where it is appended when it is new.
    #[inline]
    pub(super) fn number_in(&mut self, id: u32, tables: &mut [Table]) -> u32 {
        let id = self.series[id as usize].canonical;
        let series = &mut self.series[id as usize];
        if series.request != self.request {
            series.request = self.request;
            let key = &self.keys[series.start as usize..series.end as usize - 1];
            let table = &self.tables[series.table as usize];
            series.number = tables[table.batch_index as usize].series.push(key);
        }
        series.number
    }

    /// The series that came after series `id` the last time.
    #[inline]
    pub(super) fn next_series(&self, id: u32) -> u32 {
        self.series.get(id as usize).map_or(NONE, |series| series.next)
    }

    #[inline]
    pub(super) fn set_next_series(&mut self, id: u32, next: u32) {
        if let Some(series) = self.series.get_mut(id as usize) {
            series.next = next;
        }
    }
}

impl SeriesCache {
    /// Bytes of the key with the space after it.
    #[inline]
    pub(super) fn key_bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    #[inline]
    pub(super) fn first_column(&self) -> u32 {
        self.first_column
    }

    #[inline]
    pub(super) fn set_first_column(&mut self, column: u32) {
        self.first_column = column;
    }
}

/// The fields of one measurement.
#[derive(Debug)]
pub(super) struct TableCache {
    measurement: Vec<u8>,
    columns: Vec<ColumnCache>,
    /// The first column of each text; others with that text and another type hang on it.
    column_index: HashTable<u32>,
    hashes: FixedState,
    /// The longest text of a field key, with its `=`.
    text_bytes_max: usize,
    batch_index: u32,
    request: u32,
    /// Columns may be longer than the rows of the table.
    stale: bool,
    /// How many rows there may be: as many as last time. Memory that is not written costs nothing.
    row_hint: usize,
}

/// One field key as a client writes it, with one type.
#[derive(Debug)]
pub(super) struct ColumnCache {
    /// The first 16 bytes of the text, zeros behind its end, and which of them count.
    head: [u64; 2],
    mask: [u64; 2],
    /// Bytes of the text: the raw key and `=`.
    pub(super) text_bytes: u32,
    /// The place in the batch, or `NONE`.
    pub(super) index: u32,
    /// The column that came after this one.
    pub(super) next: u32,
    /// The next column of this text, with another type.
    other: u32,
    pub(super) field_type: FieldType,
    text: Box<[u8]>,
}

impl TableCache {
    fn new(measurement: &[u8], hashes: FixedState) -> TableCache {
        TableCache {
            measurement: measurement.to_vec(),
            columns: Vec::new(),
            column_index: HashTable::new(),
            hashes,
            text_bytes_max: 0,
            batch_index: 0,
            request: 0,
            stale: false,
            row_hint: 0,
        }
    }

    fn memory_bytes(&self) -> usize {
        let texts: usize = self.columns.iter().map(|column| column.text.len()).sum();
        size_of::<TableCache>() + self.columns.capacity() * size_of::<ColumnCache>() + texts
    }

    #[cold]
    fn enter(&mut self, request: u32, rows_max: usize, batch: &mut Batch, spare: &mut Spare) {
        self.request = request;
        self.stale = false;
        self.row_hint = self.row_hint.min(rows_max);
        self.batch_index = u32::try_from(batch.tables.len()).expect("a body holds fewer measurements");
        for column in &mut self.columns {
            column.index = NONE;
        }
        let mut table = spare.table(&self.measurement);
        table.row_series.reserve(self.row_hint);
        table.row_times.reserve(self.row_hint);
        batch.tables.push(table);
    }

    /// Raw.
    pub(super) fn measurement(&self) -> &[u8] {
        &self.measurement
    }

    #[inline]
    pub(super) fn batch_index(&self) -> usize {
        self.batch_index as usize
    }

    #[inline]
    pub(super) fn text_bytes_max(&self) -> usize {
        self.text_bytes_max
    }

    #[inline]
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn set_stale(&mut self) {
        self.stale = true;
    }

    pub(super) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Column `id`, when `rest` starts with its text.
    #[inline]
    pub(super) fn column_at(&self, id: u32, rest: &[u8]) -> Option<&ColumnCache> {
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
    pub(super) fn find_column(&self, rest: &[u8]) -> Option<u32> {
        let equals = memchr::memchr(b'=', &rest[..rest.len().min(FIELD_KEY_SCAN_BYTES)])?;
        self.lookup(&rest[..=equals])
    }

    fn lookup(&self, text: &[u8]) -> Option<u32> {
        let found = self.column_index.find(hash(&self.hashes, text), |id| *self.columns[*id as usize].text == *text);
        found.copied()
    }

    /// The column of a field key as it stands in the line, for a value like this one; made when it is new.
    pub(super) fn column(&mut self, key: &[u8], value: Value) -> u32 {
        let field_type = match value {
            Value::Float(_) => FieldType::Float,
            Value::Integer(_) => FieldType::Integer,
            Value::Boolean(_) => FieldType::Boolean,
            Value::String(..) => FieldType::String,
        };
        let mut text = Vec::with_capacity(key.len() + 1);
        // Field keys can be written in two ways, since a quote may have a backslash; there is one column all the same.
        match memchr::memchr(b'\\', key) {
            None => text.extend_from_slice(key),
            Some(_) => series_key::escape_tag(&mut text, &escape::unescape_field_key(key)),
        }
        text.push(b'=');
        let first = self.lookup(&text);
        let mut last = NONE;
        let mut id = first.unwrap_or(NONE);
        while let Some(column) = self.columns.get(id as usize) {
            if column.field_type == field_type {
                return id;
            }
            (last, id) = (id, column.other);
        }
        self.push_column(text, field_type, last)
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
        let text_bytes = u32::try_from(text.len()).expect("keys are short");
        self.text_bytes_max = self.text_bytes_max.max(text.len());
        let hash = hash(&self.hashes, &text);
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
                let rehash = |id: &u32| self::hash(hashes, &columns[*id as usize].text);
                self.column_index.insert_unique(hash, id, rehash);
            }
        }
        id
    }

    pub(super) fn is_in_batch(&self, id: u32) -> bool {
        self.columns[id as usize].index != NONE
    }

    /// The place of column `id` in `table`, where it is made when it is new.
    pub(super) fn column_in(&mut self, id: u32, table: &mut Table, spare: &mut Spare) -> usize {
        let column = &mut self.columns[id as usize];
        if column.index == NONE {
            column.index = u32::try_from(table.columns.len()).expect("a body holds fewer fields");
            let name = escape::unescape_field_key(&column.text[..column.text.len() - 1]);
            table.columns.push(FieldColumn { name, column: spare.column(column.field_type, self.row_hint) });
        }
        column.index as usize
    }

    #[inline]
    pub(super) fn set_next_column(&mut self, id: u32, next: u32) {
        self.columns[id as usize].next = next;
    }
}

fn hash(hashes: &FixedState, bytes: &[u8]) -> u64 {
    let mut hasher = hashes.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Where the key at the start of `rest` ends: at the first space without a backslash before it, in this line.
fn key_end(rest: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b' ', b'\n', &rest[from..])?;
        if rest[at] == b'\n' || at == 0 {
            return None;
        }
        if rest[at - 1] != b'\\' {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Lines are split by other rules than keys: a backslash hides one byte and is used up, and quotes count after the
/// first space. Keys in which that could make a difference are not ordinary.
fn is_ordinary(key: &[u8]) -> bool {
    let backslash = memchr::memchr(b'\\', key).is_some();
    !backslash || !(memchr::memchr(b'"', key).is_some() || key.windows(2).any(|pair| pair == br"\\"))
}

/// Writes the canonical form of a well-formed raw key and tells where the measurement ends and whether there is a tag
/// `time`.
fn canonical_key(key: &[u8], out: &mut Vec<u8>, spans: &mut Vec<TagSpan>) -> Result<(usize, bool), Reason> {
    let unhidden = |from: usize, wanted: u8| {
        let found = memchr::memchr_iter(wanted, &key[from..]).find(|at| from + at == 0 || key[from + at - 1] != b'\\');
        found.map_or(key.len(), |at| from + at)
    };
    let measurement_end = unhidden(0, b',');
    spans.clear();
    let mut at = measurement_end;
    let mut plain = true;
    while at < key.len() {
        let equals = unhidden(at + 1, b'=');
        let end = unhidden(equals + 2, b',');
        plain &= key[equals + 1] != b'=';
        spans.push(TagSpan { start: at + 1, equals, end });
        at = end;
    }
    plain &= memchr::memchr(b'\\', &key[measurement_end..]).is_none();
    if !plain {
        let (measurement, tags) = series_key::split_key(key);
        if tags.len() != spans.len() {
            return Err(Reason::DuplicateTags);
        }
        out.extend_from_slice(SeriesKey::new(&measurement, &tags).as_bytes());
        return Ok((measurement_end, !tags.get(b"time").is_empty()));
    }
    let name = |span: &TagSpan| &key[span.start..span.equals];
    let time_tag = spans.iter().any(|span| name(span) == b"time");
    if spans.is_sorted_by(|a, b| name(a) < name(b)) {
        out.extend_from_slice(key);
        return Ok((measurement_end, time_tag));
    }
    spans.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    if spans.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
        return Err(Reason::DuplicateTags);
    }
    out.extend_from_slice(&key[..measurement_end]);
    for span in spans.iter() {
        out.push(b',');
        out.extend_from_slice(&key[span.start..span.end]);
    }
    Ok((measurement_end, time_tag))
}
