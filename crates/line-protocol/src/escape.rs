//! Backslashes: which bytes they hide, and how to put them there and take them away.
//!
//! Measurements and tags are in [`model::series_key`], because series keys have their escapes too.

use model::series_key;

/// Appends a field key as it stands in text, without its backslashes. Inside field keys a backslash also hides `"`.
pub(crate) fn unescape_field_key(text: &[u8]) -> Vec<u8> {
    series_key::unescape(text, b",= \"")
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
}
