//! One column of a page: which rows have a value, and the values.
//!
//! The first byte is the type of the field, as `model::FieldType` numbers it. Rows without a value take no place among
//! the values. Exact bytes: `docs/format/shard.md`.

use model::{Column, ColumnData, FieldType, StringColumn};
use stdx::{Bitmap, varint};

use crate::{float, integer, string};

#[cfg(test)]
mod tests;

/// Most rows of one block.
pub const BLOCK_ROWS_MAX: usize = 1 << 16;

const VALIDITY_ALL: u8 = 0;
const VALIDITY_BITS: u8 = 1;
const VALIDITY_RUNS: u8 = 2;

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bytes end too early.
    #[error("block is cut short")]
    Cut,
    /// The bytes say something that no encoder writes.
    #[error("block is damaged: {0}")]
    Damaged(&'static str),
    /// More than a block may hold.
    #[error("block exceeds the limit of {0}")]
    Limit(&'static str),
}

/// Appends a block of `column`, of at most [`BLOCK_ROWS_MAX`] rows.
pub fn encode(column: &Column, out: &mut Vec<u8>) {
    assert!(column.len() <= BLOCK_ROWS_MAX, "whoever makes pages keeps them small");
    out.push(column.field_type() as u8);
    encode_validity(column.validity(), out);
    let dense = column.validity().map(|bits| dense(column.data(), bits));
    match dense.as_ref().unwrap_or(column.data()) {
        ColumnData::Float(values) => float::encode(values, out),
        ColumnData::Integer(values) => integer::encode(values, out),
        ColumnData::Unsigned(values) => {
            let numbers: Vec<i64> = values.iter().map(|value| *value as i64).collect();
            integer::encode(&numbers, out);
        }
        ColumnData::String(values) => string::encode(values, out),
        ColumnData::Boolean(values) => {
            let numbers: Vec<i64> = values.iter().map(|value| i64::from(*value)).collect();
            integer::encode(&numbers, out);
        }
    }
}

/// The column of `row_count` rows of a block that fills `bytes`.
pub fn decode(bytes: &[u8], row_count: usize) -> Result<Column, BlockError> {
    if row_count > BLOCK_ROWS_MAX {
        return Err(BlockError::Limit("rows"));
    }
    let (code, mut input) = bytes.split_first().ok_or(BlockError::Cut)?;
    let field_type = FieldType::from_code(*code).ok_or(BlockError::Damaged("unknown type"))?;
    let validity = decode_validity(&mut input, row_count)?;
    let count = validity.as_ref().map_or(row_count, Bitmap::count_ones);
    let data = decode_values(input, field_type, count)?;
    let data = match &validity {
        Some(bits) => expanded(&data, bits),
        None => data,
    };
    Column::from_parts(data, validity).ok_or(BlockError::Damaged("number of values"))
}

fn encode_validity(validity: Option<&Bitmap>, out: &mut Vec<u8>) {
    let Some(bits) = validity else {
        out.push(VALIDITY_ALL);
        return;
    };
    let mut lengths = Vec::new();
    let mut current = false;
    let mut length = 0i64;
    for index in 0..bits.len() {
        if bits.get(index) != current {
            lengths.push(length);
            (current, length) = (!current, 0);
        }
        length += 1;
    }
    lengths.push(length);
    let byte_count = bits.len().div_ceil(8);
    // Runs take at least a byte or so each; no need to try when they are many.
    if lengths.len() < byte_count {
        let mut runs = Vec::new();
        integer::encode(&lengths, &mut runs);
        if runs.len() + 4 < byte_count {
            out.push(VALIDITY_RUNS);
            varint::put_u64(out, lengths.len() as u64);
            varint::put_bytes(out, &runs);
            return;
        }
    }
    out.push(VALIDITY_BITS);
    let bytes = bits.words().iter().flat_map(|word| word.to_le_bytes());
    out.extend(bytes.take(byte_count));
}

fn decode_validity(input: &mut &[u8], row_count: usize) -> Result<Option<Bitmap>, BlockError> {
    let (tag, rest) = input.split_first().ok_or(BlockError::Cut)?;
    *input = rest;
    match *tag {
        VALIDITY_ALL => Ok(None),
        VALIDITY_BITS => {
            let (bytes, rest) = input.split_at_checked(row_count.div_ceil(8)).ok_or(BlockError::Cut)?;
            *input = rest;
            let words = bytes.chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            });
            Ok(Some(Bitmap::from_words(words.collect(), row_count).expect("as many words as the rows need")))
        }
        VALIDITY_RUNS => {
            let count = varint::take_u64(input).ok_or(BlockError::Cut)?;
            let count = usize::try_from(count).ok().filter(|count| *count <= row_count + 1);
            let count = count.ok_or(BlockError::Damaged("runs of validity"))?;
            let runs = varint::take_bytes(input).ok_or(BlockError::Cut)?;
            let mut lengths = Vec::new();
            integer::decode(runs, count, &mut lengths)?;
            let mut bits = Bitmap::new();
            let mut current = false;
            for length in lengths {
                let length = usize::try_from(length).ok().filter(|length| *length <= row_count - bits.len());
                bits.resize(bits.len() + length.ok_or(BlockError::Damaged("runs of validity"))?, current);
                current = !current;
            }
            if bits.len() == row_count { Ok(Some(bits)) } else { Err(BlockError::Damaged("runs of validity")) }
        }
        _ => Err(BlockError::Damaged("unknown validity coding")),
    }
}

fn decode_values(input: &[u8], field_type: FieldType, count: usize) -> Result<ColumnData, BlockError> {
    let mut numbers = Vec::new();
    Ok(match field_type {
        FieldType::Float => {
            let mut values = Vec::new();
            float::decode(input, count, &mut values)?;
            ColumnData::Float(values)
        }
        FieldType::Integer => {
            integer::decode(input, count, &mut numbers)?;
            ColumnData::Integer(numbers)
        }
        FieldType::Unsigned => {
            integer::decode(input, count, &mut numbers)?;
            ColumnData::Unsigned(numbers.into_iter().map(|number| number as u64).collect())
        }
        FieldType::String => {
            let mut values = StringColumn::default();
            string::decode(input, count, &mut values)?;
            ColumnData::String(values)
        }
        FieldType::Boolean => {
            integer::decode(input, count, &mut numbers)?;
            if numbers.iter().any(|number| !(0..=1).contains(number)) {
                return Err(BlockError::Damaged("a boolean"));
            }
            ColumnData::Boolean(numbers.into_iter().map(|number| number == 1).collect())
        }
    })
}

/// The values of the rows that have one.
fn dense(data: &ColumnData, bits: &Bitmap) -> ColumnData {
    fn pick<T: Copy>(values: &[T], bits: &Bitmap) -> Vec<T> {
        bits.ones().map(|index| values[index]).collect()
    }
    match data {
        ColumnData::Float(values) => ColumnData::Float(pick(values, bits)),
        ColumnData::Integer(values) => ColumnData::Integer(pick(values, bits)),
        ColumnData::Unsigned(values) => ColumnData::Unsigned(pick(values, bits)),
        ColumnData::Boolean(values) => ColumnData::Boolean(pick(values, bits)),
        ColumnData::String(values) => {
            let mut picked = StringColumn::default();
            bits.ones().for_each(|index| picked.push(values.get(index)));
            ColumnData::String(picked)
        }
    }
}

/// The inverse of [`dense`]: `data` has one value for each bit that is set.
fn expanded(data: &ColumnData, bits: &Bitmap) -> ColumnData {
    fn spread<T: Copy + Default>(values: &[T], bits: &Bitmap) -> Vec<T> {
        let mut out = vec![T::default(); bits.len()];
        for (value, index) in values.iter().zip(bits.ones()) {
            out[index] = *value;
        }
        out
    }
    match data {
        ColumnData::Float(values) => ColumnData::Float(spread(values, bits)),
        ColumnData::Integer(values) => ColumnData::Integer(spread(values, bits)),
        ColumnData::Unsigned(values) => ColumnData::Unsigned(spread(values, bits)),
        ColumnData::Boolean(values) => ColumnData::Boolean(spread(values, bits)),
        ColumnData::String(values) => {
            let mut out = StringColumn::default();
            let mut next = 0;
            for index in 0..bits.len() {
                if bits.get(index) {
                    out.push(values.get(next));
                    next += 1;
                } else {
                    out.push(b"");
                }
            }
            ColumnData::String(out)
        }
    }
}
