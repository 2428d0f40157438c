//! What an answer calls the request it belongs to.

use std::sync::atomic::{AtomicU64, Ordering};

use env::Env;
use http::{HeaderMap, HeaderValue};
use stdx::ids::time_uuid;

/// Longest id that is taken over from a client.
const ID_BYTES_MAX: usize = 256;

/// Makes ids: UUIDs of version 1, from the time, a counter and a random number of this process.
#[derive(Debug)]
pub(crate) struct RequestIds {
    env: Env,
    random: u64,
    counter: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(env: Env) -> RequestIds {
        let random = env.random_u64();
        RequestIds { env, random, counter: AtomicU64::new(0) }
    }

    /// The id of a request: the client's own if it has one, else a new one.
    pub(crate) fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        let mut own = ["x-request-id", "request-id"].into_iter().filter_map(|name| headers.get(name));
        own.find(|id| is_harmless(id)).cloned().unwrap_or_else(|| self.fresh())
    }

    fn fresh(&self) -> HeaderValue {
        let sequence = self.counter.fetch_add(1, Ordering::Relaxed);
        let id = time_uuid(self.env.now().0, sequence, self.random).to_string();
        HeaderValue::from_str(&id).expect("digits and dashes")
    }
}

/// Whether an id may be repeated in headers and logs as it is.
fn is_harmless(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a header");
        pairs.iter().map(|(name, text)| (http::HeaderName::from_static(name), value(text))).collect()
    }

    #[test]
    fn clients_name_their_requests() {
        let ids = RequestIds::new(Env::real());
        assert_eq!(ids.id_of(&headers(&[("request-id", "b"), ("x-request-id", "a")])), "a");
        assert_eq!(ids.id_of(&headers(&[("request-id", "b")])), "b");
        assert_eq!(ids.id_of(&headers(&[("request-id", "b"), ("x-request-id", "")])), "b");
    }

    #[test]
    fn names_that_could_do_harm_are_not_repeated() {
        let ids = RequestIds::new(Env::real());
        for bad in ["a b", "\u{e9}", "a\tb", &"x".repeat(ID_BYTES_MAX + 1)] {
            assert_eq!(ids.id_of(&headers(&[("x-request-id", bad)])).len(), 36);
        }
    }

    #[test]
    fn fresh_ids_are_distinct_uuids_of_version_1() {
        let ids = RequestIds::new(Env::real());
        let first = ids.fresh();
        let second = ids.fresh();
        assert_ne!(first, second);
        let text = first.to_str().expect("ASCII");
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&text[14..15], "1");
        assert_eq!(&text[19..20], "8");
    }
}
