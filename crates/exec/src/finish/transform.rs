//! Functions of the values of a stream in their order.
//!
//! Values arrive in the order of the answer. Under `ORDER BY time DESC` "previous" is therefore the later value, and a
//! derivative divides by the absolute time between the two.

mod averages;
mod holt_winters;
mod oscillators;

use model::{Column, ColumnData, FieldType};
use plan::{Direction, Transform};

use super::track::Track;
use crate::columns::{self, as_floats};
use crate::error::{Budget, ExecError};
use crate::kernel::Mask;
use crate::sum::DoubleSum;

/// What `step` makes of a track. Nulls do not take part.
pub(super) fn transform(
    step: &Transform,
    track: Track,
    direction: Direction,
    budget: &mut dyn Budget,
) -> Result<Track, ExecError> {
    budget.rows(track.len()).map_err(ExecError::Refused)?;
    let input = without_nulls(track);
    let field_type = input.values.field_type();
    let output = step.output_type(field_type).ok_or(ExecError::Mismatch("a transformation of another type"))?;
    let track = match step {
        Transform::Derivative { unit_ns, non_negative } => derivative(&input, *unit_ns, *non_negative, direction),
        Transform::Difference { non_negative } => difference(&input, *non_negative),
        Transform::Elapsed { unit_ns } => elapsed(&input, *unit_ns),
        Transform::CumulativeSum => cumulative_sum(input),
        Transform::MovingAverage { count } => moving_average(&input, *count),
        Transform::Exponential { kind, period, hold, warmup } => {
            averages::exponential(&input, *kind, *period, *hold, *warmup)
        }
        Transform::RelativeStrengthIndex { period, hold, warmup } => {
            oscillators::relative_strength(&input, *period, *hold, *warmup)
        }
        Transform::ChandeMomentumOscillator { period, hold, warmup } => {
            oscillators::chande_momentum(&input, *period, *hold, *warmup)
        }
        Transform::Kaufmans { adaptive, period, hold } => oscillators::kaufmans(&input, *adaptive, *period, *hold),
        Transform::HoltWinters { count, season, with_fit, interval_ns } => {
            let shape =
                holt_winters::Shape { count: *count, season: *season, with_fit: *with_fit, interval_ns: *interval_ns };
            holt_winters::holt_winters(&input, &shape, budget)?
        }
    };
    debug_assert_eq!(track.values.field_type(), output);
    Ok(track)
}

fn without_nulls(track: Track) -> Track {
    let Some(bits) = track.values.validity() else { return Track { auxiliary: Vec::new(), ..track } };
    let mask = Mask::of(Some(bits));
    let all = 0..track.times.len();
    let times = columns::pick_slice(&track.times, mask, all.clone());
    let values = columns::pick(&track.values, mask, all);
    Track::new(times, values)
}

fn column(data: ColumnData) -> Column {
    Column::from_parts(data, None).expect("a column without gaps")
}

/// Pairs of indexes of a value and the one before it; values at the time of the one before are passed over.
fn steps(times: &[i64]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut previous = 0;
    (1..times.len())
        .filter(move |index| times[*index] != times[index - 1])
        .map(move |index| (std::mem::replace(&mut previous, index), index))
}

fn derivative(input: &Track, unit_ns: i64, non_negative: bool, direction: Direction) -> Track {
    let (mut times, mut out) = (Vec::new(), Vec::new());
    for (before, index) in steps(&input.times) {
        let change = match input.values.data() {
            ColumnData::Float(values) => values[index] - values[before],
            ColumnData::Integer(values) => values[index].wrapping_sub(values[before]) as f64,
            ColumnData::Unsigned(values) if values[index] >= values[before] => (values[index] - values[before]) as f64,
            ColumnData::Unsigned(values) => -((values[before] - values[index]) as f64),
            ColumnData::String(_) | ColumnData::Boolean(_) => continue,
        };
        if non_negative && change < 0.0 {
            continue;
        }
        let passed = input.times[index].wrapping_sub(input.times[before]);
        let passed = if direction == Direction::Descending { passed.wrapping_neg() } else { passed };
        times.push(input.times[index]);
        out.push(change / (passed as f64 / unit_ns as f64));
    }
    Track::new(times, column(ColumnData::Float(out)))
}

fn difference(input: &Track, non_negative: bool) -> Track {
    let keep = |fell: bool| !(non_negative && fell);
    let mut kept = Vec::new();
    macro_rules! changes {
        ($values:expr, $change:expr) => {{
            let values = $values;
            let mut out = Vec::new();
            for (before, index) in steps(&input.times) {
                if keep(values[index] < values[before]) {
                    kept.push(input.times[index]);
                    out.push($change(values[index], values[before]));
                }
            }
            out
        }};
    }
    let data = match input.values.data() {
        ColumnData::Float(values) => ColumnData::Float(changes!(values, |a: f64, b: f64| a - b)),
        ColumnData::Integer(values) => ColumnData::Integer(changes!(values, i64::wrapping_sub)),
        ColumnData::Unsigned(values) => ColumnData::Unsigned(changes!(values, u64::wrapping_sub)),
        ColumnData::String(_) | ColumnData::Boolean(_) => ColumnData::new(input.values.field_type()),
    };
    Track::new(kept, column(data))
}

fn elapsed(input: &Track, unit_ns: i64) -> Track {
    let unit = unit_ns.max(1);
    let passed = input.times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) / unit).collect();
    Track::new(input.times.get(1..).unwrap_or_default().to_vec(), column(ColumnData::Integer(passed)))
}

fn cumulative_sum(input: Track) -> Track {
    let data = match input.values.data() {
        ColumnData::Float(values) => {
            let mut sum = DoubleSum::ZERO;
            let mut add = |value: &f64| {
                sum.add(*value);
                sum.value()
            };
            ColumnData::Float(values.iter().map(&mut add).collect())
        }
        ColumnData::Integer(values) => {
            let mut sum = 0i64;
            let mut add = |value: &i64| {
                sum = sum.wrapping_add(*value);
                sum
            };
            ColumnData::Integer(values.iter().map(&mut add).collect())
        }
        ColumnData::Unsigned(values) => {
            let mut sum = 0u64;
            let mut add = |value: &u64| {
                sum = sum.wrapping_add(*value);
                sum
            };
            ColumnData::Unsigned(values.iter().map(&mut add).collect())
        }
        ColumnData::String(_) | ColumnData::Boolean(_) => return Track::empty(FieldType::Float),
    };
    Track::new(input.times, column(data))
}

fn moving_average(input: &Track, count: u64) -> Track {
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    if input.len() < count {
        return Track::empty(FieldType::Float);
    }
    let out = match input.values.data() {
        ColumnData::Integer(values) => integer_averages(values, count),
        _ => {
            let values = as_floats(&input.values);
            let mut sum = DoubleSum::of(&values[..count]);
            let mut out = vec![sum.value() / count as f64];
            for index in count..values.len() {
                sum.add(values[index]);
                sum.add(-values[index - count]);
                out.push(sum.value() / count as f64);
            }
            out
        }
    };
    Track::new(input.times[count - 1..].to_vec(), column(ColumnData::Float(out)))
}

fn integer_averages(values: &[i64], count: usize) -> Vec<f64> {
    let mut sum = values[..count].iter().fold(0i64, |sum, value| sum.wrapping_add(*value));
    let mut out = vec![sum as f64 / count as f64];
    for index in count..values.len() {
        sum = sum.wrapping_add(values[index]).wrapping_sub(values[index - count]);
        out.push(sum as f64 / count as f64);
    }
    out
}

/// Values that come after the first `hold`.
fn held_back(input: &Track, values: Vec<f64>, hold: usize) -> Track {
    let from = hold.min(values.len());
    Track::new(input.times[from..].to_vec(), column(ColumnData::Float(values[from..].to_vec())))
}

fn size(period: u64) -> usize {
    usize::try_from(period).unwrap_or(usize::MAX)
}
