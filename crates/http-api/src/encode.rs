//! Answers as bytes: JSON, CSV and MessagePack.
//!
//! An [`Encoder`] is fed the chunks of an answer and holds bytes until they are taken. In chunked mode every chunk
//! becomes a document of its own; otherwise all become one document, in which the pieces of a series are joined.
//! JSON and CSV hold nothing but bytes that nobody took yet, so an answer of any length passes through a small buffer.
//! MessagePack writes counts in front of what they count, so a whole answer must be held to its end; it is bounded by
//! [`WHOLE_BYTES_MAX`].
//!
//! Not here: when bytes are sent, and compressing them. See `query`.

mod csv;
mod json;
mod msgpack;
pub(crate) mod number;
mod row_limit;
mod slices;
pub(crate) mod time;

use model::result::Chunk;

pub(crate) use json::push_json_string;
pub(crate) use row_limit::{RowLimit, Verdict};
pub(crate) use slices::Slices;
pub use time::TimeFormat;

/// Most bytes of an answer that can only be sent when it is complete, that is of MessagePack without `chunked=true`.
pub const WHOLE_BYTES_MAX: usize = 256 << 20;

/// The language of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Without a space too many.
    Json,
    /// Indented by four spaces.
    PrettyJson,
    /// A header line, then a line for each row.
    Csv,
    /// Binary; times are extension type 5.
    MessagePack,
}

/// Whether an answer is one document or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One document.
    Whole,
    /// A document for each chunk.
    Chunked,
}

/// Turns chunks into bytes.
#[derive(Debug)]
pub struct Encoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Json(json::JsonEncoder),
    Csv(csv::CsvEncoder),
    MessagePack(msgpack::MessagePackEncoder),
}

impl Encoder {
    /// An encoder that has written nothing yet.
    pub fn new(format: Format, mode: Mode, time: TimeFormat) -> Encoder {
        let kind = match format {
            Format::Json => Kind::Json(json::JsonEncoder::new(json::Layout::Compact, mode, time)),
            Format::PrettyJson => Kind::Json(json::JsonEncoder::new(json::Layout::Pretty, mode, time)),
            Format::Csv => Kind::Csv(csv::CsvEncoder::new(time)),
            Format::MessagePack => Kind::MessagePack(msgpack::MessagePackEncoder::new(mode, time)),
        };
        Encoder { kind }
    }

    /// Writes the next chunk. Chunks come in the order of their statements.
    pub fn push(&mut self, chunk: &Chunk) {
        match &mut self.kind {
            Kind::Json(encoder) => encoder.push(chunk),
            Kind::Csv(encoder) => encoder.push(chunk),
            Kind::MessagePack(encoder) => encoder.push(chunk),
        }
    }

    /// Writes what is owed after the last chunk.
    pub fn finish(&mut self) {
        match &mut self.kind {
            Kind::Json(encoder) => encoder.finish(),
            Kind::Csv(_) => {}
            Kind::MessagePack(encoder) => encoder.finish(),
        }
    }

    /// How many bytes [`Encoder::take`] would give.
    pub fn ready(&self) -> usize {
        match &self.kind {
            Kind::Json(encoder) => encoder.out().len(),
            Kind::Csv(encoder) => encoder.out.len(),
            Kind::MessagePack(encoder) => encoder.out.len(),
        }
    }

    /// The bytes that can be sent now.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.kind {
            Kind::Json(encoder) => encoder.take(),
            Kind::Csv(encoder) => std::mem::take(&mut encoder.out),
            Kind::MessagePack(encoder) => std::mem::take(&mut encoder.out),
        }
    }
}

/// The document that tells why a request was refused.
pub(crate) fn error_document(format: Format, text: &str) -> Vec<u8> {
    match format {
        Format::Json => json::error_document(json::Layout::Compact, text),
        Format::PrettyJson => json::error_document(json::Layout::Pretty, text),
        Format::Csv => csv::error_document(text),
        Format::MessagePack => msgpack::error_document(text),
    }
}

/// Whether two chunks carry pieces of the same series.
fn same_series(a: &model::result::Series, b: &model::result::Series) -> bool {
    a.name == b.name && a.tags == b.tags && a.columns == b.columns
}

/// The series of a chunk without its rows, to know it again.
fn head_of(series: &model::result::Series) -> model::result::Series {
    model::result::Series {
        name: series.name.clone(),
        tags: series.tags.clone(),
        columns: series.columns.clone(),
        rows: model::result::Rows::new(series.columns.len()),
    }
}

/// A list of texts where a format has one cell for it.
fn joined(list: &[String]) -> String {
    format!("[{}]", list.join(" "))
}

#[cfg(test)]
pub(crate) mod tests {
    use model::result::{Chunk, Message, Series, Value};

    use super::*;

    /// A series with one tag, and rows of a time and one more cell.
    pub(crate) fn series(name: &str, host: Option<&str>, rows: &[(i64, Value)]) -> Series {
        let mut series = Series::new(name, &["time", "v"]);
        series.tags = host.map(|host| ("host".to_owned(), host.to_owned())).into_iter().collect();
        for (time, value) in rows {
            series.rows.push([Value::time(*time), value.clone()]);
        }
        series
    }

    /// A piece of the answer of statement `id`.
    pub(crate) fn piece(id: usize, series: Series, series_continues: bool, statement_continues: bool) -> Chunk {
        Chunk { statement_id: id, series: Some(series), series_continues, statement_continues, ..Chunk::default() }
    }

    /// Three pieces of two series of one statement, a statement with nothing but a warning, and one that failed.
    pub(crate) fn story() -> Vec<Chunk> {
        let warning = Message { level: "warning", text: "mind <this>".to_owned() };
        vec![
            piece(0, series("m", Some("a"), &[(0, Value::Float(1.0)), (1, Value::Null)]), true, true),
            piece(0, series("m", Some("a"), &[(2, Value::Float(1e21))]), false, true),
            piece(0, series("m", Some("b"), &[(3_000_000_000, Value::text("x"))]), false, false),
            Chunk { messages: vec![warning], ..Chunk::empty(1) },
            Chunk::failed(2, "it \"broke\""),
            Chunk::empty(3),
        ]
    }

    /// All bytes of an answer, taken after each chunk in chunked mode and at the end otherwise.
    pub(crate) fn encode(format: Format, mode: Mode, time: TimeFormat, chunks: &[Chunk]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, mode, time);
        let mut bytes = Vec::new();
        for chunk in chunks {
            encoder.push(chunk);
            if mode == Mode::Chunked {
                bytes.extend(encoder.take());
            }
        }
        encoder.finish();
        bytes.extend(encoder.take());
        bytes
    }

    #[test]
    fn taking_often_or_once_gives_the_same_bytes() {
        let chunks: Vec<Chunk> = story().into_iter().filter(|chunk| chunk.error.is_none()).collect();
        for format in [Format::Json, Format::PrettyJson, Format::Csv, Format::MessagePack] {
            let once = encode(format, Mode::Whole, TimeFormat::Native, &chunks);
            let mut encoder = Encoder::new(format, Mode::Whole, TimeFormat::Native);
            let mut often = Vec::new();
            for chunk in &chunks {
                encoder.push(chunk);
                often.extend(encoder.take());
            }
            encoder.finish();
            often.extend(encoder.take());
            assert_eq!(often, once, "{format:?}");
            assert_eq!(encoder.ready(), 0);
        }
    }
}
