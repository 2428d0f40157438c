//! Calls with a deadline.

use std::future::Future;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Response, Status};

use crate::auth::Signer;
use crate::channels::{Channels, Lane};
use crate::peer::peer_client::PeerClient;
use crate::trace::Traced;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection could be made: the peer has not acted on the call.
    #[error("{0}")]
    NotConnected(String),
    /// The connection broke: whether the peer acted on the call is not known.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time: whether the peer acted on the call is not known.
    #[error("no answer from {peer} within {within:?}")]
    Timeout {
        /// The address.
        peer: String,
        /// The deadline.
        within: Duration,
    },
    /// The peer answered that it will not.
    #[error("{0}")]
    Refused(String),
}

/// A connection that signs what goes over it, and logs it where that is wanted.
pub type Connection = InterceptedService<Traced, Signer>;

/// Makes one call to `address`, bounded by `deadline`, connecting included.
///
/// # Errors
/// See [`CallError`]; an error made locally counts as not connected or unreachable, one made by the peer as refused.
pub async fn call<T, F, Fut>(
    channels: &Channels,
    address: &str,
    lane: Lane,
    deadline: Duration,
    method: F,
) -> Result<T, CallError>
where
    F: FnOnce(PeerClient<Connection>) -> Fut,
    Fut: Future<Output = Result<Response<T>, Status>>,
{
    let client = PeerClient::with_interceptor(channels.traced(address, lane)?, channels.auth().signer(address))
        .max_decoding_message_size(wire::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(wire::MESSAGE_BYTES_MAX);
    match tokio::time::timeout(deadline, method(client)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(classify(address, &status)),
        Err(_) => Err(CallError::Timeout { peer: address.to_owned(), within: deadline }),
    }
}

/// A status that the transport made carries a source; one that the peer sent does not.
pub fn classify(address: &str, status: &Status) -> CallError {
    let made_here = std::error::Error::source(status).is_some();
    if made_here || matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown) {
        let mut text = status.message().to_owned();
        let mut source = std::error::Error::source(status);
        let mut is_connected = true;
        while let Some(error) = source {
            is_connected &= !error.is::<tonic::ConnectError>();
            text = error.to_string();
            source = error.source();
        }
        let text = format!("{address}: {text}");
        return if is_connected { CallError::Unreachable(text) } else { CallError::NotConnected(text) };
    }
    CallError::Refused(format!("{address}: {}", status.message()))
}
