//! `integral`: the area under the line through the points.
//!
//! The line goes through the points of all series in order of time; of several points at one time the last counts. Where
//! a window ends between two points, the line is cut there and each part of the area goes to its side, except that the
//! windows in between get none: what lies beyond the end of a window belongs to the window of the next point.

use model::{Column, Timestamp};
use plan::Window;

use crate::columns::as_floats;

/// The area of each window that has one, as (start, area), ascending by start; of one "window" at 0 without
/// `GROUP BY time`. `times` ascend, whatever the order of the answer: the reference gives an area another sign, and windows
/// twice, when rows descend.
pub(super) fn areas(times: &[i64], values: &Column, unit_ns: i64, window: Option<&Window>) -> Vec<(i64, f64)> {
    let values = as_floats(values);
    let mut areas = Vec::new();
    let mut points = times.iter().copied().zip(values);
    let Some(first) = points.next() else { return areas };
    let window = |time: i64| match window.map(|window| window.of(Timestamp(time))) {
        None => (0, None),
        Some(range) => (range.start().0, Some(range.end().0)),
    };
    let (mut start, mut end) = window(first.0);
    let (mut time, mut value) = first;
    let mut sum = 0.0;
    for (next_time, next) in points {
        if next_time != time {
            if let Some(edge) = end.filter(|end| next_time >= *end) {
                if time != edge {
                    let at_edge = (next - value) / passed(time, next_time) * passed(time, edge) + value;
                    sum += 0.5 * (at_edge + value) * (passed(time, edge) / unit_ns as f64);
                    (time, value) = (edge, at_edge);
                }
                areas.push((start, sum));
                (start, end) = window(next_time);
                sum = 0.0;
            }
            sum += 0.5 * (next + value) * (passed(time, next_time) / unit_ns as f64);
        }
        (time, value) = (next_time, next);
    }
    if time != start {
        areas.push((start, sum));
    }
    areas
}

/// Nanoseconds between two times, which may be all of time apart.
fn passed(from: i64, to: i64) -> f64 {
    (i128::from(to) - i128::from(from)) as f64
}

#[cfg(test)]
mod tests {
    use model::ColumnData;

    use super::*;

    fn check(points: &[(i64, f64)], window: Option<i64>, want: &[(i64, f64)]) {
        let times: Vec<i64> = points.iter().map(|point| point.0).collect();
        let values = ColumnData::Float(points.iter().map(|point| point.1).collect());
        let values = Column::from_parts(values, None).expect("no gaps");
        let window = window.map(|interval| Window::new(interval, 0, None).expect("positive"));
        assert_eq!(areas(&times, &values, 1, window.as_ref()), want);
    }

    #[test]
    fn the_whole_area_stands_at_zero() {
        check(&[(1, 1.0), (3, 3.0), (4, 3.0)], None, &[(0, 7.0)]);
        check(&[(5, 1.0)], None, &[(0, 0.0)]);
        check(&[(0, 1.0)], None, &[]);
        check(&[], None, &[]);
    }

    #[test]
    fn of_points_at_one_time_the_last_counts() {
        check(&[(1, 1.0), (2, 9.0), (2, 1.0), (3, 1.0)], None, &[(0, 6.0)]);
    }

    #[test]
    fn the_line_is_cut_at_the_end_of_a_window() {
        check(&[(0, 0.0), (19, 19.0)], Some(10), &[(0, 50.0), (10, 130.5)]);
        // The windows between two points get nothing; theirs goes to the later point.
        check(&[(5, 2.0), (35, 2.0)], Some(10), &[(0, 10.0), (30, 50.0)]);
        check(&[(5, 2.0), (10, 2.0)], Some(10), &[(0, 10.0)]);
    }
}
