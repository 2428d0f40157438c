//! Backslashes: which bytes they hide, and how to put them there and take them away.
//!
//! Measurements and tags are in [`model::series_key`], because series keys have their escapes too.

use model::series_key;

/// The raw form of a field key as it stands in text. Inside field keys a backslash also hides `"`.
pub(crate) fn unescape_field_key(text: &[u8]) -> Vec<u8> {
    series_key::unescape(text, b",= \"")
}

/// Appends a raw field key as it stands in text.
pub(crate) fn escape_field_key(out: &mut Vec<u8>, raw: &[u8]) {
    let mut before = 0;
    for byte in raw {
        // A quote needs no backslash, unless the one before it would be taken for its own.
        if matches!(byte, b',' | b'=' | b' ') || *byte == b'"' && before == b'\\' {
            out.push(b'\\');
        }
        out.push(*byte);
        before = *byte;
    }
}

/// Whether a field key in text is read as one key to its end. Not so when it is empty, has a line feed, or has
/// backslashes that hide each other instead of what comes after them.
pub(crate) fn is_one_field_key(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b',' | b'=' | b' ' => return false,
            _ => {}
        }
        at += 1;
    }
    !text.is_empty() && !text.ends_with(b"\\") && !text.contains(&b'\n')
}

/// Appends the raw value of what stands between the quotes of a string.
pub(crate) fn unescape_string(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr::memchr(b'\\', text) {
        let hidden = text.get(at + 1).copied().filter(|next| matches!(next, b'"' | b'\\'));
        match hidden {
            Some(byte) => {
                out.extend_from_slice(&text[..at]);
                out.push(byte);
                text = &text[at + 2..];
            }
            None => {
                out.extend_from_slice(&text[..=at]);
                text = &text[at + 1..];
            }
        }
    }
    out.extend_from_slice(text);
}

/// Appends a raw string value as it stands between quotes.
pub(crate) fn escape_string(out: &mut Vec<u8>, mut raw: &[u8]) {
    while let Some(at) = memchr::memchr2(b'"', b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        out.extend_from_slice(&[b'\\', raw[at]]);
        raw = &raw[at + 1..];
    }
    out.extend_from_slice(raw);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hide_quotes_and_backslashes_only() {
        let cases: [(&[u8], &[u8]); 7] = [
            (br"plain", br"plain"),
            (br#"a\"b\\c"#, br#"a"b\c"#),
            (br"\n\,", br"\n\,"),
            (br"\\\\", br"\\"),
            (br"end\\", br"end\"),
            (br#"\\\""#, br#"\""#),
            (b"", b""),
        ];
        for (text, raw) in cases {
            let mut out = Vec::new();
            unescape_string(&mut out, text);
            assert_eq!(out, raw);
        }
    }

    #[test]
    fn strings_come_back() {
        for raw in [br"a\b".as_slice(), br#""""#, br"\\", b"\n", br#"\""#, br"\n"] {
            let (mut text, mut back) = (Vec::new(), Vec::new());
            escape_string(&mut text, raw);
            unescape_string(&mut back, &text);
            assert_eq!(back, raw);
        }
    }

    #[test]
    fn field_keys_hide_quotes_too() {
        assert_eq!(unescape_field_key(br#"a\ b\,c\=d\"e\f\\"#), br#"a b,c=d"e\f\\"#);
    }

    #[test]
    fn field_keys_come_back() {
        for raw in [br#"a"b"#.as_slice(), br#"a\"b"#, br#"a\\"b"#, br"a\b", br"a\\,b", b", =", br#""a""#, b"\t"] {
            let mut text = Vec::new();
            escape_field_key(&mut text, raw);
            assert!(is_one_field_key(&text));
            assert_eq!(unescape_field_key(&text), raw);
        }
        // No text is read as these.
        for raw in [b"".as_slice(), br"a\", br"a\\", br"a\,b", br"\ ", b"a\nb"] {
            let mut text = Vec::new();
            escape_field_key(&mut text, raw);
            assert!(!is_one_field_key(&text), "{}", String::from_utf8_lossy(raw));
        }
    }
}
