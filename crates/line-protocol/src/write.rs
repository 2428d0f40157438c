//! Text from batches: canonical line protocol, for subscriptions, exports and people.
//!
//! Tags sorted, fields sorted by name, times in nanoseconds, escapes only where they are needed. Floats have the fewest
//! digits that give them back, with an exponent when they are very large or small.

use model::{Batch, Column, ColumnData, Table};

use crate::escape;

/// Appends the rows of `batch`, one line each: table after table, in a table in the order of the rows.
///
/// What has no text is left out: floats that are not finite, names that would be read as something else (empty ones, those
/// with a line feed or with a backslash at their end, a measurement that starts a comment), and rows without any field.
/// Points that were read from text have none of these. Unsigned integers are written as `1u`, which only servers built
/// for them read.
pub fn batch(batch: &Batch, out: &mut Vec<u8>) {
    for table in &batch.tables {
        let columns = sorted_columns(table);
        let has_text: Vec<bool> = table.series.iter().map(key_has_text).collect();
        for (index, series) in table.row_series.iter().enumerate() {
            if has_text[*series as usize] {
                write_row(table, &columns, index, out);
            }
        }
    }
}

/// Appends row `index` of `table` as one line, if it has a text. To write many rows of a table, see [`batch`].
pub fn row(table: &Table, index: usize, out: &mut Vec<u8>) {
    if key_has_text(table.series.get(table.row_series[index])) {
        write_row(table, &sorted_columns(table), index, out);
    }
}

/// Whether a canonical series key is read as what it is.
fn key_has_text(key: &[u8]) -> bool {
    !matches!(key.first(), None | Some(b',' | b'#' | b'\t' | 0)) && !key.ends_with(b"\\") && !key.contains(&b'\n')
}

/// A column to be written.
struct Written<'a> {
    /// The name as it stands in text, with `=`.
    text: Vec<u8>,
    /// Whitespace in front of the first field is not part of its name.
    may_be_first: bool,
    column: &'a Column,
}

/// The columns in the order of their names, but such that cannot be first at the end.
fn sorted_columns(table: &Table) -> Vec<Written<'_>> {
    let may_be_first = |name: &[u8]| !matches!(name.first(), Some(b'\t' | 0));
    let mut fields: Vec<_> = table.columns.iter().collect();
    fields.sort_by_key(|field| (!may_be_first(&field.name), &field.name, field.column.field_type()));
    let written = fields.into_iter().filter_map(|field| {
        let mut text = Vec::with_capacity(field.name.len() + 1);
        escape::escape_field_key(&mut text, &field.name);
        let has_text = escape::is_one_field_key(&text);
        text.push(b'=');
        has_text.then(|| Written { text, may_be_first: may_be_first(&field.name), column: &field.column })
    });
    written.collect()
}

fn write_row(table: &Table, columns: &[Written<'_>], index: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(table.series.get(table.row_series[index]));
    let mut separator = b' ';
    for written in columns {
        if !written.column.is_valid(index) || separator == b' ' && !written.may_be_first {
            continue;
        }
        let before = out.len();
        out.push(separator);
        out.extend_from_slice(&written.text);
        if write_value(written.column.data(), index, out) {
            separator = b',';
        } else {
            out.truncate(before);
        }
    }
    if separator == b' ' {
        out.truncate(start);
        return;
    }
    out.push(b' ');
    write_integer(table.row_times[index], out);
    out.push(b'\n');
}

/// Appends a value, or tells that it has no text.
fn write_value(data: &ColumnData, index: usize, out: &mut Vec<u8>) -> bool {
    match data {
        ColumnData::Float(values) if !values[index].is_finite() => return false,
        ColumnData::Float(values) => write_float(values[index], out),
        ColumnData::Integer(values) => {
            write_integer(values[index], out);
            out.push(b'i');
        }
        ColumnData::Unsigned(values) => {
            write_digits(values[index], out);
            out.push(b'u');
        }
        ColumnData::Boolean(values) => out.extend_from_slice(if values[index] { b"true" } else { b"false" }),
        ColumnData::String(values) => {
            out.push(b'"');
            escape::escape_string(out, values.get(index));
            out.push(b'"');
        }
    }
    true
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_digits(value.unsigned_abs(), out);
}

fn write_digits(mut value: u64, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 20];
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[start..]);
}

#[cfg(test)]
mod tests {
    use model::{FieldValue, Tags};

    use super::*;

    fn text(measurement: &str, tags: &[(&str, &str)], time: i64, fields: &[(&str, FieldValue)]) -> String {
        let tags = tags.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let fields: Vec<(&[u8], FieldValue)> =
            fields.iter().map(|(name, value)| (name.as_bytes(), value.clone())).collect();
        let mut points = Batch::default();
        points.push_point(measurement.as_bytes(), &Tags::new(tags), time, &fields);
        let mut out = Vec::new();
        batch(&points, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tags_and_fields_are_sorted_and_escaped() {
        let fields = [
            ("z", FieldValue::Integer(-5)),
            ("a b", FieldValue::Boolean(true)),
            ("c,d=e", FieldValue::String(b"say \"x\\y\"\n".to_vec())),
        ];
        assert_eq!(
            text("my cpu", &[("zone", "b,c"), ("host", "a=b c")], 12, &fields),
            "my\\ cpu,host=a\\=b\\ c,zone=b\\,c a\\ b=true,c\\,d\\=e=\"say \\\"x\\\\y\\\"\n\",z=-5i 12\n"
        );
    }

    #[test]
    fn numbers_are_short_and_whole() {
        let cases = [
            (FieldValue::Float(1.0), "1"),
            (FieldValue::Float(-0.0), "-0"),
            (FieldValue::Float(0.1), "0.1"),
            (FieldValue::Float(1e300), "1e300"),
            (FieldValue::Float(1.5e-7), "1.5e-7"),
            (FieldValue::Integer(i64::MIN), "-9223372036854775808i"),
            (FieldValue::Unsigned(u64::MAX), "18446744073709551615u"),
        ];
        for (value, want) in cases {
            assert_eq!(text("m", &[], i64::MIN, &[("v", value)]), format!("m v={want} -9223372036854775808\n"));
        }
    }

    #[test]
    fn what_has_no_text_is_left_out() {
        let nan = FieldValue::Float(f64::NAN);
        assert_eq!(text("m", &[], 1, &[("v", nan.clone()), ("w", FieldValue::Integer(1))]), "m w=1i 1\n");
        assert_eq!(text("m", &[], 1, &[("v", nan)]), "");
    }

    #[test]
    fn names_that_would_be_read_as_something_else_are_left_out() {
        let one = FieldValue::Integer(1);
        for name in ["", "a\\", "a\\,b", "x=1i 1\nevil"] {
            assert_eq!(text("m", &[], 1, &[(name, one.clone()), ("v", one.clone())]), "m v=1i 1\n");
        }
        for measurement in ["", "#m", "m\\", "m\nevil", "\tm"] {
            assert_eq!(text(measurement, &[], 1, &[("v", one.clone())]), "");
        }
        assert_eq!(text("m", &[("a", "b\nevil v=1")], 1, &[("v", one.clone())]), "");
        // Whitespace would be skipped before the first field.
        assert_eq!(text("m", &[], 1, &[("\tv", one.clone()), ("w", one.clone())]), "m w=1i,\tv=1i 1\n");
        assert_eq!(text("m", &[], 1, &[("\tv", one)]), "");
    }
}
