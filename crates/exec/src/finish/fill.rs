//! What stands in the windows of a call that have no result.

use model::{Column, ColumnData, FieldValue, TimeRange, Timestamp};
use plan::{Direction, Fill, FinishPlan, Stream, Window};

use super::results::Results;
use super::track::Track;
use crate::error::{Budget, ExecError};

/// Windows that are filled between two looks at the budget.
const WINDOWS_A_CHECK: usize = 4_096;

/// The results in the order of the answer, with all windows of the range of the stream if it fills.
///
/// No more rows are made than LIMIT and OFFSET let through, unless a transformation follows.
pub(super) fn fill(
    found: Results,
    stream: &Stream,
    plan: &FinishPlan,
    budget: &mut dyn Budget,
) -> Result<Track, ExecError> {
    let Results { starts, mut track } = found;
    let (Some(window), false) = (&plan.window, stream.fill == Fill::None || track.len() == 0) else {
        if plan.direction == Direction::Descending {
            track.reverse();
        }
        return Ok(track);
    };
    let most = match plan.limit {
        // A line goes to the next result, wherever that is.
        Some(limit) if stream.transforms.is_empty() && stream.fill != Fill::Linear => {
            usize::try_from(limit.saturating_add(plan.offset)).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    };
    let mut grid = Grid::new(window, stream.range, &starts, plan.direction);
    let mut places = Places { times: Vec::new(), picks: Vec::new(), interval_ns: window.interval_ns() };
    let mut results = Ordered { starts: &starts, direction: plan.direction, taken: 0 };
    while places.times.len() < most {
        let Some(start) = grid.next() else { break };
        if places.times.len().is_multiple_of(WINDOWS_A_CHECK) {
            budget.rows(WINDOWS_A_CHECK).map_err(ExecError::Refused)?;
            budget.grow(WINDOWS_A_CHECK * 32).map_err(ExecError::Refused)?;
        }
        let mut has_result = false;
        while let Some(index) = results.next_until(start) {
            has_result |= starts[index] == start;
            places.times.push(track.times[index]);
            places.picks.push(Some(index));
        }
        if !has_result {
            places.times.push(start);
            places.picks.push(None);
        }
    }
    // A subquery may have rows after the range: predictions.
    while let Some(index) = results.next_until(results.end()).filter(|_| places.times.len() < most) {
        places.times.push(track.times[index]);
        places.picks.push(Some(index));
    }
    places.into_track(&track, &stream.fill)
}

/// The starts of the windows of a range, in the order of the answer.
struct Grid<'a> {
    window: &'a Window,
    direction: Direction,
    /// The window that comes next.
    next: Option<TimeRange>,
    first: Timestamp,
    last: Timestamp,
}

impl<'a> Grid<'a> {
    /// `starts`, which are not empty, decide where the grid begins if the range has no beginning.
    fn new(window: &'a Window, range: TimeRange, starts: &[i64], direction: Direction) -> Grid<'a> {
        let first = if range.start() <= Timestamp::MIN { Timestamp(starts[0]) } else { window.start(range.start()) };
        let last = Timestamp(range.end().0 - 1);
        let next = match direction {
            Direction::Ascending => window.of(first),
            Direction::Descending => window.of(last),
        };
        Grid { window, direction, next: Some(next), first, last }
    }

    fn next(&mut self) -> Option<i64> {
        let now = self.next.take()?;
        self.next = match self.direction {
            Direction::Ascending => (now.end() <= self.last).then(|| self.after(now)),
            Direction::Descending => (now.start() > self.first).then(|| self.before(now)),
        };
        Some(now.start().0)
    }

    fn after(&self, now: TimeRange) -> TimeRange {
        if self.window.zone().is_none() {
            let end = now.end().0.saturating_add(self.window.interval_ns());
            if let Some(next) = TimeRange::new(now.end(), Timestamp(end)) {
                return next;
            }
        }
        self.window.of(now.end())
    }

    fn before(&self, now: TimeRange) -> TimeRange {
        self.window.of(Timestamp(now.start().0 - 1))
    }
}

/// The results in the order of the answer, as indexes.
struct Ordered<'a> {
    starts: &'a [i64],
    direction: Direction,
    taken: usize,
}

impl Ordered<'_> {
    fn index(&self, place: usize) -> usize {
        match self.direction {
            Direction::Ascending => place,
            Direction::Descending => self.starts.len() - 1 - place,
        }
    }

    /// After every window.
    fn end(&self) -> i64 {
        if self.direction == Direction::Ascending { i64::MAX } else { i64::MIN }
    }

    /// The next result, if its window is `start` or comes before it.
    fn next_until(&mut self, start: i64) -> Option<usize> {
        if self.taken == self.starts.len() {
            return None;
        }
        let index = self.index(self.taken);
        let due = match self.direction {
            Direction::Ascending => self.starts[index] <= start,
            Direction::Descending => self.starts[index] >= start,
        };
        due.then(|| {
            self.taken += 1;
            index
        })
    }
}

/// The rows of a filled track: which result stands there, if one does.
struct Places {
    times: Vec<i64>,
    picks: Vec<Option<usize>>,
    interval_ns: i64,
}

impl Places {
    fn into_track(self, found: &Track, fill: &Fill) -> Result<Track, ExecError> {
        if let Fill::Value(value) = fill
            && value.field_type() != found.values.field_type()
        {
            return Err(ExecError::Mismatch("a fill of another type"));
        }
        let mut values = Column::new(found.values.field_type());
        let mut auxiliary: Vec<Column> =
            found.auxiliary.iter().map(|column| Column::new(column.field_type())).collect();
        for (row, pick) in self.picks.iter().enumerate() {
            match (pick, fill) {
                (Some(index), _) => values.push_from(&found.values, *index),
                (None, Fill::Value(value)) => values.push(value),
                (None, Fill::Previous) => match row.checked_sub(1).and_then(|before| values.get(before)) {
                    Some(value) => values.push(&value),
                    None => values.pad_to(row + 1),
                },
                (None, _) => values.pad_to(row + 1),
            }
            for (column, from) in auxiliary.iter_mut().zip(&found.auxiliary) {
                match pick {
                    Some(index) => column.push_from(from, *index),
                    None => column.pad_to(row + 1),
                }
            }
        }
        if *fill == Fill::Linear {
            values = self.interpolated(&values);
        }
        Ok(Track { times: self.times, values, auxiliary })
    }

    /// Lines between the values of neighbours.
    fn interpolated(&self, values: &Column) -> Column {
        let known: Vec<usize> = (0..values.len()).filter(|row| self.picks[*row].is_some()).collect();
        let mut out = Column::new(values.field_type());
        let mut right = 0;
        for row in 0..values.len() {
            while right < known.len() && known[right] < row {
                right += 1;
            }
            let between =
                (right > 0 && right < known.len() && known[right] != row).then(|| (known[right - 1], known[right]));
            match between.and_then(|(left, right)| self.on_line(values, row, left, right)) {
                Some(value) => out.push(&value),
                None => out.push_from(values, row),
            }
        }
        out
    }

    fn on_line(&self, values: &Column, row: usize, left: usize, right: usize) -> Option<FieldValue> {
        if !values.is_valid(left) || !values.is_valid(right) {
            return None;
        }
        // In windows rather than nanoseconds, so that an integer on the line is met exactly.
        let windows = |from: usize, to: usize| {
            ((i128::from(self.times[to]) - i128::from(self.times[from])) / i128::from(self.interval_ns)) as f64
        };
        let line = |a: f64, b: f64| (b - a) / windows(left, right) * windows(left, row) + a;
        match values.data() {
            ColumnData::Float(values) => Some(FieldValue::Float(line(values[left], values[right]))),
            ColumnData::Integer(values) => {
                Some(FieldValue::Integer(line(values[left] as f64, values[right] as f64) as i64))
            }
            ColumnData::Unsigned(values) => {
                Some(FieldValue::Unsigned(line(values[left] as f64, values[right] as f64) as u64))
            }
            ColumnData::String(_) | ColumnData::Boolean(_) => None,
        }
    }
}
