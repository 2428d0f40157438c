//! Small encodings that requests need.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends `name=value` in the encoding of forms, with `&` before it unless it is the first.
pub(crate) fn push_pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    push_encoded(out, name);
    out.push('=');
    push_encoded(out, value);
}

fn push_encoded(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_encoded() {
        let mut out = String::new();
        push_pair(&mut out, "q", "SELECT \"a\" = 'b&c';");
        push_pair(&mut out, "db", "\u{e9}");
        push_pair(&mut out, "none", "");
        assert_eq!(out, "q=SELECT+%22a%22+%3D+%27b%26c%27%3B&db=%C3%A9&none=");
    }

    #[test]
    fn base64_has_padding() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("user:p\u{e4}ss", "dXNlcjpww6Rzcw=="),
        ];
        for (text, want) in cases {
            assert_eq!(base64(text.as_bytes()), want);
        }
    }
}
