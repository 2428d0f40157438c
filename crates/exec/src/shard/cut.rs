//! Cutting the rows of a batch into windows.

use std::ops::Range;

use model::Timestamp;
use plan::Window;

/// The window key of a call that is not cut.
pub(crate) const WHOLE: i64 = 0;

/// Consecutive rows of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The start of the window.
    pub(crate) start: i64,
    /// Positions in the batch; not empty.
    pub(crate) rows: Range<usize>,
}

/// Finds the windows of ascending times.
#[derive(Debug)]
pub(crate) struct Cutter<'a> {
    window: Option<&'a Window>,
    /// The window that was found last.
    start: i64,
    end: i64,
}

impl<'a> Cutter<'a> {
    /// `None` cuts nothing: all rows are of the window [`WHOLE`].
    pub(crate) fn new(window: Option<&'a Window>) -> Cutter<'a> {
        Cutter { window, start: 0, end: 0 }
    }

    /// The window of an instant, as its start and end.
    #[inline]
    pub(crate) fn window(&mut self, time: i64) -> (i64, i64) {
        let Some(window) = self.window else { return (WHOLE, i64::MAX) };
        if self.start <= time && time < self.end {
            return (self.start, self.end);
        }
        let interval = window.interval_ns();
        let near = time.unsigned_abs() < 1 << 61 && interval < 1 << 61;
        if window.zone().is_none() && near {
            // Far from the ends of time nothing can overflow, and a window is plain arithmetic. It is mostly the next one.
            let next = self.start < self.end && self.end <= time && time - self.end < interval;
            let start = if next { self.end } else { time - (time - window.offset_ns()).rem_euclid(interval) };
            (self.start, self.end) = (start, start + interval);
        } else {
            let range = window.of(Timestamp(time));
            (self.start, self.end) = (range.start().0, range.end().0);
        }
        (self.start, self.end)
    }

    /// Cuts the rows at `positions` into windows and puts them into `spans`, which is emptied first.
    pub(crate) fn cut(&mut self, times: &[i64], positions: Range<usize>, spans: &mut Vec<Span>) {
        spans.clear();
        if self.window.is_none() {
            if !positions.is_empty() {
                spans.push(Span { start: WHOLE, rows: positions });
            }
            return;
        }
        let (mut at, mut count) = (positions.start, 1);
        while at < positions.end {
            let (start, end) = self.window(times[at]);
            // Points that come regularly are as many in each window.
            let guess = at + count;
            let hit = guess < positions.end && times[guess - 1] < end && times[guess] >= end;
            let next = if hit { guess } else { first_from(times, at + 1, positions.end, end) };
            spans.push(Span { start, rows: at..next });
            (at, count) = (next, next - at);
        }
    }
}

/// The first position in `from..until` whose time is not before `bound`, by steps that double.
#[inline]
fn first_from(times: &[i64], from: usize, until: usize, bound: i64) -> usize {
    let (mut low, mut step) = (from, 1);
    while low < until && times[low] < bound {
        let probe = low + step;
        if probe >= until || times[probe] >= bound {
            let high = probe.min(until);
            return low + times[low..high].partition_point(|time| *time < bound);
        }
        low = probe;
        step *= 2;
    }
    low
}

#[cfg(test)]
mod tests {
    use plan::Zone;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn every_row_is_in_its_window(
            mut times in prop::collection::vec(-500i64..500, 1..100),
            interval in 1i64..200,
            offset in -300i64..300,
        ) {
            times.sort_unstable();
            let window = Window::new(interval, offset, None).expect("a positive interval");
            let mut spans = Vec::new();
            Cutter::new(Some(&window)).cut(&times, 0..times.len(), &mut spans);
            let mut next = 0;
            for (index, span) in spans.iter().enumerate() {
                prop_assert_eq!(span.rows.start, next);
                next = span.rows.end;
                prop_assert!(index == 0 || spans[index - 1].start < span.start);
                for time in &times[span.rows.clone()] {
                    prop_assert_eq!(window.start(Timestamp(*time)).0, span.start);
                }
            }
            prop_assert_eq!(next, times.len());
        }
    }

    #[test]
    fn local_days_follow_the_clocks() {
        let hour = 3_600_000_000_000;
        let zone = Zone::get("America/Los_Angeles").expect("a zone");
        let window = Window::new(24 * hour, 0, Some(zone)).expect("a day");
        // 2010-03-14, when the clocks went forward, is an hour short.
        let midnight = 1_268_553_600_000_000_000;
        let times: Vec<i64> = (-24..48).map(|n| midnight + n * hour).collect();
        let mut spans = Vec::new();
        Cutter::new(Some(&window)).cut(&times, 0..times.len(), &mut spans);
        let lengths: Vec<usize> = spans.iter().map(|span| span.rows.len()).collect();
        assert_eq!(lengths, [24, 23, 24, 1]);
    }

    #[test]
    fn the_ends_of_time_are_in_windows() {
        let window = Window::new(7, 3, None).expect("seven nanoseconds");
        let mut cutter = Cutter::new(Some(&window));
        for time in [Timestamp::MIN.0, 0, Timestamp::MAX.0] {
            let (start, end) = cutter.window(time);
            assert!(start <= time && time < end, "{start} {time} {end}");
        }
    }
}
