//! Answers: statuses, headers and bodies, before the connection takes them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::mpsc;

use crate::accept::Wanted;
use crate::encode::{Format, error_document};

/// Longest text of `X-Influxdb-Error`, in characters.
const ERROR_HEADER_CHARS_MAX: usize = 1_024;

const X_INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");

/// The bytes of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    /// All of them.
    Full(Bytes),
    /// They come as they are made. Dropping the receiver tells the maker to stop.
    Stream(mpsc::Receiver<Bytes>),
}

impl Payload {
    /// The next bytes, `None` at the end.
    pub(crate) fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.get_mut() {
            Payload::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Full(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Payload::Stream(receiver) => receiver.poll_recv(context),
        }
    }

    /// How many bytes will come, if that is known.
    pub(crate) fn exact_len(&self) -> Option<u64> {
        match self {
            Payload::Full(bytes) => Some(bytes.len() as u64),
            Payload::Stream(_) => None,
        }
    }
}

/// An answer.
pub(crate) type Answer = Response<Payload>;

/// An answer with a body.
pub(crate) fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Payload::Full(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// `204 No Content`.
pub(crate) fn no_content() -> Answer {
    full(StatusCode::NO_CONTENT, "application/json", Bytes::new())
}

/// A refusal in the format that the client asked for. The text also goes into a header, for clients that drop bodies.
pub(crate) fn error(wanted: Wanted, status: StatusCode, text: &str) -> Answer {
    let mut answer = full(status, wanted.content_type, error_document(wanted.format, text));
    if status != StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(X_INFLUXDB_ERROR, header_text(text));
    }
    answer
}

/// A refusal in JSON.
pub(crate) fn json_error(status: StatusCode, text: &str) -> Answer {
    error(Wanted { format: Format::Json, content_type: "application/json" }, status, text)
}

/// Something that other versions of this API have and this server has not.
pub(crate) fn not_implemented(what: &str) -> Answer {
    json_error(StatusCode::NOT_IMPLEMENTED, &format!("{what} is not implemented by this server"))
}

/// A refusal in one line of plain text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = full(status, "text/plain; charset=utf-8", format!("{text}\n"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// No such path.
pub(crate) fn not_found() -> Answer {
    plain(StatusCode::NOT_FOUND, "404 page not found")
}

/// The path is known, but not with this method.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Says when to come back. At least a second, for clients read 0 as at once.
pub(crate) fn retry_after(mut answer: Answer, seconds: u64) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

/// Says that no further request is taken on this connection.
pub(crate) fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A text as the value of a header: control characters become spaces, and the end of a long text is cut off.
fn header_text(text: &str) -> HeaderValue {
    let harmless = text.chars().take(ERROR_HEADER_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char });
    HeaderValue::from_bytes(harmless.collect::<String>().trim().as_bytes()).expect("no control characters are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_repeated_in_a_header() {
        let answer = json_error(StatusCode::BAD_REQUEST, "unable to parse 'a\u{7f}\r\nb'\n");
        assert_eq!(answer.headers()["x-influxdb-error"].as_bytes(), b"unable to parse 'a   b'");
        let answer = json_error(StatusCode::BAD_REQUEST, &"\u{e9}".repeat(2_000));
        assert_eq!(answer.headers()["x-influxdb-error"].len(), 2 * ERROR_HEADER_CHARS_MAX);
        let answer = json_error(StatusCode::UNAUTHORIZED, "who are you");
        assert!(!answer.headers().contains_key("x-influxdb-error"));
    }

    #[test]
    fn nobody_is_told_to_come_back_at_once() {
        assert_eq!(retry_after(no_content(), 0).headers()["retry-after"], "1");
        assert_eq!(retry_after(no_content(), 7).headers()["retry-after"], "7");
    }
}
