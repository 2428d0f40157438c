//! `integral`: the area under the line through the points.
//!
//! The line goes through the points of all series in order of time; of several points at one time the last counts. Where
//! a window ends between two points, the line is cut there and each part of the area goes to its side, except that the
//! windows in between get none: what lies beyond the end of a window belongs to the window of the next point.

use model::{Column, ColumnData, Timestamp};
use plan::{Direction, FinishPlan};

/// The area of each window that has one, as (start, area), ascending by start; of one "window" at 0 without
/// `GROUP BY time`. `times` are in the order of the answer.
pub(super) fn areas(times: &[i64], values: &Column, unit_ns: i64, plan: &FinishPlan) -> Vec<(i64, f64)> {
    let values = as_floats(values);
    let mut areas = Vec::new();
    let mut points = times.iter().copied().zip(values);
    let Some(first) = points.next() else { return areas };
    let window = |time: i64| match (&plan.window, plan.direction) {
        (None, _) => (0, None),
        (Some(window), Direction::Ascending) => {
            let range = window.of(Timestamp(time));
            (range.start().0, Some(range.end().0))
        }
        (Some(window), Direction::Descending) => {
            let range = window.of(Timestamp(time));
            (range.end().0, Some(range.start().0))
        }
    };
    let passed = |time: i64, end: Option<i64>| match plan.direction {
        Direction::Ascending => end.is_some_and(|end| time >= end),
        Direction::Descending => end.is_some_and(|end| time <= end),
    };
    let (mut start, mut end) = window(first.0);
    let (mut time, mut value) = first;
    let mut sum = 0.0;
    for (next_time, next) in points {
        if next_time != time {
            if let Some(edge) = end.filter(|_| passed(next_time, end)) {
                if time != edge {
                    let slope = (next - value) / (next_time - time) as f64;
                    let at_edge = slope * (edge - time) as f64 + value;
                    sum += 0.5 * (at_edge + value) * ((edge - time) as f64 / unit_ns as f64);
                    (time, value) = (edge, at_edge);
                }
                areas.push((start, sum));
                (start, end) = window(next_time);
                sum = 0.0;
            }
            sum += 0.5 * (next + value) * ((next_time - time) as f64 / unit_ns as f64);
        }
        (time, value) = (next_time, next);
    }
    if time != start {
        areas.push((start, sum));
    }
    if plan.direction == Direction::Descending {
        areas.reverse();
    }
    areas
}

fn as_floats(values: &Column) -> Vec<f64> {
    match values.data() {
        ColumnData::Float(values) => values.clone(),
        ColumnData::Integer(values) => values.iter().map(|value| *value as f64).collect(),
        ColumnData::Unsigned(values) => values.iter().map(|value| *value as f64).collect(),
        ColumnData::String(_) | ColumnData::Boolean(_) => Vec::new(),
    }
}
