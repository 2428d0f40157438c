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
                let (name, quality) = parse_entry(entry);
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

/// A media type in small letters and its quality in thousandths.
fn parse_entry(entry: &str) -> (String, u32) {
    let mut parts = entry.split(';');
    let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let quality = parts.find_map(|param| {
        let (key, value) = param.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f64>().ok())
    });
    match quality {
        None => (name, 1_000),
        Some(None) => (name, 0),
        Some(Some(quality)) => (name, (quality.clamp(0.0, 1.0) * 1_000.0) as u32),
    }
}

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut entries =
        headers.get_all(ACCEPT_ENCODING).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
    entries.any(|entry| {
        let (name, quality) = parse_entry(entry);
        name == "gzip" && quality > 0
    })
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

    #[test]
    fn gzip_is_taken_unless_refused() {
        let takes = |value| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        assert!(takes("gzip") && takes("deflate, gzip") && takes("GZIP;q=0.5"));
        assert!(!takes("deflate") && !takes("gzip;q=0") && !takes(""));
    }
}
