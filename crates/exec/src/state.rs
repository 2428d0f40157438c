//! What is known about the points of one call in one window, and how two such states are joined.
//!
//! Joining is associative and does not depend on order, so that a group's points may be cut in any way over batches,
//! series, shards and nodes. Where several points could be the answer, a rule that looks only at the points decides:
//! value, time, then series key.

pub(crate) mod best;
pub(crate) mod selected;
pub(crate) mod tally;

use std::ops::Range;
use std::sync::Arc;

use model::Column;

use crate::bytes::{DecodeError, Reader, Writer};
use crate::columns;
use crate::kernel::Ordered;
use crate::run::Run;
use crate::sum::{DoubleSum, SquareLanes};

pub(crate) use best::{Best, Sample};
pub(crate) use selected::{Pick, Selected};
pub(crate) use tally::Tally;

/// What a state needs to know of its call to be joined with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Plain,
    /// Which point is kept.
    Pick(Pick),
    /// `top` and `bottom`: the order of the points and how many are kept; `by_key`: one of each key.
    Best { pick: Pick, limit: usize, by_key: bool },
    /// How many points are kept.
    Sample { limit: usize },
}

/// A state of a window. The default is that of a window without points, which is never kept.
pub(crate) trait State: Default + Clone {
    fn merge(&mut self, other: Self, rule: Rule);
    fn encode(&self, out: &mut Writer);
    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Self, DecodeError>;
}

impl State for u64 {
    fn merge(&mut self, other: u64, _: Rule) {
        *self = self.saturating_add(other);
    }

    fn encode(&self, out: &mut Writer) {
        out.u64(*self);
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<u64, DecodeError> {
        input.u64()
    }
}

/// A sum and how many values it has; also what a mean is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum<T> {
    pub(crate) sum: T,
    pub(crate) count: u64,
}

macro_rules! wrapping_sum {
    ($kind:ty, $method:ident) => {
        impl State for Sum<$kind> {
            fn merge(&mut self, other: Sum<$kind>, rule: Rule) {
                self.sum = self.sum.wrapping_add(other.sum);
                self.count.merge(other.count, rule);
            }

            fn encode(&self, out: &mut Writer) {
                out.$method(self.sum);
                self.count.encode(out);
            }

            fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Sum<$kind>, DecodeError> {
                Ok(Sum { sum: input.$method()?, count: u64::decode(input, rule)? })
            }
        }
    };
}

wrapping_sum!(i64, i64);
wrapping_sum!(u64, u64);

impl State for DoubleSum {
    fn merge(&mut self, other: DoubleSum, _: Rule) {
        DoubleSum::merge(self, other);
    }

    fn encode(&self, out: &mut Writer) {
        let (hi, lo) = self.parts();
        out.f64(hi);
        out.f64(lo);
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<DoubleSum, DecodeError> {
        Ok(DoubleSum::from_parts(input.f64()?, input.f64()?))
    }
}

impl State for Sum<DoubleSum> {
    fn merge(&mut self, other: Sum<DoubleSum>, rule: Rule) {
        self.sum.merge(other.sum);
        self.count.merge(other.count, rule);
    }

    fn encode(&self, out: &mut Writer) {
        self.sum.encode(out);
        self.count.encode(out);
    }

    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Sum<DoubleSum>, DecodeError> {
        Ok(Sum { sum: DoubleSum::decode(input, rule)?, count: u64::decode(input, rule)? })
    }
}

/// Count, sum and sum of squares of the distances from a pivot, which is one of the values. So the squares are small, and
/// nothing cancels when values are large and close together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    count: u64,
    pivot: f64,
    sum: DoubleSum,
    squares: DoubleSum,
}

impl Moments {
    /// Takes values in.
    pub(crate) fn add(&mut self, values: &[f64]) {
        let Some(first) = values.first() else { return };
        if self.count == 0 {
            self.pivot = *first;
        }
        let mut lanes = SquareLanes::new(self.pivot);
        lanes.add_slice(values);
        let (sum, squares) = lanes.finish();
        self.count += values.len() as u64;
        self.sum.merge(sum);
        self.squares.merge(squares);
    }

    /// The standard deviation of a sample. Not a number for fewer than two values.
    pub(crate) fn deviation(&self) -> f64 {
        if self.count < 2 {
            return f64::NAN;
        }
        let count = self.count as f64;
        let mut squares = self.squares;
        squares.merge(self.sum.times(self.sum).over(count).negated());
        (squares.value().max(0.0) / (count - 1.0)).sqrt()
    }

    /// The same values seen from another pivot.
    fn seen_from(&self, pivot: f64) -> Moments {
        let moved = DoubleSum::difference(self.pivot, pivot);
        let count = DoubleSum::difference(self.count as f64, 0.0);
        let (mut sum, mut squares) = (self.sum, self.squares);
        let cross = self.sum.times(moved);
        sum.merge(moved.times(count));
        squares.merge(cross);
        squares.merge(cross);
        squares.merge(moved.times(moved).times(count));
        Moments { count: self.count, pivot, sum, squares }
    }
}

impl State for Moments {
    fn merge(&mut self, other: Moments, rule: Rule) {
        if self.count == 0 {
            *self = other;
            return;
        }
        let other = other.seen_from(self.pivot);
        self.count.merge(other.count, rule);
        self.sum.merge(other.sum);
        self.squares.merge(other.squares);
    }

    fn encode(&self, out: &mut Writer) {
        self.count.encode(out);
        out.f64(self.pivot);
        self.sum.encode(out);
        self.squares.encode(out);
    }

    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Moments, DecodeError> {
        Ok(Moments {
            count: u64::decode(input, rule)?,
            pivot: input.f64()?,
            sum: DoubleSum::decode(input, rule)?,
            squares: DoubleSum::decode(input, rule)?,
        })
    }
}

/// A number on the wire.
pub(crate) trait Number: Ordered + Default {
    fn put(self, out: &mut Writer);
    fn take(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! number {
    ($kind:ident) => {
        impl Number for $kind {
            fn put(self, out: &mut Writer) {
                out.$kind(self);
            }

            fn take(input: &mut Reader<'_>) -> Result<$kind, DecodeError> {
                input.$kind()
            }
        }
    };
}

number!(f64);
number!(i64);
number!(u64);

/// The smallest and the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent<T>(pub(crate) Option<(T, T)>);

impl<T> Default for Extent<T> {
    fn default() -> Extent<T> {
        Extent(None)
    }
}

impl<T: Number> State for Extent<T> {
    fn merge(&mut self, other: Extent<T>, _: Rule) {
        self.0 = match (self.0, other.0) {
            (Some((min, max)), Some((other_min, other_max))) => Some((min.smaller(other_min), max.larger(other_max))),
            (mine, other) => mine.or(other),
        };
    }

    fn encode(&self, out: &mut Writer) {
        let (min, max) = self.0.unwrap_or_default();
        min.put(out);
        max.put(out);
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<Extent<T>, DecodeError> {
        Ok(Extent(Some((T::take(input)?, T::take(input)?))))
    }
}

/// The smallest or the largest value, when its time is of no interest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extreme<T>(pub(crate) Option<T>);

impl<T> Default for Extreme<T> {
    fn default() -> Extreme<T> {
        Extreme(None)
    }
}

impl<T: Number> State for Extreme<T> {
    fn merge(&mut self, other: Extreme<T>, rule: Rule) {
        self.0 = match (self.0, other.0) {
            (Some(mine), Some(other)) if rule == Rule::Pick(Pick::Max) => Some(mine.larger(other)),
            (Some(mine), Some(other)) => Some(mine.smaller(other)),
            (mine, other) => mine.or(other),
        };
    }

    fn encode(&self, out: &mut Writer) {
        self.0.unwrap_or_default().put(out);
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<Extreme<T>, DecodeError> {
        Ok(Extreme(Some(T::take(input)?)))
    }
}

/// Plain values, in no order.
impl<T: Number> State for Vec<T> {
    fn merge(&mut self, mut other: Vec<T>, _: Rule) {
        self.append(&mut other);
    }

    fn encode(&self, out: &mut Writer) {
        out.count(self.len());
        self.iter().for_each(|value| value.put(out));
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<Vec<T>, DecodeError> {
        let count = input.count()?;
        (0..count).map(|_| T::take(input)).collect()
    }
}

/// Some rows of one series, in one direction of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeriesRows {
    /// The canonical series key; orders rows of one time.
    pub(crate) key: Arc<[u8]>,
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Cells>,
}

/// One column of [`SeriesRows`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    /// As many rows as there are times.
    Field(Column),
    /// The same value in every row, or none.
    Tag(Option<Arc<[u8]>>),
}

impl SeriesRows {
    /// The rows at some positions.
    pub(crate) fn slice(&self, range: Range<usize>) -> SeriesRows {
        let cut = |cells: &Cells| match cells {
            Cells::Field(column) => Cells::Field(columns::slice(column, range.clone())),
            Cells::Tag(value) => Cells::Tag(value.clone()),
        };
        SeriesRows {
            key: Arc::clone(&self.key),
            times: self.times[range.clone()].to_vec(),
            columns: self.columns.iter().map(cut).collect(),
        }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let column = |cells: &Cells| match cells {
            Cells::Tag(value) => value.as_ref().map_or(0, |value| value.len()),
            Cells::Field(column) => match column.data() {
                model::ColumnData::String(strings) => strings.bytes().len() + strings.len() * 4,
                model::ColumnData::Boolean(values) => values.len(),
                _ => column.len() * 8,
            },
        };
        size_of::<SeriesRows>() + self.times.len() * 8 + self.columns.iter().map(column).sum::<usize>()
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        out.bytes(&self.key);
        out.times(&self.times);
        out.count(self.columns.len());
        for cells in &self.columns {
            match cells {
                Cells::Field(column) => {
                    out.u8(0);
                    out.column(column);
                }
                Cells::Tag(Some(value)) => {
                    out.u8(1);
                    out.bytes(value);
                }
                Cells::Tag(None) => out.u8(2),
            }
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<SeriesRows, DecodeError> {
        let key = input.shared_bytes()?;
        let times = input.times()?;
        let count = input.count()?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            columns.push(match input.u8()? {
                0 => Cells::Field(input.column()?),
                1 => Cells::Tag(Some(input.shared_bytes()?)),
                2 => Cells::Tag(None),
                _ => return Err(DecodeError("unknown kind of column")),
            });
        }
        let fits = |cells: &Cells| match cells {
            Cells::Field(column) => column.len() == times.len(),
            Cells::Tag(_) => true,
        };
        if !columns.iter().all(fits) {
            return Err(DecodeError("column lengths differ"));
        }
        Ok(SeriesRows { key, times, columns })
    }
}

/// Points as they are, for calls that cannot be computed from less.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points(pub(crate) Vec<SeriesRows>);

impl State for Points {
    fn merge(&mut self, mut other: Points, _: Rule) {
        self.0.append(&mut other.0);
    }

    fn encode(&self, out: &mut Writer) {
        out.count(self.0.len());
        self.0.iter().for_each(|rows| rows.encode(out));
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<Points, DecodeError> {
        let count = input.count()?;
        let rows = (0..count).map(|_| SeriesRows::decode(input)).collect::<Result<Vec<_>, _>>()?;
        let is_value = |rows: &SeriesRows| matches!(rows.columns.first(), Some(Cells::Field(_)));
        if !rows.iter().all(is_value) {
            return Err(DecodeError("points without a value"));
        }
        Ok(Points(rows))
    }
}

/// Appends a run: starts, then states.
pub(crate) fn encode_run<S: State>(run: &Run<S>, out: &mut Writer) {
    out.times(run.starts());
    run.states().iter().for_each(|state| state.encode(out));
}

/// The inverse of [`encode_run`].
pub(crate) fn decode_run<S: State>(input: &mut Reader<'_>, rule: Rule) -> Result<Run<S>, DecodeError> {
    let starts = input.times()?;
    let states = starts.iter().map(|_| S::decode(input, rule)).collect::<Result<Vec<S>, _>>()?;
    Run::from_parts(starts, states).ok_or(DecodeError("windows out of order"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moments(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        moments.add(values);
        moments
    }

    #[test]
    fn the_deviation_of_large_values_does_not_cancel() {
        assert!(moments(&[3.0]).deviation().is_nan());
        let small = moments(&[1.0, 2.0, 4.0]).deviation();
        assert!((small - 1.527_525_231_651_946_7).abs() < 1e-15);
        assert_eq!(moments(&[1e15 + 1.0, 1e15 + 2.0, 1e15 + 4.0]).deviation(), small);
        assert_eq!(moments(&[0.1; 1_000]).deviation(), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cut_gives_the_same_deviation(
            values in prop::collection::vec(-1e6f64..1e6, 2..200),
            offset in prop::sample::select(vec![0.0, 1e9, 1e15]),
            cut in 0usize..200,
        ) {
            let values: Vec<f64> = values.iter().map(|value| value + offset).collect();
            let whole = moments(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined = moments(right);
            joined.merge(moments(left), Rule::Plain);
            prop_assert_eq!(joined.deviation().to_bits(), whole.deviation().to_bits());
            let mean = values.iter().map(|value| value - values[0]).sum::<f64>() / values.len() as f64 + values[0];
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let plain = (squares / (values.len() - 1) as f64).sqrt();
            prop_assert!((whole.deviation() - plain).abs() <= plain * 1e-6);
        }
    }
}
