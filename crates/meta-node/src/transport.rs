//! How Raft messages reach another member. The trait is ours, the carrier is not: the program gives us one.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// A future that a trait object can give.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries Raft messages. On the other side they go to [`crate::MetaNode::handle_raft`].
///
/// Append and vote messages are small (at most about [`crate::raft::APPEND_BYTES_MAX`]); a message with a snapshot is as
/// large as the metadata, and the carrier must take it.
pub trait RaftTransport: Send + Sync + Debug + 'static {
    /// Sends `request` to the member whose Raft address is `target_addr` and gives its answer, within `deadline`.
    /// Dropping the future gives the call up.
    fn call<'a>(
        &'a self,
        target_addr: &'a str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>>;
}

/// Why a message got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The peer cannot be reached now. Raft waits a little before it tries again.
    #[error("{0} cannot be reached")]
    Unreachable(String),
    /// Something else; the message may have arrived. Raft tries again at once.
    #[error("{0}")]
    Other(String),
}

/// A network that reaches no one.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Nobody;

#[cfg(test)]
impl RaftTransport for Nobody {
    fn call<'a>(&'a self, target: &'a str, _: Bytes, _: Duration) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move { Err(TransportError::Unreachable(target.to_owned())) })
    }
}
