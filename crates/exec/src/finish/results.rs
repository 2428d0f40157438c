//! The states of a call to its results: one for each window that has points, or several, or none.

use std::cmp::Ordering;

use model::{Column, ColumnData, FieldType, FieldValue};
use plan::{ColumnKind, Direction, FinishPlan, Function, RowTime, Stream};

use super::track::{Track, push_cell};
use super::{CallInputs, ColumnType, integral, merge};
use crate::error::ExecError;
use crate::run::Run;
use crate::state::selected::{Point, compare_values};
use crate::state::{Cells, Extent, Extreme, Points, Rule, SeriesRows, Sum};
use crate::states::{CallStates, States};

/// The results of a call by window, ascending.
#[derive(Debug)]
pub(super) struct Results {
    /// The window of each result.
    pub(super) starts: Vec<i64>,
    pub(super) track: Track,
}

const OTHER_STATES: ExecError = ExecError::Mismatch("states of another function");

/// The results of the call of `stream`.
pub(super) fn results(
    inputs: &CallInputs<'_>,
    stream: &Stream,
    plan: &FinishPlan,
    states: CallStates,
) -> Result<Results, ExecError> {
    let call = &inputs.calls[stream.call];
    let input = match inputs.shard.columns.get(call.column).map(|column| column.kind) {
        Some(ColumnKind::Field(field_type)) => field_type,
        _ => FieldType::String,
    };
    let output = call.function.output_type(input).ok_or(OTHER_STATES)?;
    if output != stream.call_type {
        return Err(OTHER_STATES);
    }
    let CallStates { rule, states } = states;
    let mut builder = Builder::new(stream.time, output, &inputs.auxiliary);
    let descending = plan.direction == Direction::Descending;
    match (&call.function, states) {
        (Function::Count, States::Count(run)) => {
            return plain(run, stream.time, |counts| integers(counts.map(|count| count as i64)));
        }
        (Function::Sum, States::FloatSum(run)) => {
            return plain(run, stream.time, |sums| floats(sums.map(|sum| sum.sum.value())));
        }
        (Function::Sum, States::IntegerSum(run)) => {
            return plain(run, stream.time, |sums| integers(sums.map(|sum| sum.sum)));
        }
        (Function::Sum, States::UnsignedSum(run)) => {
            return plain(run, stream.time, |sums| ColumnData::Unsigned(sums.map(|sum| sum.sum).collect()));
        }
        (Function::Mean, states) => return means(states, stream.time),
        (Function::Stddev, States::Moments(run)) => {
            return plain(run, stream.time, |moments| floats(moments.map(|moments| moments.deviation())));
        }
        (Function::Spread, states) => return spreads(states, stream.time),
        (Function::Min | Function::Max, States::FloatExtreme(run)) => {
            return plain(run, stream.time, |values| floats(values.map(|value| value.0.unwrap_or_default())));
        }
        (Function::Min | Function::Max, States::IntegerExtreme(run)) => {
            return plain(run, stream.time, |values| integers(values.map(|value| value.0.unwrap_or_default())));
        }
        (Function::Min | Function::Max, States::UnsignedExtreme(run)) => {
            let value = |value: Extreme<u64>| value.0.unwrap_or_default();
            return plain(run, stream.time, |values| ColumnData::Unsigned(values.map(value).collect()));
        }
        (Function::Min | Function::Max | Function::First | Function::Last, States::Selected(run)) => {
            for (start, selected) in run.into_states() {
                let point = selected.0.ok_or(OTHER_STATES)?;
                builder.point(start, &point)?;
            }
        }
        (Function::Median, states) => return medians(states, stream.time),
        (Function::Percentile { percent }, States::Points(run)) => {
            for (start, points) in run.into_states() {
                if let Some(point) = percentile_point(points, *percent, input)? {
                    builder.point(start, &point)?;
                }
            }
        }
        (Function::Percentile { percent }, states) => percentiles(&mut builder, states, *percent)?,
        (Function::CountDistinct, States::Tally(run)) => {
            return plain(run, stream.time, |tallies| integers(tallies.map(|tally| tally.len() as i64)));
        }
        (Function::Mode, States::Tally(run)) => {
            for (start, tally) in run.into_states() {
                builder.value(start, &tally.mode().ok_or(OTHER_STATES)?)?;
            }
        }
        (Function::Distinct, States::Tally(run)) => {
            for (start, tally) in run.into_states() {
                for value in tally.by_occurrence(plan.direction) {
                    builder.value(start, &value)?;
                }
            }
        }
        (Function::Sample { .. }, States::Sample(run)) => {
            for (start, sample) in run.into_states() {
                for point in sample.finish() {
                    builder.point(start, &point)?;
                }
            }
        }
        (Function::Top { .. } | Function::Bottom { .. }, States::Best(run)) => {
            let Rule::Best { pick, limit, .. } = rule else { return Err(OTHER_STATES) };
            for (start, best) in run.into_states() {
                for point in by_time(best.finish(pick, limit), descending) {
                    builder.point(start, &point)?;
                }
            }
        }
        (Function::Points, States::Points(run)) => {
            let (mut times, mut values) = merge::merge_points(all_rows(run), output, plan.direction, inputs.as_given)?;
            if descending {
                // Results ascend; the caller turns them round again.
                times.reverse();
                values = crate::columns::reverse(&values);
            }
            return Ok(Results { starts: times.clone(), track: Track::new(times, values) });
        }
        (Function::Integral { unit_ns }, States::Points(run)) => {
            let (times, values) = merge::merge_points(all_rows(run), input, Direction::Ascending, false)?;
            let areas = integral::areas(&times, &values, *unit_ns, plan.window.as_ref());
            for (start, area) in areas {
                builder.value(start, &FieldValue::Float(area))?;
            }
        }
        _ => return Err(OTHER_STATES),
    }
    Ok(builder.finish())
}

/// Builds results one by one.
struct Builder {
    time: RowTime,
    results: Results,
}

impl Builder {
    fn new(time: RowTime, output: FieldType, auxiliary: &[ColumnType]) -> Builder {
        let mut track = Track::empty(output);
        let column = |kind: &ColumnType| match kind {
            ColumnType::Field(field_type) => Column::new(*field_type),
            ColumnType::Tag => Column::new(FieldType::String),
        };
        track.auxiliary = auxiliary.iter().map(column).collect();
        Builder { time, results: Results { starts: Vec::new(), track } }
    }

    /// A result that is a point.
    fn point(&mut self, start: i64, point: &Point) -> Result<(), ExecError> {
        if point.aux.len() != self.results.track.auxiliary.len() {
            return Err(ExecError::Mismatch("a point with other cells"));
        }
        self.push(
            start,
            if self.time == RowTime::Point { point.time } else { row_time(self.time, start)? },
            &point.value,
        )?;
        for (column, cell) in self.results.track.auxiliary.iter_mut().zip(&point.aux) {
            push_cell(column, cell.as_ref())?;
        }
        Ok(())
    }

    /// A result that is a value of a window.
    fn value(&mut self, start: i64, value: &FieldValue) -> Result<(), ExecError> {
        self.push(start, row_time(self.time, start)?, value)?;
        self.results.track.auxiliary.iter_mut().for_each(|column| column.pad_to(column.len() + 1));
        Ok(())
    }

    fn push(&mut self, start: i64, time: i64, value: &FieldValue) -> Result<(), ExecError> {
        self.results.starts.push(start);
        self.results.track.times.push(time);
        push_cell(&mut self.results.track.values, Some(value))
    }

    fn finish(self) -> Results {
        self.results
    }
}

/// The time of a result that is no point.
fn row_time(time: RowTime, start: i64) -> Result<i64, ExecError> {
    match time {
        RowTime::Window => Ok(start),
        RowTime::Fixed(at) => Ok(at.0),
        RowTime::Point => Err(ExecError::Mismatch("the time of a point that is not kept")),
    }
}

type Values<'a, S> = Box<dyn Iterator<Item = S> + 'a>;

/// One result for each state.
fn plain<S: 'static>(
    run: Run<S>,
    time: RowTime,
    data: impl FnOnce(Values<'_, S>) -> ColumnData,
) -> Result<Results, ExecError> {
    let starts = run.starts().to_vec();
    let times = starts.iter().map(|start| row_time(time, *start)).collect::<Result<Vec<i64>, _>>()?;
    let data = data(Box::new(run.into_states().map(|(_, state)| state)));
    let values = Column::from_parts(data, None).expect("a column without gaps");
    Ok(Results { starts, track: Track::new(times, values) })
}

fn floats(values: impl Iterator<Item = f64>) -> ColumnData {
    ColumnData::Float(values.collect())
}

fn integers(values: impl Iterator<Item = i64>) -> ColumnData {
    ColumnData::Integer(values.collect())
}

fn means(states: States, time: RowTime) -> Result<Results, ExecError> {
    match states {
        States::FloatSum(run) => plain(run, time, |sums| floats(sums.map(|sum| sum.sum.value() / sum.count as f64))),
        States::IntegerSum(run) => {
            plain(run, time, |sums| floats(sums.map(|Sum { sum, count }| sum as f64 / count as f64)))
        }
        States::UnsignedSum(run) => {
            plain(run, time, |sums| floats(sums.map(|Sum { sum, count }| sum as f64 / count as f64)))
        }
        _ => Err(OTHER_STATES),
    }
}

fn spreads(states: States, time: RowTime) -> Result<Results, ExecError> {
    match states {
        States::FloatExtent(run) => {
            plain(run, time, |extents| floats(extents.map(|extent| extent.0.map_or(0.0, |(min, max)| max - min))))
        }
        States::IntegerExtent(run) => plain(run, time, |extents| {
            integers(extents.map(|extent| extent.0.map_or(0, |(min, max)| max.wrapping_sub(min))))
        }),
        States::UnsignedExtent(run) => plain(run, time, |extents| {
            let spread = |extent: Extent<u64>| extent.0.map_or(0, |(min, max)| max.wrapping_sub(min));
            ColumnData::Unsigned(extents.map(spread).collect())
        }),
        _ => Err(OTHER_STATES),
    }
}

fn medians(states: States, time: RowTime) -> Result<Results, ExecError> {
    match states {
        States::FloatValues(run) => plain(run, time, |lists| {
            floats(lists.map(|mut values| {
                let (low, high) = middle(&mut values, f64::total_cmp);
                if values.len() % 2 == 1 { high } else { low + (high - low) / 2.0 }
            }))
        }),
        States::IntegerValues(run) => plain(run, time, |lists| {
            floats(lists.map(|mut values| {
                let (low, high) = middle(&mut values, i64::cmp);
                if values.len() % 2 == 1 { high as f64 } else { low as f64 + high.wrapping_sub(low) as f64 / 2.0 }
            }))
        }),
        States::UnsignedValues(run) => plain(run, time, |lists| {
            floats(lists.map(|mut values| {
                let (low, high) = middle(&mut values, u64::cmp);
                if values.len() % 2 == 1 { high as f64 } else { low as f64 + high.wrapping_sub(low) as f64 / 2.0 }
            }))
        }),
        _ => Err(OTHER_STATES),
    }
}

/// The two values beside the middle of a list, were it sorted; of an odd number the second is the middle itself.
fn middle<T: Copy + Default>(values: &mut [T], order: impl Fn(&T, &T) -> Ordering) -> (T, T) {
    if values.is_empty() {
        return (T::default(), T::default());
    }
    let (below, high, _) = values.select_nth_unstable_by(values.len() / 2, &order);
    let low = below.iter().copied().max_by(&order).unwrap_or(*high);
    (low, *high)
}

/// The index of the nearest rank in a sorted list; `None` outside.
fn rank(count: usize, percent: f64) -> Option<usize> {
    let index = (count as f64 * percent / 100.0 + 0.5).floor() - 1.0;
    (index >= 0.0 && index < count as f64).then_some(index as usize)
}

fn percentiles(builder: &mut Builder, states: States, percent: f64) -> Result<(), ExecError> {
    match states {
        States::FloatValues(run) => {
            for (start, mut values) in run.into_states() {
                if let Some(index) = rank(values.len(), percent) {
                    let (_, value, _) = values.select_nth_unstable_by(index, f64::total_cmp);
                    builder.value(start, &FieldValue::Float(*value))?;
                }
            }
        }
        States::IntegerValues(run) => {
            for (start, mut values) in run.into_states() {
                if let Some(index) = rank(values.len(), percent) {
                    let (_, value, _) = values.select_nth_unstable(index);
                    builder.value(start, &FieldValue::Integer(*value))?;
                }
            }
        }
        States::UnsignedValues(run) => {
            for (start, mut values) in run.into_states() {
                if let Some(index) = rank(values.len(), percent) {
                    let (_, value, _) = values.select_nth_unstable(index);
                    builder.value(start, &FieldValue::Unsigned(*value))?;
                }
            }
        }
        _ => return Err(OTHER_STATES),
    }
    Ok(())
}

/// The point of the nearest rank by value, of equal values by time and series.
fn percentile_point(points: Points, percent: f64, input: FieldType) -> Result<Option<Point>, ExecError> {
    let mut all: Vec<(FieldValue, i64, usize, usize)> = Vec::new();
    for (piece, rows) in points.0.iter().enumerate() {
        let Some(Cells::Field(values)) = rows.columns.first() else { return Err(OTHER_STATES) };
        if values.field_type() != input {
            return Err(OTHER_STATES);
        }
        let valid = (0..values.len()).filter_map(|row| Some((values.get(row)?, rows.times[row], piece, row)));
        all.extend(valid);
    }
    let Some(index) = rank(all.len(), percent) else { return Ok(None) };
    let (_, chosen, _) = all.select_nth_unstable_by(index, |a, b| {
        let key = |piece: usize| &points.0[piece].key;
        compare_values(&a.0, &b.0).then(a.1.cmp(&b.1)).then_with(|| key(a.2).cmp(key(b.2)))
    });
    let (value, time, piece, row) = chosen.clone();
    let rows = &points.0[piece];
    let aux = rows.columns[1..].iter().map(|cells| cell(cells, row)).collect();
    Ok(Some(Point { value, time, key: rows.key.clone(), aux }))
}

fn cell(cells: &Cells, row: usize) -> Option<FieldValue> {
    match cells {
        Cells::Field(column) => column.get(row),
        Cells::Tag(value) => value.as_ref().map(|value| FieldValue::String(value.to_vec())),
    }
}

fn all_rows(run: Run<Points>) -> Vec<SeriesRows> {
    run.into_states().flat_map(|(_, points)| points.0).collect()
}

/// Points, best first, in order of time; of one time the better first. Turned round if the caller turns them again.
fn by_time(mut best_first: Vec<Point>, descending: bool) -> Vec<Point> {
    if descending {
        best_first.reverse();
    }
    best_first.sort_by_key(|point| point.time);
    best_first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        assert_eq!(rank(10, 50.0), Some(4));
        assert_eq!(rank(10, 100.0), Some(9));
        assert_eq!(rank(10, 0.0), None);
        assert_eq!(rank(10, 101.0), Some(9));
        assert_eq!(rank(10, 120.0), None);
        assert_eq!(rank(0, 50.0), None);
        assert_eq!(rank(3, f64::NAN), None);
    }

    #[test]
    fn the_middle_of_an_even_number_is_between() {
        assert_eq!(middle(&mut [3, 1, 2], i32::cmp), (1, 2));
        assert_eq!(middle(&mut [4, 1, 3, 2], i32::cmp), (2, 3));
        assert_eq!(middle(&mut [7], i32::cmp), (7, 7));
    }
}
