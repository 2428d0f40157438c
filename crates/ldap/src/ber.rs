//! The basic encoding rules, as far as LDAP goes: tag, definite length, content.

/// Of an integer.
pub(crate) const INTEGER: u8 = 0x02;
/// Of a boolean.
pub(crate) const BOOLEAN: u8 = 0x01;
/// Of bytes.
pub(crate) const OCTETS: u8 = 0x04;
/// Of one of several.
pub(crate) const ENUMERATED: u8 = 0x0a;
/// Of a sequence.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Of a set.
pub(crate) const SET: u8 = 0x31;

/// Appends an element.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        length => {
            let bytes = length.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).expect("not zero");
            out.push(0x80 | (bytes.len() - first) as u8);
            out.extend_from_slice(&bytes[first..]);
        }
    }
    out.extend_from_slice(content);
}

/// Appends an element with what `fill` appends in it.
pub(crate) fn put_with(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    put(out, tag, &content);
}

/// Appends a number that is not negative.
pub(crate) fn put_number(out: &mut Vec<u8>, tag: u8, number: u32) {
    let bytes = u64::from(number).to_be_bytes();
    // One zero bit in front says that it is not negative.
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let first = if bytes[first] & 0x80 != 0 { first - 1 } else { first };
    put(out, tag, &bytes[first..]);
}

/// Where an element begins that may not be whole yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// So many bytes in all.
    Bytes(usize),
    /// More bytes are needed to tell.
    Unknown,
    /// This is no element of LDAP, or its length is beyond everything.
    Never,
}

/// How long the element is that `bytes` begins with.
pub(crate) fn whole(bytes: &[u8]) -> Whole {
    let Some(first) = bytes.get(1) else { return Whole::Unknown };
    if *first < 0x80 {
        return Whole::Bytes(2 + usize::from(*first));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Whole::Never;
    }
    let Some(length) = bytes.get(2..2 + count) else { return Whole::Unknown };
    let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    Whole::Bytes(2 + count + length)
}

/// Takes the element from the front of `input`: its tag and its content.
pub(crate) fn take<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let Whole::Bytes(length) = whole(input) else { return None };
    let (element, rest) = (input.get(..length)?, input.get(length..)?);
    let header = if element[1] < 0x80 { 2 } else { 2 + usize::from(element[1] & 0x7f) };
    *input = rest;
    Some((element[0], &element[header..]))
}

/// Takes an element with this tag.
pub(crate) fn take_tag<'a>(input: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    take(input).filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
}

/// Takes a number that is not negative.
pub(crate) fn take_number(input: &mut &[u8], tag: u8) -> Option<u32> {
    let content = take_tag(input, tag)?;
    if content.is_empty() || content.len() > 5 || content[0] & 0x80 != 0 {
        return None;
    }
    let number = content.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_come_back() {
        for number in [0, 1, 127, 128, 255, 256, 65_535, 1 << 23, u32::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, INTEGER, number);
            assert_eq!(take_number(&mut out.as_slice(), INTEGER), Some(number));
        }
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let mut out = Vec::new();
            put(&mut out, OCTETS, &vec![7; length]);
            assert_eq!(whole(&out), Whole::Bytes(out.len()));
            let mut rest = out.as_slice();
            assert_eq!(take(&mut rest).map(|(tag, content)| (tag, content.len())), Some((OCTETS, length)));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn what_is_cut_or_odd_is_no_element() {
        assert_eq!(whole(&[0x30]), Whole::Unknown);
        assert_eq!(whole(&[0x30, 0x82, 1]), Whole::Unknown);
        assert_eq!(whole(&[0x30, 0x80]), Whole::Never, "no definite length");
        assert_eq!(whole(&[0x30, 0x85, 1, 1, 1, 1, 1]), Whole::Never);
        assert_eq!(take(&mut &[0x04, 2, 1][..]), None);
        assert_eq!(take_number(&mut &[0x02, 1, 0x80][..], INTEGER), None, "negative");
        assert_eq!(take_number(&mut &[0x02, 0][..], INTEGER), None);
        assert_eq!(take_number(&mut &[0x02, 6, 0, 0, 0, 0, 0, 1][..], INTEGER), None);
        assert_eq!(take_tag(&mut &[0x04, 0][..], INTEGER), None);
    }
}
