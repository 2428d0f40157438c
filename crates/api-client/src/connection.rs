//! One connection, and what requests and answers of all our APIs have in common.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http::HeaderValue;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tls::{ClientSettings, Dialer, Policy};
use tokio::time::timeout;

use crate::address::Address;
use crate::client::Credentials;
use crate::document::Document;
use crate::encode::base64;
use crate::error::ClientError;

/// Connects; a task carries the connection until its end.
pub(crate) async fn open(
    dialer: &Dialer,
    address: &Address,
    connect_timeout: Duration,
) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let address = address.authority();
    let unreachable = |source| ClientError::Unreachable { address: address.clone(), source };
    let stream = match timeout(connect_timeout, dialer.connect(&address)).await {
        Ok(connected) => connected.map_err(unreachable)?,
        Err(_) => return Err(unreachable(std::io::ErrorKind::TimedOut.into())),
    };
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
    dialer.env().spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "connection ended");
        }
    });
    Ok(sender)
}

/// What connects to `address`; with TLS it believes whom `settings` name.
pub(crate) fn dialer(env: &Env, address: &Address, settings: &ClientSettings) -> Result<Dialer, ClientError> {
    match address.tls {
        true => Ok(Dialer::tls(env.clone(), Policy::usual(), settings.clone())?),
        false => Ok(Dialer::plain(env.clone())),
    }
}

/// A user and a password as the value of `Authorization`.
pub(crate) fn basic(credentials: &Credentials) -> HeaderValue {
    let Credentials { username, password } = credentials;
    sensitive(&format!("Basic {}", base64(format!("{username}:{password}").as_bytes())))
}

/// A value that is not shown in any output. `text` is ASCII.
pub(crate) fn sensitive(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("base64 is ASCII");
    value.set_sensitive(true);
    value
}

/// The whole body of an answer, if it is not longer than `bytes_max`.
pub(crate) async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > bytes_max {
                return Err(ClientError::BadAnswer("the answer is too long".to_owned()));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// What an answer says that is no success.
pub(crate) fn refusal(status: u16, body: String) -> ClientError {
    let text = Document::parse(&body).ok().and_then(|document| document.error);
    let text =
        text.unwrap_or_else(|| if body.is_empty() { format!("status {status}") } else { body.trim_end().to_owned() });
    ClientError::Refused { status, text, body }
}
