//! Bytes of a file to text: UTF-8, or UTF-16 with a byte order mark.

use std::str::from_utf8;

/// Why bytes are no text, and where: the valid text before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoText {
    pub(crate) before: String,
    pub(crate) reason: String,
}

pub(crate) fn decode(bytes: &[u8]) -> Result<String, NoText> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let (before, rest) = bytes.split_at(error.valid_up_to());
                let byte = rest.first().copied().unwrap_or_default();
                let before = from_utf8(before).unwrap_or_default().to_owned();
                Err(NoText { before, reason: format!("byte 0x{byte:02x} is no text in UTF-8") })
            }
        },
    }
}

fn wide(bytes: &[u8], order: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::new();
    for unit in char::decode_utf16(pairs.iter().map(|pair| order(*pair))) {
        match unit {
            Ok(character) => text.push(character),
            Err(error) => {
                let reason = format!("unit 0x{:04x} is no text in UTF-16", error.unpaired_surrogate());
                return Err(NoText { before: text, reason });
            }
        }
    }
    match odd {
        [] => Ok(text),
        [..] => Err(NoText { before: text, reason: "the last character of UTF-16 is cut off".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide_bytes(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
    }

    #[test]
    fn files_may_be_wide() {
        for text in ["", "a", "ä = \"𝄞\"\n"] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(text));
            assert_eq!(decode(&wide_bytes(text, u16::to_le_bytes)).as_deref(), Ok(text));
            assert_eq!(decode(&wide_bytes(text, u16::to_be_bytes)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_text_is_told_with_what_stands_before_it() {
        let no_text = |bytes: &[u8], before: &str, reason: &str| {
            let want = NoText { before: before.to_owned(), reason: reason.to_owned() };
            assert_eq!(decode(bytes), Err(want));
        };
        no_text(b"a\xff", "a", "byte 0xff is no text in UTF-8");
        no_text(b"ab\xc3", "ab", "byte 0xc3 is no text in UTF-8");
        no_text(b"\xff\xfea\0b", "a", "the last character of UTF-16 is cut off");
        no_text(b"\xfe\xff\0a\xd8\x00\0b", "a", "unit 0xd800 is no text in UTF-16");
    }
}
