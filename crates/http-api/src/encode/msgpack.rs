//! MessagePack, with the shapes that the reference writes: messages come before series, a result without series has an
//! empty list, and a result that failed has nothing but its error.

use model::result::{Chunk, Message, Series, Value};

use super::time::push_rfc3339;
use super::{Mode, TimeFormat, WHOLE_BYTES_MAX, head_of, same_series};

/// The extension type of instants: seconds as `i64`, nanoseconds as `i32`, big-endian.
const TIME_EXTENSION: u8 = 5;

/// Chunks to MessagePack.
#[derive(Debug)]
pub(super) struct MessagePackEncoder {
    /// What can be sent.
    pub(super) out: Vec<u8>,
    mode: Mode,
    time: TimeFormat,
    /// Finished results of the only document, and how many.
    results: Vec<u8>,
    result_count: usize,
    statement: Option<OpenStatement>,
    overflown: bool,
}

#[derive(Debug)]
struct OpenStatement {
    id: usize,
    messages: Vec<Message>,
    /// Finished series, and how many.
    series: Vec<u8>,
    series_count: usize,
    open: Option<OpenSeries>,
    continues: bool,
}

#[derive(Debug)]
struct OpenSeries {
    head: Series,
    rows: Vec<u8>,
    row_count: usize,
    continues: bool,
}

impl MessagePackEncoder {
    pub(super) fn new(mode: Mode, time: TimeFormat) -> MessagePackEncoder {
        MessagePackEncoder {
            out: Vec::new(),
            mode,
            time,
            results: Vec::new(),
            result_count: 0,
            statement: None,
            overflown: false,
        }
    }

    pub(super) fn push(&mut self, chunk: &Chunk) {
        if self.overflown {
            return;
        }
        if self.statement.as_ref().is_some_and(|open| open.id != chunk.statement_id) {
            self.close_statement();
        }
        if let Some(error) = &chunk.error {
            self.statement = None;
            push_error(&mut self.results, error);
            self.result_count += 1;
        } else {
            self.push_part(chunk);
        }
        match self.mode {
            Mode::Chunked => self.write_document(),
            Mode::Whole => self.check_size(),
        }
    }

    pub(super) fn finish(&mut self) {
        if self.mode == Mode::Whole {
            self.write_document();
        }
    }

    fn push_part(&mut self, chunk: &Chunk) {
        let statement = self.statement.get_or_insert_with(|| OpenStatement {
            id: chunk.statement_id,
            messages: Vec::new(),
            series: Vec::new(),
            series_count: 0,
            open: None,
            continues: false,
        });
        statement.messages.extend_from_slice(&chunk.messages);
        statement.continues = self.mode == Mode::Chunked && chunk.statement_continues;
        let Some(series) = &chunk.series else { return };
        if statement.open.as_ref().is_some_and(|open| !same_series(&open.head, series)) {
            statement.close_series();
        }
        let head = || OpenSeries { head: head_of(series), rows: Vec::new(), row_count: 0, continues: false };
        let open = statement.open.get_or_insert_with(head);
        open.continues = chunk.series_continues;
        open.row_count += series.rows.len();
        for row in series.rows.iter() {
            push_array(&mut open.rows, row.len());
            for value in row {
                push_value(&mut open.rows, value, self.time);
            }
        }
    }

    fn close_statement(&mut self) {
        let Some(mut statement) = self.statement.take() else { return };
        statement.close_series();
        let out = &mut self.results;
        let has_messages = !statement.messages.is_empty();
        push_map(out, 2 + usize::from(has_messages) + usize::from(statement.continues));
        push_text(out, "statement_id");
        push_int(out, statement.id as i64);
        if has_messages {
            push_text(out, "messages");
            push_array(out, statement.messages.len());
            for message in &statement.messages {
                push_map(out, 2);
                push_text(out, "level");
                push_text(out, message.level);
                push_text(out, "text");
                push_text(out, &message.text);
            }
        }
        push_text(out, "series");
        push_array(out, statement.series_count);
        out.append(&mut statement.series);
        push_partial(out, statement.continues);
        self.result_count += 1;
    }

    fn write_document(&mut self) {
        self.close_statement();
        push_map(&mut self.out, 1);
        push_text(&mut self.out, "results");
        push_array(&mut self.out, self.result_count);
        self.out.append(&mut self.results);
        self.result_count = 0;
    }

    /// An answer that cannot be held becomes an error.
    fn check_size(&mut self) {
        let rows = self
            .statement
            .as_ref()
            .map_or(0, |statement| statement.series.len() + statement.open.as_ref().map_or(0, |open| open.rows.len()));
        if self.results.len() + rows <= WHOLE_BYTES_MAX {
            return;
        }
        self.overflown = true;
        self.statement = None;
        self.results = Vec::new();
        push_error(&mut self.results, "answer is too large for one document: use chunked=true");
        self.result_count = 1;
    }
}

impl OpenStatement {
    fn close_series(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let out = &mut self.series;
        let head = &open.head;
        let present = [!head.name.is_empty(), !head.tags.is_empty(), open.continues];
        push_map(out, 2 + present.into_iter().filter(|is| *is).count());
        if !head.name.is_empty() {
            push_text(out, "name");
            push_text(out, &head.name);
        }
        if !head.tags.is_empty() {
            push_text(out, "tags");
            push_map(out, head.tags.len());
            for (key, value) in &head.tags {
                push_text(out, key);
                push_text(out, value);
            }
        }
        push_text(out, "columns");
        push_array(out, head.columns.len());
        for column in &head.columns {
            push_text(out, column);
        }
        push_text(out, "values");
        push_array(out, open.row_count);
        out.append(&mut open.rows);
        push_partial(out, open.continues);
        self.series_count += 1;
    }
}

/// A map with nothing but `error`.
pub(super) fn error_document(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_error(&mut out, text);
    out
}

fn push_error(out: &mut Vec<u8>, text: &str) {
    push_map(out, 1);
    push_text(out, "error");
    push_text(out, text);
}

fn push_partial(out: &mut Vec<u8>, partial: bool) {
    if partial {
        push_text(out, "partial");
        out.push(0xc3);
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value, time: TimeFormat) {
    match value {
        Value::Float(value) if value.is_finite() => {
            out.push(0xcb);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Null | Value::Float(_) => out.push(0xc0),
        Value::Integer(value) => push_int(out, *value),
        Value::Unsigned(value) => push_uint(out, *value),
        Value::String(value) => push_text(out, value),
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Time { ns, offset } => match time {
            TimeFormat::Epoch(unit) => push_int(out, ns / unit.nanoseconds()),
            TimeFormat::Native => {
                out.extend_from_slice(&[0xc7, 12, TIME_EXTENSION]);
                out.extend_from_slice(&ns.div_euclid(1_000_000_000).to_be_bytes());
                out.extend_from_slice(&(ns.rem_euclid(1_000_000_000) as i32).to_be_bytes());
            }
            TimeFormat::Rfc3339 => {
                let mut text = Vec::new();
                push_rfc3339(&mut text, *ns, *offset);
                push_bytes(out, &text);
            }
        },
        Value::List(list) => {
            push_array(out, list.len());
            for text in list.iter() {
                push_text(out, text);
            }
        }
    }
}

/// The shortest signed form.
fn push_int(out: &mut Vec<u8>, value: i64) {
    match value {
        -32..=127 => out.push(value as u8),
        -128..=-33 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=0x7fff => push_sized(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..=0x7fff_ffff => push_sized(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => push_sized(out, 0xd3, &value.to_be_bytes()),
    }
}

/// The shortest unsigned form.
fn push_uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => push_sized(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => push_sized(out, 0xce, &(value as u32).to_be_bytes()),
        _ => push_sized(out, 0xcf, &value.to_be_bytes()),
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_bytes(out, text.as_bytes());
}

fn push_bytes(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..=31 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        len @ 0x100..=0xffff => push_sized(out, 0xda, &(len as u16).to_be_bytes()),
        len => push_sized(out, 0xdb, &(len as u32).to_be_bytes()),
    }
    out.extend_from_slice(text);
}

fn push_array(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x90 | len as u8),
        16..=0xffff => push_sized(out, 0xdc, &(len as u16).to_be_bytes()),
        _ => push_sized(out, 0xdd, &(len as u32).to_be_bytes()),
    }
}

fn push_map(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x80 | len as u8),
        16..=0xffff => push_sized(out, 0xde, &(len as u16).to_be_bytes()),
        _ => push_sized(out, 0xdf, &(len as u32).to_be_bytes()),
    }
}

fn push_sized(out: &mut Vec<u8>, marker: u8, number: &[u8]) {
    out.push(marker);
    out.extend_from_slice(number);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Precision;

    use super::super::Format;
    use super::super::tests::{encode, piece, series};
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn text(text: &str) -> String {
        assert!(text.len() < 32);
        format!("{:02x}{}", 0xa0 | text.len(), hex(text.as_bytes()))
    }

    // The shape of each document below was recorded from the reference server.
    #[test]
    fn one_document_for_all() {
        let chunks = [
            piece(0, series("m", Some("a"), &[(1, Value::Float(1.0))]), true, true),
            piece(0, series("m", Some("a"), &[(3_000_000_002, Value::Null)]), false, false),
            Chunk { messages: vec![Message { level: "warning", text: "w".to_owned() }], ..Chunk::empty(1) },
            Chunk::failed(2, "no"),
        ];
        let want = [
            "81".to_owned() + &text("results") + "93",
            "82".to_owned() + &text("statement_id") + "00" + &text("series") + "91",
            "84".to_owned() + &text("name") + &text("m") + &text("tags") + "81" + &text("host") + &text("a"),
            text("columns") + "92" + &text("time") + &text("v") + &text("values") + "92",
            "92c70c050000000000000000".to_owned() + "00000001" + "cb3ff0000000000000",
            "92c70c050000000000000003".to_owned() + "00000002" + "c0",
            "83".to_owned() + &text("statement_id") + "01" + &text("messages") + "91",
            "82".to_owned() + &text("level") + &text("warning") + &text("text") + &text("w") + &text("series") + "90",
            "81".to_owned() + &text("error") + &text("no"),
        ];
        let got = encode(Format::MessagePack, Mode::Whole, TimeFormat::Native, &chunks);
        assert_eq!(hex(&got), want.concat());
    }

    #[test]
    fn a_document_for_each_chunk() {
        let chunks = [
            piece(0, series("m", None, &[(3_000_000_000, Value::Integer(1))]), true, true),
            piece(0, series("m", None, &[(-1, Value::Boolean(true))]), false, false),
        ];
        let head = "81".to_owned() + &text("results") + "91";
        let row = |map: &str| {
            let head = text("name") + &text("m") + &text("columns") + "92" + &text("time") + &text("v");
            map.to_owned() + &head + &text("values") + "9192"
        };
        let want = [
            head.clone() + "83" + &text("statement_id") + "00" + &text("series") + "91" + &row("84") + "d10bb801",
            text("partial") + "c3" + &text("partial") + "c3",
            head + "82" + &text("statement_id") + "00" + &text("series") + "91" + &row("83") + "00c3",
        ];
        let time = TimeFormat::Epoch(Precision::Millisecond);
        assert_eq!(hex(&encode(Format::MessagePack, Mode::Chunked, time, &chunks)), want.concat());
    }

    #[test]
    fn numbers_and_lengths_take_the_shortest_form() {
        let int = |value| {
            let mut out = Vec::new();
            push_int(&mut out, value);
            hex(&out)
        };
        assert_eq!([0, 127, -1, -32].map(int), ["00", "7f", "ff", "e0"]);
        assert_eq!([128, 255, 32_767].map(int), ["d10080", "d100ff", "d17fff"]);
        assert_eq!([-33, -128, -129].map(int), ["d0df", "d080", "d1ff7f"]);
        assert_eq!([32_768, i64::MIN].map(int), ["d200008000", "d38000000000000000"]);
        let uint = |value| {
            let mut out = Vec::new();
            push_uint(&mut out, value);
            hex(&out)
        };
        assert_eq!([127, 128, 256, 65_536].map(uint), ["7f", "cc80", "cd0100", "ce00010000"]);
        assert_eq!(uint(u64::MAX), "cfffffffffffffffff");
        let mut out = Vec::new();
        push_text(&mut out, &"x".repeat(32));
        push_text(&mut out, &"x".repeat(256));
        push_text(&mut out, &"x".repeat(65_536));
        assert_eq!((out[0], out[34], out[34 + 259]), (0xd9, 0xda, 0xdb));
        out.clear();
        push_array(&mut out, 16);
        push_array(&mut out, 65_536);
        push_map(&mut out, 16);
        assert_eq!(hex(&out), "dc0010dd00010000de0010");
    }

    #[test]
    fn lists_and_texts() {
        let mut out = Vec::new();
        push_value(&mut out, &Value::List(Arc::from(vec!["a".to_owned()])), TimeFormat::Native);
        push_value(&mut out, &Value::time(0), TimeFormat::Rfc3339);
        assert_eq!(hex(&out), "91".to_owned() + &text("a") + &text("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn an_answer_that_cannot_be_held_is_an_error() {
        let big = Value::text("x".repeat(64 << 20));
        let rows: Vec<(i64, Value)> = (0..5).map(|time| (time, big.clone())).collect();
        let chunks = [piece(0, series("m", None, &rows), false, false), Chunk::empty(1)];
        let got = encode(Format::MessagePack, Mode::Whole, TimeFormat::Native, &chunks);
        assert!(String::from_utf8_lossy(&got).contains("use chunked=true"));
        assert!(got.len() < 100);
    }
}
