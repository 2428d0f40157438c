//! Whole bodies to batches, fast.
//!
//! Clients send the same series with the same fields in the same order, again and again. So a [`Parser`] remembers which
//! series came after which, and which field came after which, and compares bytes with what it expects instead of
//! reading them: see `cache` for what is remembered and `fast` for the reading. A line that is not ordinary (an unknown
//! field, odd spaces, an error) is left to `scan`, which reads it once more from its start and says what is wrong.
//!
//! Invariants
//! - `fast` takes a line only if `scan` would take it with the same values, and takes nothing beyond its line feed.
//! - Values may stand in columns beyond the last finished row only while their table is marked stale; the mark keeps
//!   `fast` away until they are cut off.

mod cache;
mod fast;
mod spare;

#[cfg(test)]
mod tests;

use std::fmt;

use model::{Batch, Column, Precision, Table, series_key};

use crate::error::{DropReason, LineErrors, Reason};
use crate::escape;
use crate::scan::{self, Field, Value};
use cache::{Cache, Series, TableCache};
pub use spare::SPARE_BYTES_MAX;
use spare::Spare;

/// Most bytes of a series key; also of a series key and a field key together, with four bytes between.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Most fields of one line.
pub const FIELDS_PER_LINE_MAX: usize = 10_000;

/// Most bytes of a string value.
pub const STRING_BYTES_MAX: usize = 1_048_576;

/// Most bytes of a body, decompressed. Offsets in a batch have 32 bits.
pub const BODY_BYTES_MAX: usize = 1 << 30;

/// Most places of eight bytes that a batch may spend on rows that lack a field, and on tables and columns as such.
/// Values need no limit: they are bounded by the body.
pub const SPARSE_PLACES_MAX: u64 = 1 << 24;

/// Most bytes that a parser keeps from one request to the next to know series and fields again; it forgets all of them
/// when half of that is in use, at 150,000 series or so. During a request it needs up to what the keys of that request
/// take. Buffers of recycled batches come on top, up to [`SPARE_BYTES_MAX`].
pub const CACHE_BYTES_MAX: usize = 64 << 20;

/// Lines are seldom shorter; memory for rows is made by this measure.
const LINE_BYTES_USUAL: usize = 32;

/// What a table and a column count for against [`SPARSE_PLACES_MAX`].
const TABLE_PLACES: u64 = 64;
const COLUMN_PLACES: u64 = 32;

/// What became of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOutcome {
    /// Lines that could not be read. A caller that stored the others answers
    /// `partial write: <errors> dropped=0`, one that had no others just `<errors>`.
    pub errors: LineErrors,
    /// How many points could be read but are not in the batch, because no store takes them. They add to those that the
    /// store refuses.
    pub dropped_count: usize,
    /// Why one of them was dropped: `partial write: <reason> dropped=<count>`. A caller with dropped points reports these
    /// and not `errors`, as the reference does.
    pub dropped_reason: Option<DropReason>,
}

impl ParseOutcome {
    /// The first reason is reported, but tags before all else: the reference looks at series before it looks at fields.
    fn drop_point(&mut self, reason: DropReason) {
        let is_tag = |reason: &DropReason| matches!(reason, DropReason::TimeTag { .. });
        self.dropped_count += 1;
        match &self.dropped_reason {
            Some(first) if is_tag(first) || !is_tag(&reason) => {}
            _ => self.dropped_reason = Some(reason),
        }
    }
}

/// Reads bodies. Keep it for the next request: it is fast because it has seen the series and fields before, and slower
/// the first time. It keeps at most [`CACHE_BYTES_MAX`] and [`SPARE_BYTES_MAX`] between requests.
pub struct Parser {
    cache: Cache,
    spare: Spare,
    fields: Vec<Field>,
    text: Vec<u8>,
    /// The series expected next, and the one that was last.
    expected: u32,
    last: u32,
    recent_time: fast::RecentTime,
    sparse_places: u64,
    /// [`SPARSE_PLACES_MAX`], or less in tests.
    sparse_places_max: u64,
    /// Columns made for the line at hand.
    made: Vec<u32>,
}

/// What all lines of a request share.
#[derive(Clone, Copy, Debug)]
struct Request {
    precision: Precision,
    /// For lines without a time.
    default_time: i64,
}

/// Why a line is not in the batch.
enum Refusal {
    Line(Reason),
    Point(DropReason),
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal::Line(reason)
    }
}

impl Parser {
    /// Knows no series yet. `seed` keeps clients from choosing series keys that collide; give each process its own
    /// random one. The outcome never depends on it.
    pub fn new(seed: u64) -> Parser {
        Parser {
            cache: Cache::new(seed),
            spare: Spare::default(),
            fields: Vec::new(),
            text: Vec::new(),
            expected: cache::NONE,
            last: cache::NONE,
            recent_time: fast::RecentTime::default(),
            sparse_places: 0,
            sparse_places_max: SPARSE_PLACES_MAX,
            made: Vec::new(),
        }
    }

    /// Bytes that the parser holds, for whoever governs memory.
    pub fn memory_bytes(&self) -> usize {
        self.cache.memory_bytes() + self.spare.memory_bytes()
    }

    /// Takes back a batch that nobody needs any more, so that its memory serves the next ones. Optional; it saves about
    /// a third of the time of [`Parser::parse`].
    pub fn recycle(&mut self, batch: Batch) {
        self.spare.put(batch);
    }

    /// Reads `body` into `batch`, which must be empty: one table for each measurement, rows in the order of the lines,
    /// series numbered as they come.
    ///
    /// Lines without a time get `default_time_ns` (nanoseconds since the epoch), cut to `precision`. Of a field that
    /// comes twice in a line the last value is kept; with two types it is in two columns of one row, which is a
    /// conflict that the store reports, for it knows which type was first. Fields named `time` are left out.
    ///
    /// Cost: 1 ns a byte or less for series and fields that were seen before.
    ///
    /// # Panics
    /// When `batch` has tables.
    pub fn parse(
        &mut self,
        body: &[u8],
        precision: Precision,
        default_time_ns: i64,
        batch: &mut Batch,
    ) -> ParseOutcome {
        assert!(batch.tables.is_empty(), "a request has a batch of its own");
        let mut outcome = ParseOutcome::default();
        if body.len() > BODY_BYTES_MAX {
            outcome.dropped_count = memchr::memchr_iter(b'\n', body).count().max(1);
            outcome.dropped_reason = Some(DropReason::BodyTooLong { length: body.len() });
            return outcome;
        }
        let unit = precision.nanoseconds();
        let default_time = default_time_ns - default_time_ns.rem_euclid(unit);
        let request = Request { precision, default_time };
        self.begin(body.len() / LINE_BYTES_USUAL);
        let mut at = 0;
        while at < body.len() {
            at = match self.ordinary_line(body, at, &request, batch) {
                Some(next) => next,
                None => self.any_line(body, at, &request, batch, &mut outcome),
            };
        }
        self.finish(batch);
        outcome
    }

    fn begin(&mut self, rows_max: usize) {
        self.cache.begin(rows_max);
        self.recent_time = fast::RecentTime::default();
        self.sparse_places = 0;
    }

    fn finish(&mut self, batch: &mut Batch) {
        for table in &mut batch.tables {
            let rows = table.row_count();
            for field in &mut table.columns {
                field.column.truncate(rows);
                field.column.pad_to(rows);
            }
        }
        self.cache.finish(batch);
        if self.cache.used_bytes() > CACHE_BYTES_MAX / 2 || self.cache.memory_bytes() > CACHE_BYTES_MAX {
            self.cache.clear(CACHE_BYTES_MAX);
            (self.expected, self.last) = (cache::NONE, cache::NONE);
        }
    }

    /// Reads the line at `start`, whatever it is, and tells where the next one starts.
    #[cold]
    fn any_line(
        &mut self,
        body: &[u8],
        start: usize,
        request: &Request,
        batch: &mut Batch,
        outcome: &mut ParseOutcome,
    ) -> usize {
        let end = scan::line_end(body, start);
        let line = &body[scan::skip_whitespace(&body[..end], start)..end];
        if !matches!(line.first(), None | Some(b'#')) {
            // A string that lacks its end can reach to the end of the body; its last line feed is not part of it.
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match self.point(line, request, batch) {
                Ok(()) => {}
                Err(Refusal::Line(reason)) => outcome.errors.push(line, reason),
                Err(Refusal::Point(reason)) => outcome.drop_point(reason),
            }
        }
        end + 1
    }

    /// Appends the point of `line`, or nothing. What is refused is not remembered either, so that a body of rubbish does
    /// not fill the memory.
    fn point(&mut self, line: &[u8], request: &Request, batch: &mut Batch) -> Result<(), Refusal> {
        let key_end = scan::series_key(line)?;
        let key = &line[..key_end];
        let series = self.cache.series(key)?;
        if key_end > KEY_BYTES_MAX {
            return Err(Reason::KeyTooLong(key_end).into());
        }
        let fields_end = scan::fields(line, key_end, &mut self.fields)?;
        let time = scan::time(line, fields_end.at, request.precision)?.unwrap_or(request.default_time);
        if !fields_end.well_formed {
            return Err(Reason::InvalidFieldFormat.into());
        }
        if matches!(&series, Series::New(new) if new.has_time_tag()) {
            return Err(Refusal::Point(DropReason::TimeTag { measurement: measurement(key) }));
        }
        self.check_fields(line, key)?;
        let entry = match series {
            Series::Known(entry) => entry,
            Series::New(new) => {
                if self.places(batch) + TABLE_PLACES > self.sparse_places_max && !self.cache.has_table(key, &new) {
                    return Err(Refusal::Point(DropReason::TooSparse { measurement: measurement(key) }));
                }
                self.cache.add(key, new)
            }
        };
        self.append(line, entry, time, batch)
    }

    /// Leaves out fields named `time` and refuses what no store takes.
    fn check_fields(&mut self, line: &[u8], key: &[u8]) -> Result<(), Refusal> {
        self.fields.retain(|field| &line[field.key.0..field.key.1] != b"time");
        if self.fields.is_empty() {
            return Err(Refusal::Point(DropReason::TimeField { measurement: measurement(key) }));
        }
        for field in &self.fields {
            let Value::String(from, to) = field.value else { continue };
            if to - from <= STRING_BYTES_MAX {
                continue;
            }
            self.text.clear();
            escape::unescape_string(&mut self.text, &line[from..to]);
            if self.text.len() > STRING_BYTES_MAX {
                let field = escape::unescape_field_key(&line[field.key.0..field.key.1]);
                let reason =
                    DropReason::StringTooLong { measurement: measurement(key), field, length: self.text.len() };
                return Err(Refusal::Point(reason));
            }
        }
        Ok(())
    }

    /// What counts against [`SPARSE_PLACES_MAX`].
    fn places(&self, batch: &Batch) -> u64 {
        self.sparse_places + TABLE_PLACES * batch.tables.len() as u64
    }

    /// Appends a row that was found to be in order.
    fn append(&mut self, line: &[u8], entry: u32, time: i64, batch: &mut Batch) -> Result<(), Refusal> {
        let before_places = self.places(batch);
        let (cache, series) = self.cache.table_in(entry, batch, &mut self.spare);
        let table = &mut batch.tables[cache.batch_index()];
        let row = table.row_count();
        // Its columns and the new ones, less those that get a value.
        let mut places = table.columns.len() as u64;
        for field in &self.fields {
            let column = cache.known_column(&line[field.key.0..field.key.1], field.value);
            if !column.is_some_and(|column| cache.is_in_batch(column)) {
                places += row as u64 + COLUMN_PLACES + 1;
            }
        }
        let places = places.saturating_sub(self.fields.len() as u64);
        if before_places + places > self.sparse_places_max {
            let measurement = cache.measurement().to_vec();
            self.cache.leave_if_empty(entry, batch, &mut self.spare);
            return Err(Refusal::Point(DropReason::TooSparse { measurement }));
        }
        self.sparse_places += places;
        clean(cache, table);
        let mut before = cache::NONE;
        for field in &self.fields {
            let found = cache.column(&line[field.key.0..field.key.1], field.value);
            let index = cache.column_in(found, table, &mut self.spare);
            let column = &mut table.columns[index].column;
            start_row(column, row);
            push(column, line, field.value, &mut self.text);
            match before {
                cache::NONE => {
                    series.set_first_column(found);
                    cache.set_first_column(found);
                }
                _ => cache.set_next_column(before, found),
            }
            before = found;
        }
        table.row_times.push(time);
        let number = self.cache.number_in(entry, &mut batch.tables);
        let table = &mut batch.tables[self.cache.table_of(entry).batch_index()];
        table.row_series.push(number);
        Ok(())
    }
}

/// Shows its size only: what it remembers can be very long.
impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}

/// The measurement of a raw series key, raw.
fn measurement(key: &[u8]) -> Vec<u8> {
    series_key::split_measurement(key).0
}

/// Cuts off what refused lines left behind.
fn clean(cache: &mut TableCache, table: &mut Table) {
    if cache.take_stale() {
        let rows = table.row_count();
        for field in &mut table.columns {
            field.column.truncate(rows);
        }
    }
}

/// Makes `column` ready for the value of row `row`: fills the gap before, or takes away a value that this row has
/// already, since the last one counts.
fn start_row(column: &mut Column, row: usize) {
    column.truncate(row);
    column.pad_to(row);
}

fn push(column: &mut Column, line: &[u8], value: Value, text: &mut Vec<u8>) {
    match value {
        Value::Float(value) => column.push_float(value),
        Value::Integer(value) => column.push_integer(value),
        Value::Boolean(value) => column.push_boolean(value),
        Value::String(from, to) => {
            text.clear();
            escape::unescape_string(text, &line[from..to]);
            column.push_string(text);
        }
    }
}
