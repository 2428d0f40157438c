//! What the client wants the answer to look like.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

use crate::encode::Format;

/// A format and its name in `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    pub(crate) content_type: &'static str,
}

impl Wanted {
    /// The format that `Accept` asks for, JSON when it asks for nothing we know. `pretty` concerns JSON only.
    pub(crate) fn of(headers: &HeaderMap, pretty: bool) -> Wanted {
        let json =
            Wanted { format: if pretty { Format::PrettyJson } else { Format::Json }, content_type: "application/json" };
        let csv = |content_type| Wanted { format: Format::Csv, content_type };
        let mut best = (0, json);
        for header in headers.get_all(ACCEPT) {
            for entry in header.to_str().unwrap_or_default().split(',') {
                let (name, quality) = stdx::accept::entry(entry);
                let wanted = match name.as_str() {
                    "application/json" | "application/*" | "*/*" => json,
                    "application/csv" => csv("application/csv"),
                    "text/csv" | "text/*" => csv("text/csv"),
                    "application/x-msgpack" => {
                        Wanted { format: Format::MessagePack, content_type: "application/x-msgpack" }
                    }
                    _ => continue,
                };
                if quality > best.0 {
                    best = (quality, wanted);
                }
            }
        }
        best.1
    }
}

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    stdx::accept::takes_gzip(headers.get_all(ACCEPT_ENCODING).iter().map(|value| value.to_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wanted(accept: &'static str) -> (Format, &'static str) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        let wanted = Wanted::of(&headers, false);
        (wanted.format, wanted.content_type)
    }

    #[test]
    fn the_format_is_negotiated() {
        let json = (Format::Json, "application/json");
        for accept in ["", "foo", "*/*", "text/html", "application/json", "text/html, */*;q=0.1"] {
            assert_eq!(wanted(accept), json, "{accept}");
        }
        assert_eq!(wanted("application/csv"), (Format::Csv, "application/csv"));
        assert_eq!(wanted("Text/CSV; header=present"), (Format::Csv, "text/csv"));
        assert_eq!(wanted("application/x-msgpack"), (Format::MessagePack, "application/x-msgpack"));
        assert_eq!(wanted("application/json;q=0.1, application/csv"), (Format::Csv, "application/csv"));
        assert_eq!(wanted("application/csv;q=0"), json);
        assert_eq!(wanted("application/csv;q=x"), json);
        assert_eq!(Wanted::of(&HeaderMap::new(), true).format, Format::PrettyJson);
    }
}
