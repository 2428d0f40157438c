//! CSV: `name,tags,` and the columns, then a line for each row.
//!
//! The header comes again, after an empty line, when the statement or the columns change. Answers without series print
//! nothing, and errors of statements have no place in it.

use model::result::{Chunk, Value};
use model::series_key::escape_tag;

use super::number::{push_i64, push_plain_float, push_u64};
use super::time::push_rfc3339;
use super::{TimeFormat, joined};

/// Chunks to CSV. There is no difference between one document and many.
#[derive(Debug)]
pub(super) struct CsvEncoder {
    pub(super) out: Vec<u8>,
    time: TimeFormat,
    /// The statement and columns of the last header.
    header: Option<(usize, Vec<String>)>,
}

impl CsvEncoder {
    pub(super) fn new(time: TimeFormat) -> CsvEncoder {
        CsvEncoder { out: Vec::new(), time, header: None }
    }

    pub(super) fn push(&mut self, chunk: &Chunk) {
        let Some(series) = &chunk.series else { return };
        let known = self.header.as_ref();
        if known.is_none_or(|(id, columns)| *id != chunk.statement_id || *columns != series.columns) {
            if known.is_some() {
                self.out.push(b'\n');
            }
            self.out.extend_from_slice(b"name,tags");
            for column in &series.columns {
                self.out.push(b',');
                push_field(&mut self.out, column.as_bytes());
            }
            self.out.push(b'\n');
            self.header = Some((chunk.statement_id, series.columns.clone()));
        }
        let mut lead = Vec::new();
        push_field(&mut lead, series.name.as_bytes());
        lead.push(b',');
        push_field(&mut lead, &joined_tags(&series.tags));
        for row in series.rows.iter() {
            self.out.extend_from_slice(&lead);
            for value in row {
                self.out.push(b',');
                push_value(&mut self.out, value, self.time);
            }
            self.out.push(b'\n');
        }
    }
}

/// A header line `error` and the text.
pub(super) fn error_document(text: &str) -> Vec<u8> {
    let mut out = b"error\n".to_vec();
    push_field(&mut out, text.as_bytes());
    out.push(b'\n');
    out
}

/// `key=value,key=value` with the escapes of a series key; tags that a series lacks are left out.
fn joined_tags(tags: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in tags.iter().filter(|(_, value)| !value.is_empty()) {
        if !out.is_empty() {
            out.push(b',');
        }
        escape_tag(&mut out, key.as_bytes());
        out.push(b'=');
        escape_tag(&mut out, value.as_bytes());
    }
    out
}

fn push_value(out: &mut Vec<u8>, value: &Value, time: TimeFormat) {
    match value {
        Value::Float(value) if value.is_finite() => push_plain_float(out, *value),
        Value::Null | Value::Float(_) => {}
        Value::Integer(value) => push_i64(out, *value),
        Value::Unsigned(value) => push_u64(out, *value),
        Value::String(value) => push_field(out, value.as_bytes()),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Time { ns, offset } => match time {
            TimeFormat::Epoch(unit) => push_i64(out, ns / unit.nanoseconds()),
            TimeFormat::Native => push_i64(out, *ns),
            TimeFormat::Rfc3339 => push_rfc3339(out, *ns, *offset),
        },
        Value::List(list) => push_field(out, joined(list).as_bytes()),
    }
}

/// Appends a field, in quotes where it needs them.
fn push_field(out: &mut Vec<u8>, field: &[u8]) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let starts_with_space =
        std::str::from_utf8(field).map_or(field.first() == Some(&b' '), |text| text.starts_with(char::is_whitespace));
    if !starts_with_space && field != br"\." && !field.iter().any(special) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::{Expect, expect};
    use model::Precision;
    use model::result::Series;

    use super::super::tests::{encode, piece, series, story};
    use super::super::{Format, Mode};
    use super::*;

    #[track_caller]
    fn check(time: TimeFormat, chunks: &[Chunk], want: Expect) {
        let whole = encode(Format::Csv, Mode::Whole, time, chunks);
        assert_eq!(encode(Format::Csv, Mode::Chunked, time, chunks), whole);
        want.assert_eq(&String::from_utf8(whole).expect("text"));
    }

    #[test]
    fn a_header_for_each_statement_and_shape() {
        let mut chunks = story();
        chunks.push(piece(4, Series::new("databases", &["name"]), false, true));
        chunks.push(piece(4, series("m", None, &[(5, Value::Boolean(true))]), false, false));
        check(
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            name,tags,time,v
            m,host=a,0,1
            m,host=a,1,
            m,host=a,2,1000000000000000000000
            m,host=b,3000000000,x

            name,tags,name

            name,tags,time,v
            m,,5,true
        "#]],
        );
    }

    // The bytes of these rows were compared with the reference server's.
    #[test]
    fn fields_are_quoted_where_they_need_it() {
        let mut rows = Series::new("z", &["time", "a,b", "s"]);
        rows.tags = vec![("h".to_owned(), "a b,c=d".to_owned()), ("k".to_owned(), String::new())];
        rows.rows.push([Value::time(1), Value::text(" x"), Value::text("\\.")]);
        rows.rows.push([Value::time(2), Value::text("a\rb"), Value::text("say \"hi\"")]);
        rows.rows.push([Value::time(3), Value::Float(1e-7), Value::Float(-0.0)]);
        rows.rows.push([Value::time(4), Value::Float(f64::NAN), Value::Unsigned(7)]);
        rows.rows.push([Value::time(5), Value::List(Arc::from(vec!["a".to_owned(), "b".to_owned()])), Value::Null]);
        let want = "name,tags,time,\"a,b\",s\nz,\"h=a\\ b\\,c\\=d\",1,\" x\",\"\\.\"\nz,\"h=a\\ b\\,c\\=d\",2,\"a\rb\",\"say \"\"hi\"\"\"\n\
                    z,\"h=a\\ b\\,c\\=d\",3,0.0000001,-0\nz,\"h=a\\ b\\,c\\=d\",4,,7\nz,\"h=a\\ b\\,c\\=d\",5,[a b],\n";
        let got = encode(Format::Csv, Mode::Whole, TimeFormat::Native, &[piece(0, rows, false, false)]);
        assert_eq!(String::from_utf8(got).expect("text"), want);
    }

    #[test]
    fn times_are_units_or_text() {
        let chunks = [piece(0, series("m", None, &[(61_000_000_000, Value::Integer(1))]), false, false)];
        check(
            TimeFormat::Epoch(Precision::Minute),
            &chunks,
            expect![[r#"
            name,tags,time,v
            m,,1,1
        "#]],
        );
        check(
            TimeFormat::Rfc3339,
            &chunks,
            expect![[r#"
            name,tags,time,v
            m,,1970-01-01T00:01:01Z,1
        "#]],
        );
    }

    #[test]
    fn errors_have_a_header() {
        assert_eq!(error_document("found \"x\""), b"error\n\"found \"\"x\"\"\"\n");
        assert_eq!(error_document("invalid duration"), b"error\ninvalid duration\n");
    }
}
