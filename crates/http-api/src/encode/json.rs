//! JSON, with the escapes and the order of keys that clients know.

use model::result::{Chunk, Message, Series, Value};

use super::number::{push_i64, push_json_float, push_u64};
use super::time::push_rfc3339;
use super::{Mode, TimeFormat, head_of, same_series};

/// How a document is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Compact,
    Pretty,
}

/// Chunks to JSON.
#[derive(Debug)]
pub(super) struct JsonEncoder {
    writer: Writer,
    mode: Mode,
    time: TimeFormat,
    /// Whether `{"results":[` was written.
    begun: bool,
    statement: Option<OpenStatement>,
}

/// The result that is being written. Only when the answer is one document.
#[derive(Debug)]
struct OpenStatement {
    id: usize,
    /// Where it began, while nothing of it was taken yet.
    start: Option<Mark>,
    messages: Vec<Message>,
    has_series: bool,
    series: Option<OpenSeries>,
}

#[derive(Debug)]
struct OpenSeries {
    head: Series,
    has_rows: bool,
    continues: bool,
}

impl JsonEncoder {
    pub(super) fn new(layout: Layout, mode: Mode, time: TimeFormat) -> JsonEncoder {
        JsonEncoder { writer: Writer::new(layout), mode, time, begun: false, statement: None }
    }

    pub(super) fn out(&self) -> &[u8] {
        &self.writer.out
    }

    /// The bytes so far. What was taken can no longer be replaced.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if let Some(statement) = &mut self.statement {
            statement.start = None;
        }
        std::mem::take(&mut self.writer.out)
    }

    pub(super) fn push(&mut self, chunk: &Chunk) {
        match self.mode {
            Mode::Chunked => self.push_document(chunk),
            Mode::Whole => self.push_part(chunk),
        }
    }

    pub(super) fn finish(&mut self) {
        if self.mode == Mode::Chunked {
            return;
        }
        self.close_statement(false, None);
        if self.begun {
            self.writer.close(b']');
        } else {
            self.writer.open(b'{');
        }
        self.writer.close(b'}');
        self.writer.out.push(b'\n');
    }

    /// One chunk as a document.
    fn push_document(&mut self, chunk: &Chunk) {
        self.begin();
        self.open_statement(chunk.statement_id);
        if let Some(series) = &chunk.series {
            self.push_series(series, chunk.series_continues);
        }
        self.hold_messages(chunk);
        self.close_statement(chunk.statement_continues, chunk.error.as_deref());
        self.writer.close(b']');
        self.writer.close(b'}');
        self.writer.out.push(b'\n');
        self.writer.fresh = true;
        self.begun = false;
    }

    /// One chunk as the next part of the only document.
    fn push_part(&mut self, chunk: &Chunk) {
        self.begin();
        if self.statement.as_ref().is_some_and(|open| open.id != chunk.statement_id) {
            self.close_statement(false, None);
        }
        if self.statement.is_none() {
            self.open_statement(chunk.statement_id);
        }
        if let Some(error) = &chunk.error {
            return self.fail_statement(chunk.statement_id, error);
        }
        if let Some(series) = &chunk.series {
            self.push_series(series, chunk.series_continues);
        }
        self.hold_messages(chunk);
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.writer.open(b'{');
            self.writer.key("results");
            self.writer.open(b'[');
        }
    }

    fn open_statement(&mut self, id: usize) {
        let start = self.writer.mark();
        self.writer.item();
        self.writer.open(b'{');
        self.writer.key("statement_id");
        push_u64(&mut self.writer.out, id as u64);
        let open = OpenStatement { id, start: Some(start), messages: Vec::new(), has_series: false, series: None };
        self.statement = Some(open);
    }

    /// Messages are written after the series.
    fn hold_messages(&mut self, chunk: &Chunk) {
        if let Some(statement) = &mut self.statement {
            statement.messages.extend_from_slice(&chunk.messages);
        }
    }

    /// An error takes the place of the series before it, unless some of them are on their way already.
    fn fail_statement(&mut self, id: usize, error: &str) {
        if let Some(start) = self.statement.as_ref().and_then(|open| open.start) {
            self.writer.back_to(start);
            self.open_statement(id);
        }
        self.close_statement(false, Some(error));
    }

    fn push_series(&mut self, series: &Series, continues: bool) {
        let statement = self.statement.as_mut().expect("a series belongs to an open statement");
        let same = statement.series.as_ref().is_some_and(|open| same_series(&open.head, series));
        if !same {
            self.close_series();
            self.open_series(series);
        }
        let writer = &mut self.writer;
        let open = self.statement.as_mut().and_then(|statement| statement.series.as_mut());
        let open = open.expect("the series was opened above");
        open.continues = continues;
        if !open.has_rows && !series.rows.is_empty() {
            open.has_rows = true;
            writer.key("values");
            writer.open(b'[');
        }
        for row in series.rows.iter() {
            writer.item();
            writer.open(b'[');
            for value in row {
                writer.item();
                push_value(writer, value, self.time);
            }
            writer.close(b']');
        }
    }

    fn open_series(&mut self, series: &Series) {
        let statement = self.statement.as_mut().expect("a series belongs to an open statement");
        let writer = &mut self.writer;
        if !statement.has_series {
            statement.has_series = true;
            writer.key("series");
            writer.open(b'[');
        }
        writer.item();
        writer.open(b'{');
        if !series.name.is_empty() {
            writer.key("name");
            push_json_string(&mut writer.out, &series.name);
        }
        if !series.tags.is_empty() {
            writer.key("tags");
            writer.open(b'{');
            for (key, value) in &series.tags {
                writer.key(key);
                push_json_string(&mut writer.out, value);
            }
            writer.close(b'}');
        }
        if !series.columns.is_empty() {
            writer.key("columns");
            writer.open(b'[');
            for column in &series.columns {
                writer.item();
                push_json_string(&mut writer.out, column);
            }
            writer.close(b']');
        }
        statement.series = Some(OpenSeries { head: head_of(series), has_rows: false, continues: false });
    }

    fn close_series(&mut self) {
        let Some(open) = self.statement.as_mut().and_then(|statement| statement.series.take()) else { return };
        if open.has_rows {
            self.writer.close(b']');
        }
        if open.continues {
            self.writer.key("partial");
            self.writer.out.extend_from_slice(b"true");
        }
        self.writer.close(b'}');
    }

    fn close_statement(&mut self, continues: bool, error: Option<&str>) {
        self.close_series();
        let Some(statement) = self.statement.take() else { return };
        let writer = &mut self.writer;
        if statement.has_series {
            writer.close(b']');
        }
        if !statement.messages.is_empty() {
            writer.key("messages");
            writer.open(b'[');
            for message in &statement.messages {
                writer.item();
                writer.open(b'{');
                writer.key("level");
                push_json_string(&mut writer.out, message.level);
                writer.key("text");
                push_json_string(&mut writer.out, &message.text);
                writer.close(b'}');
            }
            writer.close(b']');
        }
        if continues {
            writer.key("partial");
            writer.out.extend_from_slice(b"true");
        }
        if let Some(error) = error {
            writer.key("error");
            push_json_string(&mut writer.out, error);
        }
        writer.close(b'}');
    }
}

/// `{"error":"..."}` and a newline.
pub(super) fn error_document(layout: Layout, text: &str) -> Vec<u8> {
    let mut writer = Writer::new(layout);
    writer.open(b'{');
    writer.key("error");
    push_json_string(&mut writer.out, text);
    writer.close(b'}');
    writer.out.push(b'\n');
    writer.out
}

fn push_value(writer: &mut Writer, value: &Value, time: TimeFormat) {
    let out = &mut writer.out;
    match value {
        Value::Float(value) if value.is_finite() => push_json_float(out, *value),
        Value::Null | Value::Float(_) => out.extend_from_slice(b"null"),
        Value::Integer(value) => push_i64(out, *value),
        Value::Unsigned(value) => push_u64(out, *value),
        Value::String(value) => push_json_string(out, value),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Time { ns, offset } => match time {
            TimeFormat::Epoch(unit) => push_i64(out, ns / unit.nanoseconds()),
            TimeFormat::Native | TimeFormat::Rfc3339 => {
                out.push(b'"');
                push_rfc3339(out, *ns, *offset);
                out.push(b'"');
            }
        },
        Value::List(list) => {
            writer.open(b'[');
            for text in list.iter() {
                writer.item();
                push_json_string(&mut writer.out, text);
            }
            writer.close(b']');
        }
    }
}

/// Which bytes cannot stand in a string as they are. 0xE2 may begin U+2028 or U+2029, which no JavaScript string holds.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[b'<' as usize] = true;
    special[b'>' as usize] = true;
    special[b'&' as usize] = true;
    special[0xE2] = true;
    special
};

/// Appends a string in quotes. Letters that HTML knows are escaped too.
pub(crate) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !SPECIAL[usize::from(*byte)] {
            continue;
        }
        if *byte == 0xE2 {
            if let [0xE2, 0x80, last @ (0xA8 | 0xA9), ..] = bytes[at..] {
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice(if last == 0xA8 { b"\\u2028" } else { b"\\u2029" });
                done = at + 3;
            }
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Brackets, commas and, if pretty, lines.
#[derive(Debug)]
struct Writer {
    out: Vec<u8>,
    layout: Layout,
    depth: usize,
    /// Whether the innermost brackets hold nothing yet.
    fresh: bool,
}

/// A place to go back to.
#[derive(Clone, Copy, Debug)]
struct Mark {
    len: usize,
    depth: usize,
    fresh: bool,
}

impl Writer {
    fn new(layout: Layout) -> Writer {
        Writer { out: Vec::new(), layout, depth: 0, fresh: true }
    }

    fn mark(&self) -> Mark {
        Mark { len: self.out.len(), depth: self.depth, fresh: self.fresh }
    }

    fn back_to(&mut self, mark: Mark) {
        self.out.truncate(mark.len);
        self.depth = mark.depth;
        self.fresh = mark.fresh;
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
        self.fresh = true;
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if !self.fresh {
            self.new_line();
        }
        self.out.push(bracket);
        self.fresh = false;
    }

    /// What stands before an element of a list.
    fn item(&mut self) {
        if !self.fresh {
            self.out.push(b',');
        }
        self.fresh = false;
        self.new_line();
    }

    fn key(&mut self, key: &str) {
        self.item();
        push_json_string(&mut self.out, key);
        self.out.extend_from_slice(if self.layout == Layout::Pretty { b": " } else { b":" });
    }

    fn new_line(&mut self) {
        if self.layout == Layout::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', self.depth * 4));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::{Expect, expect};
    use model::Precision;

    use super::super::tests::{encode, piece, series, story};
    use super::super::{Encoder, Format};
    use super::*;

    #[track_caller]
    fn check(format: Format, mode: Mode, time: TimeFormat, chunks: &[Chunk], want: Expect) {
        want.assert_eq(&String::from_utf8(encode(format, mode, time, chunks)).expect("JSON is text"));
    }

    #[test]
    fn pieces_of_a_series_are_joined_in_one_document() {
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &story(),
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"a"},"columns":["time","v"],"values":[["1970-01-01T00:00:00Z",1],["1970-01-01T00:00:00.000000001Z",null],["1970-01-01T00:00:00.000000002Z",1e+21]]},{"name":"m","tags":{"host":"b"},"columns":["time","v"],"values":[["1970-01-01T00:00:03Z","x"]]}]},{"statement_id":1,"messages":[{"level":"warning","text":"mind \u003cthis\u003e"}]},{"statement_id":2,"error":"it \"broke\""},{"statement_id":3}]}
        "#]],
        );
    }

    #[test]
    fn a_chunk_is_a_document_in_chunked_mode() {
        let time = TimeFormat::Epoch(Precision::Second);
        check(
            Format::Json,
            Mode::Chunked,
            time,
            &story(),
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"a"},"columns":["time","v"],"values":[[0,1],[0,null]],"partial":true}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"a"},"columns":["time","v"],"values":[[0,1e+21]]}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"b"},"columns":["time","v"],"values":[[3,"x"]]}]}]}
            {"results":[{"statement_id":1,"messages":[{"level":"warning","text":"mind \u003cthis\u003e"}]}]}
            {"results":[{"statement_id":2,"error":"it \"broke\""}]}
            {"results":[{"statement_id":3}]}
        "#]],
        );
    }

    #[test]
    fn pretty_documents_are_indented_by_four() {
        let chunks = [piece(0, series("m", Some("a"), &[(0, Value::Integer(1))]), false, false), Chunk::empty(1)];
        check(
            Format::PrettyJson,
            Mode::Whole,
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            {
                "results": [
                    {
                        "statement_id": 0,
                        "series": [
                            {
                                "name": "m",
                                "tags": {
                                    "host": "a"
                                },
                                "columns": [
                                    "time",
                                    "v"
                                ],
                                "values": [
                                    [
                                        "1970-01-01T00:00:00Z",
                                        1
                                    ]
                                ]
                            }
                        ]
                    },
                    {
                        "statement_id": 1
                    }
                ]
            }
        "#]],
        );
        check(
            Format::PrettyJson,
            Mode::Chunked,
            TimeFormat::Native,
            &[Chunk::empty(0), Chunk::empty(1)],
            expect![[r#"
            {
                "results": [
                    {
                        "statement_id": 0
                    }
                ]
            }
            {
                "results": [
                    {
                        "statement_id": 1
                    }
                ]
            }
        "#]],
        );
    }

    #[test]
    fn nothing_at_all_is_an_empty_object() {
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &[],
            expect![[r#"
            {}
        "#]],
        );
        check(
            Format::PrettyJson,
            Mode::Whole,
            TimeFormat::Native,
            &[],
            expect![[r#"
            {}
        "#]],
        );
        check(Format::Json, Mode::Chunked, TimeFormat::Native, &[], expect![""]);
    }

    #[test]
    fn an_error_takes_the_place_of_series_that_nobody_has_seen() {
        let ok = piece(0, series("m", None, &[(0, Value::Integer(1))]), true, true);
        let chunks = [Chunk::empty(0), ok.clone(), Chunk::failed(0, "no"), Chunk::failed(1, "not executed")];
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"error":"no"},{"statement_id":1,"error":"not executed"}]}
        "#]],
        );

        let mut encoder = Encoder::new(Format::Json, Mode::Whole, TimeFormat::Native);
        encoder.push(&ok);
        let mut sent = encoder.take();
        encoder.push(&Chunk::failed(0, "no"));
        encoder.finish();
        sent.extend(encoder.take());
        expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[["1970-01-01T00:00:00Z",1]],"partial":true}],"error":"no"}]}
        "#]]
        .assert_eq(&String::from_utf8(sent).expect("JSON is text"));
    }

    #[test]
    fn empty_parts_are_left_out() {
        let mut nameless = Series::new("", &["user", "admin"]);
        let chunks = [piece(0, nameless.clone(), false, false)];
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"columns":["user","admin"]}]}]}
        "#]],
        );
        nameless.rows.push([Value::List(Arc::from(vec!["a".to_owned(), "b".to_owned()])), Value::Unsigned(u64::MAX)]);
        let chunks = [piece(0, nameless, false, false)];
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"columns":["user","admin"],"values":[[["a","b"],18446744073709551615]]}]}]}
        "#]],
        );
    }

    #[test]
    fn numbers_that_are_none_are_null() {
        let rows = [(0, Value::Float(f64::NAN)), (1, Value::Float(f64::INFINITY)), (2, Value::Boolean(false))];
        let chunks = [piece(0, series("m", None, &rows), false, false)];
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Epoch(Precision::Nanosecond),
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[[0,null],[1,null],[2,false]]}]}]}
        "#]],
        );
    }

    #[test]
    fn times_are_printed_in_their_offset_and_cut_towards_the_epoch() {
        let mut rows = series("m", None, &[]);
        rows.rows.push([Value::Time { ns: -1_500_000_000, offset: 3600 }, Value::Null]);
        let chunks = [piece(0, rows, false, false)];
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Native,
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[["1970-01-01T00:59:58.5+01:00",null]]}]}]}
        "#]],
        );
        check(
            Format::Json,
            Mode::Whole,
            TimeFormat::Epoch(Precision::Second),
            &chunks,
            expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[[-1,null]]}]}]}
        "#]],
        );
    }

    #[test]
    fn strings_are_escaped_for_json_and_html() {
        let mut out = Vec::new();
        push_json_string(&mut out, "a\"b\\c\n\r\t\u{1}\u{8}\u{7f}<>&\u{2028}\u{2029}\u{2030}\u{e9}\u{1f600}");
        let want =
            "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u0008\u{7f}\\u003c\\u003e\\u0026\\u2028\\u2029\u{2030}\u{e9}\u{1f600}\"";
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }

    #[test]
    fn errors_are_documents() {
        assert_eq!(error_document(Layout::Compact, "a\"b"), b"{\"error\":\"a\\\"b\"}\n");
        assert_eq!(error_document(Layout::Pretty, "x"), b"{\n    \"error\": \"x\"\n}\n");
    }
}
