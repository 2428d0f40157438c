//! What a page says about the values of a field without being decoded.

use model::{Column, ColumnData, FieldType};
use stdx::varint;

/// A number of one of the three numeric types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
}

/// The numbers of a field in a page. Rows count from the page's first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NumberStats {
    /// Double-double for floats (rounded sum and rest), wrapping for integers with the second part zero.
    pub(crate) sum: (Number, f64),
    /// The smallest and the row of its first occurrence.
    pub(crate) min: (Number, u32),
    /// The largest and the row of its first occurrence.
    pub(crate) max: (Number, u32),
    pub(crate) first: (Number, u32),
    pub(crate) last: (Number, u32),
}

/// A field in a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FieldStats {
    /// How many rows have a value.
    pub(crate) count: u32,
    /// For numeric fields without a NaN.
    pub(crate) numbers: Option<NumberStats>,
}

impl FieldStats {
    pub(crate) fn of(column: &Column) -> FieldStats {
        let count = column.valid_count() as u32;
        let numbers = match column.data() {
            ColumnData::Float(values) if (0..values.len()).any(|row| column.is_valid(row) && values[row].is_nan()) => {
                None
            }
            ColumnData::Float(values) => {
                let mut sum = DoubleSum::default();
                visit(column, values, |value| sum.add(value)).map(|found| found.with(sum.hi_lo(), Number::Float))
            }
            ColumnData::Integer(values) => {
                let mut sum = 0i64;
                let found = visit(column, values, |value| sum = sum.wrapping_add(value));
                found.map(|found| found.with((Number::Integer(sum), 0.0), Number::Integer))
            }
            ColumnData::Unsigned(values) => {
                let mut sum = 0u64;
                let found = visit(column, values, |value| sum = sum.wrapping_add(value));
                found.map(|found| found.with((Number::Unsigned(sum), 0.0), Number::Unsigned))
            }
            ColumnData::String(_) | ColumnData::Boolean(_) => None,
        };
        FieldStats { count, numbers }
    }

    /// Appends the statistics of a field in a page of `rows` rows.
    pub(crate) fn encode(&self, rows: u32, out: &mut Vec<u8>) {
        varint::put_u64(out, u64::from(rows - self.count) << 1 | u64::from(self.numbers.is_some()));
        let Some(numbers) = &self.numbers else { return };
        put_number(numbers.sum.0, out);
        if let Number::Float(_) = numbers.sum.0 {
            out.extend_from_slice(&numbers.sum.1.to_bits().to_le_bytes());
        }
        for (number, row) in [numbers.min, numbers.max] {
            put_number(number, out);
            varint::put_u64(out, u64::from(row));
        }
        for (number, row) in [numbers.first, numbers.last] {
            put_number(number, out);
            if self.count < rows {
                varint::put_u64(out, u64::from(row));
            }
        }
    }

    /// Takes what [`FieldStats::encode`] wrote. `None` when it is damaged.
    pub(crate) fn decode(input: &mut &[u8], rows: u32, field_type: FieldType) -> Option<FieldStats> {
        let head = varint::take_u64(input)?;
        let count = u64::from(rows).checked_sub(head >> 1)? as u32;
        if head & 1 == 0 {
            return Some(FieldStats { count, numbers: None });
        }
        let sum = take_number(input, field_type)?;
        let rest = match sum {
            Number::Float(_) => f64::from_bits(take_u64_fixed(input)?),
            _ => 0.0,
        };
        let take_row = |input: &mut &[u8]| {
            let row = varint::take_u64(input)?;
            (row < u64::from(rows)).then_some(row as u32)
        };
        let min = (take_number(input, field_type)?, take_row(input)?);
        let max = (take_number(input, field_type)?, take_row(input)?);
        let whole = count == rows;
        let first = (take_number(input, field_type)?, if whole { 0 } else { take_row(input)? });
        let last = (take_number(input, field_type)?, if whole { rows.checked_sub(1)? } else { take_row(input)? });
        Some(FieldStats { count, numbers: Some(NumberStats { sum: (sum, rest), min, max, first, last }) })
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
    fn with(self, sum: (Number, f64), number: fn(T) -> Number) -> NumberStats {
        let convert = |(value, row): (T, u32)| (number(value), row);
        NumberStats {
            sum,
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

    fn hi_lo(self) -> (Number, f64) {
        (Number::Float(self.high), self.low)
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

    fn round_trip(column: &Column) -> FieldStats {
        let stats = FieldStats::of(column);
        let mut out = Vec::new();
        stats.encode(column.len() as u32, &mut out);
        let mut input = out.as_slice();
        let back = FieldStats::decode(&mut input, column.len() as u32, column.field_type()).expect("as written");
        assert!(input.is_empty());
        assert_eq!(format!("{back:?}"), format!("{stats:?}"));
        for end in 0..out.len() {
            assert!(FieldStats::decode(&mut &out[..end], column.len() as u32, column.field_type()).is_none());
        }
        stats
    }

    #[test]
    fn numbers_are_summed_up() {
        let mut column = Column::new(FieldType::Integer);
        column.pad_to(1);
        [5, -3, 9, -3, 9].into_iter().for_each(|value| column.push_integer(value));
        column.pad_to(8);
        let stats = round_trip(&column);
        assert_eq!(stats.count, 5);
        let numbers = stats.numbers.expect("numbers");
        assert_eq!(numbers.sum, (Number::Integer(17), 0.0));
        assert_eq!((numbers.min, numbers.max), ((Number::Integer(-3), 2), (Number::Integer(9), 3)));
        assert_eq!((numbers.first, numbers.last), ((Number::Integer(5), 1), (Number::Integer(9), 5)));
    }

    #[test]
    fn doubles_keep_the_rest_of_their_sum() {
        let mut column = Column::new(FieldType::Float);
        [1e100, 1.0, -1e100, 0.1, -0.0].into_iter().for_each(|value| column.push_float(value));
        let numbers = round_trip(&column).numbers.expect("numbers");
        let (Number::Float(high), low) = numbers.sum else { panic!("a double") };
        assert_eq!(high + low, 1.1);
        column.push_float(f64::NAN);
        assert_eq!(round_trip(&column).numbers, None);
    }

    #[test]
    fn other_types_are_counted() {
        let mut column = Column::new(FieldType::Boolean);
        column.push_boolean(true);
        column.pad_to(3);
        assert_eq!(round_trip(&column), FieldStats { count: 1, numbers: None });
    }
}
