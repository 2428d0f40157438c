//! Unsigned integers in one to ten bytes, seven bits a byte, low bits first; signed ones folded by zigzag first.

/// Most bytes that one number takes.
pub const VARINT_BYTES_MAX: usize = 10;

/// Appends `value` to `out`.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `input`. `None` when it is cut short or longer than 64 bits; `input` is then
/// unchanged.
pub fn take_u64(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, byte) in input.iter().take(VARINT_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == VARINT_BYTES_MAX - 1 && *byte > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends a signed number; small magnitudes take few bytes.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Takes a signed number off the front of `input`, as [`take_u64`].
pub fn take_i64(input: &mut &[u8]) -> Option<i64> {
    let folded = take_u64(input)?;
    Some(((folded >> 1) as i64) ^ -((folded & 1) as i64))
}

/// Appends a length and then the bytes themselves.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes what [`put_bytes`] wrote. `None` when it is cut short; nothing is allocated.
pub fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *input;
    let length = usize::try_from(take_u64(&mut rest)?).ok()?;
    if length > rest.len() {
        return None;
    }
    let (bytes, rest) = rest.split_at(length);
    *input = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            let mut input = out.as_slice();
            assert_eq!(take_u64(&mut input), Some(value));
            assert!(input.is_empty());
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_i64(&mut out, value);
            assert_eq!(take_i64(&mut out.as_slice()), Some(value));
        }
    }

    #[test]
    fn cut_or_endless_input_is_refused() {
        assert_eq!(take_u64(&mut [].as_slice()), None);
        assert_eq!(take_u64(&mut [0x80].as_slice()), None);
        assert_eq!(take_u64(&mut [0xff; 11].as_slice()), None);
        assert_eq!(take_bytes(&mut [5, 1, 2].as_slice()), None);
    }

    #[test]
    fn bytes_come_back() {
        let mut out = Vec::new();
        put_bytes(&mut out, b"host");
        out.push(9);
        let mut input = out.as_slice();
        assert_eq!(take_bytes(&mut input), Some(b"host".as_slice()));
        assert_eq!(input, [9]);
    }
}
