//! Cutting, picking and converting whole columns.

use std::ops::Range;

use model::{Column, ColumnData, FieldType, StringColumn};
use stdx::Bitmap;

use crate::kernel::Mask;

/// A column of `len` rows without a value.
pub(crate) fn nulls(field_type: FieldType, len: usize) -> Column {
    let mut column = Column::new(field_type);
    column.pad_to(len);
    column
}

/// The numbers as doubles, also those that are missing; nothing of other types.
pub(crate) fn as_floats(values: &Column) -> Vec<f64> {
    match values.data() {
        ColumnData::Float(values) => values.clone(),
        ColumnData::Integer(values) => values.iter().map(|value| *value as f64).collect(),
        ColumnData::Unsigned(values) => values.iter().map(|value| *value as f64).collect(),
        ColumnData::String(_) | ColumnData::Boolean(_) => Vec::new(),
    }
}

/// The rows of `range`.
pub(crate) fn slice(column: &Column, range: Range<usize>) -> Column {
    if range == (0..column.len()) {
        return column.clone();
    }
    let validity = column.validity().map(|bits| slice_bits(bits, range.clone()));
    let data = match column.data() {
        ColumnData::Float(values) => ColumnData::Float(values[range].to_vec()),
        ColumnData::Integer(values) => ColumnData::Integer(values[range].to_vec()),
        ColumnData::Unsigned(values) => ColumnData::Unsigned(values[range].to_vec()),
        ColumnData::Boolean(values) => ColumnData::Boolean(values[range].to_vec()),
        ColumnData::String(values) => {
            let mut strings = StringColumn::default();
            range.for_each(|index| strings.push(values.get(index)));
            ColumnData::String(strings)
        }
    };
    Column::from_parts(data, validity).expect("data and validity were cut alike")
}

fn slice_bits(bits: &Bitmap, range: Range<usize>) -> Bitmap {
    let words = bits.words();
    let (shift, first) = (range.start % 64, range.start / 64);
    let word = |index: usize| {
        let low = words.get(index).copied().unwrap_or(0) >> shift;
        let high = if shift == 0 { 0 } else { words.get(index + 1).copied().unwrap_or(0) << (64 - shift) };
        low | high
    };
    let count = range.len().div_ceil(64);
    Bitmap::from_words((first..first + count).map(word).collect(), range.len()).expect("a word for every 64 rows")
}

/// The rows of `range` that `mask` counts.
pub(crate) fn pick(column: &Column, mask: Mask<'_>, range: Range<usize>) -> Column {
    let validity = column.validity().map(|bits| {
        let mut picked = Bitmap::new();
        mask.positions(range.clone()).for_each(|index| picked.push(bits.get(index)));
        picked
    });
    let data = match column.data() {
        ColumnData::Float(values) => ColumnData::Float(pick_slice(values, mask, range)),
        ColumnData::Integer(values) => ColumnData::Integer(pick_slice(values, mask, range)),
        ColumnData::Unsigned(values) => ColumnData::Unsigned(pick_slice(values, mask, range)),
        ColumnData::Boolean(values) => ColumnData::Boolean(pick_slice(values, mask, range)),
        ColumnData::String(values) => {
            let mut strings = StringColumn::default();
            mask.positions(range).for_each(|index| strings.push(values.get(index)));
            ColumnData::String(strings)
        }
    };
    Column::from_parts(data, validity).expect("data and validity were picked alike")
}

/// The values of `range` that `mask` counts.
pub(crate) fn pick_slice<T: Copy>(values: &[T], mask: Mask<'_>, range: Range<usize>) -> Vec<T> {
    let mut picked = Vec::with_capacity(mask.count(range.clone()));
    mask.runs(range).for_each(|run| picked.extend_from_slice(&values[run]));
    picked
}

/// The rows in the opposite order.
pub(crate) fn reverse(column: &Column) -> Column {
    let len = column.len();
    let mut reversed = Column::new(column.field_type());
    (0..len).rev().for_each(|index| reversed.push_from(column, index));
    reversed
}

/// The column as one of `wanted`: numbers convert among themselves, everything else has no value in another type.
pub(crate) fn convert(column: Column, wanted: FieldType) -> Column {
    if column.field_type() == wanted {
        return column;
    }
    let (data, validity) = column.into_parts();
    let len = data.len();
    let converted = match (data, wanted) {
        (ColumnData::Integer(values), FieldType::Float) => {
            ColumnData::Float(values.into_iter().map(|value| value as f64).collect())
        }
        (ColumnData::Unsigned(values), FieldType::Float) => {
            ColumnData::Float(values.into_iter().map(|value| value as f64).collect())
        }
        // `as` cuts towards zero and stops at the ends of the range.
        (ColumnData::Float(values), FieldType::Integer) => {
            ColumnData::Integer(values.into_iter().map(|value| value as i64).collect())
        }
        (ColumnData::Unsigned(values), FieldType::Integer) => {
            ColumnData::Integer(values.into_iter().map(|value| value as i64).collect())
        }
        (ColumnData::Float(values), FieldType::Unsigned) => {
            ColumnData::Unsigned(values.into_iter().map(|value| value as u64).collect())
        }
        (ColumnData::Integer(values), FieldType::Unsigned) => {
            ColumnData::Unsigned(values.into_iter().map(|value| value as u64).collect())
        }
        _ => return nulls(wanted, len),
    };
    Column::from_parts(converted, validity).expect("converting keeps the length")
}

#[cfg(test)]
mod tests {
    use model::FieldValue;
    use proptest::prelude::*;

    use super::*;

    fn column(values: &[Option<i64>]) -> Column {
        let mut column = Column::new(FieldType::Integer);
        for value in values {
            match value {
                Some(value) => column.push_integer(*value),
                None => column.pad_to(column.len() + 1),
            }
        }
        column
    }

    fn plain(column: &Column) -> Vec<Option<FieldValue>> {
        (0..column.len()).map(|index| column.get(index)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn cutting_and_picking_keep_values_and_gaps(
            rows in prop::collection::vec((prop::option::of(any::<i64>()), any::<bool>()), 1..200),
            a in 0usize..200,
            b in 0usize..200,
        ) {
            let values: Vec<Option<i64>> = rows.iter().map(|row| row.0).collect();
            let column = column(&values);
            let (a, b) = (a.min(rows.len()), b.min(rows.len()));
            let range = a.min(b)..a.max(b);
            prop_assert_eq!(plain(&slice(&column, range.clone())), &plain(&column)[range]);

            let mut bits = Bitmap::new();
            rows.iter().for_each(|row| bits.push(row.1));
            let picked: Vec<_> = plain(&column).into_iter().zip(&rows).filter(|(_, row)| row.1).map(|pair| pair.0).collect();
            prop_assert_eq!(plain(&pick(&column, Mask::of(Some(&bits)), 0..rows.len())), picked);
            let mut back = plain(&reverse(&column));
            back.reverse();
            prop_assert_eq!(back, plain(&column));
        }
    }

    #[test]
    fn numbers_convert_and_others_vanish() {
        let floats = Column::from_parts(ColumnData::Float(vec![1.9, -1.9]), None).expect("no gaps");
        assert_eq!(
            plain(&convert(floats.clone(), FieldType::Integer)),
            [Some(FieldValue::Integer(1)), Some(FieldValue::Integer(-1))]
        );
        assert_eq!(plain(&convert(floats, FieldType::String)), [None, None]);
        let gap = column(&[Some(3), None]);
        assert_eq!(plain(&convert(gap, FieldType::Float)), [Some(FieldValue::Float(3.0)), None]);
    }
}
