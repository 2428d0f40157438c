//! What a statement answers: series of rows, messages, or an error.
//!
//! An answer flows in chunks, so that a large one is never whole in memory. A chunk belongs to one statement; the
//! series of consecutive chunks with the same name, tags and columns are one series that was cut.

use std::sync::Arc;

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// No value; also what a NaN or an infinity becomes.
    #[default]
    Null,
    /// A double.
    Float(f64),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// Text. Bytes that are no UTF-8 were replaced before.
    String(Arc<str>),
    /// True or false.
    Boolean(bool),
    /// An instant, and the offset in seconds east of UTC in which it is printed as text.
    Time {
        /// Nanoseconds since the epoch.
        ns: i64,
        /// Seconds east of UTC: 0 unless the query has `tz()`.
        offset: i32,
    },
    /// A list of texts, as in `SHOW SUBSCRIPTIONS`.
    List(Arc<[String]>),
}

impl Value {
    /// An instant in UTC.
    pub fn time(ns: i64) -> Value {
        Value::Time { ns, offset: 0 }
    }

    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }
}

/// Rows of equal width, end to end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    width: usize,
    cells: Vec<Value>,
}

impl Rows {
    /// No rows of `width` cells.
    pub fn new(width: usize) -> Rows {
        Rows { width, cells: Vec::new() }
    }

    /// Rows from their cells, end to end.
    ///
    /// # Panics
    /// When the last row is cut short.
    pub fn from_cells(width: usize, cells: Vec<Value>) -> Rows {
        assert!(if width == 0 { cells.is_empty() } else { cells.len().is_multiple_of(width) }, "rows are whole");
        Rows { width, cells }
    }

    /// Cells in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Appends one row.
    ///
    /// # Panics
    /// When it has another width.
    pub fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        let before = self.cells.len();
        self.cells.extend(row);
        assert_eq!(self.cells.len() - before, self.width, "every row has as many cells as there are columns");
    }

    /// Row `index`, which must be below `len`.
    pub fn row(&self, index: usize) -> &[Value] {
        &self.cells[index * self.width..(index + 1) * self.width]
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Value]> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// Moves all rows of `other`, which has the same width, to the end.
    pub fn append(&mut self, other: &mut Rows) {
        assert_eq!(self.width, other.width, "rows of one series have one width");
        self.cells.append(&mut other.cells);
    }

    /// Cuts off all rows from `at` on and returns them.
    pub fn split_off(&mut self, at: usize) -> Rows {
        Rows { width: self.width, cells: self.cells.split_off((at * self.width).min(self.cells.len())) }
    }

    /// The cells, end to end.
    pub fn into_cells(self) -> Vec<Value> {
        self.cells
    }
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The measurement, or what the statement calls its answer; empty when it has no name.
    pub name: String,
    /// The values of `GROUP BY` tags, sorted by key. Empty when there is no grouping.
    pub tags: Vec<(String, String)>,
    /// Column names; `time` first in answers of `SELECT`.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Rows,
}

impl Series {
    /// A series without rows.
    pub fn new(name: impl Into<String>, columns: &[&str]) -> Series {
        Series {
            name: name.into(),
            tags: Vec::new(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Rows::new(columns.len()),
        }
    }
}

/// Something a statement wants the user to know besides its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `warning`.
    pub level: &'static str,
    /// One sentence.
    pub text: String,
}

/// A part of the answer of one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Which statement of the request, from 0 on.
    pub statement_id: usize,
    /// One series or a piece of one; `None` for a statement without any.
    pub series: Option<Series>,
    /// Whether more rows of the same series follow in the next chunk.
    pub series_continues: bool,
    /// Whether more chunks of the same statement follow.
    pub statement_continues: bool,
    /// Messages; only in the first chunk of a statement.
    pub messages: Vec<Message>,
    /// Why the statement failed; then there is no series.
    pub error: Option<String>,
}

impl Chunk {
    /// The whole answer of a statement that answers nothing.
    pub fn empty(statement_id: usize) -> Chunk {
        Chunk { statement_id, ..Chunk::default() }
    }

    /// The whole answer of a statement that failed.
    pub fn failed(statement_id: usize, error: impl Into<String>) -> Chunk {
        Chunk { statement_id, error: Some(error.into()), ..Chunk::default() }
    }

    /// The whole answer of a statement, one chunk a series; one empty chunk when there is none.
    pub fn all(statement_id: usize, series: Vec<Series>) -> Vec<Chunk> {
        if series.is_empty() {
            return vec![Chunk::empty(statement_id)];
        }
        let last = series.len() - 1;
        let chunk = |(index, series)| Chunk {
            statement_id,
            series: Some(series),
            statement_continues: index < last,
            ..Chunk::default()
        };
        series.into_iter().enumerate().map(chunk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_and_joined() {
        let mut rows = Rows::new(2);
        for n in 0..3 {
            rows.push([Value::time(n), Value::Integer(n)]);
        }
        let mut tail = rows.split_off(1);
        assert_eq!((rows.len(), tail.len()), (1, 2));
        rows.append(&mut tail);
        assert_eq!(rows.row(2), [Value::time(2), Value::Integer(2)]);
    }

    #[test]
    fn an_answer_without_series_is_one_empty_chunk() {
        assert_eq!(Chunk::all(3, vec![]), [Chunk::empty(3)]);
        let two = Chunk::all(0, vec![Series::new("a", &["x"]), Series::new("b", &["x"])]);
        assert_eq!(two.iter().map(|chunk| chunk.statement_continues).collect::<Vec<_>>(), [true, false]);
    }
}
