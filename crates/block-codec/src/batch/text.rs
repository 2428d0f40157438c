//! Strings: their lengths as numbers, then their bytes end to end, plain or compressed with lz4.

use stdx::varint;

use super::{DecodeError, Input, Scratch, numbers};

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Below this many bytes nobody tries to compress.
const COMPRESS_BYTES_MIN: usize = 256;

/// What lz4 can make of one byte at most; declares the bound for lengths that no plain byte backs.
const LZ4_RATIO_MAX: u64 = 255;

/// Appends strings.
pub(super) fn encode<'a>(strings: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>, scratch: &mut Scratch) {
    scratch.numbers.clear();
    scratch.text.clear();
    for string in strings {
        scratch.numbers.push(string.len() as i64);
        scratch.text.extend_from_slice(string);
    }
    if scratch.numbers.is_empty() {
        return;
    }
    numbers::encode(&scratch.numbers, out);
    if scratch.text.len() >= COMPRESS_BYTES_MIN {
        let packed = lz4_flex::block::compress(&scratch.text);
        if packed.len() < scratch.text.len() / 8 * 7 {
            out.push(LZ4);
            varint::put_bytes(out, &packed);
            return;
        }
    }
    out.push(PLAIN);
    out.extend_from_slice(&scratch.text);
}

/// The end of each of `count` strings, and all of them end to end.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<(Vec<u32>, Vec<u8>), DecodeError> {
    if count == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut ends = Vec::with_capacity(count);
    let mut end = 0u64;
    for length in numbers::decode(input, count)? {
        let length = u64::try_from(length).map_err(|_| DecodeError::Damaged("length of a string"))?;
        input.claim_text(length)?;
        end += length;
        ends.push(u32::try_from(end).map_err(|_| DecodeError::Limit("text"))?);
    }
    let bytes = match input.byte()? {
        PLAIN => input.bytes(end as usize)?.to_vec(),
        LZ4 => {
            let packed = input.counted_bytes()?;
            if end > packed.len() as u64 * LZ4_RATIO_MAX {
                return Err(DecodeError::Damaged("length of compressed text"));
            }
            let bytes = lz4_flex::block::decompress(packed, end as usize);
            bytes.map_err(|_| DecodeError::Damaged("compressed text"))?
        }
        _ => return Err(DecodeError::Damaged("form of text")),
    };
    if bytes.len() as u64 != end {
        return Err(DecodeError::Damaged("length of compressed text"));
    }
    Ok((ends, bytes))
}
