//! Ordinary lines: known fields in the types and, better, the order they had before.
//!
//! Everything here may give up, at any point, by returning `None`: the line is then read by `scan`. So there is no care
//! for rare forms, only for never taking what `scan` would refuse or read otherwise.

use model::{Batch, Column, FieldType, Table};

use super::cache::{NONE, TableCache};
use super::spare::Spare;
use super::{COLUMN_PLACES, FIELDS_PER_LINE_MAX, Parser, Request, STRING_BYTES_MAX, TABLE_PLACES, start_row};
use crate::escape;
use crate::scan;
use crate::scan::number::{self, POWERS};

/// Doubles hold every whole number up to this one.
const EXACT_MAX: u64 = 1 << 53;

/// The time of the line before, since many lines of a request share theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecentTime {
    /// Nineteen digits and a line feed.
    text: [u8; 20],
    time: i64,
}

impl Default for RecentTime {
    /// A text that has its time, like any other: whatever stood here instead, a line could have it.
    fn default() -> RecentTime {
        RecentTime { text: *b"0000000000000000000\n", time: 0 }
    }
}

impl Parser {
    /// Reads the line at `start` if it is an ordinary one and tells where the next one starts.
    #[inline]
    pub(super) fn ordinary_line(
        &mut self,
        body: &[u8],
        start: usize,
        request: &Request,
        batch: &mut Batch,
    ) -> Option<usize> {
        let line = &body[start..];
        let expected = self.expected;
        let id = if self.cache.is_key(expected, line) { expected } else { self.cache.find(line)? };
        let (cache, series) = self.cache.table_in(id, batch, &mut self.spare);
        if cache.is_stale() || series.key_bytes() + cache.text_bytes_max() + 4 > super::KEY_BYTES_MAX {
            return None;
        }
        let table_places = TABLE_PLACES * batch.tables.len() as u64;
        let table = &mut batch.tables[cache.batch_index()];
        self.made.clear();
        let mut row = Row {
            first_column: series.first_column(),
            made: &mut self.made,
            places: 0,
            cache,
            table,
            spare: &mut self.spare,
            text: &mut self.text,
        };
        let read = row.fields(&line[series.key_bytes()..]).and_then(|rest| time(rest, request, &mut self.recent_time));
        let places = self.sparse_places + table_places + row.places;
        let (Some((time, rest)), true) = (read, places <= self.sparse_places_max) else {
            row.cache.set_stale();
            row.cache.unmake_columns(row.made, row.table);
            self.cache.leave_if_empty(id, batch, &mut self.spare);
            return None;
        };
        series.set_first_column(row.first_column);
        self.sparse_places += row.places;
        row.table.row_times.push(time);
        let number = self.cache.number_in(id, &mut batch.tables);
        batch.tables[self.cache.table_of(id).batch_index()].row_series.push(number);
        if id != expected {
            self.cache.set_next_series(self.last, id);
        }
        self.last = id;
        self.expected = self.cache.next_series(id);
        Some(body.len() - rest.len())
    }
}

/// A row that is being read.
struct Row<'a> {
    cache: &'a mut TableCache,
    table: &'a mut Table,
    spare: &'a mut Spare,
    text: &'a mut Vec<u8>,
    /// The columns that were made for this row.
    made: &'a mut Vec<u32>,
    first_column: u32,
    /// What the row adds to the places without a value.
    places: u64,
}

impl Row<'_> {
    /// Reads the fields with which `rest` starts and gives what is behind them.
    #[inline]
    fn fields<'b>(&mut self, mut rest: &'b [u8]) -> Option<&'b [u8]> {
        // Whitespace before the first field is skipped, but is part of the key in others.
        if matches!(rest.first(), Some(b'\t' | 0)) {
            return None;
        }
        let row = self.table.row_times.len();
        let mut expected = self.first_column;
        let mut before = NONE;
        let mut count = 0u64;
        loop {
            let known = match self.cache.column_at(expected, rest) {
                Some(known) => known,
                None => {
                    expected = self.other_column(before, rest)?;
                    self.cache.column_at(expected, rest)?
                }
            };
            let (field_type, next) = (known.field_type, known.next);
            rest = &rest[known.text_bytes as usize..];
            let mut index = known.index as usize;
            if index >= self.table.columns.len() {
                index = self.make_column(expected, row);
            }
            let column = &mut self.table.columns[index].column;
            if column.len() != row {
                start_row(column, row);
            }
            rest = match field_type {
                FieldType::Float => float(rest, column),
                FieldType::Integer => integer(rest, column),
                FieldType::Boolean => boolean(rest, column),
                FieldType::String => string(rest, column, self.text),
                FieldType::Unsigned => None,
            }?;
            count += 1;
            match rest.first() {
                Some(b',') => rest = &rest[1..],
                Some(b' ' | b'\n') => break,
                _ => return None,
            }
            if count >= FIELDS_PER_LINE_MAX as u64 {
                return None;
            }
            (before, expected) = (expected, next);
        }
        self.places += (self.table.columns.len() as u64).saturating_sub(count);
        Some(rest)
    }

    /// The column with which `rest` starts instead of the expected one, remembered as the one after `before`.
    #[cold]
    fn other_column(&mut self, before: u32, rest: &[u8]) -> Option<u32> {
        let found = self.cache.find_column(rest)?;
        match before {
            NONE => {
                self.first_column = found;
                self.cache.set_first_column(found);
            }
            _ => self.cache.set_next_column(before, found),
        }
        Some(found)
    }

    #[cold]
    fn make_column(&mut self, id: u32, row: usize) -> usize {
        self.places += row as u64 + COLUMN_PLACES;
        self.made.push(id);
        self.cache.column_in(id, self.table, self.spare)
    }
}

fn is_end(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b',' | b' ' | b'\n'))
}

#[inline]
fn sign(rest: &[u8]) -> Option<(bool, &[u8])> {
    match rest.first()? {
        b'-' => Some((true, &rest[1..])),
        _ => Some((false, rest)),
    }
}

#[inline]
fn integer<'b>(rest: &'b [u8], column: &mut Column) -> Option<&'b [u8]> {
    let (negative, digits) = sign(rest)?;
    let (value, count) = number::sixteen_digits(digits)?;
    if count == 0 || digits.get(count) != Some(&b'i') {
        return long_integer(rest, column);
    }
    let value = value as i64;
    column.push_integer(if negative { -value } else { value });
    Some(&digits[count + 1..])
}

/// An integer of up to 19 digits.
#[cold]
fn long_integer<'b>(rest: &'b [u8], column: &mut Column) -> Option<&'b [u8]> {
    let end = rest.iter().take(21).position(|byte| *byte == b'i')?;
    let digits = rest[..end].strip_prefix(b"-").unwrap_or(&rest[..end]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    column.push_integer(number::integer(&rest[..end])?);
    Some(&rest[end + 1..])
}

#[inline]
fn float<'b>(rest: &'b [u8], column: &mut Column) -> Option<&'b [u8]> {
    let (negative, digits) = sign(rest)?;
    let (whole, whole_count) = number::sixteen_digits(digits)?;
    let mut magnitude = whole as f64;
    let mut end = whole_count;
    if digits.get(whole_count) == Some(&b'.') {
        let (fraction, count) = number::sixteen_digits(&digits[whole_count + 1..])?;
        end += 1 + count;
        // Both numbers are exact and division rounds once, so this is the nearest double.
        let mantissa = (whole * POWERS[count.min(16 - whole_count)]).saturating_add(fraction);
        if whole_count + count > 16 || mantissa > EXACT_MAX {
            return long_float(rest, end, column);
        }
        magnitude = mantissa as f64 / POWERS[count] as f64;
        if whole_count + count == 0 {
            return None;
        }
    } else if whole_count == 0 {
        return None;
    }
    if whole_count == 16 || !is_end(digits.get(end)) {
        return long_float(rest, end, column);
    }
    column.push_float(if negative { -magnitude } else { magnitude });
    Some(&digits[end..])
}

/// A float with more digits than a double has, or with an exponent. At least `least` bytes belong to it.
fn long_float<'b>(rest: &'b [u8], least: usize, column: &mut Column) -> Option<&'b [u8]> {
    // No double needs more than 17 digits; longer ones are rare and left to the slow reader.
    let end = least + rest.get(least..)?.iter().take(40).position(|byte| is_end(Some(byte)))?;
    let text = &rest[..end];
    let number_bytes = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    if !text[least..].iter().all(number_bytes) {
        return None;
    }
    let value: f64 = fast_float2::parse(text).ok()?;
    if !value.is_finite() {
        return None;
    }
    column.push_float(value);
    Some(&rest[end..])
}

#[inline]
fn boolean<'b>(rest: &'b [u8], column: &mut Column) -> Option<&'b [u8]> {
    let (value, long) = match rest.first()? {
        b't' => (true, rest.starts_with(b"true")),
        b'f' => (false, rest.starts_with(b"false")),
        b'T' => (true, rest.starts_with(b"TRUE") || rest.starts_with(b"True")),
        b'F' => (false, rest.starts_with(b"FALSE") || rest.starts_with(b"False")),
        _ => return None,
    };
    let length = if !long {
        1
    } else if value {
        4
    } else {
        5
    };
    column.push_boolean(value);
    Some(&rest[length..])
}

#[inline]
fn string<'b>(rest: &'b [u8], column: &mut Column, text: &mut Vec<u8>) -> Option<&'b [u8]> {
    let inner = rest.strip_prefix(b"\"")?;
    let mut end = 0;
    let mut hidden = false;
    loop {
        end += memchr::memchr2(b'"', b'\\', inner.get(end..)?)?;
        if inner[end] == b'"' {
            break;
        }
        hidden = true;
        // The last byte of a body is never hidden; such an odd end is not for this reader.
        end += 2;
        inner.get(end)?;
    }
    if end > STRING_BYTES_MAX {
        return None;
    }
    if hidden {
        text.clear();
        escape::unescape_string(text, &inner[..end]);
        column.push_string(text);
    } else {
        column.push_string(&inner[..end]);
    }
    Some(&inner[end + 1..])
}

/// The time with which `rest` starts, and the next line.
#[inline]
fn time<'b>(rest: &'b [u8], request: &Request, recent: &mut RecentTime) -> Option<(i64, &'b [u8])> {
    let (separator, text) = rest.split_first()?;
    if *separator == b'\n' {
        return Some((request.default_time, text));
    }
    if text.first_chunk::<20>() == Some(&recent.text) {
        return Some((recent.time, &text[20..]));
    }
    let (negative, digits) = sign(text)?;
    let (mut count, mut length) = number::sixteen_digits(digits)?;
    if length == 16 {
        while let Some(digit @ b'0'..=b'9') = digits.get(length).filter(|_| length < 19) {
            count = count * 10 + u64::from(digit - b'0');
            length += 1;
        }
    }
    if length == 0 || digits.get(length) != Some(&b'\n') {
        return None;
    }
    let count = i64::try_from(count).ok()?;
    let time = scan::nanoseconds(if negative { -count } else { count }, request.precision)?;
    if let (19, false, Some(text)) = (length, negative, text.first_chunk()) {
        *recent = RecentTime { text: *text, time };
    }
    Some((time, &digits[length + 1..]))
}
