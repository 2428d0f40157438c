//! The name of a series: its measurement and its tags, in one canonical text.
//!
//! `measurement,tag=value,tag=value` with tags sorted bytewise by key and the escapes of line protocol: `\,` and `\ ` in
//! the measurement, also `\=` in tag keys and values. A backslash before any other character is itself.

/// Tags as pairs of raw (unescaped) key and value, sorted by key, keys distinct, values not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tags(Vec<(Vec<u8>, Vec<u8>)>);

impl Tags {
    /// Sorts the pairs. Pairs with an empty value are left out, for they mean "no such tag"; of several pairs with one
    /// key the last stays.
    pub fn new(mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Tags {
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut distinct: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match distinct.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => distinct.push(pair),
            }
        }
        Tags(distinct)
    }

    /// The value of tag `key`; empty when the series lacks it, which queries treat alike.
    pub fn get(&self, key: &[u8]) -> &[u8] {
        match self.0.binary_search_by(|pair| pair.0.as_slice().cmp(key)) {
            Ok(index) => &self.0[index].1,
            Err(_) => b"",
        }
    }

    /// The pairs in order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A canonical series key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey(Vec<u8>);

impl SeriesKey {
    /// The key of a measurement (raw) and tags.
    pub fn new(measurement: &[u8], tags: &Tags) -> SeriesKey {
        let mut key = Vec::with_capacity(measurement.len() + 16 * tags.len());
        escape_measurement(&mut key, measurement);
        for (name, value) in tags.iter() {
            key.push(b',');
            escape_tag(&mut key, name);
            key.push(b'=');
            escape_tag(&mut key, value);
        }
        SeriesKey(key)
    }

    /// Takes bytes that are known to be canonical.
    pub fn from_canonical(bytes: Vec<u8>) -> SeriesKey {
        SeriesKey(bytes)
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Splits a canonical key into the raw measurement and the tags. Bytes that are no canonical key give some measurement
/// and some tags, never a panic.
pub fn split_key(key: &[u8]) -> (Vec<u8>, Tags) {
    let (measurement, mut rest) = split_measurement(key);
    let mut pairs = Vec::new();
    while let Some((b',', tail)) = rest.split_first() {
        let equals = find_unescaped(tail, b"=").unwrap_or(tail.len());
        let (name, tail) = tail.split_at(equals);
        let tail = tail.get(1..).unwrap_or_default();
        let comma = find_unescaped(tail, b",").unwrap_or(tail.len());
        let (value, tail) = tail.split_at(comma);
        pairs.push((unescape(name, b",= "), unescape(value, b",= ")));
        rest = tail;
    }
    (measurement, Tags::new(pairs))
}

/// The raw measurement of a canonical key, and the rest from the first comma on.
pub fn split_measurement(key: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = find_unescaped(key, b",").unwrap_or(key.len());
    let (measurement, rest) = key.split_at(end);
    (unescape(measurement, b", "), rest)
}

/// Appends a raw measurement with `,` and space escaped.
pub fn escape_measurement(out: &mut Vec<u8>, raw: &[u8]) {
    escape(out, raw, b", ");
}

/// Appends a raw tag key, tag value or field key with `,`, `=` and space escaped.
pub fn escape_tag(out: &mut Vec<u8>, raw: &[u8]) {
    escape(out, raw, b",= ");
}

fn escape(out: &mut Vec<u8>, raw: &[u8], special: &[u8]) {
    for byte in raw {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

/// Takes the backslash off every escaped byte of `special`; all other backslashes stay.
pub fn unescape(text: &[u8], special: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(text.len());
    let mut index = 0;
    while index < text.len() {
        if text[index] == b'\\' && text.get(index + 1).is_some_and(|next| special.contains(next)) {
            index += 1;
        }
        raw.push(text[index]);
        index += 1;
    }
    raw
}

/// The first byte of `wanted` that no backslash precedes.
fn find_unescaped(text: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..text.len()).find(|index| wanted.contains(&text[*index]) && (*index == 0 || text[index - 1] != b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn keys_are_sorted_and_escaped_and_come_back() {
        let tags = tags(&[("zone", "a b"), ("a=b", "c,d"), ("none", "")]);
        let key = SeriesKey::new(b"my cpu,x=1", &tags);
        assert_eq!(key.as_bytes(), br"my\ cpu\,x=1,a\=b=c\,d,zone=a\ b");
        assert_eq!(split_key(key.as_bytes()), (b"my cpu,x=1".to_vec(), tags));
    }

    #[test]
    fn other_backslashes_stay() {
        let (measurement, tags) = split_key(br"a\b,t=c\\d");
        assert_eq!(measurement, br"a\b");
        assert_eq!(tags.get(b"t"), br"c\\d");
    }

    #[test]
    fn a_missing_tag_reads_as_empty() {
        assert_eq!(tags(&[("host", "a")]).get(b"rack"), b"");
    }

    #[test]
    fn odd_bytes_do_not_panic() {
        for odd in [b"".as_slice(), b",", b",=", b"m,", b"m,a", b"m,a=", b"m,=b", b"\\", b"m,a\\"] {
            let _ = split_key(odd);
        }
    }
}
