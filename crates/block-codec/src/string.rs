//! Strings: distinct ones once with numbers, or lengths and text; compressed where that pays.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::StringColumn;
use stdx::varint;

use crate::block::BlockError;
use crate::integer;

const TAG_RAW: u8 = 1;
const TAG_DICTIONARY: u8 = 2;

/// Most text of one block, decoded, bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 28;

/// Repeatable, so that the same strings give the same bytes; a client gains nothing from collisions in one page.
type Hasher = BuildHasherDefault<std::hash::DefaultHasher>;

/// Appends a block of `values`. An empty sequence takes no bytes.
pub fn encode(values: &StringColumn, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let mut numbers_of: HashMap<&[u8], i64, Hasher> = HashMap::default();
    let mut distinct = StringColumn::default();
    let mut numbers = Vec::with_capacity(values.len());
    for value in values.iter() {
        let next = distinct.len() as i64;
        let number = *numbers_of.entry(value).or_insert_with(|| {
            distinct.push(value);
            next
        });
        numbers.push(number);
    }
    if distinct.len() * 2 <= values.len() {
        out.push(TAG_DICTIONARY);
        varint::put_u64(out, distinct.len() as u64);
        let mut part = Vec::new();
        integer::encode(&numbers, &mut part);
        varint::put_bytes(out, &part);
        encode_text(&distinct, out);
    } else {
        out.push(TAG_RAW);
        encode_text(values, out);
    }
}

/// Appends the `count` values of a block that fills `bytes`.
pub fn decode(bytes: &[u8], count: usize, out: &mut StringColumn) -> Result<(), BlockError> {
    if count == 0 {
        return if bytes.is_empty() { Ok(()) } else { Err(BlockError::Damaged("bytes after the end")) };
    }
    let (tag, mut input) = bytes.split_first().ok_or(BlockError::Cut)?;
    match *tag {
        TAG_RAW => {
            let text = decode_text(input, count)?;
            if out.is_empty() {
                *out = text;
            } else {
                text.iter().for_each(|value| out.push(value));
            }
            Ok(())
        }
        TAG_DICTIONARY => {
            let distinct_count = varint::take_u64(&mut input).ok_or(BlockError::Cut)?;
            let distinct_count = usize::try_from(distinct_count).ok().filter(|distinct| *distinct <= count);
            let distinct_count = distinct_count.ok_or(BlockError::Damaged("more entries than strings"))?;
            let part = varint::take_bytes(&mut input).ok_or(BlockError::Cut)?;
            let mut numbers = Vec::new();
            integer::decode(part, count, &mut numbers)?;
            let distinct = decode_text(input, distinct_count)?;
            let mut text_bytes = 0;
            for number in numbers {
                let index = usize::try_from(number).ok().filter(|index| *index < distinct_count);
                let value = distinct.get(index.ok_or(BlockError::Damaged("dictionary number"))?);
                text_bytes += value.len();
                if text_bytes > TEXT_BYTES_MAX {
                    return Err(BlockError::Limit("text of a block"));
                }
                out.push(value);
            }
            Ok(())
        }
        _ => Err(BlockError::Damaged("unknown string coding")),
    }
}

/// Lengths, then the text, compressed if that saves an eighth.
fn encode_text(values: &StringColumn, out: &mut Vec<u8>) {
    let lengths: Vec<i64> = values.iter().map(|value| value.len() as i64).collect();
    let mut part = Vec::new();
    integer::encode(&lengths, &mut part);
    varint::put_bytes(out, &part);
    let text = values.bytes();
    if text.len() >= 64 {
        let compressed = lz4_flex::block::compress(text);
        if compressed.len() + compressed.len() / 8 < text.len() {
            out.push(1);
            out.extend_from_slice(&compressed);
            return;
        }
    }
    out.push(0);
    out.extend_from_slice(text);
}

fn decode_text(mut input: &[u8], count: usize) -> Result<StringColumn, BlockError> {
    let part = varint::take_bytes(&mut input).ok_or(BlockError::Cut)?;
    let mut lengths = Vec::new();
    integer::decode(part, count, &mut lengths)?;
    let mut ends = Vec::with_capacity(count);
    let mut end = 0usize;
    for length in lengths {
        let length = usize::try_from(length).map_err(|_| BlockError::Damaged("length of a string"))?;
        end =
            end.checked_add(length).filter(|end| *end <= TEXT_BYTES_MAX).ok_or(BlockError::Limit("text of a block"))?;
        ends.push(end as u32);
    }
    let (compressed, text) = input.split_first().ok_or(BlockError::Cut)?;
    let text = match compressed {
        0 => text.to_vec(),
        1 => {
            // LZ4 makes at most 255 bytes of one.
            if end / 255 > text.len() {
                return Err(BlockError::Damaged("compressed text"));
            }
            lz4_flex::block::decompress(text, end).map_err(|_| BlockError::Damaged("compressed text"))?
        }
        _ => return Err(BlockError::Damaged("unknown text coding")),
    };
    StringColumn::from_parts(ends, text).ok_or(BlockError::Damaged("lengths of strings"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(values: &[&[u8]]) -> StringColumn {
        let mut column = StringColumn::default();
        values.iter().for_each(|value| column.push(value));
        column
    }

    fn round_trip(values: &StringColumn) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let mut back = StringColumn::default();
        decode(&bytes, values.len(), &mut back).expect("as written");
        assert_eq!(&back, values);
        bytes.len()
    }

    #[test]
    fn strings_come_back_short() {
        assert_eq!(round_trip(&column(&[])), 0);
        round_trip(&column(&[b""]));
        round_trip(&column(&[b"", b"a\0b", b"\xff\xfe"]));
        let mut states = StringColumn::default();
        (0..1000).for_each(|i| states.push(if i % 7 == 0 { b"warning" } else { b"ok" }));
        assert!(round_trip(&states) < 160);
        let mut lines = StringColumn::default();
        (0..500).for_each(|i| lines.push(format!("connection from 10.0.0.{i} closed").as_bytes()));
        assert!(round_trip(&lines) < lines.bytes().len() / 2);
    }

    #[test]
    fn damage_is_refused() {
        let mut bytes = Vec::new();
        encode(&column(&[b"one", b"two", b"one", b"one"]), &mut bytes);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], 4, &mut StringColumn::default()).is_err());
        }
        // A length that no text backs.
        let mut bomb = vec![TAG_RAW];
        let mut part = Vec::new();
        integer::encode(&[1 << 27], &mut part);
        varint::put_bytes(&mut bomb, &part);
        bomb.extend_from_slice(&[1, 0]);
        assert!(decode(&bomb, 1, &mut StringColumn::default()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_strings_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..200)) {
            round_trip(&column(&values.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..300) {
            let mut out = StringColumn::default();
            if decode(&bytes, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count);
            }
        }
    }
}
