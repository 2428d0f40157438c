//! What a parser remembers from line to line and from request to request.
//!
//! Series: the raw text of a series key as a client writes it, its table, and the series that came after it. Several
//! texts can mean one series, because tags may stand in any order; the one in canonical order carries the number that
//! the series has in the batch at hand. Columns: the raw text of a field key with its `=`, its type, and the column
//! that came after it.
//!
//! Numbers in a batch belong to one request. They are told from older ones by the number of the request.

mod columns;
mod key;

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{Batch, Table, series_key};

use super::spare::Spare;
use crate::error::Reason;
use crate::scan;
pub(super) use columns::TableCache;
use key::{KeyFacts, TagSpan};

/// No series, no column.
pub(super) const NONE: u32 = u32::MAX;

/// The series and tables of the last requests.
#[derive(Debug)]
pub(super) struct Cache {
    hashes: FixedState,
    /// Raw keys, each with a space behind it.
    keys: Vec<u8>,
    series: Vec<SeriesCache>,
    series_index: HashTable<u32>,
    tables: Vec<TableCache>,
    /// Those with rows in the request at hand.
    active_tables: Vec<u32>,
    /// What `tables` took when it was last counted.
    table_bytes: usize,
    table_index: HashTable<u32>,
    request: u32,
    rows_max: usize,
    canonical: Vec<u8>,
    tags: Vec<TagSpan>,
    /// The table of the last series that was made.
    recent_table: u32,
}

/// One way to write one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesCache {
    hash: u64,
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
    /// None yet.
    New(NewSeries),
}

/// A series that may be added.
#[derive(Debug)]
pub(super) struct NewSeries {
    hash: u64,
    facts: KeyFacts,
    /// The key has no backslashes.
    plain: bool,
}

impl NewSeries {
    /// Whether a tag has the name `time`, which no store takes. Such series are not added.
    pub(super) fn has_time_tag(&self) -> bool {
        self.facts.time_tag
    }

    /// Raw.
    fn measurement<'k>(&self, key: &'k [u8]) -> Cow<'k, [u8]> {
        let text = &key[..self.facts.measurement_end];
        if self.plain { text.into() } else { series_key::unescape(text, b", ").into() }
    }
}

impl Cache {
    pub(super) fn new(seed: u64) -> Cache {
        Cache {
            hashes: FixedState::with_seed(seed),
            keys: Vec::new(),
            series: Vec::new(),
            series_index: HashTable::new(),
            tables: Vec::new(),
            active_tables: Vec::new(),
            table_bytes: 0,
            table_index: HashTable::new(),
            request: 0,
            rows_max: 0,
            canonical: Vec::new(),
            tags: Vec::new(),
            recent_table: NONE,
        }
    }

    /// Starts a request of at most `rows_max` rows, or so.
    pub(super) fn begin(&mut self, rows_max: usize) {
        self.rows_max = rows_max;
        self.request = match self.request.checked_add(1) {
            Some(next) => next,
            None => {
                self.clear(0);
                1
            }
        };
    }

    /// Forgets everything; keeps the memory if it is no more than `bytes_max`.
    pub(super) fn clear(&mut self, bytes_max: usize) {
        if self.memory_bytes() > bytes_max {
            let (hashes, request) = (self.hashes.clone(), self.request);
            *self = Cache { hashes, request, ..Cache::new(0) };
            return;
        }
        self.keys.clear();
        self.series.clear();
        self.series_index.clear();
        self.tables.clear();
        self.table_bytes = 0;
        self.table_index.clear();
        self.recent_table = NONE;
    }

    /// Ends the request: remembers how long its tables became and counts what was learnt of them.
    pub(super) fn finish(&mut self, batch: &Batch) {
        for id in self.active_tables.drain(..) {
            self.table_bytes += self.tables[id as usize].leave(batch);
        }
    }

    /// Bytes of what is remembered. Buffers have at most twice the room.
    pub(super) fn used_bytes(&self) -> usize {
        self.keys.len() + self.series.len() * (size_of::<SeriesCache>() + size_of::<u32>() + 1) + self.table_bytes
    }

    /// Bytes of all buffers, or so.
    pub(super) fn memory_bytes(&self) -> usize {
        self.keys.capacity()
            + self.series.capacity() * size_of::<SeriesCache>()
            + (self.series_index.capacity() + self.table_index.capacity()) * (size_of::<u32>() + 1)
            + self.table_bytes
    }

    /// Whether `rest` starts with the key of series `id` and a space.
    #[inline]
    pub(super) fn is_key(&self, id: u32, rest: &[u8]) -> bool {
        let Some(series) = self.series.get(id as usize) else { return false };
        rest.starts_with(&self.keys[series.start as usize..series.end as usize])
    }

    /// The series with whose key `rest` starts, made when it is new. `None` when the slow reader has to look at the key:
    /// it is not ordinary, or the first of its measurement.
    pub(super) fn find(&mut self, rest: &[u8]) -> Option<u32> {
        let end = key::key_end(rest)?;
        let key = &rest[..end];
        let hash = hash(&self.hashes, key);
        let found = match self.lookup(hash, key) {
            Some(found) => found,
            None => {
                let odd_start = matches!(rest[0], b'#' | b'\t' | 0);
                let plain = key::plain_tags(key, &mut self.tags);
                let well_formed = plain.is_some() || scan::series_key(&rest[..=end]) == Ok(end);
                if odd_start || end > super::KEY_BYTES_MAX || !well_formed {
                    return None;
                }
                let new = self.new_series(hash, key, plain).ok()?;
                if new.has_time_tag() || !self.has_table(key, &new) {
                    return None;
                }
                self.add(key, new)
            }
        };
        self.series[found as usize].ordinary.then_some(found)
    }

    /// The series of a raw key that was found to be well formed.
    pub(super) fn series(&mut self, key: &[u8]) -> Result<Series, Reason> {
        let hash = hash(&self.hashes, key);
        if let Some(found) = self.lookup(hash, key) {
            return Ok(Series::Known(found));
        }
        let plain = key::plain_tags(key, &mut self.tags);
        Ok(Series::New(self.new_series(hash, key, plain)?))
    }

    /// A series whose measurement ends at `plain`, with its tags in `self.tags`, if that is known. Its canonical form
    /// stays in `self.canonical` until the next one.
    fn new_series(&mut self, hash: u64, key: &[u8], plain: Option<usize>) -> Result<NewSeries, Reason> {
        let facts = match plain {
            Some(end) => key::plain_facts(key, end, &mut self.tags, &mut self.canonical),
            None => key::facts(key, &mut self.canonical),
        }?;
        Ok(NewSeries { hash, facts, plain: plain.is_some() })
    }

    /// Whether the measurement of a new series is known.
    pub(super) fn has_table(&mut self, key: &[u8], new: &NewSeries) -> bool {
        self.known_table(&new.measurement(key)).is_some()
    }

    /// Remembers the series that was looked for last.
    pub(super) fn add(&mut self, key: &[u8], new: NewSeries) -> u32 {
        let measurement = new.measurement(key);
        let table = match self.known_table(&measurement) {
            Some(known) => known,
            None => self.add_table(&measurement),
        };
        let ordinary = new.plain || key::is_ordinary(key);
        let entry = SeriesCache { table, ordinary, hash: new.hash, ..SeriesCache::default() };
        if new.facts.is_canonical {
            return self.push_series(key, entry, None);
        }
        let canonical = std::mem::take(&mut self.canonical);
        let hash = hash(&self.hashes, &canonical);
        let canonical_entry = SeriesCache { hash, ordinary: key::is_ordinary(&canonical), ..entry };
        let known = self.lookup(hash, &canonical);
        let canonical_id = known.unwrap_or_else(|| self.push_series(&canonical, canonical_entry, None));
        self.canonical = canonical;
        self.push_series(key, entry, Some(canonical_id))
    }

    fn push_series(&mut self, key: &[u8], entry: SeriesCache, canonical: Option<u32>) -> u32 {
        let id = u32::try_from(self.series.len()).expect("a body holds fewer keys");
        let start = u32::try_from(self.keys.len()).expect("the keys of one body and of the cache are below 4 GiB");
        self.keys.extend_from_slice(key);
        self.keys.push(b' ');
        let end = self.keys.len() as u32;
        self.series.push(SeriesCache { start, end, canonical: canonical.unwrap_or(id), ..entry });
        let series = &self.series;
        self.series_index.insert_unique(entry.hash, id, |id| series[*id as usize].hash);
        id
    }

    fn lookup(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let found = self.series_index.find(hash, |id| {
            let series = &self.series[*id as usize];
            self.keys[series.start as usize..series.end as usize - 1] == *key
        });
        found.copied()
    }

    fn known_table(&mut self, measurement: &[u8]) -> Option<u32> {
        let is_it = |id: &u32| self.tables.get(*id as usize).is_some_and(|table| table.measurement() == measurement);
        if !is_it(&self.recent_table) {
            self.recent_table = *self.table_index.find(hash(&self.hashes, measurement), is_it)?;
        }
        Some(self.recent_table)
    }

    fn add_table(&mut self, measurement: &[u8]) -> u32 {
        let id = u32::try_from(self.tables.len()).expect("a body holds fewer measurements");
        let (tables, hashes) = (&self.tables, &self.hashes);
        let rehash = |id: &u32| hash(hashes, tables[*id as usize].measurement());
        self.table_index.insert_unique(hash(hashes, measurement), id, rehash);
        self.tables.push(TableCache::new(measurement, self.hashes.clone()));
        self.table_bytes += size_of::<TableCache>() + size_of::<u32>() + 1 + measurement.len();
        self.recent_table = id;
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
            self.active_tables.push(series.table);
        }
        if series.first_column == NONE {
            series.first_column = table.first_column();
        }
        (table, series)
    }

    /// Takes the table of series `id` out of `batch` when it is empty, because the line for which it entered is refused.
    pub(super) fn leave_if_empty(&mut self, id: u32, batch: &mut Batch, spare: &mut Spare) {
        let table = &mut self.tables[self.series[id as usize].table as usize];
        let Some(empty) = batch.tables.pop_if(|last| last.row_times.is_empty()) else { return };
        assert!(table.batch_index() == batch.tables.len(), "an empty table is the one that entered last");
        spare.put_table(empty);
        table.request = 0;
        self.active_tables.pop();
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
            series.number = tables[table.batch_index()].series.push(key);
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

impl Default for SeriesCache {
    fn default() -> SeriesCache {
        SeriesCache {
            hash: 0,
            start: 0,
            end: 0,
            table: NONE,
            canonical: NONE,
            next: NONE,
            first_column: NONE,
            number: 0,
            request: 0,
            ordinary: false,
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

fn hash(hashes: &FixedState, bytes: &[u8]) -> u64 {
    let mut hasher = hashes.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
