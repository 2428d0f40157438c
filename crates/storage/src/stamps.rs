//! The stamps of rows: few different ones, many rows.

use std::ops::Range;
use std::sync::Arc;

use model::Stamp;

/// One stamp a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamps {
    distinct: Arc<[Stamp]>,
    /// For each row the place in `distinct`; `None` when all rows have the first.
    rows: Option<Vec<u32>>,
}

impl Stamps {
    /// The same stamp for all rows.
    pub(crate) fn one(stamp: Stamp) -> Stamps {
        Stamps { distinct: Arc::new([stamp]), rows: None }
    }

    /// From stamps that hold from a row on. The first must start at row 0.
    pub(crate) fn from_spans(spans: &[(u32, Stamp)], row_count: usize) -> Stamps {
        let mut distinct: Vec<Stamp> = spans.iter().map(|(_, stamp)| *stamp).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() <= 1 {
            return Stamps::one(distinct.first().copied().unwrap_or(Stamp::ZERO));
        }
        let mut rows = Vec::with_capacity(row_count);
        for (index, (_, stamp)) in spans.iter().enumerate() {
            let end = spans.get(index + 1).map_or(row_count, |(start, _)| *start as usize);
            let place = distinct.binary_search(stamp).expect("collected above") as u32;
            rows.resize(end, place);
        }
        Stamps { distinct: distinct.into(), rows: Some(rows) }
    }

    /// The stamp of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Stamp {
        match &self.rows {
            None => self.distinct[0],
            Some(rows) => self.distinct[rows[row] as usize],
        }
    }

    /// The stamps of the rows that `order` names.
    pub(crate) fn gathered(&self, order: &[u32]) -> Stamps {
        let rows = self.rows.as_ref().map(|rows| order.iter().map(|row| rows[*row as usize]).collect());
        Stamps { distinct: self.distinct.clone(), rows }
    }

    /// The stamps of the rows in `range`.
    pub(crate) fn sliced(&self, range: Range<usize>) -> Stamps {
        let Some(rows) = &self.rows else { return self.clone() };
        let rows = &rows[range];
        match rows.first() {
            Some(first) if rows.iter().all(|row| row == first) => Stamps::one(self.distinct[*first as usize]),
            _ => Stamps { distinct: self.distinct.clone(), rows: Some(rows.to_vec()) },
        }
    }

    /// The stamp that all rows have.
    #[cfg(test)]
    pub(crate) fn single(&self) -> Option<Stamp> {
        self.rows.is_none().then(|| self.distinct[0])
    }

    /// About how many bytes they take in memory.
    pub(crate) fn byte_count(&self) -> usize {
        self.distinct.len() * 16 + self.rows.as_ref().map_or(0, |rows| rows.len() * 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(clock: u64) -> Stamp {
        Stamp { clock, coordinator: 1 }
    }

    #[test]
    fn spans_become_rows() {
        let stamps = Stamps::from_spans(&[(0, stamp(5)), (2, stamp(3)), (3, stamp(5))], 5);
        let clocks = |stamps: &Stamps, count| (0..count).map(|row| stamps.get(row).clock).collect::<Vec<_>>();
        assert_eq!(clocks(&stamps, 5), [5, 5, 3, 5, 5]);
        assert_eq!(clocks(&stamps.gathered(&[2, 0]), 2), [3, 5]);
        assert_eq!(stamps.sliced(3..5).single(), Some(stamp(5)));
        assert_eq!(stamps.single(), None);
        assert_eq!(Stamps::from_spans(&[(0, stamp(5)), (2, stamp(5))], 5).single(), Some(stamp(5)));
    }
}
