//! Parameters: pairs of name and value from the URL and from a form.

/// Parameters in the order in which they count: of several with one name the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=1&b=2`. A pair that is not well encoded is left out. A semicolon is an ordinary character, so that
    /// several statements may stand in `q` as they are.
    pub fn parse(encoded: &[u8]) -> Fields {
        let mut fields = Fields::default();
        for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[pair.len()..]),
            };
            if let (Some(name), Some(value)) = (decode(name), decode(value)) {
                fields.push(name, value);
            }
        }
        fields
    }

    /// Adds a pair behind the others.
    pub fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// Adds all pairs of `other` behind the others.
    pub fn append(&mut self, other: Fields) {
        self.0.extend(other.0);
    }

    /// All pairs as [`Fields::parse`] reads them, every byte of them encoded.
    pub fn encode(&self) -> String {
        let hex = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{}={}", hex(name), hex(value))).collect();
        pairs.join("&")
    }

    /// The value of a name; empty when it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1)
    }

    /// Whether the value of a name is the word `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == "true"
    }
}

/// Undoes the encoding of URLs; `None` when a percent sign is not followed by two hexadecimal digits. Bytes that are no
/// UTF-8 are replaced.
fn decode(encoded: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = rest else { return None };
                bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                rest = tail;
            }
            _ => bytes.push(*byte),
        }
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let fields = Fields::parse(b"q=a+b%26c%3D&db=%c3%a9&&flag&x=1=2&x=3");
        assert_eq!(fields.get("q"), "a b&c=");
        assert_eq!(fields.get("db"), "\u{e9}");
        assert_eq!(fields.get("flag"), "");
        assert_eq!(fields.get("x"), "1=2");
        assert_eq!(fields.get("none"), "");
    }

    #[test]
    fn what_is_badly_encoded_is_left_out() {
        assert_eq!(Fields::parse(b"a=%zz&b=%1&%=2&c=3"), Fields::parse(b"c=3"));
        assert_eq!(Fields::parse(b"a=%ff").get("a"), "\u{fffd}");
    }

    #[test]
    fn semicolons_do_not_separate() {
        assert_eq!(Fields::parse(b"q=a;b&c=d").get("q"), "a;b");
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let mut fields = Fields::parse(b"q=body");
        fields.append(Fields::parse(b"q=url&pretty=true"));
        assert_eq!(fields.get("q"), "body");
        assert!(fields.is_true("pretty"));
        assert!(!Fields::parse(b"pretty=TRUE").is_true("pretty"));
    }
}
