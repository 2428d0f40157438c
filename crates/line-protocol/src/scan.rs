//! One line, exactly as the grammar has it: slow, simple, and the only judge of what is wrong with a line.
//!
//! The fast reader in `parse` takes lines that look ordinary and leaves all others to this module, so an error text is
//! decided here alone. The order of checks is that of the reference: series key, fields, lengths, timestamp.
//!
//! What hides a byte differs by section, as in the reference: in the series key a byte is hidden when a backslash
//! stands before it; in the fields a backslash hides the byte after it and is then used up.

pub(crate) mod number;

use model::{Precision, Timestamp};

use crate::error::Reason;
use crate::parse::{FIELDS_PER_LINE_MAX, KEY_BYTES_MAX};

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Integer(i64),
    Boolean(bool),
    /// Start and end of what stands between the quotes.
    String(usize, usize),
}

/// A field: start and end of its key in the line, still with backslashes, and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) key: (usize, usize),
    pub(crate) value: Value,
}

/// Where the line that starts at `start` ends: at a line feed or at the end of the body.
///
/// A comment ends at the next line feed whatever is in it. Elsewhere a line feed inside the quotes of a string value
/// does not count.
pub(crate) fn line_end(body: &[u8], start: usize) -> usize {
    let rest = &body[start..];
    let first = rest.iter().position(|byte| !is_whitespace(*byte)).unwrap_or(rest.len());
    if rest.get(first) == Some(&b'#') {
        return memchr::memchr(b'\n', rest).map_or(body.len(), |at| start + at);
    }
    let mut at = start;
    let (mut in_fields, mut quoted, mut equals, mut commas) = (false, false, 0usize, 0usize);
    while at < body.len() {
        match body[at] {
            // The last byte of a body is never hidden.
            b'\\' if at + 2 < body.len() => at += 1,
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            b'\n' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    body.len()
}

/// The first byte at or after `at` that is not whitespace.
pub(crate) fn skip_whitespace(line: &[u8], at: usize) -> usize {
    line[at..].iter().position(|byte| !is_whitespace(*byte)).map_or(line.len(), |skipped| at + skipped)
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0)
}

/// The end of the series key with which `line` starts. Tags may still have one key.
pub(crate) fn series_key(line: &[u8]) -> Result<usize, Reason> {
    if matches!(line.first(), None | Some(b',')) {
        return Err(Reason::MissingMeasurement);
    }
    let mut at = unhidden(line, 1, |byte| matches!(byte, b',' | b' '));
    while at < line.len() && line[at] == b',' {
        at = tag(line, at + 1)?;
    }
    if at >= line.len() {
        return Err(Reason::MissingFields);
    }
    if memchr::memchr(b'\n', &line[..at]).is_some() { Err(Reason::LineFeed) } else { Ok(at) }
}

/// The end of the tag that starts at `start`: its comma, the space after it, or the end of the line.
fn tag(line: &[u8], start: usize) -> Result<usize, Reason> {
    if matches!(line.get(start), None | Some(b' ' | b',' | b'=')) {
        return Err(Reason::MissingTagKey);
    }
    let equals = unhidden(line, start + 1, |byte| matches!(byte, b'=' | b',' | b' '));
    if line.get(equals) != Some(&b'=') || matches!(line.get(equals + 1), None | Some(b',' | b' ')) {
        return Err(Reason::MissingTagValue);
    }
    // The first byte of a value may be an unhidden `=`, as the reference has it.
    let end = unhidden(line, equals + 2, |byte| matches!(byte, b'=' | b',' | b' '));
    if line.get(end) == Some(&b'=') { Err(Reason::InvalidTagFormat) } else { Ok(end) }
}

/// The first byte from `from` on that is wanted and has no backslash before it, or the end of the line.
fn unhidden(line: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let found = (from..line.len()).find(|at| wanted(line[*at]) && line[*at - 1] != b'\\');
    found.unwrap_or(line.len())
}

/// The end of the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FieldsEnd {
    pub(crate) at: usize,
    /// The reference counts commas and equal signs and so lets through some fields that are not `key=value`, strings
    /// with something behind them above all. We refuse them, once all else was found to be right.
    pub(crate) well_formed: bool,
}

/// Reads the fields that start after `start`, the end of the series key.
pub(crate) fn fields(line: &[u8], start: usize, fields: &mut Vec<Field>) -> Result<FieldsEnd, Reason> {
    fields.clear();
    let first = skip_whitespace(line, start);
    let mut at = first;
    let (mut equals, mut commas, mut quoted) = (0usize, 0usize, false);
    let mut well_formed = true;
    let mut key = first;
    let mut string = None;
    while at < line.len() {
        match line[at] {
            b'\\' if at + 1 < line.len() => at += 1,
            b'"' if equals > commas => {
                quoted = !quoted;
                string = match string {
                    Some(StringScan::Before(equals)) if equals + 1 == at => Some(StringScan::Inside(at + 1)),
                    Some(StringScan::Inside(start)) => Some(StringScan::After(start, at)),
                    _ => Some(StringScan::Broken),
                };
            }
            b'=' if !quoted => {
                equals += 1;
                missing_parts(line, at)?;
                if fields.len() == FIELDS_PER_LINE_MAX {
                    return Err(Reason::TooManyFields);
                }
                let value = at + 1;
                well_formed &= string.is_none() && fields.len() + 1 == equals && commas + 1 == equals && key < at;
                let (end, read) = match line[value] {
                    b'"' => {
                        fields.push(Field { key: (key, at), value: Value::String(value, value) });
                        string = Some(StringScan::Before(at));
                        at += 1;
                        continue;
                    }
                    b'0'..=b'9' | b'.' | b'-' | b'N' | b'n' => number::number(line, value)?,
                    _ => boolean(line, value)?,
                };
                fields.push(Field { key: (key, at), value: read });
                at = end;
                continue;
            }
            b',' if !quoted => {
                commas += 1;
                well_formed &= commas == equals;
                well_formed &= finish_string(&mut string, fields, at);
                key = at + 1;
            }
            b' ' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    if quoted {
        return Err(Reason::UnbalancedQuotes);
    }
    well_formed &= finish_string(&mut string, fields, at);
    if equals == 0 || commas != equals - 1 {
        return Err(Reason::InvalidFieldFormat);
    }
    if well_formed {
        field_keys(line, start, at, fields)?;
    }
    Ok(FieldsEnd { at, well_formed })
}

/// How far a string value was read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum StringScan {
    /// The place of its equal sign.
    Before(usize),
    /// The place after its first quote.
    Inside(usize),
    /// The place after its first quote, and of its last.
    After(usize, usize),
    /// There are quotes where none belong.
    Broken,
}

/// Completes the last field, when it is a string, at the end of that field. False when more than a string stands there.
fn finish_string(string: &mut Option<StringScan>, fields: &mut [Field], end: usize) -> bool {
    match (string.take(), fields.last_mut()) {
        (None, _) => true,
        (Some(StringScan::After(from, to)), Some(field)) if to + 1 == end => {
            field.value = Value::String(from, to);
            true
        }
        _ => false,
    }
}

/// What can be seen to be missing at the equal sign of a field.
fn missing_parts(line: &[u8], equals: usize) -> Result<(), Reason> {
    // A series key stands before the fields, so there are two bytes before any equal sign.
    if matches!(line[equals - 1], b' ' | b',') && line[equals - 2] != b'\\' {
        return Err(Reason::MissingFieldKey);
    }
    if matches!(line.get(equals + 1), None | Some(b',' | b' ')) {
        return Err(Reason::MissingFieldValue);
    }
    Ok(())
}

/// The checks of field keys that the reference makes once all fields were seen.
fn field_keys(line: &[u8], key_bytes: usize, end: usize, fields: &[Field]) -> Result<(), Reason> {
    for field in fields {
        let (from, to) = field.key;
        if line[to - 1] == b'\\' {
            let rest = &line[from..end];
            return Err(if unhidden(rest, 1, |byte| byte == b'=') == rest.len() {
                Reason::InvalidValue(String::from_utf8_lossy(rest).into_owned())
            } else {
                Reason::InvalidFieldFormat
            });
        }
        if memchr::memchr(b'\n', &line[from..to]).is_some() {
            return Err(Reason::LineFeed);
        }
        // Four bytes stand between series key and field key in the reference's store.
        let length = key_bytes + 4 + (to - from);
        if length > KEY_BYTES_MAX {
            return Err(Reason::KeyTooLong(length));
        }
    }
    Ok(())
}

fn boolean(line: &[u8], start: usize) -> Result<(usize, Value), Reason> {
    let end = line[start..].iter().position(|byte| matches!(byte, b',' | b' '));
    let end = end.map_or(line.len(), |length| start + length);
    match &line[start..end] {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok((end, Value::Boolean(true))),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok((end, Value::Boolean(false))),
        _ => Err(Reason::InvalidBoolean),
    }
}

/// The time after the fields in nanoseconds, `None` when there is none. Nothing else may follow.
pub(crate) fn time(line: &[u8], start: usize, precision: Precision) -> Result<Option<i64>, Reason> {
    let start = skip_whitespace(line, start);
    let end = line[start..].iter().position(|byte| matches!(byte, b' ' | b'\n'));
    let end = end.map_or(line.len(), |length| start + length);
    let text = &line[start..end];
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::BadTimestamp);
    }
    if text.is_empty() {
        return Ok(None);
    }
    let shown = || String::from_utf8_lossy(text).into_owned();
    if digits.is_empty() {
        return Err(Reason::TimestampSyntax(shown()));
    }
    let count = number::integer(text).ok_or_else(|| Reason::TimestampRange(shown()))?;
    let time = nanoseconds(count, precision).ok_or(Reason::TimeOutsideRange)?;
    if line[end..].iter().any(|byte| *byte != b' ') { Err(Reason::PointInvalid) } else { Ok(Some(time)) }
}

/// `count` units as nanoseconds, when a point may have that time.
pub(crate) fn nanoseconds(count: i64, precision: Precision) -> Option<i64> {
    let time = count.checked_mul(precision.nanoseconds())?;
    (Timestamp::MIN.0..=Timestamp::MAX.0).contains(&time).then_some(time)
}
