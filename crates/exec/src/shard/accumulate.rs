//! Folding the rows of one series after another into the states of a call.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use model::{Column, ColumnData, FieldType, FieldValue, Tags};
use plan::{Function, PartialCall};

use super::cut::Span;
use crate::columns;
use crate::error::ExecError;
use crate::evaluate::Vector;
use crate::kernel::{self, Mask, Ordered};
use crate::run::{Folding, Run};
use crate::source::{FieldSummary, SummarySum};
use crate::state::best::{key_of, lot};
use crate::state::selected::{Point, compare_values};
use crate::state::{
    Best, Cells, Extent, Extreme, Moments, Pick, Points, Rule, Sample, Selected, SeriesRows, Sum, Tally,
};
use crate::states::{CallStates, States};
use crate::sum::DoubleSum;

/// The rows of one batch as one call sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRows<'a> {
    pub(crate) times: &'a [i64],
    /// Whether the times descend. Then there is one span.
    pub(crate) descending: bool,
    pub(crate) column: &'a Column,
    /// The rows that pass the condition and have a value.
    pub(crate) mask: Mask<'a>,
    pub(crate) spans: &'a [Span],
    pub(crate) key: &'a Arc<[u8]>,
    pub(crate) tags: &'a Tags,
    pub(crate) auxiliary: &'a [Vector<'a>],
}

impl CallRows<'_> {
    fn data(&self) -> &ColumnData {
        self.column.data()
    }

    /// The value of a row that has one.
    fn value(&self, index: usize) -> FieldValue {
        match self.data() {
            ColumnData::Float(values) => FieldValue::Float(values[index]),
            ColumnData::Integer(values) => FieldValue::Integer(values[index]),
            ColumnData::Unsigned(values) => FieldValue::Unsigned(values[index]),
            ColumnData::Boolean(values) => FieldValue::Boolean(values[index]),
            ColumnData::String(values) => FieldValue::String(values.get(index).to_vec()),
        }
    }

    fn point(&self, index: usize, value: FieldValue) -> Point {
        let cell = |vector: &Vector<'_>| match vector {
            Vector::Constant(value) => value.clone(),
            Vector::Column(column) => column.get(index),
        };
        let aux = self.auxiliary.iter().map(cell).collect();
        Point { value, time: self.times[index], key: Arc::clone(self.key), aux }
    }

    fn rows(&self, range: Range<usize>) -> SeriesRows {
        let times = columns::pick_slice(self.times, self.mask, range.clone());
        let value = Cells::Field(columns::pick(self.column, self.mask, range.clone()));
        let auxiliary = self.auxiliary.iter().map(|vector| match vector {
            Vector::Constant(Some(FieldValue::String(text))) => Cells::Tag(Some(text.as_slice().into())),
            Vector::Constant(_) => Cells::Tag(None),
            Vector::Column(column) => Cells::Field(columns::pick(column, self.mask, range.clone())),
        });
        SeriesRows { key: Arc::clone(self.key), times, columns: std::iter::once(value).chain(auxiliary).collect() }
    }
}

/// The states of one call while series are read.
pub(crate) trait Accumulate {
    /// Takes the rows of a batch in. Returns how many bytes more are kept.
    fn add(&mut self, rows: &CallRows<'_>) -> usize;

    /// Whether what is known of the values of a batch of series `key` is enough.
    fn takes_summary(&self, summary: &FieldSummary, key: &Arc<[u8]>) -> bool;

    /// Takes in what is known of a batch, at least one row of which has a value, all in the window that starts at
    /// `start`.
    fn add_summary(&mut self, start: i64, summary: &FieldSummary, key: &Arc<[u8]>);

    /// The rows of a series are over.
    fn end_series(&mut self);

    /// The states of all rows.
    fn finish(self: Box<Self>) -> CallStates;
}

struct Accumulator<S, A, B> {
    folding: Folding<S>,
    windows: usize,
    rule: Rule,
    wrap: fn(Run<S>) -> States,
    /// Takes in the rows of a window, at least one of which counts. Returns the bytes it keeps beside the state itself.
    add: A,
    /// Takes in a summary. `false` when that is not enough, and then nothing was changed.
    summary: B,
}

impl<S, A, B> Accumulate for Accumulator<S, A, B>
where
    S: Default,
    A: Fn(&mut S, &CallRows<'_>, Range<usize>) -> usize,
    B: Fn(&mut S, &FieldSummary, &Arc<[u8]>) -> bool,
{
    fn add(&mut self, rows: &CallRows<'_>) -> usize {
        let mut bytes = 0;
        for span in rows.spans {
            if rows.mask.any(span.rows.clone()) {
                bytes += (self.add)(self.folding.slot(span.start), rows, span.rows.clone());
            }
        }
        let grown = self.folding.len() - self.windows;
        self.windows += grown;
        bytes + grown * (size_of::<S>() + size_of::<i64>())
    }

    fn takes_summary(&self, summary: &FieldSummary, key: &Arc<[u8]>) -> bool {
        (self.summary)(&mut S::default(), summary, key)
    }

    fn add_summary(&mut self, start: i64, summary: &FieldSummary, key: &Arc<[u8]>) {
        let taken = (self.summary)(self.folding.slot(start), summary, key);
        debug_assert!(taken, "asked before");
    }

    fn end_series(&mut self) {
        self.folding.end_series();
    }

    fn finish(self: Box<Self>) -> CallStates {
        CallStates { rule: self.rule, states: (self.wrap)(self.folding.into_run()) }
    }
}

fn boxed<S: Default + 'static>(
    rule: Rule,
    wrap: fn(Run<S>) -> States,
    add: impl Fn(&mut S, &CallRows<'_>, Range<usize>) -> usize + 'static,
    summary: impl Fn(&mut S, &FieldSummary, &Arc<[u8]>) -> bool + 'static,
) -> Box<dyn Accumulate> {
    Box::new(Accumulator { folding: Folding::default(), windows: 0, rule, wrap, add, summary })
}

fn no_summary<S>(_: &mut S, _: &FieldSummary, _: &Arc<[u8]>) -> bool {
    false
}

/// The states of `call` over a column of `input`. With `bare` only the values matter, not their times and rows.
pub(crate) fn accumulator(call: &PartialCall, input: FieldType, bare: bool) -> Result<Box<dyn Accumulate>, ExecError> {
    if call.function.output_type(input).is_none() {
        return Err(ExecError::Mismatch("a function over a type it does not take"));
    }
    Ok(match &call.function {
        Function::Count => count(),
        Function::Sum | Function::Mean => sum(input),
        Function::Min if bare && input.is_numeric() => extreme(Pick::Min, input),
        Function::Max if bare && input.is_numeric() => extreme(Pick::Max, input),
        Function::Min => selected_extreme(Pick::Min, call.auxiliary.is_empty()),
        Function::Max => selected_extreme(Pick::Max, call.auxiliary.is_empty()),
        Function::First => selected_end(Pick::First, call.auxiliary.is_empty()),
        Function::Last => selected_end(Pick::Last, call.auxiliary.is_empty()),
        Function::Spread => extent(input),
        Function::Stddev => moments(),
        Function::Median => values(input),
        Function::Percentile { .. } if bare => values(input),
        Function::Percentile { .. } | Function::Integral { .. } | Function::Points => points(),
        Function::Mode | Function::Distinct | Function::CountDistinct => tally(),
        Function::Sample { count } => sample(limit(*count)),
        Function::Top { count, by } => best(Pick::Max, limit(*count), by),
        Function::Bottom { count, by } => best(Pick::Min, limit(*count), by),
    })
}

/// Whether the states of a call are not cut into windows, because the values on both sides of a cut matter.
pub(crate) fn is_uncut(function: &Function) -> bool {
    matches!(function, Function::Integral { .. } | Function::Points)
}

fn limit(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).max(1)
}

fn count() -> Box<dyn Accumulate> {
    boxed(
        Rule::Plain,
        States::Count,
        |state, rows, range| {
            *state += rows.mask.count(range) as u64;
            0
        },
        |state, summary, _| {
            *state += summary.count;
            summary.count > 0
        },
    )
}

fn sum(input: FieldType) -> Box<dyn Accumulate> {
    match input {
        FieldType::Float => {
            boxed(Rule::Plain, States::FloatSum, add_float_sum, |state: &mut Sum<DoubleSum>, summary, _| {
                let Some(SummarySum::Float(hi, lo)) = summary.sum.filter(|_| summary.count > 0) else { return false };
                state.sum.merge(DoubleSum::from_parts(hi, lo));
                state.count += summary.count;
                true
            })
        }
        FieldType::Integer => boxed(
            Rule::Plain,
            States::IntegerSum,
            |state: &mut Sum<i64>, rows, range| {
                let ColumnData::Integer(values) = rows.data() else { return 0 };
                state.sum = state.sum.wrapping_add(kernel::sum_integers(values, rows.mask, range.clone()));
                state.count += rows.mask.count(range) as u64;
                0
            },
            |state, summary, _| {
                let Some(SummarySum::Integer(sum)) = summary.sum.filter(|_| summary.count > 0) else { return false };
                state.sum = state.sum.wrapping_add(sum);
                state.count += summary.count;
                true
            },
        ),
        _ => boxed(
            Rule::Plain,
            States::UnsignedSum,
            |state: &mut Sum<u64>, rows, range| {
                let ColumnData::Unsigned(values) = rows.data() else { return 0 };
                state.sum = state.sum.wrapping_add(kernel::sum_unsigned(values, rows.mask, range.clone()));
                state.count += rows.mask.count(range) as u64;
                0
            },
            |state, summary, _| {
                let Some(SummarySum::Unsigned(sum)) = summary.sum.filter(|_| summary.count > 0) else { return false };
                state.sum = state.sum.wrapping_add(sum);
                state.count += summary.count;
                true
            },
        ),
    }
}

fn add_float_sum(state: &mut Sum<DoubleSum>, rows: &CallRows<'_>, range: Range<usize>) -> usize {
    let ColumnData::Float(values) = rows.data() else { return 0 };
    state.count += rows.mask.count(range.clone()) as u64;
    state.sum.merge(kernel::sum_floats(values, rows.mask, range));
    0
}

/// A number as it lies in a column and in a single value.
trait Typed: Ordered + Default + 'static {
    fn slice(data: &ColumnData) -> Option<&[Self]>;
    fn of(value: &FieldValue) -> Option<Self>;
}

macro_rules! typed {
    ($kind:ty, $variant:ident) => {
        impl Typed for $kind {
            fn slice(data: &ColumnData) -> Option<&[$kind]> {
                if let ColumnData::$variant(values) = data { Some(values) } else { None }
            }

            fn of(value: &FieldValue) -> Option<$kind> {
                if let FieldValue::$variant(value) = value { Some(*value) } else { None }
            }
        }
    };
}

typed!(f64, Float);
typed!(i64, Integer);
typed!(u64, Unsigned);

fn extreme(pick: Pick, input: FieldType) -> Box<dyn Accumulate> {
    match input {
        FieldType::Float => typed_extreme::<f64>(pick, States::FloatExtreme),
        FieldType::Integer => typed_extreme::<i64>(pick, States::IntegerExtreme),
        _ => typed_extreme::<u64>(pick, States::UnsignedExtreme),
    }
}

fn typed_extreme<T: Typed>(pick: Pick, wrap: fn(Run<Extreme<T>>) -> States) -> Box<dyn Accumulate> {
    let join = move |a: Option<T>, b: Option<T>| match (a, b) {
        (Some(a), Some(b)) => Some(if pick == Pick::Max { a.larger(b) } else { a.smaller(b) }),
        (a, b) => a.or(b),
    };
    boxed(
        Rule::Pick(pick),
        wrap,
        move |state, rows, range| {
            let found = T::slice(rows.data()).and_then(|values| match pick {
                Pick::Max => kernel::largest(values, rows.mask, range),
                _ => kernel::smallest(values, rows.mask, range),
            });
            state.0 = join(state.0, found);
            0
        },
        move |state, summary, _| {
            let known = if pick == Pick::Max { &summary.max } else { &summary.min };
            let Some(value) = known.as_ref().and_then(|known| T::of(&known.0)) else { return false };
            state.0 = join(state.0, Some(value));
            true
        },
    )
}

fn extent(input: FieldType) -> Box<dyn Accumulate> {
    match input {
        FieldType::Float => typed_extent::<f64>(States::FloatExtent),
        FieldType::Integer => typed_extent::<i64>(States::IntegerExtent),
        _ => typed_extent::<u64>(States::UnsignedExtent),
    }
}

fn typed_extent<T: Typed>(wrap: fn(Run<Extent<T>>) -> States) -> Box<dyn Accumulate> {
    let widen = |state: &mut Extent<T>, min: T, max: T| {
        let (low, high) = state.0.unwrap_or((min, max));
        state.0 = Some((low.smaller(min), high.larger(max)));
    };
    boxed(
        Rule::Plain,
        wrap,
        move |state, rows, range| {
            let Some(values) = T::slice(rows.data()) else { return 0 };
            let min = kernel::smallest(values, rows.mask, range.clone());
            if let (Some(min), Some(max)) = (min, kernel::largest(values, rows.mask, range)) {
                widen(state, min, max);
            }
            0
        },
        move |state, summary, _| {
            let value = |known: &Option<(FieldValue, i64)>| known.as_ref().and_then(|known| T::of(&known.0));
            let (Some(min), Some(max)) = (value(&summary.min), value(&summary.max)) else { return false };
            widen(state, min, max);
            true
        },
    )
}

/// Bytes of a point beside the place of its state.
fn point_bytes(point: &Point) -> usize {
    point.aux.len() * size_of::<Option<FieldValue>>()
}

/// Bytes of one of many points.
fn many_point_bytes(rows: &CallRows<'_>) -> usize {
    size_of::<Point>() + rows.auxiliary.len() * size_of::<Option<FieldValue>>()
}

fn selected_extreme(pick: Pick, alone: bool) -> Box<dyn Accumulate> {
    boxed(
        Rule::Pick(pick),
        States::Selected,
        move |state, rows, range| {
            let Some((index, value)) = find_extreme(pick, rows, range, state.0.as_ref()) else { return 0 };
            if !state.yields_to(pick, &value, rows.times[index], rows.key) {
                return 0;
            }
            let fresh = state.0.is_none();
            let point = state.0.insert(rows.point(index, value));
            if fresh { point_bytes(point) } else { 0 }
        },
        move |state, summary, key| alone && select_known(state, pick, summary, key),
    )
}

/// The position and value of the extreme of a window; `None` when it is worse than what is known.
fn find_extreme(
    pick: Pick,
    rows: &CallRows<'_>,
    range: Range<usize>,
    known: Option<&Point>,
) -> Option<(usize, FieldValue)> {
    let value = extreme_value(pick, rows, range.clone())?;
    let order = known.map_or(Ordering::Equal, |known| compare_values(&value, &known.value));
    if order == if pick == Pick::Max { Ordering::Less } else { Ordering::Greater } {
        return None;
    }
    let index = match (rows.data(), &value) {
        (ColumnData::Float(values), FieldValue::Float(wanted)) => {
            kernel::position_of(values, rows.mask, range, *wanted)
        }
        (ColumnData::Integer(values), FieldValue::Integer(wanted)) => {
            kernel::position_of(values, rows.mask, range, *wanted)
        }
        (ColumnData::Unsigned(values), FieldValue::Unsigned(wanted)) => {
            kernel::position_of(values, rows.mask, range, *wanted)
        }
        (ColumnData::Boolean(values), FieldValue::Boolean(wanted)) => {
            rows.mask.positions(range).find(|index| values[*index] == *wanted)
        }
        _ => None,
    }?;
    Some((index, value))
}

fn extreme_value(pick: Pick, rows: &CallRows<'_>, range: Range<usize>) -> Option<FieldValue> {
    let max = pick == Pick::Max;
    let mask = rows.mask;
    match rows.data() {
        ColumnData::Float(values) if max => kernel::largest(values, mask, range).map(FieldValue::Float),
        ColumnData::Float(values) => kernel::smallest(values, mask, range).map(FieldValue::Float),
        ColumnData::Integer(values) if max => kernel::largest(values, mask, range).map(FieldValue::Integer),
        ColumnData::Integer(values) => kernel::smallest(values, mask, range).map(FieldValue::Integer),
        ColumnData::Unsigned(values) if max => kernel::largest(values, mask, range).map(FieldValue::Unsigned),
        ColumnData::Unsigned(values) => kernel::smallest(values, mask, range).map(FieldValue::Unsigned),
        ColumnData::Boolean(values) => {
            let found = mask.positions(range.clone()).any(|index| values[index] == max);
            mask.first(range).map(|_| FieldValue::Boolean(found == max))
        }
        ColumnData::String(_) => None,
    }
}

/// Takes in the point that a summary names.
fn select_known(state: &mut Selected, pick: Pick, summary: &FieldSummary, key: &Arc<[u8]>) -> bool {
    let known = match pick {
        Pick::Min => &summary.min,
        Pick::Max => &summary.max,
        Pick::First => &summary.first,
        Pick::Last => &summary.last,
    };
    let Some((value, time)) = known else { return false };
    if state.yields_to(pick, value, *time, key) {
        state.0 = Some(Point { value: value.clone(), time: *time, key: Arc::clone(key), aux: Box::default() });
    }
    true
}

fn selected_end(pick: Pick, alone: bool) -> Box<dyn Accumulate> {
    boxed(
        Rule::Pick(pick),
        States::Selected,
        move |state, rows, range| {
            let forward = (pick == Pick::First) != rows.descending;
            let found = if forward { rows.mask.first(range.clone()) } else { rows.mask.last(range.clone()) };
            let Some(end) = found else { return 0 };
            let time = rows.times[end];
            let too_late = |known: &Point| if pick == Pick::First { known.time < time } else { known.time > time };
            if state.0.as_ref().is_some_and(too_late) {
                return 0;
            }
            // The rows of a subquery may have one time; stored rows have not.
            let beside = [end.wrapping_sub(1), end + 1].into_iter().filter(|index| range.contains(index));
            let alone = beside.map(|index| rows.times[index]).all(|other| other != time);
            let candidates = if alone { end..end + 1 } else { range };
            let mut bytes = 0;
            for index in rows.mask.positions(candidates).filter(|index| rows.times[*index] == time) {
                let value = rows.value(index);
                if state.yields_to(pick, &value, time, rows.key) {
                    let fresh = state.0.is_none();
                    let point = state.0.insert(rows.point(index, value));
                    bytes += if fresh { point_bytes(point) } else { 0 };
                }
            }
            bytes
        },
        move |state, summary, key| alone && select_known(state, pick, summary, key),
    )
}

fn moments() -> Box<dyn Accumulate> {
    boxed(
        Rule::Plain,
        States::Moments,
        |state: &mut Moments, rows, range| {
            match rows.data() {
                ColumnData::Float(values) => kernel::each_slice(values, rows.mask, range, |slice| state.add(slice)),
                ColumnData::Integer(values) => kernel::each_slice(values, rows.mask, range, |slice| {
                    state.add(&slice.iter().map(|value| *value as f64).collect::<Vec<f64>>());
                }),
                ColumnData::Unsigned(values) => kernel::each_slice(values, rows.mask, range, |slice| {
                    state.add(&slice.iter().map(|value| *value as f64).collect::<Vec<f64>>());
                }),
                _ => {}
            }
            0
        },
        no_summary,
    )
}

fn values(input: FieldType) -> Box<dyn Accumulate> {
    match input {
        FieldType::Float => typed_values::<f64>(States::FloatValues),
        FieldType::Integer => typed_values::<i64>(States::IntegerValues),
        _ => typed_values::<u64>(States::UnsignedValues),
    }
}

fn typed_values<T: Typed>(wrap: fn(Run<Vec<T>>) -> States) -> Box<dyn Accumulate> {
    boxed(
        Rule::Plain,
        wrap,
        |state: &mut Vec<T>, rows, range| {
            let Some(values) = T::slice(rows.data()) else { return 0 };
            let before = state.len();
            kernel::each_slice(values, rows.mask, range, |slice| state.extend_from_slice(slice));
            (state.len() - before) * size_of::<T>()
        },
        no_summary,
    )
}

fn tally() -> Box<dyn Accumulate> {
    boxed(
        Rule::Plain,
        States::Tally,
        |state: &mut Tally, rows, range| {
            let before = state.len();
            state.add(rows.data(), rows.times, rows.mask.positions(range));
            (state.len() - before) * 96
        },
        no_summary,
    )
}

fn points() -> Box<dyn Accumulate> {
    boxed(
        Rule::Plain,
        States::Points,
        |state: &mut Points, rows, range| {
            let points = rows.rows(range);
            let bytes = points.times.len() * 16 * points.columns.len() + 64;
            state.0.push(points);
            bytes
        },
        no_summary,
    )
}

fn best(pick: Pick, limit: usize, by: &[Vec<u8>]) -> Box<dyn Accumulate> {
    let rule = Rule::Best { pick, limit, by_key: !by.is_empty() };
    if by.is_empty() {
        return boxed(
            rule,
            States::Best,
            move |state, rows, range| add_best(state, rows, range, pick, limit),
            no_summary,
        );
    }
    let by = by.to_vec();
    let add = move |state: &mut Best, rows: &CallRows<'_>, range: Range<usize>| {
        // All rows of a series have one key, so only the best of them can count.
        let Some((index, value)) = find_extreme(pick, rows, range, None) else { return 0 };
        let key = key_of(rows.tags, &by);
        if !state.wants_of_key(&key, pick, &value, rows.times[index], rows.key) {
            return 0;
        }
        let before = state.len();
        state.add_of_key(&key, rows.point(index, value), pick);
        (state.len() - before) * (many_point_bytes(rows) + key.len())
    };
    boxed(rule, States::Best, add, no_summary)
}

fn add_best(state: &mut Best, rows: &CallRows<'_>, range: Range<usize>, pick: Pick, limit: usize) -> usize {
    let before = state.len();
    for index in rows.mask.positions(range) {
        let value = rows.value(index);
        if state.wants(pick, limit, &value, rows.times[index], rows.key) {
            state.add(rows.point(index, value), pick, limit);
        }
    }
    (state.len() - before) * many_point_bytes(rows)
}

fn sample(limit: usize) -> Box<dyn Accumulate> {
    boxed(
        Rule::Sample { limit },
        States::Sample,
        move |state: &mut Sample, rows, range| {
            let before = state.len();
            for index in rows.mask.positions(range) {
                if state.wants(limit, lot(rows.key, rows.times[index])) {
                    state.add(rows.point(index, rows.value(index)), limit);
                }
            }
            (state.len() - before) * many_point_bytes(rows)
        },
        no_summary,
    )
}
