//! Where the parameters of a query come from: the URL, and the body of a POST.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::{Body, Incoming};

use crate::accept::Wanted;
use crate::api::Api;
use crate::config::{FORM_BYTES_MAX, MULTIPART_BYTES_MAX};
use crate::request::{BodyError, Fields, multipart, read_body};
use crate::respond::{self, Answer};

/// Under which name a file `q` is kept. No field of a form can have it.
pub(super) const QUERY_FILE: &str = "q\0file";

/// The parameters of a request whose URL has those in `url`.
///
/// Those of a plain form count before those of the URL, those of a multipart form after them, as in the reference. A
/// body of any other type is not looked at.
pub(super) async fn read(api: &Api, head: &Parts, body: Incoming, url: Fields) -> Result<Fields, BodyError> {
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if head.method != Method::POST {
        return Ok(url);
    }
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let body = read_within(api, body, FORM_BYTES_MAX).await?;
        let mut fields = Fields::parse(&body);
        fields.append(url);
        return Ok(fields);
    }
    let Some(boundary) = multipart::boundary_of(content_type) else { return Ok(url) };
    let body = read_within(api, body, MULTIPART_BYTES_MAX).await?;
    let mut fields = url;
    if let Some(form) = multipart::parse(&body, &boundary) {
        fields.append(form.fields);
        if let Some(file) = form.query_file {
            fields.push(QUERY_FILE.to_owned(), file);
        }
    }
    Ok(fields)
}

async fn read_within(api: &Api, body: Incoming, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let promised = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(bytes_max);
    let mut room = api.room.reserve(promised).await.ok_or(BodyError::NoRoom)?;
    read_body(body, bytes_max, api.config.progress_timeout, Vec::new(), |bytes| room.grow(bytes)).await
}

/// The answer to a form that could not be read.
pub(super) fn refuse(wanted: Wanted, error: BodyError) -> Answer {
    let text = error.to_string();
    match error {
        BodyError::TooLarge => respond::error(wanted, StatusCode::PAYLOAD_TOO_LARGE, &text),
        BodyError::Stalled => respond::closing(respond::error(wanted, StatusCode::REQUEST_TIMEOUT, &text)),
        BodyError::Broken | BodyError::Empty | BodyError::NotGzip => {
            respond::closing(respond::error(wanted, StatusCode::BAD_REQUEST, &text))
        }
        BodyError::NoRoom => respond::retry_after(respond::error(wanted, StatusCode::SERVICE_UNAVAILABLE, &text), 1),
    }
}
