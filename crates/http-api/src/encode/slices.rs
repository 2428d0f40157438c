//! Chunks of any size cut and joined to the size that the client asked for.
//!
//! A query hands over rows as they come. In chunked mode a client expects documents of exactly `chunk_size` rows, but
//! for the last of a series. Rows are held until a document is full or its series ends; nothing else waits.

use std::collections::VecDeque;

use model::result::{Chunk, Rows, Series};

use super::{head_of, same_series};

/// Cuts and joins.
#[derive(Debug)]
pub(crate) struct Slices {
    row_count: usize,
    held: Option<Chunk>,
    full: VecDeque<Chunk>,
}

impl Slices {
    /// Documents of `row_count` rows, which is not 0.
    pub(crate) fn new(row_count: usize) -> Slices {
        assert!(row_count > 0, "a document has rows");
        Slices { row_count, held: None, full: VecDeque::new() }
    }

    /// Takes the next chunk in.
    pub(crate) fn push(&mut self, mut chunk: Chunk) {
        if let Some(mut held) = self.held.take() {
            match (&mut held.series, &mut chunk.series) {
                (Some(before), Some(series))
                    if held.statement_id == chunk.statement_id && same_series(before, series) =>
                {
                    before.rows.append(&mut series.rows);
                    std::mem::swap(before, series);
                    held.messages.append(&mut chunk.messages);
                    chunk.messages = held.messages;
                }
                // The series ended without saying so.
                _ => self.full.push_back(Chunk { series_continues: false, ..held }),
            }
        }
        self.cut(&mut chunk);
        let row_count = chunk.series.as_ref().map_or(0, |series| series.rows.len());
        if chunk.series_continues && chunk.error.is_none() && row_count < self.row_count {
            self.held = Some(chunk);
        } else {
            self.full.push_back(chunk);
        }
    }

    /// Takes whole documents off the front of `chunk`, as long as something is left of it.
    fn cut(&mut self, chunk: &mut Chunk) {
        let Some(series) = chunk.series.as_mut().filter(|series| series.rows.len() > self.row_count) else { return };
        let width = series.rows.width();
        let head = head_of(series);
        let document_count = series.rows.len().div_ceil(self.row_count);
        let mut cells = std::mem::take(&mut series.rows).into_cells().into_iter();
        for _ in 1..document_count {
            let rows = Rows::from_cells(width, cells.by_ref().take(width * self.row_count).collect());
            self.full.push_back(Chunk {
                statement_id: chunk.statement_id,
                series: Some(Series { rows, ..head.clone() }),
                series_continues: true,
                statement_continues: true,
                messages: std::mem::take(&mut chunk.messages),
                error: None,
            });
        }
        series.rows = Rows::from_cells(width, cells.collect());
    }

    /// Says that no chunk comes any more.
    pub(crate) fn finish(&mut self) {
        self.full.extend(self.held.take());
    }

    /// The next document.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use model::result::{Message, Value};

    use super::super::tests::{piece, series};
    use super::*;

    fn rows(id: usize, name: &str, count: i64, series_continues: bool, statement_continues: bool) -> Chunk {
        let rows: Vec<(i64, Value)> = (0..count).map(|time| (time, Value::Null)).collect();
        piece(id, series(name, None, &rows), series_continues, statement_continues)
    }

    /// Each document as `id name rows`, with a star where the series and a plus where the statement goes on.
    fn sliced(row_count: usize, chunks: Vec<Chunk>) -> Vec<String> {
        let mut slices = Slices::new(row_count);
        let mut documents = Vec::new();
        let mut drain = |slices: &mut Slices| {
            while let Some(chunk) = slices.pop() {
                let series = chunk.series.unwrap_or_default();
                let star = if chunk.series_continues { "*" } else { "" };
                let plus = if chunk.statement_continues { "+" } else { "" };
                let error = chunk.error.unwrap_or_default();
                documents.push(format!(
                    "{} {}{} {star}{plus}{error}",
                    chunk.statement_id,
                    series.name,
                    series.rows.len()
                ));
            }
        };
        for chunk in chunks {
            slices.push(chunk);
            drain(&mut slices);
        }
        slices.finish();
        drain(&mut slices);
        documents
    }

    #[test]
    fn large_chunks_are_cut() {
        let got = sliced(2, vec![rows(0, "a", 5, false, true), rows(0, "b", 2, false, false)]);
        assert_eq!(got, ["0 a2 *+", "0 a2 *+", "0 a1 +", "0 b2 "]);
    }

    #[test]
    fn small_chunks_are_joined() {
        let chunks = vec![
            rows(0, "a", 1, true, true),
            rows(0, "a", 2, true, true),
            rows(0, "a", 1, false, true),
            rows(0, "b", 1, false, false),
            Chunk::empty(1),
        ];
        assert_eq!(sliced(3, chunks), ["0 a3 *+", "0 a1 +", "0 b1 ", "1 0 "]);
    }

    #[test]
    fn chunks_of_the_right_size_pass() {
        let chunks = vec![rows(0, "a", 2, true, true), rows(0, "a", 2, false, false)];
        assert_eq!(sliced(2, chunks), ["0 a2 *+", "0 a2 "]);
    }

    #[test]
    fn what_is_held_comes_before_an_error() {
        let chunks = vec![rows(0, "a", 1, true, true), Chunk::failed(0, "no")];
        assert_eq!(sliced(5, chunks), ["0 a1 +", "0 0 no"]);
    }

    #[test]
    fn messages_stay_in_front() {
        let mut first = rows(0, "a", 1, true, true);
        first.messages.push(Message { level: "warning", text: "w".to_owned() });
        let mut slices = Slices::new(10);
        slices.push(first);
        slices.push(rows(0, "a", 1, false, false));
        assert_eq!(slices.pop().map(|chunk| chunk.messages.len()), Some(1));
    }
}
