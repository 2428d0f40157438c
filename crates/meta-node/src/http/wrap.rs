//! What is done around every answer: a panic is kept in its request, and who takes gzip gets it.

use std::future::Future;
use std::io::Write;

use axum::body::Body;
use bytes::Bytes;
use env::Env;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;

/// Shorter answers are not worth it: they fit into one packet as they are.
const GZIP_BYTES_MIN: usize = 1_400;

/// The answer of a handler, or an error when it panics: what handlers share is whole at every await.
pub(super) async fn contained(handler: impl Future<Output = Response<Body>>) -> Response<Body> {
    match std::panic::AssertUnwindSafe(handler).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => {
            tracing::error!("a request to the admin API panicked");
            let mut answer = Response::new(Body::from("Internal Server Error\n"));
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            answer
        }
    }
}

/// Whether who asks takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    stdx::accept::takes_gzip(values.map(|value| value.to_str().unwrap_or_default()))
}

/// The same answer, compressed.
pub(super) async fn compressed(env: &Env, answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    // Bodies of this API are in memory already.
    let Ok(body) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let body = body.to_bytes();
    if body.len() < GZIP_BYTES_MIN {
        return Response::from_parts(parts, Body::from(body));
    }
    let body = env.blocking(move || gzip(&body)).await;
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Body::from(body))
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    Bytes::from(written.expect("memory takes all that is written"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_answer_of_one_request() {
        let answer = contained(async { panic!("a defect") }).await;
        assert_eq!(answer.status(), 500);
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, "Internal Server Error\n");
    }

    #[tokio::test]
    async fn long_answers_are_compressed() {
        let env = Env::real();
        let long = "metadata ".repeat(1_000);
        let answer = compressed(&env, Response::new(Body::from(long.clone()))).await;
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(body.len() < long.len() / 10);
        let mut read = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut read).expect("gzip");
        assert_eq!(read, long);
        let answer = compressed(&env, Response::new(Body::from("short"))).await;
        assert!(!answer.headers().contains_key("content-encoding"));
    }
}
