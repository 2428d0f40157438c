//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use stdx::sniff::Sniffer;

use crate::accept::{Wanted, takes_gzip};
use crate::redact::redact_uri;
use crate::request::Fields;
use crate::request::gunzip::gunzip;
use crate::request::multipart::{boundary_of, parse};

/// Most bytes that a body may unpack to here.
const UNPACKED_BYTES_MAX: usize = 64 << 10;

/// Reads `data` as the query of a URL and as a form; as a `Content-Type` up to the first line end, and as a form of that
/// type behind it. Names and values come back from their encoding.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_form(data: &[u8]) {
    let fields = Fields::parse(data);
    assert_eq!(Fields::parse(fields.encode().as_bytes()), fields, "what was read comes back the same");
    if let Ok(text) = std::str::from_utf8(data) {
        let shown = redact_uri("", Some(text));
        let password = Fields::parse(&shown.as_bytes()[1..]).get("p").to_owned();
        assert!(password.is_empty() || password == "[REDACTED]", "no password is shown");
    }

    let (head, body) = data.split_at(memchr::memchr(b'\n', data).unwrap_or(data.len()));
    let boundary = std::str::from_utf8(head).ok().and_then(boundary_of);
    if let Some(form) = boundary.and_then(|boundary| parse(body.get(1..).unwrap_or_default(), &boundary)) {
        let fields = form.fields;
        assert_eq!(Fields::parse(fields.encode().as_bytes()), fields, "what was read comes back the same");
    }
}

/// Looks at `data` as the head of a request, whole and byte by byte, and as the values of headers.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_head(data: &[u8]) {
    let (mut whole, mut pieces) = (Sniffer::default(), Sniffer::default());
    whole.feed(data);
    data.iter().for_each(|byte| pieces.feed(&[*byte]));
    assert_eq!(whole.lengths_conflict(), pieces.lengths_conflict(), "how a head arrives changes nothing");

    let mut headers = HeaderMap::new();
    for line in data.split(|byte| matches!(byte, b'\r' | b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(ACCEPT, value.clone());
            headers.append(ACCEPT_ENCODING, value);
        }
    }
    Wanted::of(&headers, false);
    takes_gzip(&headers);
}

/// Unpacks `data`, within a limit.
///
/// # Panics
/// When there is more than that.
pub fn fuzz_gzip(data: &[u8]) {
    let mut asked = 0;
    let mut grow = |bytes| {
        asked += bytes;
        true
    };
    if let Ok(unpacked) = gunzip(data, UNPACKED_BYTES_MAX, &mut grow) {
        assert!(unpacked.len() <= UNPACKED_BYTES_MAX);
        assert_eq!(unpacked.len(), asked, "room is asked for before it is used");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use testkit::seeds;

    use super::*;

    #[test]
    fn forms_keep_the_promises() {
        let multipart = "multipart/form-data; boundary=\"XX\"\n--XX\r\nContent-Disposition: form-data; name=\"db\"\r\n\r\n\
                         telegraf\r\n--XX  \r\ncontent-disposition: form-data; name=q; filename=\"a;\\\"b.txt\"\r\n\r\n\
                         show\r\n--XX--\r\n";
        let made = [
            ("multipart", multipart.as_bytes().to_vec()),
            ("pairs", b"q=a+b%26c%3D&db=%c3%a9&&flag&x=1=2&x=3&bad=%zz".to_vec()),
            ("query", b"db=x&q=CREATE+USER+a+WITH+PASSWORD+%27secret%27;SHOW+USERS&u=a&p=secret".to_vec()),
        ];
        seeds::try_all("http_form", seeds::MANY, &made, fuzz_form);
    }

    #[test]
    fn heads_keep_the_promises() {
        let head =
            "POST /write?db=x HTTP/1.1\r\nHost: n1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nbody";
        let accept = "text/csv;q=0.5, application/json; q=0.4,*/*;q=NaN\ngzip;q=0, deflate\n";
        let made = [("accept", accept.as_bytes().to_vec()), ("head", head.as_bytes().to_vec())];
        seeds::try_all("http_head", seeds::MANY, &made, fuzz_head);
    }

    #[test]
    fn packed_bodies_keep_the_promises() {
        let packed = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        };
        let lines = b"cpu,host=web-01 idle=90.5 1700000000000000000\n".repeat(20);
        let made = [
            ("large", packed(&vec![0; UNPACKED_BYTES_MAX + 1])),
            ("lines", packed(&lines)),
            ("two", [packed(b"one\n"), packed(b"two\n")].concat()),
        ];
        seeds::try_all("http_gzip", seeds::FEW, &made, fuzz_gzip);
    }
}
