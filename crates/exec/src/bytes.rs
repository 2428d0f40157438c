//! Writing values to bytes and reading them back, for partial results on the network.
//!
//! Small numbers are varints, times are differences, doubles are their bits. Reading never trusts a length: a count is
//! checked against the bytes that are left before anything is allocated.

use std::sync::Arc;

use model::{Column, ColumnData, FieldType, FieldValue, StringColumn};
use stdx::{Bitmap, varint};

/// Bytes that are no partial result: cut short, damaged, or from a version that this one does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed partial result: {0}")]
pub struct DecodeError(pub(crate) &'static str);

/// Takes values off the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError("cut short"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        varint::take_u64(&mut self.rest).ok_or(DecodeError("bad number"))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        varint::take_i64(&mut self.rest).ok_or(DecodeError("bad number"))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.word()?))
    }

    fn word(&mut self) -> Result<u64, DecodeError> {
        let (word, rest) = self.rest.split_first_chunk::<8>().ok_or(DecodeError("cut short"))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*word))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        varint::take_bytes(&mut self.rest).ok_or(DecodeError("cut short"))
    }

    pub(crate) fn shared_bytes(&mut self) -> Result<Arc<[u8]>, DecodeError> {
        Ok(self.bytes()?.into())
    }

    /// A number of things that take at least one byte each.
    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        self.count_of(1)
    }

    /// A number of things of which `per_byte` fit into one byte.
    fn count_of(&mut self, per_byte: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.u64()?).map_err(|_| DecodeError("count too large"))?;
        if count.div_ceil(per_byte) > self.rest.len() {
            return Err(DecodeError("count too large"));
        }
        Ok(count)
    }

    pub(crate) fn field_type(&mut self) -> Result<FieldType, DecodeError> {
        FieldType::from_code(self.u8()?).ok_or(DecodeError("unknown type"))
    }

    pub(crate) fn value(&mut self) -> Result<FieldValue, DecodeError> {
        Ok(match self.field_type()? {
            FieldType::Float => FieldValue::Float(self.f64()?),
            FieldType::Integer => FieldValue::Integer(self.i64()?),
            FieldType::Unsigned => FieldValue::Unsigned(self.u64()?),
            FieldType::String => FieldValue::String(self.bytes()?.to_vec()),
            FieldType::Boolean => FieldValue::Boolean(self.u8()? != 0),
        })
    }

    pub(crate) fn optional_value(&mut self) -> Result<Option<FieldValue>, DecodeError> {
        if self.u8()? == 0 { Ok(None) } else { self.value().map(Some) }
    }

    /// Times as differences, in any order.
    pub(crate) fn times(&mut self) -> Result<Vec<i64>, DecodeError> {
        let count = self.count()?;
        let mut times = Vec::with_capacity(count);
        let mut last = 0i64;
        for _ in 0..count {
            last = last.wrapping_add(self.i64()?);
            times.push(last);
        }
        Ok(times)
    }

    pub(crate) fn column(&mut self) -> Result<Column, DecodeError> {
        let field_type = self.field_type()?;
        let has_gaps = self.u8()? != 0;
        // Places without a value are not sent, so only their bits bound how many there are.
        let len = self.count_of(if has_gaps || field_type == FieldType::Boolean { 8 } else { 1 })?;
        let validity = if has_gaps { Some(self.bits(len)?) } else { None };
        let places = Places { validity: validity.as_ref(), len };
        let data = match field_type {
            FieldType::Float => ColumnData::Float(places.fill(|| self.f64())?),
            FieldType::Integer => ColumnData::Integer(places.fill(|| self.i64())?),
            FieldType::Unsigned => ColumnData::Unsigned(places.fill(|| self.u64())?),
            FieldType::Boolean => {
                let bits = self.bits(len)?;
                ColumnData::Boolean((0..len).map(|index| bits.get(index)).collect())
            }
            FieldType::String => {
                let mut strings = StringColumn::default();
                for index in 0..len {
                    strings.push(if places.is_valid(index) { self.bytes()? } else { b"" });
                }
                ColumnData::String(strings)
            }
        };
        Column::from_parts(data, validity).ok_or(DecodeError("column lengths differ"))
    }

    fn bits(&mut self, len: usize) -> Result<Bitmap, DecodeError> {
        let count = len.div_ceil(64);
        if count * 8 > self.rest.len() {
            return Err(DecodeError("cut short"));
        }
        let words = (0..count).map(|_| self.word()).collect::<Result<Vec<u64>, _>>()?;
        Bitmap::from_words(words, len).ok_or(DecodeError("cut short"))
    }
}

struct Places<'a> {
    validity: Option<&'a Bitmap>,
    len: usize,
}

impl Places<'_> {
    fn is_valid(&self, index: usize) -> bool {
        self.validity.is_none_or(|bits| bits.get(index))
    }

    fn fill<T: Default>(&self, mut take: impl FnMut() -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        (0..self.len).map(|index| if self.is_valid(index) { take() } else { Ok(T::default()) }).collect()
    }
}

/// The counterpart of [`Reader`].
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
}

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        varint::put_u64(&mut self.out, value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        varint::put_i64(&mut self.out, value);
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.out.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        varint::put_bytes(&mut self.out, bytes);
    }

    pub(crate) fn value(&mut self, value: &FieldValue) {
        self.u8(value.field_type() as u8);
        match value {
            FieldValue::Float(value) => self.f64(*value),
            FieldValue::Integer(value) => self.i64(*value),
            FieldValue::Unsigned(value) => self.u64(*value),
            FieldValue::String(value) => self.bytes(value),
            FieldValue::Boolean(value) => self.u8(u8::from(*value)),
        }
    }

    pub(crate) fn optional_value(&mut self, value: Option<&FieldValue>) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                self.value(value);
            }
        }
    }

    pub(crate) fn times(&mut self, times: &[i64]) {
        self.count(times.len());
        let mut last = 0i64;
        for time in times {
            self.i64(time.wrapping_sub(last));
            last = *time;
        }
    }

    pub(crate) fn column(&mut self, column: &Column) {
        self.u8(column.field_type() as u8);
        self.u8(u8::from(column.validity().is_some()));
        self.count(column.len());
        if let Some(bits) = column.validity() {
            self.words(bits.words());
        }
        let places = (0..column.len()).filter(|index| column.is_valid(*index));
        match column.data() {
            ColumnData::Float(values) => places.for_each(|index| self.f64(values[index])),
            ColumnData::Integer(values) => places.for_each(|index| self.i64(values[index])),
            ColumnData::Unsigned(values) => places.for_each(|index| self.u64(values[index])),
            ColumnData::String(values) => places.for_each(|index| self.bytes(values.get(index))),
            ColumnData::Boolean(values) => {
                let mut bits = Bitmap::new();
                values.iter().for_each(|value| bits.push(*value));
                self.words(bits.words());
            }
        }
    }

    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|word| self.out.extend_from_slice(&word.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let mut strings = Column::new(FieldType::String);
        strings.push_string(b"one");
        strings.pad_to(70);
        strings.push_string(b"");
        let booleans = ColumnData::Boolean((0..100).map(|n| n % 3 == 0).collect());
        let mut gaps = Column::new(FieldType::Float);
        gaps.pad_to(1_000);
        vec![
            strings,
            gaps,
            Column::from_parts(booleans, None).expect("no gaps"),
            Column::from_parts(ColumnData::Integer(vec![i64::MIN, 0, i64::MAX]), None).expect("no gaps"),
            Column::from_parts(ColumnData::Unsigned(vec![u64::MAX]), None).expect("no gaps"),
            Column::from_parts(ColumnData::Float(vec![-0.0, 1.5]), None).expect("no gaps"),
        ]
    }

    #[test]
    fn columns_and_times_come_back() {
        for column in columns() {
            let mut writer = Writer::default();
            writer.column(&column);
            let mut reader = Reader::new(&writer.out);
            let read = reader.column().expect("what was written");
            assert!(reader.is_empty());
            assert_eq!(read.len(), column.len());
            assert!((0..read.len()).all(|index| read.get(index) == column.get(index)));
        }
        let times = vec![i64::MAX, i64::MIN, 0, 7];
        let mut writer = Writer::default();
        writer.times(&times);
        assert_eq!(Reader::new(&writer.out).times(), Ok(times));
    }

    #[test]
    fn every_cut_is_refused() {
        for column in columns() {
            let mut writer = Writer::default();
            writer.column(&column);
            for end in 0..writer.out.len() {
                assert!(Reader::new(&writer.out[..end]).column().is_err());
            }
        }
    }

    #[test]
    fn a_huge_count_allocates_nothing() {
        let mut writer = Writer::default();
        writer.u8(FieldType::Float as u8);
        writer.u8(0);
        writer.u64(u64::MAX);
        assert_eq!(Reader::new(&writer.out).column(), Err(DecodeError("count too large")));
    }
}
