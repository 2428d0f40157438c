//! One column of a batch: which rows have a value, then the values of those rows alone.

use model::{Column, ColumnData, FieldColumn, FieldType, StringColumn};
use stdx::Bitmap;

use super::{DecodeError, Input, Scratch, numbers, text};

/// Beside the type: a bitmap follows.
const GAPS: u8 = 0x80;

const FLOAT_PLAIN: u8 = 0;
const FLOAT_CONSTANT: u8 = 1;
const FLOAT_DECIMAL: u8 = 2;

const BOOLEAN_FALSE: u8 = 0;
const BOOLEAN_TRUE: u8 = 1;
const BOOLEAN_BITS: u8 = 2;

/// Most digits after the point of a float that is written as an integer. All these powers are exact doubles.
const DECIMAL_DIGITS_MAX: usize = 9;

const POWERS: [f64; DECIMAL_DIGITS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Decimal floats have integers below this magnitude, so that both directions are exact.
const DECIMAL_MAX: f64 = (1u64 << 51) as f64;

/// Bytes of the strings of all columns.
pub(super) fn text_byte_count(columns: &[FieldColumn]) -> u64 {
    let strings = columns.iter().filter_map(|field| match field.column.data() {
        ColumnData::String(strings) => Some(strings.bytes().len() as u64),
        _ => None,
    });
    strings.sum()
}

/// Appends a column.
pub(super) fn encode(column: &Column, out: &mut Vec<u8>, scratch: &mut Scratch) {
    let gaps = column.validity().filter(|bits| bits.count_ones() < bits.len());
    out.push(column.field_type() as u8 | if gaps.is_some() { GAPS } else { 0 });
    if let Some(bits) = gaps {
        put_bits(out, bits);
    }
    match column.data() {
        ColumnData::Float(values) => encode_floats(&present(values, gaps), out, scratch),
        ColumnData::Integer(values) => numbers::encode(&present(values, gaps), out),
        ColumnData::Unsigned(values) => {
            scratch.numbers.clear();
            scratch.numbers.extend(present(values, gaps).iter().map(|value| *value as i64));
            numbers::encode(&scratch.numbers, out);
        }
        ColumnData::String(values) => match gaps {
            None => text::encode(values.iter(), out, scratch),
            Some(bits) => text::encode(bits.ones().map(|row| values.get(row)), out, scratch),
        },
        ColumnData::Boolean(values) => encode_booleans(&present(values, gaps), out),
    }
}

/// A column of `row_count` rows.
pub(super) fn decode(input: &mut Input<'_>, row_count: usize) -> Result<Column, DecodeError> {
    let head = input.byte()?;
    let field_type = FieldType::from_code(head & !GAPS).ok_or(DecodeError::Damaged("type of a field"))?;
    let validity = if head & GAPS == 0 { None } else { Some(take_bits(input, row_count)?) };
    let count = validity.as_ref().map_or(row_count, Bitmap::count_ones);
    let gaps = validity.as_ref();
    let data = match field_type {
        FieldType::Float => ColumnData::Float(spread(decode_floats(input, count)?, gaps)),
        FieldType::Integer => ColumnData::Integer(spread(numbers::decode(input, count)?, gaps)),
        FieldType::Unsigned => {
            let values = numbers::decode(input, count)?.into_iter().map(|value| value as u64).collect();
            ColumnData::Unsigned(spread(values, gaps))
        }
        FieldType::String => ColumnData::String(decode_strings(input, count, gaps)?),
        FieldType::Boolean => ColumnData::Boolean(spread(decode_booleans(input, count)?, gaps)),
    };
    Column::from_parts(data, validity).ok_or(DecodeError::Damaged("as many values as rows"))
}

/// The values of rows that have one.
fn present<'a, T: Copy>(values: &'a [T], gaps: Option<&Bitmap>) -> std::borrow::Cow<'a, [T]> {
    match gaps {
        None => values.into(),
        Some(bits) => bits.ones().map(|row| values[row]).collect::<Vec<_>>().into(),
    }
}

/// The inverse of [`present`]; zeros where there is no value.
fn spread<T: Copy + Default>(values: Vec<T>, gaps: Option<&Bitmap>) -> Vec<T> {
    let Some(bits) = gaps else { return values };
    let mut rows = vec![T::default(); bits.len()];
    for (row, value) in bits.ones().zip(values) {
        rows[row] = value;
    }
    rows
}

fn put_bits(out: &mut Vec<u8>, bits: &Bitmap) {
    let start = out.len();
    out.extend(bits.words().iter().flat_map(|word| word.to_le_bytes()));
    out.truncate(start + bits.len().div_ceil(8));
}

fn take_bits(input: &mut Input<'_>, count: usize) -> Result<Bitmap, DecodeError> {
    let bytes = input.bytes(count.div_ceil(8))?;
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    Bitmap::from_words(words.collect(), count).ok_or(DecodeError::Cut)
}

fn encode_floats(values: &[f64], out: &mut Vec<u8>, scratch: &mut Scratch) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        out.push(FLOAT_CONSTANT);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
    } else if let Some(digits) = to_decimals(values, &mut scratch.decimals) {
        out.push(FLOAT_DECIMAL);
        out.push(digits as u8);
        numbers::encode(&scratch.decimals, out);
    } else {
        out.push(FLOAT_PLAIN);
        numbers::put_array(out, values.iter().map(|value| value.to_bits().to_le_bytes()));
    }
}

fn decode_floats(input: &mut Input<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match input.byte()? {
        FLOAT_PLAIN => {
            let bytes = input.bytes(count.checked_mul(8).ok_or(DecodeError::Cut)?)?;
            Ok(numbers::arrays(bytes).map(f64::from_le_bytes).collect())
        }
        FLOAT_CONSTANT => {
            let bytes = input.bytes(8)?;
            let value = numbers::arrays(bytes).next().map(f64::from_le_bytes).ok_or(DecodeError::Cut)?;
            Ok(vec![value; count])
        }
        FLOAT_DECIMAL => {
            let power = *POWERS.get(input.byte()? as usize).ok_or(DecodeError::Damaged("digits of floats"))?;
            let values = numbers::decode(input, count)?;
            Ok(values.into_iter().map(|value| value as f64 / power).collect())
        }
        _ => Err(DecodeError::Damaged("form of floats")),
    }
}

/// Fills `decimals` with the values times a power of ten and tells its digits, when all values are decimals with few
/// digits and the integers fit four bytes. Each integer was seen to give its float back, bit for bit.
fn to_decimals(values: &[f64], decimals: &mut Vec<i64>) -> Option<usize> {
    let mut digits = values.iter().take(8).try_fold(0, |digits, value| digits_of(*value, digits))?;
    'digits: loop {
        decimals.clear();
        for value in values {
            let Some(decimal) = scaled(*value, POWERS[digits]) else {
                digits = digits_of(*value, digits)?;
                continue 'digits;
            };
            decimals.push(decimal);
        }
        let low = decimals.iter().min()?;
        let high = decimals.iter().max()?;
        return (high - low <= i64::from(u32::MAX)).then_some(digits);
    }
}

/// How many digits `value` has after the point, counted from `least` on.
fn digits_of(value: f64, least: usize) -> Option<usize> {
    (least..POWERS.len()).find(|digits| scaled(value, POWERS[*digits]).is_some())
}

/// `value * power` when it is an integer that gives `value` back.
#[inline]
fn scaled(value: f64, power: f64) -> Option<i64> {
    // Adding and taking away this number rounds to an integer without a call.
    const ROUND: f64 = (3u64 << 51) as f64;
    let rounded = (value * power + ROUND) - ROUND;
    let exact = rounded.abs() < DECIMAL_MAX && (rounded / power).to_bits() == value.to_bits();
    exact.then_some(rounded as i64)
}

fn encode_booleans(values: &[bool], out: &mut Vec<u8>) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|value| value == first) {
        out.push(if *first { BOOLEAN_TRUE } else { BOOLEAN_FALSE });
        return;
    }
    out.push(BOOLEAN_BITS);
    out.extend(values.chunks(8).map(|chunk| chunk.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))));
}

fn decode_booleans(input: &mut Input<'_>, count: usize) -> Result<Vec<bool>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match input.byte()? {
        BOOLEAN_FALSE => Ok(vec![false; count]),
        BOOLEAN_TRUE => Ok(vec![true; count]),
        BOOLEAN_BITS => {
            let bits = take_bits(input, count)?;
            Ok((0..count).map(|index| bits.get(index)).collect())
        }
        _ => Err(DecodeError::Damaged("form of booleans")),
    }
}

fn decode_strings(input: &mut Input<'_>, count: usize, gaps: Option<&Bitmap>) -> Result<StringColumn, DecodeError> {
    let (ends, bytes) = text::decode(input, count)?;
    let ends = match gaps {
        None => ends,
        Some(bits) => {
            let mut rows = Vec::with_capacity(bits.len());
            for (row, end) in bits.ones().zip(ends) {
                rows.resize(row, rows.last().copied().unwrap_or(0));
                rows.push(end);
            }
            rows.resize(bits.len(), rows.last().copied().unwrap_or(0));
            rows
        }
    };
    StringColumn::from_parts(ends, bytes).ok_or(DecodeError::Damaged("lengths of strings"))
}
