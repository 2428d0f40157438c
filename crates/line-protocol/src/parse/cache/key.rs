//! The text of a series key: where it ends, whether it is an ordinary one, and what its canonical form is.

use model::{SeriesKey, series_key};

use crate::error::Reason;

/// One tag of a key: where it starts, its equal sign, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagSpan {
    start: usize,
    equals: usize,
    end: usize,
}

/// What there is to know of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyFacts {
    pub(super) measurement_end: usize,
    /// There is a tag of this name, which no store takes.
    pub(super) time_tag: bool,
    /// The key is its own canonical form.
    pub(super) is_canonical: bool,
}

/// Where the key at the start of `rest` ends: at the first space without a backslash before it, in this line.
pub(super) fn key_end(rest: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b' ', b'\n', &rest[from..])?;
        if rest[at] == b'\n' || at == 0 {
            return None;
        }
        if rest[at - 1] != b'\\' {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Lines are split by other rules than keys: a backslash hides one byte and is used up, and quotes count after the
/// first space. Keys in which that could make a difference are not ordinary.
pub(super) fn is_ordinary(key: &[u8]) -> bool {
    let backslash = memchr::memchr(b'\\', key).is_some();
    !backslash || !(memchr::memchr(b'"', key).is_some() || key.windows(2).any(|pair| pair == br"\\"))
}

/// Finds the tags of a key without backslashes and tells where its measurement ends. `None` when it has backslashes or
/// is not well formed.
pub(super) fn plain_tags(key: &[u8], tags: &mut Vec<TagSpan>) -> Option<usize> {
    tags.clear();
    let mut marks = memchr::memchr2_iter(b',', b'=', key);
    let measurement_end = marks.find(|at| key[*at] == b',').unwrap_or(key.len());
    if measurement_end == 0 || memchr::memchr(b'\\', key).is_some() {
        return None;
    }
    let mut comma = measurement_end;
    while comma < key.len() {
        let equals = marks.next().filter(|at| key[*at] == b'=' && *at > comma + 1)?;
        let end = marks.next().unwrap_or(key.len());
        if key.get(end) == Some(&b'=') || end == equals + 1 {
            return None;
        }
        tags.push(TagSpan { start: comma + 1, equals, end });
        comma = end;
    }
    Some(measurement_end)
}

/// The facts of a key whose tags [`plain_tags`] found; sorts the tags. Writes the canonical form to `out` when the key
/// is another one.
pub(super) fn plain_facts(
    key: &[u8],
    measurement_end: usize,
    tags: &mut [TagSpan],
    out: &mut Vec<u8>,
) -> Result<KeyFacts, Reason> {
    let name = |tag: &TagSpan| &key[tag.start..tag.equals];
    let time_tag = tags.iter().any(|tag| name(tag) == b"time");
    if tags.is_sorted_by(|a, b| name(a) < name(b)) {
        return Ok(KeyFacts { measurement_end, time_tag, is_canonical: true });
    }
    tags.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    if tags.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
        return Err(Reason::DuplicateTags);
    }
    out.clear();
    out.extend_from_slice(&key[..measurement_end]);
    for tag in tags.iter() {
        out.push(b',');
        out.extend_from_slice(&key[tag.start..tag.end]);
    }
    Ok(KeyFacts { measurement_end, time_tag, is_canonical: false })
}

/// The same for any well-formed key.
pub(super) fn facts(key: &[u8], out: &mut Vec<u8>) -> Result<KeyFacts, Reason> {
    let unhidden = |from: usize, wanted: u8| {
        let found = memchr::memchr_iter(wanted, &key[from..]).find(|at| from + at == 0 || key[from + at - 1] != b'\\');
        found.map_or(key.len(), |at| from + at)
    };
    let measurement_end = unhidden(0, b',');
    let (mut at, mut count) = (measurement_end, 0);
    while at < key.len() {
        // The first byte of a value is part of it whatever it is.
        at = unhidden(unhidden(at + 1, b'=') + 2, b',');
        count += 1;
    }
    let (measurement, tags) = series_key::split_key(key);
    if tags.len() != count {
        return Err(Reason::DuplicateTags);
    }
    out.clear();
    out.extend_from_slice(SeriesKey::new(&measurement, &tags).as_bytes());
    Ok(KeyFacts { measurement_end, time_tag: !tags.get(b"time").is_empty(), is_canonical: out == key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(key: &str) -> Result<String, Reason> {
        let (mut tags, mut out) = (Vec::new(), Vec::new());
        let any = facts(key.as_bytes(), &mut out)?;
        let text = String::from_utf8_lossy(if any.is_canonical { key.as_bytes() } else { &out }).into_owned();
        if let Some(end) = plain_tags(key.as_bytes(), &mut tags) {
            let plain = plain_facts(key.as_bytes(), end, &mut tags, &mut out)?;
            assert_eq!((plain.measurement_end, plain.time_tag), (any.measurement_end, any.time_tag));
            let plain_text = if plain.is_canonical { key.as_bytes() } else { &out };
            assert_eq!(String::from_utf8_lossy(plain_text), text);
        }
        Ok(text)
    }

    #[test]
    fn keys_become_canonical() {
        for (key, want) in [
            ("m", "m"),
            ("m=n", "m=n"),
            ("m=n,a=1", "m=n,a=1"),
            ("m,b=1,a=2", "m,a=2,b=1"),
            ("m,a=1,B=2,aa=3", "m,B=2,a=1,aa=3"),
            ("m,a==b", r"m,a=\=b"),
            (r"m\ n,b\,c=1,a\=b=2\ 3", r"m\ n,a\=b=2\ 3,b\,c=1"),
            (r"m,c=1,a=b\c", r"m,a=b\c,c=1"),
        ] {
            assert_eq!(canonical(key).as_deref(), Ok(want), "{key}");
        }
        for key in ["m,a=1,a=2", "m,b=1,a=2,b=3", r"m,a\ =1,b=2,a\ =3"] {
            assert_eq!(canonical(key), Err(Reason::DuplicateTags), "{key}");
        }
    }

    #[test]
    fn what_is_plain_is_well_formed() {
        let mut tags = Vec::new();
        for key in
            [",a=b", "m,", "m,a", "m,=b", "m,a=", "m,a=b=c", "m,a=,b=c", "m,a,b=c", "m,a=b,", r"m\,", "", "m,,a=b"]
        {
            assert_eq!(plain_tags(key.as_bytes(), &mut tags), None, "{key}");
        }
        assert_eq!(plain_tags(b"cpu,host=a,zone=b", &mut tags), Some(3));
        assert_eq!(tags.len(), 2);
    }

    #[test]
    fn keys_end_at_a_space_that_counts() {
        assert_eq!(key_end(b"m,a=b v=1"), Some(5));
        assert_eq!(key_end(br"m,a=b\ c v=1"), Some(8));
        assert_eq!(key_end(b"m,a=b\n v=1"), None);
        assert_eq!(key_end(b" v=1"), None);
        assert_eq!(key_end(b"m"), None);
    }

    #[test]
    fn odd_keys_are_known() {
        assert!(is_ordinary(b"m,a=\"b") && is_ordinary(br"m\ x,a=b"));
        assert!(!is_ordinary(br#"m\ x,a="b"#) && !is_ordinary(br"m\\ x"));
    }
}
