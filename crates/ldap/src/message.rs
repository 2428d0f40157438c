//! Requests and answers of LDAP, version 3.

use crate::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTETS, SEQUENCE, SET, put, put_number, put_with};
use crate::ber::{take, take_number, take_tag};

/// Result code: done.
pub(crate) const SUCCESS: u32 = 0;
/// Result code: there are more entries than were asked for.
pub(crate) const SIZE_LIMIT: u32 = 4;
/// Result code: no such entry, here as the base of a search.
pub(crate) const NO_SUCH_OBJECT: u32 = 32;
/// Result code: another password, or nobody of that name.
pub(crate) const INVALID_CREDENTIALS: u32 = 49;

/// Asks for TLS.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To a bind, to the end of a search, or to StartTLS: the result code.
    Done(u32),
    /// One entry of a search.
    Entry(Entry),
    /// Another server would know more; it is not asked.
    Reference,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name in the directory.
    pub(crate) dn: String,
    /// Attributes that were asked for, with their values.
    pub(crate) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The values of an attribute, whose name is known in any case. Values that are no text are left out.
    pub(crate) fn values(&self, attribute: &str) -> impl Iterator<Item = &str> {
        let found = self.attributes.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(attribute));
        found.flat_map(|(_, values)| values).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// About how much of an answer it is.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.attributes.iter().flat_map(|(_, values)| values);
        self.dn.len() + values.map(|value| value.len() + 2).sum::<usize>()
    }
}

/// A search below `base`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    /// Where.
    pub(crate) base: &'a str,
    /// What, as bytes of `filter`.
    pub(crate) filter: &'a [u8],
    /// The attributes to send along.
    pub(crate) attributes: &'a [&'a str],
    /// Entries at most.
    pub(crate) entries_max: u32,
    /// Seconds at most.
    pub(crate) seconds_max: u32,
}

fn message(id: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put_with(&mut out, SEQUENCE, |out| {
        put_number(out, INTEGER, id);
        fill(out);
    });
    out
}

pub(crate) fn bind(id: u32, dn: &str, password: &str) -> Vec<u8> {
    message(id, |out| {
        put_with(out, 0x60, |out| {
            put_number(out, INTEGER, 3);
            put(out, OCTETS, dn.as_bytes());
            put(out, 0x80, password.as_bytes());
        });
    })
}

pub(crate) fn unbind(id: u32) -> Vec<u8> {
    message(id, |out| put(out, 0x42, &[]))
}

pub(crate) fn start_tls(id: u32) -> Vec<u8> {
    message(id, |out| put_with(out, 0x77, |out| put(out, 0x80, START_TLS)))
}

pub(crate) fn search(id: u32, search: &Search<'_>) -> Vec<u8> {
    message(id, |out| {
        put_with(out, 0x63, |out| {
            put(out, OCTETS, search.base.as_bytes());
            // The whole tree, aliases as they are.
            put_number(out, ENUMERATED, 2);
            put_number(out, ENUMERATED, 0);
            put_number(out, INTEGER, search.entries_max);
            put_number(out, INTEGER, search.seconds_max);
            put(out, BOOLEAN, &[0]);
            out.extend_from_slice(search.filter);
            // `1.1` asks for no attribute.
            let attributes = if search.attributes.is_empty() { &["1.1"] } else { search.attributes };
            put_with(out, SEQUENCE, |out| {
                attributes.iter().for_each(|attribute| put(out, OCTETS, attribute.as_bytes()));
            });
        });
    })
}

/// Reads an answer and the number of the request that it is for. `None` when it is none.
pub(crate) fn read(bytes: &[u8]) -> Option<(u32, Answer)> {
    let mut rest = bytes;
    let mut content = take_tag(&mut rest, SEQUENCE)?;
    let id = take_number(&mut content, INTEGER)?;
    let (tag, mut body) = take(&mut content)?;
    let answer = match tag {
        // The end of a bind, of a search, of StartTLS.
        0x61 | 0x65 | 0x78 => Answer::Done(take_number(&mut body, ENUMERATED)?),
        0x64 => Answer::Entry(entry(body)?),
        0x73 => Answer::Reference,
        _ => return None,
    };
    rest.is_empty().then_some((id, answer))
}

fn entry(mut body: &[u8]) -> Option<Entry> {
    let dn = std::str::from_utf8(take_tag(&mut body, OCTETS)?).ok()?.to_owned();
    let mut list = take_tag(&mut body, SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = take_tag(&mut list, SEQUENCE)?;
        let name = std::str::from_utf8(take_tag(&mut attribute, OCTETS)?).ok()?.to_owned();
        let mut set = take_tag(&mut attribute, SET)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            values.push(take_tag(&mut set, OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Some(Entry { dn, attributes })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer with a result code, as a server sends it.
    pub(crate) fn done(id: u32, tag: u8, code: u32) -> Vec<u8> {
        message(id, |out| {
            put_with(out, tag, |out| {
                put_number(out, ENUMERATED, code);
                put(out, OCTETS, b"");
                put(out, OCTETS, b"told");
            });
        })
    }

    /// An entry as a server sends it.
    pub(crate) fn entry_of(id: u32, dn: &str, attribute: &str, values: &[&str]) -> Vec<u8> {
        entry_with(id, dn, &[(attribute, values)])
    }

    /// The same with several attributes.
    pub(crate) fn entry_with(id: u32, dn: &str, attributes: &[(&str, &[&str])]) -> Vec<u8> {
        message(id, |out| {
            put_with(out, 0x64, |out| {
                put(out, OCTETS, dn.as_bytes());
                put_with(out, SEQUENCE, |out| {
                    for (attribute, values) in attributes {
                        put_with(out, SEQUENCE, |out| {
                            put(out, OCTETS, attribute.as_bytes());
                            let values = values.iter();
                            put_with(out, SET, |out| values.for_each(|value| put(out, OCTETS, value.as_bytes())));
                        });
                    }
                });
            });
        })
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(read(&done(3, 0x61, 49)), Some((3, Answer::Done(INVALID_CREDENTIALS))));
        let Some((4, Answer::Entry(entry))) = read(&entry_of(4, "uid=a", "OU", &["x", "y"])) else {
            panic!("an entry")
        };
        assert_eq!((entry.dn.as_str(), entry.values("ou").collect::<Vec<_>>()), ("uid=a", vec!["x", "y"]));
        assert_eq!(read(&message(5, |out| put(out, 0x73, &[]))), Some((5, Answer::Reference)));
    }

    #[test]
    fn damaged_answers_are_none() {
        let whole = entry_of(4, "uid=a", "ou", &["x"]);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(read(&bind(1, "a", "b")), None, "a request");
    }
}
