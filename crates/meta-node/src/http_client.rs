//! The little HTTP that meta nodes speak to each other: one request, one connection, one bounded answer.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rpc::ClusterAuth;
use tls::Dialer;

/// Largest answer that is taken, in bytes: a snapshot of the metadata is the largest there is.
const BODY_BYTES_MAX: usize = 256 << 20;
/// How often a redirect is followed.
const REDIRECTS_MAX: usize = 5;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    location: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Broken(String),
    #[error("redirected to {0:?}, which is no address")]
    Redirect(String),
}

/// What is sent in the body of a POST.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Json(Bytes),
    /// Pairs as in a URL.
    Form(Bytes),
    /// Bytes of our own.
    Bytes(Bytes),
}

/// Sends a request to `address` and follows redirects; all of them with TLS or all without, as `dialer` has it. Without a
/// body it is a GET.
pub(crate) async fn request(
    dialer: &Dialer,
    auth: &ClusterAuth,
    address: &str,
    path: &str,
    body: Option<Sent>,
    deadline: Duration,
) -> Result<Answer, HttpError> {
    let exchange = async {
        let (mut address, mut path) = (address.to_owned(), path.to_owned());
        for _ in 0..REDIRECTS_MAX {
            let answer = exchange(dialer, auth, &address, &path, body.clone()).await?;
            let Some(location) = answer.location.as_ref().filter(|_| answer.status.is_redirection()) else {
                return Ok(answer);
            };
            let (to, at) = split_url(location).ok_or_else(|| HttpError::Redirect(location.clone()))?;
            (address, path) = (to.to_owned(), at.to_owned());
        }
        Err(HttpError::Broken("too many redirects".to_owned()))
    };
    tokio::time::timeout(deadline, exchange).await.unwrap_or(Err(HttpError::Timeout(deadline)))
}

async fn exchange(
    dialer: &Dialer,
    auth: &ClusterAuth,
    address: &str,
    path: &str,
    body: Option<Sent>,
) -> Result<Answer, HttpError> {
    let broken = |error: &dyn std::error::Error| HttpError::Broken(error.to_string());
    let stream = dialer.connect(address).await.map_err(HttpError::Connect)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    // Ends when the answer has been read and the sender is gone; its errors reach us through the sender.
    let driver = dialer.env().spawn(async move {
        let _ = connection.await;
    });
    let mut request = Request::builder().uri(path).header(header::HOST, address);
    let post = |kind| (Method::POST, Some(kind));
    let (method, kind) = match &body {
        Some(Sent::Json(_)) => post("application/json"),
        Some(Sent::Form(_)) => post("application/x-www-form-urlencoded"),
        Some(Sent::Bytes(_)) => post("application/octet-stream"),
        None => (Method::GET, None),
    };
    request = request.method(method);
    if let Some(bearer) = auth.bearer() {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let body = match body {
        Some(Sent::Json(bytes) | Sent::Form(bytes) | Sent::Bytes(bytes)) => bytes,
        None => Bytes::new(),
    };
    let request = request.body(Full::new(body)).map_err(|error| broken(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let (parts, body) = answer.into_parts();
    let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| broken(&*error))?.to_bytes();
    driver.abort();
    Ok(Answer { status: parts.status, body, location })
}

/// `host:port` without a scheme and without a path.
pub(crate) fn strip_scheme(address: &str) -> &str {
    let address = address.trim();
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or(address);
    rest.split('/').next().unwrap_or(rest)
}

/// Address and path of an absolute URL.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (address, path) = rest.split_at(slash);
    (!address.is_empty()).then_some((address, if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use env::Env;

    use super::*;

    #[test]
    fn schemes_are_taken_off() {
        for written in ["a:8091", "http://a:8091", "https://a:8091/", " a:8091 "] {
            assert_eq!(strip_scheme(written), "a:8091");
        }
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split_url("http://a:8091/join?x=1"), Some(("a:8091", "/join?x=1")));
        assert_eq!(split_url("http://a:8091"), Some(("a:8091", "/")));
        assert_eq!(split_url("https://a:8091/x"), Some(("a:8091", "/x")));
        assert_eq!(split_url("/join"), None);
        assert_eq!(split_url("http:///join"), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_told() {
        let env = Env::real();
        let listener = env.listen("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("known").to_string();
        drop(listener);
        let error = request(&env.into(), &ClusterAuth::default(), &address, "/", None, Duration::from_secs(5))
            .await
            .expect_err("nobody there");
        assert!(matches!(error, HttpError::Connect(_)), "{error}");
    }
}
