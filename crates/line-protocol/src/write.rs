//! Text from batches: canonical line protocol, for subscriptions, exports and people.
//!
//! Tags sorted, fields sorted by name, times in nanoseconds, escapes only where they are needed. Floats have the fewest
//! digits that give them back, with an exponent when they are very large or small.

use model::{Batch, ColumnData, Table, series_key};

use crate::escape;

/// Appends the rows of `batch`, one line each: table after table, in a table in the order of the rows.
///
/// What has no text is left out: floats that are not finite, and rows without any field. Unsigned integers are written
/// as `1u`, which only servers built for them read.
pub fn batch(batch: &Batch, out: &mut Vec<u8>) {
    for table in &batch.tables {
        let columns = sorted_columns(table);
        for index in 0..table.row_count() {
            write_row(table, &columns, index, out);
        }
    }
}

/// Appends row `index` of `table` as one line. To write many rows of a table, see [`batch`].
pub fn row(table: &Table, index: usize, out: &mut Vec<u8>) {
    write_row(table, &sorted_columns(table), index, out);
}

/// The columns in the order of their names, each with its name as it stands in text.
fn sorted_columns(table: &Table) -> Vec<(Vec<u8>, &model::Column)> {
    let mut fields: Vec<_> = table.columns.iter().collect();
    fields.sort_by_key(|field| (&field.name, field.column.field_type()));
    let texts = fields.into_iter().map(|field| {
        let mut text = Vec::with_capacity(field.name.len() + 1);
        series_key::escape_tag(&mut text, &field.name);
        text.push(b'=');
        (text, &field.column)
    });
    texts.collect()
}

fn write_row(table: &Table, columns: &[(Vec<u8>, &model::Column)], index: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(table.series.get(table.row_series[index]));
    let mut separator = b' ';
    for (text, column) in columns {
        if !column.is_valid(index) {
            continue;
        }
        let before = out.len();
        out.push(separator);
        out.extend_from_slice(text);
        if write_value(column.data(), index, out) {
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
}
