//! The metadata service of this process, for peers and for this node itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster::MetaEndpoint;
use meta::codec::decode_snapshot;
use meta::{Command, Data};
use meta_client::{BoxFuture, LinkError, MetaLink, Proposed};
use meta_node::{MetaNode, ProposeError, RaftTransport, TransportError};
use model::MetaIndex;
use rpc::{CallError, Channels, Lane, call};
use wire::v1;
use wire::v1::propose_reply::{Accepted, Outcome};

use crate::link::RemoteMeta;

/// How long a question for the newest metadata waits for the leader.
const NEWEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The member of the metadata service that runs in this process.
#[derive(Clone, Debug)]
pub struct LocalMeta {
    node: MetaNode,
    remote: Arc<RemoteMeta>,
}

impl LocalMeta {
    /// `remote` reaches the other members.
    pub fn new(node: MetaNode, remote: Arc<RemoteMeta>) -> LocalMeta {
        LocalMeta { node, remote }
    }

    /// The metadata as the leader has it now, if it is newer than `from`.
    async fn newest(&self, from: MetaIndex) -> Result<Option<Arc<Data>>, LinkError> {
        let leader = match self.node.ensure_linearizable().await {
            Ok(data) => return Ok(Some(data).filter(|data| data.index() > from)),
            Err(ProposeError::NotLeader(leader)) => leader,
            Err(_) => self.node.leader().ok_or_else(|| LinkError::Unavailable("no leader".to_owned()))?,
        };
        self.remote.newer_at(&leader.http_addr, from, Duration::ZERO).await
    }
}

#[tonic::async_trait]
impl MetaEndpoint for LocalMeta {
    async fn raft(&self, message: Bytes) -> Result<Bytes, String> {
        Ok(self.node.handle_raft(message).await)
    }

    async fn propose(&self, command: Bytes) -> Outcome {
        match self.node.propose_bytes(&command).await {
            Ok(reply) => Outcome::Accepted(Accepted { index: 0, reply }),
            Err(ProposeError::NotLeader(leader)) => Outcome::NotLeader(leader.http_addr),
            Err(ProposeError::NoLeader) => Outcome::NotLeader(String::new()),
            Err(error) => Outcome::Unknown(error.to_string()),
        }
    }

    async fn watch(&self, from: MetaIndex, wait: Duration) -> Result<Option<(MetaIndex, Bytes)>, String> {
        if !wait.is_zero() {
            return Ok(tokio::time::timeout(wait, self.node.snapshot_after(from)).await.ok());
        }
        // Whoever asks without patience wants to know what the leader knows.
        let newest = tokio::time::timeout(NEWEST_TIMEOUT, self.newest(from)).await;
        let newest = newest.map_err(|_| "the leader does not answer".to_owned())?.map_err(|error| error.to_string())?;
        Ok(match newest {
            Some(data) => Some(self.node.encoded(data).await),
            None => None,
        })
    }
}

impl MetaLink for LocalMeta {
    fn newer<'a>(&'a self, from: MetaIndex, wait: Duration) -> BoxFuture<'a, Result<Option<Arc<Data>>, LinkError>> {
        Box::pin(async move {
            if wait.is_zero() {
                return self.newest(from).await;
            }
            let mut versions = self.node.subscribe();
            let newer = tokio::time::timeout(wait, versions.wait_for(|data| data.index() > from)).await;
            Ok(newer.ok().and_then(Result::ok).map(|data| Arc::clone(&data)))
        })
    }

    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(async move {
            match self.node.propose(command).await {
                Ok((reply, index)) => Ok(Proposed { outcome: Ok(reply), index }),
                Err(ProposeError::Rejected(rejection)) => {
                    Ok(Proposed { outcome: Err(rejection), index: self.node.data().index() })
                }
                Err(ProposeError::NotLeader(leader)) => self.remote.propose_first(&leader.http_addr, command).await,
                Err(ProposeError::NoLeader) => Err(LinkError::Unavailable("no leader".to_owned())),
                Err(error) => Err(LinkError::Unknown(error.to_string())),
            }
        })
    }
}

/// Carries Raft messages over gRPC.
#[derive(Debug)]
pub struct RaftOverRpc {
    channels: Arc<Channels>,
}

impl RaftOverRpc {
    /// Uses the lane for urgent calls.
    pub fn new(channels: Arc<Channels>) -> RaftOverRpc {
        RaftOverRpc { channels }
    }
}

impl RaftTransport for RaftOverRpc {
    fn call<'a>(
        &'a self,
        target_addr: &'a str,
        request: Bytes,
        deadline: Duration,
    ) -> meta_node::BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let request = v1::RaftRequest { message: request };
            let reply = call(&self.channels, target_addr, Lane::Control, deadline, |mut peer| async move {
                peer.raft(request).await
            });
            match reply.await {
                Ok(reply) => Ok(reply.message),
                Err(error @ (CallError::NotConnected(_) | CallError::Unreachable(_))) => {
                    Err(TransportError::Unreachable(error.to_string()))
                }
                Err(error) => Err(TransportError::Other(error.to_string())),
            }
        })
    }
}

/// Reads a snapshot that a peer sent.
///
/// # Errors
/// When it cannot be read; the text names the peer.
pub(crate) fn read_snapshot(peer: &str, bytes: &[u8]) -> Result<Arc<Data>, LinkError> {
    decode_snapshot(bytes).map(Arc::new).map_err(|error| LinkError::Unavailable(format!("{peer}: {error}")))
}
