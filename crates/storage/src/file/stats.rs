//! What a page says about the values of a field without being decoded.

use model::{Column, ColumnData, FieldType};
use stdx::varint;

/// A number of one of the three numeric types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A double.
    Float(f64),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
}

/// What is known about the numbers of a field in some rows that were not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberSummary {
    /// Wrapping for integers; for doubles the rounded sum, to which `sum_rest` belongs.
    pub sum: Number,
    /// What rounding took from a sum of doubles: both together are the sum as double-double. Zero for integers.
    pub sum_rest: f64,
    /// The smallest and the time of its first occurrence.
    pub min: (Number, i64),
    /// The largest and the time of its first occurrence.
    pub max: (Number, i64),
    /// The earliest.
    pub first: (Number, i64),
    /// The latest.
    pub last: (Number, i64),
}

/// What is known about a field in some rows that were not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldSummary {
    /// How many rows have a value.
    pub count: u32,
    /// For numeric fields that have values and no NaN among them; else only the count is known.
    pub numbers: Option<NumberSummary>,
}

/// How instants of a page are written: distance from the first, in units of a power of ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruler {
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The power.
    pub(crate) digits: u8,
}

/// The largest power that is tried: about a year.
const RULER_DIGITS_MAX: u8 = 16;

impl Ruler {
    /// The ruler of these instants, ascending.
    pub(crate) fn of(times: &[i64]) -> Ruler {
        let (first, last) = (times[0], times[times.len() - 1]);
        let mut digits = RULER_DIGITS_MAX;
        for time in times {
            let distance = time.wrapping_sub(first) as u64;
            while digits > 0 && !distance.is_multiple_of(10u64.pow(u32::from(digits))) {
                digits -= 1;
            }
        }
        Ruler { first, last, digits }
    }

    /// A ruler that was read; `None` when no writer makes such a one.
    pub(crate) fn new(first: i64, last: i64, digits: u8) -> Option<Ruler> {
        (digits <= RULER_DIGITS_MAX).then_some(Ruler { first, last, digits })
    }

    fn put(self, time: i64, out: &mut Vec<u8>) {
        varint::put_u64(out, time.wrapping_sub(self.first) as u64 / 10u64.pow(u32::from(self.digits)));
    }

    fn take(self, input: &mut &[u8]) -> Option<i64> {
        let distance = varint::take_u64(input)?.wrapping_mul(10u64.pow(u32::from(self.digits)));
        let time = self.first.wrapping_add(distance as i64);
        (self.first..=self.last).contains(&time).then_some(time)
    }
}

impl FieldSummary {
    /// The summary of a column whose rows have these times, ascending.
    pub(crate) fn of(column: &Column, times: &[i64]) -> FieldSummary {
        let count = column.valid_count() as u32;
        let numbers = match column.data() {
            ColumnData::Float(values) if (0..values.len()).any(|row| values[row].is_nan() && column.is_valid(row)) => {
                None
            }
            ColumnData::Float(values) => {
                let mut sum = DoubleSum::default();
                let found = visit(column, values, |value| sum.add(value));
                found.map(|found| found.summary(Number::Float(sum.high), sum.low, times, Number::Float))
            }
            ColumnData::Integer(values) => {
                let mut sum = 0i64;
                let found = visit(column, values, |value| sum = sum.wrapping_add(value));
                found.map(|found| found.summary(Number::Integer(sum), 0.0, times, Number::Integer))
            }
            ColumnData::Unsigned(values) => {
                let mut sum = 0u64;
                let found = visit(column, values, |value| sum = sum.wrapping_add(value));
                found.map(|found| found.summary(Number::Unsigned(sum), 0.0, times, Number::Unsigned))
            }
            ColumnData::String(_) | ColumnData::Boolean(_) => None,
        };
        FieldSummary { count, numbers }
    }

    /// Appends the summary of a field in a page of `rows` rows.
    pub(crate) fn encode(&self, rows: u32, ruler: Ruler, out: &mut Vec<u8>) {
        varint::put_u64(out, u64::from(rows - self.count) << 1 | u64::from(self.numbers.is_some()));
        let Some(numbers) = &self.numbers else { return };
        put_number(numbers.sum, out);
        if let Number::Float(_) = numbers.sum {
            out.extend_from_slice(&numbers.sum_rest.to_bits().to_le_bytes());
        }
        for (number, time) in [numbers.min, numbers.max] {
            put_number(number, out);
            ruler.put(time, out);
        }
        for (number, time) in [numbers.first, numbers.last] {
            put_number(number, out);
            // The first and last value of a full page stand at its first and last instant.
            if self.count < rows {
                ruler.put(time, out);
            }
        }
    }

    /// Takes what [`FieldSummary::encode`] wrote. `None` when it is damaged.
    pub(crate) fn decode(input: &mut &[u8], rows: u32, ruler: Ruler, field_type: FieldType) -> Option<FieldSummary> {
        let head = varint::take_u64(input)?;
        let count = u64::from(rows).checked_sub(head >> 1)? as u32;
        if head & 1 == 0 {
            return Some(FieldSummary { count, numbers: None });
        }
        let sum = take_number(input, field_type)?;
        let sum_rest = match sum {
            Number::Float(_) => f64::from_bits(take_u64_fixed(input)?),
            _ => 0.0,
        };
        let min = (take_number(input, field_type)?, ruler.take(input)?);
        let max = (take_number(input, field_type)?, ruler.take(input)?);
        let whole = count == rows;
        let first = (take_number(input, field_type)?, if whole { ruler.first } else { ruler.take(input)? });
        let last = (take_number(input, field_type)?, if whole { ruler.last } else { ruler.take(input)? });
        Some(FieldSummary { count, numbers: Some(NumberSummary { sum, sum_rest, min, max, first, last }) })
    }
}

/// Extremes of a type that is not yet a [`Number`].
struct Found<T> {
    min: (T, u32),
    max: (T, u32),
    first: (T, u32),
    last: (T, u32),
}

impl<T: Copy> Found<T> {
    fn summary(self, sum: Number, sum_rest: f64, times: &[i64], number: fn(T) -> Number) -> NumberSummary {
        let convert = |(value, row): (T, u32)| (number(value), times[row as usize]);
        NumberSummary {
            sum,
            sum_rest,
            min: convert(self.min),
            max: convert(self.max),
            first: convert(self.first),
            last: convert(self.last),
        }
    }
}

/// Walks over the values that are there. `None` when there are none.
fn visit<T: Copy + PartialOrd>(column: &Column, values: &[T], mut add: impl FnMut(T)) -> Option<Found<T>> {
    let mut found: Option<Found<T>> = None;
    let mut step = |row: usize| {
        let here = (values[row], row as u32);
        add(here.0);
        match &mut found {
            None => found = Some(Found { min: here, max: here, first: here, last: here }),
            Some(found) => {
                if here.0 < found.min.0 {
                    found.min = here;
                }
                if here.0 > found.max.0 {
                    found.max = here;
                }
                found.last = here;
            }
        }
    };
    match column.validity() {
        None => (0..values.len()).for_each(&mut step),
        Some(bits) => bits.ones().for_each(&mut step),
    }
    found
}

/// A sum as an unevaluated pair, rounded by whoever asks.
#[derive(Clone, Copy, Debug)]
struct DoubleSum {
    high: f64,
    low: f64,
}

impl Default for DoubleSum {
    /// Minus zero is the only neutral element: the sum of a single -0.0 keeps its sign.
    fn default() -> DoubleSum {
        DoubleSum { high: -0.0, low: 0.0 }
    }
}

impl DoubleSum {
    #[inline]
    fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let virtual_value = sum - self.high;
        let error = (self.high - (sum - virtual_value)) + (value - virtual_value);
        let low = self.low + error;
        if low == 0.0 || !sum.is_finite() {
            *self = DoubleSum { high: sum, low: 0.0 };
        } else {
            let high = sum + low;
            *self = DoubleSum { high, low: low - (high - sum) };
        }
    }
}

/// Marks a double that is no short decimal.
const RAW_DOUBLE: u8 = 0xff;

fn put_number(number: Number, out: &mut Vec<u8>) {
    match number {
        Number::Integer(value) => varint::put_i64(out, value),
        Number::Unsigned(value) => varint::put_u64(out, value),
        Number::Float(value) => match short_decimal(value) {
            Some((digits, integer)) => {
                out.push(digits);
                varint::put_i64(out, integer);
            }
            None => {
                out.push(RAW_DOUBLE);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        },
    }
}

fn take_number(input: &mut &[u8], field_type: FieldType) -> Option<Number> {
    Some(match field_type {
        FieldType::Integer => Number::Integer(varint::take_i64(input)?),
        FieldType::Unsigned => Number::Unsigned(varint::take_u64(input)?),
        FieldType::Float => {
            let (digits, rest) = input.split_first()?;
            *input = rest;
            if *digits == RAW_DOUBLE {
                Number::Float(f64::from_bits(take_u64_fixed(input)?))
            } else {
                let power = POWERS.get(usize::from(*digits))?;
                Number::Float(varint::take_i64(input)? as f64 / power)
            }
        }
        FieldType::String | FieldType::Boolean => return None,
    })
}

fn take_u64_fixed(input: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(u64::from_le_bytes(*bytes))
}

const POWERS: [f64; 5] = [1e0, 1e1, 1e2, 1e3, 1e4];

/// Digits behind the point and the integer, when that takes less room than the bits.
fn short_decimal(value: f64) -> Option<(u8, i64)> {
    (0u8..).zip(POWERS).find_map(|(digits, power)| {
        let scaled = (value * power).round();
        let fits = scaled.abs() < (1i64 << 40) as f64;
        let integer = fits.then_some(scaled as i64)?;
        ((integer as f64 / power).to_bits() == value.to_bits()).then_some((digits, integer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: usize) -> Vec<i64> {
        (0..count as i64).map(|row| 1_000_000_007 + row * 10_000_000_000).collect()
    }

    fn round_trip(column: &Column) -> FieldSummary {
        let times = times(column.len());
        let ruler = Ruler::of(&times);
        let (rows, kind) = (column.len() as u32, column.field_type());
        let summary = FieldSummary::of(column, &times);
        let mut out = Vec::new();
        summary.encode(rows, ruler, &mut out);
        let mut input = out.as_slice();
        let back = FieldSummary::decode(&mut input, rows, ruler, kind).expect("as written");
        assert!(input.is_empty());
        assert_eq!(format!("{back:?}"), format!("{summary:?}"));
        for end in 0..out.len() {
            assert!(FieldSummary::decode(&mut &out[..end], rows, ruler, kind).is_none());
        }
        summary
    }

    #[test]
    fn numbers_are_summed_up() {
        let mut column = Column::new(FieldType::Integer);
        column.pad_to(1);
        [5, -3, 9, -3, 9].into_iter().for_each(|value| column.push_integer(value));
        column.pad_to(8);
        let summary = round_trip(&column);
        assert_eq!(summary.count, 5);
        let numbers = summary.numbers.expect("numbers");
        let at = |row: usize| times(8)[row];
        assert_eq!(numbers.sum, Number::Integer(17));
        assert_eq!((numbers.min, numbers.max), ((Number::Integer(-3), at(2)), (Number::Integer(9), at(3))));
        assert_eq!((numbers.first, numbers.last), ((Number::Integer(5), at(1)), (Number::Integer(9), at(5))));
    }

    #[test]
    fn doubles_keep_the_rest_of_their_sum() {
        let mut column = Column::new(FieldType::Float);
        [1e100, 1.0, -1e100, 0.1, -0.0].into_iter().for_each(|value| column.push_float(value));
        let numbers = round_trip(&column).numbers.expect("numbers");
        let Number::Float(high) = numbers.sum else { panic!("a double") };
        assert_eq!(high + numbers.sum_rest, 1.1);
        column.push_float(f64::NAN);
        assert_eq!(round_trip(&column).numbers, None);
    }

    #[test]
    fn other_types_are_counted() {
        let mut column = Column::new(FieldType::Boolean);
        column.push_boolean(true);
        column.pad_to(3);
        assert_eq!(round_trip(&column), FieldSummary { count: 1, numbers: None });
    }

    #[test]
    fn rulers_fit_their_instants() {
        assert_eq!(Ruler::of(&times(5)).digits, 10);
        assert_eq!(Ruler::of(&[5]).digits, RULER_DIGITS_MAX);
        assert_eq!(Ruler::of(&[0, 1_000, 1_500]).digits, 2);
        assert_eq!(Ruler::of(&[i64::MIN, i64::MAX]).digits, 0);
    }
}
