//! One field of many rows: values of one type, and which rows have one.
//!
//! Writing and reading share this form. The values stand at the positions of their rows; where a row has no value the
//! place is filled with a zero that means nothing.

use stdx::Bitmap;

use crate::value::{FieldType, FieldValue};

/// Strings of a column, end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringColumn {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl StringColumn {
    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `index`, which must be below `len`.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// Appends one string.
    ///
    /// # Panics
    /// Above 4 GiB of text in one column; requests and pages are far smaller.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a column holds less than 4 GiB of text"));
    }

    /// Keeps the first `len` strings.
    pub fn truncate(&mut self, len: usize) {
        if len < self.ends.len() {
            self.ends.truncate(len);
            self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
        }
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The end of each string in [`StringColumn::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All strings, end to end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The inverse of `ends` and `bytes`. `None` when they do not fit together.
    pub fn from_parts(ends: Vec<u32>, bytes: Vec<u8>) -> Option<StringColumn> {
        let ordered = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let whole = ends.last().map_or(0, |end| *end as usize) == bytes.len();
        (ordered && whole).then_some(StringColumn { ends, bytes })
    }
}

/// The values of a column, at the positions of their rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnData {
    /// Doubles.
    Float(Vec<f64>),
    /// Signed integers.
    Integer(Vec<i64>),
    /// Unsigned integers.
    Unsigned(Vec<u64>),
    /// Strings.
    String(StringColumn),
    /// Booleans.
    Boolean(Vec<bool>),
}

impl ColumnData {
    /// No values of this type.
    pub fn new(field_type: FieldType) -> ColumnData {
        match field_type {
            FieldType::Float => ColumnData::Float(Vec::new()),
            FieldType::Integer => ColumnData::Integer(Vec::new()),
            FieldType::Unsigned => ColumnData::Unsigned(Vec::new()),
            FieldType::String => ColumnData::String(StringColumn::default()),
            FieldType::Boolean => ColumnData::Boolean(Vec::new()),
        }
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        match self {
            ColumnData::Float(values) => values.len(),
            ColumnData::Integer(values) => values.len(),
            ColumnData::Unsigned(values) => values.len(),
            ColumnData::String(values) => values.len(),
            ColumnData::Boolean(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn field_type(&self) -> FieldType {
        match self {
            ColumnData::Float(_) => FieldType::Float,
            ColumnData::Integer(_) => FieldType::Integer,
            ColumnData::Unsigned(_) => FieldType::Unsigned,
            ColumnData::String(_) => FieldType::String,
            ColumnData::Boolean(_) => FieldType::Boolean,
        }
    }

    /// Appends places that mean nothing until there are `len`.
    fn fill_to(&mut self, len: usize) {
        match self {
            ColumnData::Float(values) => values.resize(len, 0.0),
            ColumnData::Integer(values) => values.resize(len, 0),
            ColumnData::Unsigned(values) => values.resize(len, 0),
            ColumnData::String(values) => values.ends.resize(len, values.ends.last().copied().unwrap_or(0)),
            ColumnData::Boolean(values) => values.resize(len, false),
        }
    }

    /// Appends place `index` of `other`, which has the same type.
    fn push_from(&mut self, other: &ColumnData, index: usize) {
        match (self, other) {
            (ColumnData::Float(to), ColumnData::Float(from)) => to.push(from[index]),
            (ColumnData::Integer(to), ColumnData::Integer(from)) => to.push(from[index]),
            (ColumnData::Unsigned(to), ColumnData::Unsigned(from)) => to.push(from[index]),
            (ColumnData::String(to), ColumnData::String(from)) => to.push(from.get(index)),
            (ColumnData::Boolean(to), ColumnData::Boolean(from)) => to.push(from[index]),
            _ => panic!("columns of one field have one type"),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            ColumnData::Float(values) => values.truncate(len),
            ColumnData::Integer(values) => values.truncate(len),
            ColumnData::Unsigned(values) => values.truncate(len),
            ColumnData::String(values) => values.truncate(len),
            ColumnData::Boolean(values) => values.truncate(len),
        }
    }
}

/// A column of one field.
///
/// Invariant: the validity, where there is one, has as many bits as there are places.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    data: ColumnData,
    /// Which places hold a value; `None` when all do.
    validity: Option<Bitmap>,
}

impl Column {
    /// No rows.
    pub fn new(field_type: FieldType) -> Column {
        Column { data: ColumnData::new(field_type), validity: None }
    }

    /// A column from its parts. `None` when the lengths differ. A validity with every bit set is dropped.
    pub fn from_parts(data: ColumnData, validity: Option<Bitmap>) -> Option<Column> {
        if validity.as_ref().is_some_and(|bits| bits.len() != data.len()) {
            return None;
        }
        let validity = validity.filter(|bits| bits.count_ones() < bits.len());
        Some(Column { data, validity })
    }

    /// How many rows there are, with a value or without.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The type of the values.
    pub fn field_type(&self) -> FieldType {
        self.data.field_type()
    }

    /// The values at the positions of their rows.
    pub fn data(&self) -> &ColumnData {
        &self.data
    }

    /// Which rows have a value; `None` when all have.
    pub fn validity(&self) -> Option<&Bitmap> {
        self.validity.as_ref()
    }

    /// Data and validity, for whoever takes the column apart.
    pub fn into_parts(self) -> (ColumnData, Option<Bitmap>) {
        (self.data, self.validity)
    }

    /// Whether row `index` has a value.
    #[inline]
    pub fn is_valid(&self, index: usize) -> bool {
        self.validity.as_ref().is_none_or(|bits| bits.get(index))
    }

    /// How many rows have a value.
    pub fn valid_count(&self) -> usize {
        self.validity.as_ref().map_or(self.len(), Bitmap::count_ones)
    }

    /// The value of row `index`. Allocates for strings; inner loops take [`Column::data`].
    pub fn get(&self, index: usize) -> Option<FieldValue> {
        self.is_valid(index).then(|| match &self.data {
            ColumnData::Float(values) => FieldValue::Float(values[index]),
            ColumnData::Integer(values) => FieldValue::Integer(values[index]),
            ColumnData::Unsigned(values) => FieldValue::Unsigned(values[index]),
            ColumnData::String(values) => FieldValue::String(values.get(index).to_vec()),
            ColumnData::Boolean(values) => FieldValue::Boolean(values[index]),
        })
    }

    /// Appends rows without a value until there are `len`.
    pub fn pad_to(&mut self, len: usize) {
        if self.len() >= len {
            return;
        }
        let before = self.len();
        let validity = self.validity.get_or_insert_with(|| Bitmap::filled(before, true));
        validity.resize(len, false);
        self.data.fill_to(len);
    }

    /// Keeps the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        self.data.truncate(len);
        if let Some(bits) = &mut self.validity {
            bits.resize(len, false);
        }
    }

    /// Appends one value.
    ///
    /// # Panics
    /// When the value has another type than the column.
    pub fn push(&mut self, value: &FieldValue) {
        match (&mut self.data, value) {
            (ColumnData::Float(values), FieldValue::Float(value)) => values.push(*value),
            (ColumnData::Integer(values), FieldValue::Integer(value)) => values.push(*value),
            (ColumnData::Unsigned(values), FieldValue::Unsigned(value)) => values.push(*value),
            (ColumnData::String(values), FieldValue::String(value)) => values.push(value),
            (ColumnData::Boolean(values), FieldValue::Boolean(value)) => values.push(*value),
            _ => panic!("columns of one field have one type"),
        }
        self.mark_last_valid();
    }

    /// Appends row `index` of `other`, a column of the same type, with or without a value.
    pub fn push_from(&mut self, other: &Column, index: usize) {
        if !other.is_valid(index) {
            self.pad_to(self.len() + 1);
            return;
        }
        self.data.push_from(&other.data, index);
        self.mark_last_valid();
    }

    /// Appends a double; the column must be of doubles.
    #[inline]
    pub fn push_float(&mut self, value: f64) {
        let ColumnData::Float(values) = &mut self.data else { panic!("a column of doubles") };
        values.push(value);
        self.mark_last_valid();
    }

    /// Appends an integer; the column must be of integers.
    #[inline]
    pub fn push_integer(&mut self, value: i64) {
        let ColumnData::Integer(values) = &mut self.data else { panic!("a column of integers") };
        values.push(value);
        self.mark_last_valid();
    }

    /// Appends an unsigned integer; the column must be of those.
    #[inline]
    pub fn push_unsigned(&mut self, value: u64) {
        let ColumnData::Unsigned(values) = &mut self.data else { panic!("a column of unsigned integers") };
        values.push(value);
        self.mark_last_valid();
    }

    /// Appends a boolean; the column must be of booleans.
    #[inline]
    pub fn push_boolean(&mut self, value: bool) {
        let ColumnData::Boolean(values) = &mut self.data else { panic!("a column of booleans") };
        values.push(value);
        self.mark_last_valid();
    }

    /// Appends a string; the column must be of strings.
    #[inline]
    pub fn push_string(&mut self, value: &[u8]) {
        let ColumnData::String(values) = &mut self.data else { panic!("a column of strings") };
        values.push(value);
        self.mark_last_valid();
    }

    #[inline]
    fn mark_last_valid(&mut self) {
        if let Some(bits) = &mut self.validity {
            bits.push(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_remembered_and_rows_can_be_cut() {
        let mut column = Column::new(FieldType::Integer);
        column.push_integer(1);
        column.pad_to(3);
        column.push_integer(4);
        assert_eq!(column.valid_count(), 2);
        assert_eq!(column.get(1), None);
        assert_eq!(column.get(3), Some(FieldValue::Integer(4)));
        column.truncate(3);
        assert_eq!((column.len(), column.valid_count()), (3, 1));
    }

    #[test]
    fn strings_lie_end_to_end() {
        let mut column = Column::new(FieldType::String);
        column.push_string(b"one");
        column.push_string(b"");
        column.pad_to(3);
        column.push(&FieldValue::String(b"four".to_vec()));
        let ColumnData::String(strings) = column.data() else { panic!("strings") };
        assert_eq!(strings.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"", b"", b"four"]);
        assert_eq!(StringColumn::from_parts(strings.ends().to_vec(), strings.bytes().to_vec()).as_ref(), Some(strings));
        assert_eq!(StringColumn::from_parts(vec![3, 1], vec![0]), None);
    }

    #[test]
    fn rows_are_copied_with_their_gaps() {
        let mut from = Column::new(FieldType::Float);
        from.push_float(1.5);
        from.pad_to(2);
        let mut to = Column::new(FieldType::Float);
        to.push_from(&from, 1);
        to.push_from(&from, 0);
        assert_eq!((to.get(0), to.get(1)), (None, Some(FieldValue::Float(1.5))));
    }

    #[test]
    fn a_full_validity_is_dropped_and_a_wrong_one_refused() {
        let data = ColumnData::Integer(vec![1, 2]);
        let whole = Column::from_parts(data.clone(), Some(Bitmap::filled(2, true))).expect("lengths agree");
        assert_eq!(whole.validity(), None);
        assert_eq!(Column::from_parts(data, Some(Bitmap::filled(3, true))), None);
    }
}
