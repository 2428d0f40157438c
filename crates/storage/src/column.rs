//! Growing columns, in bulk: what `model::Column` is while it is being made.

use std::ops::Range;

use model::{Column, ColumnData, FieldType, StringColumn};
use stdx::Bitmap;

/// A column under construction. Places without a value hold a filler.
#[derive(Clone, Debug)]
pub(crate) struct ColumnBuilder {
    data: ColumnData,
    validity: Option<Bitmap>,
}

impl ColumnBuilder {
    pub(crate) fn new(field_type: FieldType) -> ColumnBuilder {
        ColumnBuilder { data: ColumnData::new(field_type), validity: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn finish(self) -> Column {
        Column::from_parts(self.data, self.validity).expect("a builder keeps data and validity equally long")
    }

    /// Whether any place holds a value.
    pub(crate) fn has_values(&self) -> bool {
        self.validity.as_ref().map_or(self.len() > 0, |bits| bits.words().iter().any(|word| *word != 0))
    }

    /// Takes everything out and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.validity = None;
        match &mut self.data {
            ColumnData::Float(values) => values.clear(),
            ColumnData::Integer(values) => values.clear(),
            ColumnData::Unsigned(values) => values.clear(),
            ColumnData::String(values) => *values = StringColumn::default(),
            ColumnData::Boolean(values) => values.clear(),
        }
    }

    /// The places that `order` names, in that order.
    pub(crate) fn gathered(&self, order: &[u32]) -> Column {
        let mut builder = ColumnBuilder { data: with_capacity(self.data.field_type(), order.len()), validity: None };
        builder.gather_parts(&self.data, self.validity.as_ref(), order);
        builder.finish()
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn byte_count(&self) -> usize {
        data_byte_count(&self.data) + self.validity.as_ref().map_or(0, |bits| bits.words().len() * 8)
    }

    /// Appends places without a value until there are `len`.
    pub(crate) fn pad_to(&mut self, len: usize) {
        let before = self.len();
        if before >= len {
            return;
        }
        self.validity.get_or_insert_with(|| Bitmap::filled(before, true)).resize(len, false);
        resize(&mut self.data, len);
    }

    /// Appends the places `range` of `from`, a column of the same type.
    pub(crate) fn extend(&mut self, from: &Column, range: Range<usize>) {
        let before = self.len();
        extend_data(&mut self.data, from.data(), range.clone());
        match (from.validity(), &mut self.validity) {
            (None, None) => {}
            (None, Some(bits)) => bits.resize(before + range.len(), true),
            (Some(other), bits) => {
                let bits = bits.get_or_insert_with(|| Bitmap::filled(before, true));
                range.for_each(|index| bits.push(other.get(index)));
            }
        }
    }

    /// Appends the places of `from` that `order` names, in that order.
    pub(crate) fn gather(&mut self, from: &Column, order: &[u32]) {
        self.gather_parts(from.data(), from.validity(), order);
    }

    fn gather_parts(&mut self, data: &ColumnData, validity: Option<&Bitmap>, order: &[u32]) {
        let before = self.len();
        gather_data(&mut self.data, data, order);
        match (validity, &mut self.validity) {
            (None, None) => {}
            (None, Some(bits)) => bits.resize(before + order.len(), true),
            (Some(other), bits) => {
                let bits = bits.get_or_insert_with(|| Bitmap::filled(before, true));
                order.iter().for_each(|index| bits.push(other.get(*index as usize)));
            }
        }
    }

    /// Appends one place of `from`, with or without a value.
    pub(crate) fn push_from(&mut self, from: &Column, index: usize) {
        self.extend(from, index..index + 1);
    }
}

/// The places of `column` that `order` names, in that order.
pub(crate) fn gathered(column: &Column, order: &[u32]) -> Column {
    let mut builder = ColumnBuilder::new(column.field_type());
    builder.gather(column, order);
    builder.finish()
}

/// The places `range` of `column`.
pub(crate) fn sliced(column: &Column, range: Range<usize>) -> Column {
    let mut builder = ColumnBuilder::new(column.field_type());
    builder.extend(column, range);
    builder.finish()
}

/// `len` places without a value.
pub(crate) fn nulls(field_type: FieldType, len: usize) -> Column {
    let mut builder = ColumnBuilder::new(field_type);
    builder.pad_to(len);
    builder.finish()
}

/// About how many bytes of values a row of these columns has.
pub(crate) fn row_bytes<'a>(columns: impl Iterator<Item = &'a Column>) -> usize {
    columns.map(|column| byte_count(column) / column.len().max(1)).sum()
}

/// About how many bytes a column takes in memory.
pub(crate) fn byte_count(column: &Column) -> usize {
    data_byte_count(column.data()) + column.validity().map_or(0, |bits| bits.words().len() * 8)
}

fn with_capacity(field_type: FieldType, count: usize) -> ColumnData {
    match field_type {
        FieldType::Float => ColumnData::Float(Vec::with_capacity(count)),
        FieldType::Integer => ColumnData::Integer(Vec::with_capacity(count)),
        FieldType::Unsigned => ColumnData::Unsigned(Vec::with_capacity(count)),
        FieldType::String => ColumnData::String(StringColumn::default()),
        FieldType::Boolean => ColumnData::Boolean(Vec::with_capacity(count)),
    }
}

fn data_byte_count(data: &ColumnData) -> usize {
    match data {
        ColumnData::Float(values) => values.len() * 8,
        ColumnData::Integer(values) => values.len() * 8,
        ColumnData::Unsigned(values) => values.len() * 8,
        ColumnData::String(values) => values.len() * 4 + values.bytes().len(),
        ColumnData::Boolean(values) => values.len(),
    }
}

fn resize(data: &mut ColumnData, len: usize) {
    match data {
        ColumnData::Float(values) => values.resize(len, 0.0),
        ColumnData::Integer(values) => values.resize(len, 0),
        ColumnData::Unsigned(values) => values.resize(len, 0),
        ColumnData::String(values) => (values.len()..len).for_each(|_| values.push(b"")),
        ColumnData::Boolean(values) => values.resize(len, false),
    }
}

fn extend_data(to: &mut ColumnData, from: &ColumnData, range: Range<usize>) {
    match (to, from) {
        (ColumnData::Float(to), ColumnData::Float(from)) => to.extend_from_slice(&from[range]),
        (ColumnData::Integer(to), ColumnData::Integer(from)) => to.extend_from_slice(&from[range]),
        (ColumnData::Unsigned(to), ColumnData::Unsigned(from)) => to.extend_from_slice(&from[range]),
        (ColumnData::String(to), ColumnData::String(from)) => range.for_each(|index| to.push(from.get(index))),
        (ColumnData::Boolean(to), ColumnData::Boolean(from)) => to.extend_from_slice(&from[range]),
        _ => panic!("columns of one field have one type"),
    }
}

fn gather_data(to: &mut ColumnData, from: &ColumnData, order: &[u32]) {
    fn pick<T: Copy>(to: &mut Vec<T>, from: &[T], order: &[u32]) {
        to.extend(order.iter().map(|index| from[*index as usize]));
    }
    match (to, from) {
        (ColumnData::Float(to), ColumnData::Float(from)) => pick(to, from, order),
        (ColumnData::Integer(to), ColumnData::Integer(from)) => pick(to, from, order),
        (ColumnData::Unsigned(to), ColumnData::Unsigned(from)) => pick(to, from, order),
        (ColumnData::String(to), ColumnData::String(from)) => {
            order.iter().for_each(|index| to.push(from.get(*index as usize)));
        }
        (ColumnData::Boolean(to), ColumnData::Boolean(from)) => pick(to, from, order),
        _ => panic!("columns of one field have one type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FieldValue;

    fn sample() -> Column {
        let mut column = Column::new(FieldType::Integer);
        column.push_integer(1);
        column.pad_to(2);
        column.push_integer(3);
        column
    }

    #[test]
    fn parts_keep_their_gaps() {
        let column = sample();
        let mut builder = ColumnBuilder::new(FieldType::Integer);
        builder.extend(&column, 2..3);
        builder.extend(&column, 0..3);
        builder.gather(&column, &[2, 1]);
        builder.pad_to(7);
        let values: Vec<_> = (0..7).map(|index| builder.clone().finish().get(index)).collect();
        let one = |value| Some(FieldValue::Integer(value));
        assert_eq!(values, [one(3), one(1), None, one(3), one(3), None, None]);
        assert_eq!(sliced(&column, 1..3).get(0), None);
        assert_eq!(gathered(&column, &[2]).validity(), None);
    }

    #[test]
    fn strings_move_too() {
        let mut column = Column::new(FieldType::String);
        column.push_string(b"a");
        column.push_string(b"bc");
        assert_eq!(gathered(&column, &[1, 0]).get(0), Some(FieldValue::String(b"bc".to_vec())));
    }
}
