//! Search filters: from text, as operators write it, to bytes.
//!
//! `%s` in the text stands for what a user is called, which [`escape`] makes harmless. The text is that of RFC 4515.

use crate::ber::put;

/// How deep filters nest.
const DEPTH_MAX: usize = 32;

/// A text that is no filter; says what is missed and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} at byte {1}")]
pub(crate) struct FilterError(&'static str, usize);

/// `text` as a value in a filter. Nothing of it is a part of the filter's structure any more.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '*' | '(' | ')' | '\\' | '\0' | '&' | '|' | '!' | '=' | '<' | '>' | '~' => {
                out.push_str(&format!("\\{:02x}", char as u32));
            }
            char => out.push(char),
        }
    }
    out
}

/// The filter with `%s` filled in.
pub(crate) fn filled(filter: &str, value: &str) -> String {
    filter.replace("%s", &escape(value))
}

/// The bytes of a filter.
///
/// # Errors
/// When the text is none.
pub(crate) fn compile(text: &str) -> Result<Vec<u8>, FilterError> {
    let mut parser = Parser { text: text.as_bytes(), at: 0 };
    let mut out = Vec::new();
    parser.filter(&mut out, 0)?;
    if parser.at == parser.text.len() { Ok(out) } else { parser.wrong("text behind the filter") }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn wrong<T>(&self, what: &'static str) -> Result<T, FilterError> {
        Err(FilterError(what, self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8, missing: &'static str) -> Result<(), FilterError> {
        if self.peek() != Some(wanted) {
            return self.wrong(missing);
        }
        self.at += 1;
        Ok(())
    }

    fn filter(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), FilterError> {
        if depth > DEPTH_MAX {
            return self.wrong("a filter that is too deep");
        }
        self.expect(b'(', "no opening parenthesis")?;
        let tag = match self.peek() {
            Some(b'&') => 0xa0,
            Some(b'|') => 0xa1,
            Some(b'!') => 0xa2,
            _ => {
                self.item(out)?;
                return self.expect(b')', "no closing parenthesis");
            }
        };
        self.at += 1;
        let mut parts = Vec::new();
        let mut count = 0;
        while self.peek() == Some(b'(') {
            self.filter(&mut parts, depth + 1)?;
            count += 1;
        }
        if count == 0 || tag == 0xa2 && count > 1 {
            return self.wrong("another number of filters than there should be");
        }
        put(out, tag, &parts);
        self.expect(b')', "no closing parenthesis")
    }

    fn item(&mut self, out: &mut Vec<u8>) -> Result<(), FilterError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-.;:".contains(&byte)) {
            self.at += 1;
        }
        let mut attribute = &self.text[start..self.at];
        let operator = self.peek();
        let tag = match operator {
            Some(b'=') => 0xa3,
            Some(b'>') => 0xa5,
            Some(b'<') => 0xa6,
            Some(b'~') => 0xa8,
            _ => return self.wrong("no operator"),
        };
        self.at += 1;
        if tag != 0xa3 {
            self.expect(b'=', "no operator")?;
        } else if let Some(rule) = attribute.strip_suffix(b":") {
            attribute = rule;
            return self.extensible(out, attribute);
        }
        if attribute.is_empty() || attribute.contains(&b':') {
            return self.wrong("no attribute");
        }
        let parts = self.values()?;
        if tag != 0xa3 || parts.len() == 1 {
            if parts.len() != 1 {
                return self.wrong("a star");
            }
            let mut content = Vec::new();
            put(&mut content, 0x04, attribute);
            put(&mut content, 0x04, &parts[0]);
            put(out, tag, &content);
        } else if parts.iter().all(Vec::is_empty) && parts.len() == 2 {
            put(out, 0x87, attribute);
        } else {
            put(out, 0xa4, &substrings(attribute, &parts));
        }
        Ok(())
    }

    /// `attr:dn:rule:=value`, all but the value may be missing, though not attribute and rule at once.
    fn extensible(&mut self, out: &mut Vec<u8>, left: &[u8]) -> Result<(), FilterError> {
        let mut parts = left.split(|byte| *byte == b':');
        let attribute = parts.next().unwrap_or_default();
        let (mut dn, mut rule): (bool, &[u8]) = (false, b"");
        for part in parts {
            match part {
                b"dn" if !dn && rule.is_empty() => dn = true,
                part if rule.is_empty() && !part.is_empty() => rule = part,
                _ => return self.wrong("no matching rule"),
            }
        }
        let values = self.values()?;
        if values.len() != 1 || attribute.is_empty() && rule.is_empty() {
            return self.wrong("no attribute");
        }
        let mut content = Vec::new();
        if !rule.is_empty() {
            put(&mut content, 0x81, rule);
        }
        if !attribute.is_empty() {
            put(&mut content, 0x82, attribute);
        }
        put(&mut content, 0x83, &values[0]);
        if dn {
            put(&mut content, 0x84, &[0xff]);
        }
        put(out, 0xa9, &content);
        Ok(())
    }

    /// The value up to the closing parenthesis, cut at its stars.
    fn values(&mut self) -> Result<Vec<Vec<u8>>, FilterError> {
        let mut parts = vec![Vec::new()];
        loop {
            match self.peek() {
                None | Some(b')') => return Ok(parts),
                Some(b'(' | 0) => return self.wrong("a character that must be escaped"),
                Some(b'*') => parts.push(Vec::new()),
                Some(b'\\') => {
                    let digits = self.text.get(self.at + 1..self.at + 3).and_then(|two| std::str::from_utf8(two).ok());
                    let hex = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
                    let Some(byte) = hex.and_then(|two| u8::from_str_radix(two, 16).ok()) else {
                        return self.wrong("no two digits behind a backslash");
                    };
                    parts.last_mut().expect("one at least").push(byte);
                    self.at += 2;
                }
                Some(byte) => parts.last_mut().expect("one at least").push(byte),
            }
            self.at += 1;
        }
    }
}

fn substrings(attribute: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let tag = match index {
            0 => 0x80,
            last if last == parts.len() - 1 => 0x82,
            _ => 0x81,
        };
        put(&mut list, tag, part);
    }
    let mut content = Vec::new();
    put(&mut content, 0x04, attribute);
    put(&mut content, 0x30, &list);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        match compile(text) {
            Ok(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn filters_have_their_bytes() {
        assert_eq!(hex("(a=b)"), "a306040161040162");
        assert_eq!(hex("(a>=b)"), "a506040161040162");
        assert_eq!(hex("(a<=b)"), "a606040161040162");
        assert_eq!(hex("(a~=b)"), "a806040161040162");
        assert_eq!(hex("(a=*)"), "870161");
        assert_eq!(hex("(a=)"), "a3050401610400");
        assert_eq!(hex("(a=b*c*d)"), "a40e0401613009800162810163820164");
        assert_eq!(hex("(a=*b)"), "a4080401613003820162");
        assert_eq!(hex("(!(a=b))"), "a208a306040161040162");
        assert_eq!(hex("(&(a=b)(c=d))"), "a010a306040161040162a306040163040164");
        assert_eq!(hex("(|(a=b))"), "a108a306040161040162");
        assert_eq!(hex("(a:1.2:=b)"), "a90b8103312e32820161830162");
        assert_eq!(hex("(a:dn:=b)"), "a9098201618301628401ff");
        assert_eq!(hex("(a=\\28\\2A)"), "a30704016104022 82a".replace(' ', ""));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for (text, want) in [
            ("", "no opening parenthesis at byte 0"),
            ("a=b", "no opening parenthesis at byte 0"),
            ("(a=b", "no closing parenthesis at byte 4"),
            ("(a=b))", "text behind the filter at byte 5"),
            ("(a)", "no operator at byte 2"),
            ("(a>b)", "no operator at byte 3"),
            ("(=b)", "no attribute at byte 2"),
            ("(&)", "another number of filters than there should be at byte 2"),
            ("(!(a=b)(a=c))", "another number of filters than there should be at byte 12"),
            ("(a=(b))", "a character that must be escaped at byte 3"),
            ("(a=\\2)", "no two digits behind a backslash at byte 3"),
            ("(a=\\+1)", "no two digits behind a backslash at byte 3"),
            ("(a>=b*)", "a star at byte 6"),
            ("(:=b)", "no attribute at byte 4"),
        ] {
            assert_eq!(hex(text), want, "{text}");
        }
        assert!(hex(&format!("{}(a=b){}", "(!".repeat(40), ")".repeat(40))).starts_with("a filter that is too deep"));
    }

    /// Whatever a user is called, the filter has one equality with that name as its value.
    #[test]
    fn names_never_become_structure() {
        for name in ["*", "a)(uid=*", "*)(|(uid=*", "\\", "\\2a", "a\0b", "ä&|!", "(", ")", "=", "%s", ""] {
            let bytes = compile(&filled("(uid=%s)", name)).expect("a filter");
            let mut want = Vec::new();
            let mut content = Vec::new();
            put(&mut content, 0x04, b"uid");
            put(&mut content, 0x04, name.as_bytes());
            put(&mut want, 0xa3, &content);
            assert_eq!(bytes, want, "{name:?}");
        }
    }
}
