//! The most rows that one document may have.

use model::result::Chunk;

/// Whether more chunks are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More may come.
    More,
    /// This chunk is the last one.
    Last,
}

/// Counts rows and cuts the answer off.
#[derive(Debug)]
pub(crate) struct RowLimit {
    left: usize,
}

impl RowLimit {
    /// At most `row_count_max` rows; 0 means any number.
    pub(crate) fn new(row_count_max: usize) -> RowLimit {
        RowLimit { left: if row_count_max == 0 { usize::MAX } else { row_count_max } }
    }

    /// Cuts `chunk` down to what is left. A series that lost rows says that it continues, which tells the client.
    pub(crate) fn apply(&mut self, chunk: &mut Chunk) -> Verdict {
        let Some(series) = &mut chunk.series else { return Verdict::More };
        if series.rows.len() > self.left {
            series.rows.split_off(self.left);
            chunk.series_continues = true;
        }
        self.left -= series.rows.len();
        if self.left > 0 { Verdict::More } else { Verdict::Last }
    }
}

#[cfg(test)]
mod tests {
    use model::result::Value;

    use super::super::tests::{piece, series};
    use super::*;

    fn rows(count: i64) -> Chunk {
        let rows: Vec<(i64, Value)> = (0..count).map(|time| (time, Value::Null)).collect();
        piece(0, series("m", None, &rows), false, false)
    }

    #[test]
    fn a_series_that_is_cut_says_so() {
        let mut limit = RowLimit::new(5);
        let mut first = rows(3);
        assert_eq!(limit.apply(&mut first), Verdict::More);
        assert!(!first.series_continues);
        let mut second = rows(3);
        assert_eq!(limit.apply(&mut second), Verdict::Last);
        assert_eq!((second.series.expect("kept").rows.len(), second.series_continues), (2, true));
    }

    #[test]
    fn a_series_that_just_fits_ends_the_answer_too() {
        let mut limit = RowLimit::new(3);
        let mut chunk = rows(3);
        assert_eq!((limit.apply(&mut chunk), chunk.series_continues), (Verdict::Last, false));
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(RowLimit::new(0).apply(&mut rows(100)), Verdict::More);
        assert_eq!(RowLimit::new(1).apply(&mut Chunk::empty(0)), Verdict::More);
    }
}
