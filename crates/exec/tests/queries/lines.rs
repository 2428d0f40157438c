//! A small reader of line protocol, for data that is known to be well formed.

use model::{FieldValue, Tags};

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) measurement: Vec<u8>,
    pub(crate) tags: Tags,
    pub(crate) fields: Vec<(Vec<u8>, FieldValue)>,
    pub(crate) time: i64,
}

/// The points of `text`, one a line; empty lines are passed over. Times must be there.
pub(crate) fn parse(text: &str) -> Vec<Point> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(line: &str) -> Point {
    let (head, rest) = split(line, b' ', false);
    let (fields, time) = split(rest, b' ', true);
    let (name, mut rest) = split(head, b',', false);
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (tag, tail) = split(rest, b',', false);
        let (key, value) = split(tag, b'=', false);
        tags.push((unescape(key), unescape(value)));
        rest = tail;
    }
    let mut values = Vec::new();
    let mut rest = fields;
    while !rest.is_empty() {
        let (field, tail) = split(rest, b',', true);
        let (key, value) = split(field, b'=', true);
        values.push((unescape(key), parse_value(value)));
        rest = tail;
    }
    let time = time.parse().unwrap_or_else(|_| panic!("no time in {line}"));
    Point { measurement: unescape(name), tags: Tags::new(tags), fields: values, time }
}

/// Cuts at the first `at` that is neither escaped nor, if `quotes`, inside a string.
fn split(text: &str, at: u8, quotes: bool) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut index, mut quoted) = (0, false);
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 1,
            b'"' if quotes => quoted = !quoted,
            byte if byte == at && !quoted => return (&text[..index], &text[index + 1..]),
            _ => {}
        }
        index += 1;
    }
    (text, "")
}

fn unescape(text: &str) -> Vec<u8> {
    model::series_key::unescape(text.as_bytes(), b",= ")
}

fn parse_value(text: &str) -> FieldValue {
    if let Some(inner) = text.strip_prefix('"') {
        let inner = inner.strip_suffix('"').expect("a string ends with a quote");
        return FieldValue::String(model::series_key::unescape(inner.as_bytes(), b"\"\\"));
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return FieldValue::Boolean(true),
        "f" | "F" | "false" | "False" | "FALSE" => return FieldValue::Boolean(false),
        _ => {}
    }
    if let Some(digits) = text.strip_suffix('i') {
        return FieldValue::Integer(digits.parse().expect("an integer"));
    }
    if let Some(digits) = text.strip_suffix('u') {
        return FieldValue::Unsigned(digits.parse().expect("an unsigned integer"));
    }
    FieldValue::Float(text.parse().expect("a number"))
}

#[test]
fn lines_are_read() {
    let points = parse("m\\ x,a=b\\,c,d=e f=1.5,g=2i,h=\"x, \\\"y\\\" = z\",i=t 7\n\nn f=3u -1");
    assert_eq!(points[0].measurement, b"m x");
    assert_eq!(points[0].tags.get(b"a"), b"b,c");
    assert_eq!(points[0].fields[2].1, FieldValue::String(b"x, \"y\" = z".to_vec()));
    assert_eq!((points[0].fields.len(), points[0].time), (4, 7));
    assert_eq!(points[1].fields, [(b"f".to_vec(), FieldValue::Unsigned(3))]);
}
